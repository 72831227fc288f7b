"""The command `relax`: nothing is evaluated in vain, and whatever ends it, what was reached is kept and goes on."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.constraints import FixAtoms, Hookean
from ase.io import read, write

from ase_learnedopt.cli import main
from ase_learnedopt.search import relaxing
from ase_learnedopt.search.inputs import place, read_structure
from ase_learnedopt.search.relaxation_folder import RelaxationFolder

AT = 8
"""Evaluation at which something happens."""
KILLED = """
import os
from ase.calculators.emt import EMT

class Killed(EMT):
    n_calls = 0

    def calculate(self, *args, **kwargs):
        Killed.n_calls += 1
        if os.environ.get("KILLED_AT") == str(Killed.n_calls):
            os.kill(os.getpid(), 9)
        super().calculate(*args, **kwargs)
"""


class Acting(EMT):
    """Does something at every evaluation from the n-th on, and notes energies."""

    def __init__(self, act=None, at: int = AT):
        super().__init__()
        self.act, self.at, self.n_calls, self.noted = act, at, 0, []

    def calculate(self, *args, **kwargs):
        self.n_calls += 1
        if self.act is not None and self.n_calls >= self.at:
            self.act()
        super().calculate(*args, **kwargs)
        self.noted.append(self.results["energy"])


def crash():
    raise RuntimeError("the calculator died")


def interrupt():
    raise KeyboardInterrupt


def sent(number):
    return lambda: os.kill(os.getpid(), number)


@pytest.fixture
def calculator(monkeypatch):
    """Sets what the command is to calculate with."""

    def use(*args, **kwargs):
        calculator = Acting(*args, **kwargs)
        monkeypatch.setattr(relaxing, "make_calculator", lambda *_: calculator)
        return calculator

    return use


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with a cluster and a crystal."""
    monkeypatch.chdir(tmp_path)
    cluster = place(read_structure("Cu7"), 0)
    cluster.info["charge"] = 1
    cluster.set_array("mine", np.arange(7.0))
    write("cluster.xyz", cluster)
    crystal = bulk("Cu", a=3.8, cubic=True)
    crystal.rattle(0.15, seed=1)
    write("crystal.traj", crystal)
    return tmp_path


def relax(*arguments):
    return main(["relax", *map(str, arguments), "--log", "log"])


def names(folder=Path()):
    return sorted(path.name for path in folder.iterdir())


REFUSED = [
    ("cluster.xyz", "relaxed", "ASE knows no format for the name relaxed"),
    ("cluster.xyz", "r.foo", "ASE knows no format for the name r.foo"),
    ("cluster.xyz", "r.bundle", "ASE knows no format for the name r.bundle"),
    ("cluster.xyz", "r.png", "ASE cannot read the format of r.png"),
    ("cluster.xyz", "r.pov", "ASE cannot read the format of r.pov"),
    ("cluster.xyz", "r.dat", "ASE cannot write the format of r.dat"),
    ("cluster.xyz", "POSCAR", "POSCAR cannot hold these atoms (RuntimeError: Lattice vectors"),
    ("cluster.xyz", "r.res", "r.res cannot hold these atoms (AssertionError"),
    ("cluster.xyz", "r.pwi", "r.pwi cannot hold these atoms (KeyError: 'Cu')"),
    ("crystal.traj", "r.mol", "r.mol does not hold the cell of these atoms (mol)"),
    ("crystal.traj", "coord", "coord does not hold the cell of these atoms (turbomole)"),
    ("crystal.traj", "r.xtd", "r.xtd would be several files (xtd)"),
    ("cluster.xyz", "missing/r.xyz", "there is no folder"),
    ("cluster.xyz", "cluster.xyz/r.xyz", "there is no folder"),
    ("cluster.xyz", ".", ". is no file"),
    ("cluster.xyz", "folder.xyz", "folder.xyz is no file"),
    ("cluster.xyz", "n" * 252 + ".xyz", "cannot be written to"),
]


@pytest.mark.parametrize(("structure", "out", "message"), REFUSED, ids=[out[:20] for _, out, _ in REFUSED])
def test_a_result_that_could_not_be_written_is_told_before(here, calculator, capsys, structure, out, message):
    calculated = calculator()
    (here / "folder.xyz").mkdir()
    before = names()
    assert relax(structure, "--out", out) == 1
    error = capsys.readouterr().err
    assert error.startswith("ase-learnedopt: ") and message in error and error.count("\n") == 1
    assert (calculated.n_calls, names()) == (0, before)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mkdir": OSError(30, "Read-only file system")}, "r.xyz cannot be written to ([Errno 30]"),
        ({"write_bytes": OSError(28, "No space left on device")}, "r.xyz cannot be written to ([Errno 28]"),
    ],
)
def test_a_disk_that_takes_nothing_is_told_before(here, calculator, monkeypatch, capsys, change, message):
    calculated = calculator()
    before = names()
    for name, error in change.items():
        monkeypatch.setattr(Path, name, lambda *_, error=error, **__: (_ for _ in ()).throw(error))
    assert relax("cluster.xyz", "--out", "r.xyz") == 1
    monkeypatch.undo()
    assert message in capsys.readouterr().err
    assert (calculated.n_calls, names(here)) == (0, before)


@pytest.mark.parametrize("arguments", [["--log", "missing/log"], ["--log", "."], ["--cell"], ["--calculator", "emmt"]])
def test_other_impossible_requests_touch_nothing(here, arguments):
    before = names()
    assert main(["relax", "cluster.xyz", *arguments]) == 1
    assert names() == before


@pytest.mark.parametrize("structure", ["cluster.xyz", "crystal.traj"])
@pytest.mark.parametrize("out", ["r.xyz", "r.xyz.gz", "r.traj", "r.cif", "r.json", "r.db", "n" * 251 + ".xyz"])
def test_formats_that_hold_it(here, calculator, structure, out):
    calculated = calculator()
    assert relax(structure, "--out", out, "--fmax", 0.1) == 0
    assert names() == sorted(["cluster.xyz", "crystal.traj", out, "log"])
    found = read(out, format="extxyz" if "xyz" in out else None)
    wanted = read(structure)
    wanted.positions = calculated.atoms.positions
    assert np.allclose(found.get_all_distances(mic=True), wanted.get_all_distances(mic=True), atol=1e-4)
    if out != "r.cif":
        assert found.get_potential_energy() == pytest.approx(calculated.noted[-1], abs=1e-6)
        assert np.allclose(found.get_forces(), calculated.results["forces"], atol=1e-6)
    if out == "r.xyz" and structure == "cluster.xyz":  # the others keep less
        assert found.info["charge"] == 1 and np.array_equal(found.get_array("mine"), np.arange(7.0))


@pytest.mark.parametrize("structure", [["cluster.xyz"], ["crystal.traj", "--cell"]], ids=["cluster", "cell"])
@pytest.mark.parametrize(
    ("act", "code", "told"),
    [
        (sent(signal.SIGINT), 130, "stopped: "),
        (sent(signal.SIGTERM), 143, "stopped: "),
        (crash, 1, "what was reached is in r.xyz; --resume continues from there"),
        (
            lambda: sys.exit(3),
            3,
            "ended the program with exit code 3\n  what was reached is in r.xyz; --resume continues",
        ),
        (
            lambda: sys.exit(0),
            1,
            "ended the program with exit code 0\n  what was reached is in r.xyz; --resume continues",
        ),
    ],
    ids=["int", "term", "crash", "exit", "exit 0"],
)
def test_stopped_and_resumed_is_uninterrupted(here, calculator, capsys, structure, act, code, told):
    fmax = ["--fmax", 1e-4]
    whole = calculator()
    assert relax(*structure, *fmax, "--out", "whole.xyz") == 0
    last = capsys.readouterr().out.splitlines()[0]
    stopped = calculator(act)
    with pytest.raises(SystemExit) as end:
        sys.exit(relax(*structure, *fmax, "--out", "r.xyz"))
    assert end.value.code == code
    assert told in "".join(capsys.readouterr())
    assert read("r.xyz").get_potential_energy() == min(stopped.noted[:AT])
    assert names() == sorted(["cluster.xyz", "crystal.traj", "whole.xyz", "r.xyz", "r.xyz.relaxing", "log"])
    assert names(here / "r.xyz.relaxing") == ["options.json", "reached.json", "restart.json", "start.json"]
    goes_on = calculator()
    assert relax(*(structure if act is crash else []), "--resume", "--out", "r.xyz") == 0
    assert Path("r.xyz").read_bytes() == Path("whole.xyz").read_bytes()
    assert capsys.readouterr().out.splitlines()[0] == last
    assert not Path("r.xyz.relaxing").exists()
    assert whole.noted[-len(goes_on.noted) :] == goes_on.noted


@pytest.mark.parametrize("out", ["r.traj", "cluster.xyz"])
def test_killed_and_resumed_is_uninterrupted(here, out):
    Path("killed.py").write_text(KILLED)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([".", *sys.path])}

    def run(*arguments, at=""):
        command = [sys.executable, "-m", "ase_learnedopt.cli", "relax", "--calculator", "killed:Killed", *arguments]
        environment["KILLED_AT"] = at
        return subprocess.run(command, check=False, env=environment, capture_output=True, text=True)

    whole = "whole" + Path(out).suffix
    assert run("cluster.xyz", "--out", whole).returncode == 0
    assert run("cluster.xyz", "--out", out, at="6").returncode == -signal.SIGKILL
    assert read(out).get_potential_energy() > read(whole).get_potential_energy()
    assert (here / f"{out}.relaxing" / "relax.lock").exists()
    (here / f"{out}.relaxing" / ".unfinished-trial").mkdir()  # killed while it tried the format
    again = run("cluster.xyz", "--out", out, "--resume")
    assert again.returncode == 0, again.stderr
    assert Path(out).read_bytes() == Path(whole).read_bytes()
    assert not (here / f"{out}.relaxing").exists()


def test_a_budget_that_is_used_up_can_be_raised(here, calculator, capsys):
    calculator()
    assert relax("cluster.xyz", "--out", "whole.xyz") == 0
    calculator()
    assert relax("cluster.xyz", "--out", "r.xyz", "--evaluations", 5) == 1
    assert "r.xyz, continue with --resume and a larger --evaluations" in capsys.readouterr().out
    again = calculator()
    assert relax("--resume", "--out", "r.xyz") == 1  # with the same budget
    assert again.n_calls == 1
    assert relax("--resume", "--out", "r.xyz", "--evaluations", 1000) == 0
    assert Path("r.xyz").read_bytes() == Path("whole.xyz").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["cluster.xyz"], "has not converged yet: choose another --out, continue it with --resume"),
        (["crystal.traj", "--resume"], "it began with another structure"),
        (["--resume", "--maxstep", 0.1], "maxstep was None and is now 0.1"),
        (["--resume", "--calculator", "lj"], "calculator was 'emt' and is now 'lj'"),
        (["--resume", "--cell"], "cell was False and is now True"),
        (["missing.xyz", "--resume"], "no file missing.xyz"),
        (["--resume", "--out", "other.xyz"], "there is no unfinished relaxation to other.xyz"),
    ],
)
def test_a_relaxation_that_has_not_ended_is_not_touched(here, calculator, capsys, arguments, message):
    calculator()
    assert relax("cluster.xyz", "--evaluations", 5, "--out", "r.xyz") == 1
    before = {path: path.read_bytes() for path in here.rglob("*") if path.is_file()}
    capsys.readouterr()
    assert relax("--out", "r.xyz", *arguments) == 1
    assert message in capsys.readouterr().err
    assert {path: path.read_bytes() for path in here.rglob("*") if path.is_file()} == before
    if arguments == ["cluster.xyz"]:
        assert relax("cluster.xyz", "--overwrite", "--out", "r.xyz") == 0
        assert not Path("r.xyz.relaxing").exists()


@pytest.mark.parametrize("how", [[], ["--resume"], ["--overwrite"]], ids=str)
def test_a_second_writer_is_refused(here, calculator, capsys, how):
    calculator()
    assert relax("cluster.xyz", "--evaluations", 5, "--out", "r.xyz") == 1
    capsys.readouterr()
    with RelaxationFolder(here / "r.xyz", "r.xyz").only_writer():
        assert relax("cluster.xyz", "--out", "r.xyz", *how) == 1
        assert f"r.xyz is being written to by process {os.getpid()} on " in capsys.readouterr().err
    assert relax("cluster.xyz", "--out", "r.xyz", "--resume", "--evaluations", 1000) == 0


def test_a_calculator_may_change_the_working_directory(here, calculator):
    calculator(lambda: os.chdir("/"), at=1)
    (here / "link.xyz").symlink_to("place.xyz")
    assert relax("cluster.xyz", "--out", "link.xyz") == 0
    assert names(here) == ["cluster.xyz", "crystal.traj", "link.xyz", "log", "place.xyz"]
    assert len(read(here / "place.xyz")) == 7


@pytest.mark.parametrize("constraint", [None, FixAtoms([0]), Hookean(0, 1, k=5.0, rt=1.5)], ids=str)
def test_the_energy_told_is_that_of_the_file(here, calculator, capsys, constraint):
    atoms = read("cluster.xyz")
    atoms.set_constraint(constraint)
    write("bound.traj", atoms)
    calculator(crash, at=9)
    assert relax("bound.traj", "--out", "r.traj") == 1
    calculator()
    assert relax("--resume", "--out", "r.traj") == 0
    told = float(capsys.readouterr().out.split()[1])
    found = read("r.traj")
    assert found.get_potential_energy() == pytest.approx(told, abs=1e-6)
    assert json.dumps([c.todict() for c in found.constraints]) == json.dumps([c.todict() for c in atoms.constraints])


LOST = [  # format, and what it cannot hold of the crystal below
    ("r.xyz", ["the constraint Hookean"]),
    ("r.xyz.gz", ["the constraint Hookean"]),
    ("r.traj", ["arrays['mine']"]),
    ("r.json", ["info['charge']", "arrays['mine']"]),
    ("r.db", ["info['charge']", "arrays['mine']"]),
    (
        "r.cif",
        ["info['charge']", "arrays['mine']", "arrays['tags']", "the constraint FixAtoms", "the constraint Hookean",
         "the energy", "the forces"],
    ),
    (
        "POSCAR",
        ["info['charge']", "arrays['mine']", "arrays['tags']", "the constraint Hookean", "the energy", "the forces"],
    ),
    (
        "r.xsf",
        ["info['charge']", "arrays['mine']", "arrays['tags']", "the constraint FixAtoms", "the constraint Hookean",
         "the energy"],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("out", "lost"), LOST, ids=[out for out, _ in LOST])
def test_what_a_format_cannot_hold_is_told_before(here, calculator, monkeypatch, capsys, out, lost):
    atoms = read("crystal.traj")
    atoms.info["charge"] = 1
    atoms.set_array("mine", np.arange(4.0))
    atoms.set_tags([1, 2, 3, 4])
    atoms.set_constraint([FixAtoms([0]), FixAtoms([-1]), Hookean(0, 1, k=5.0, rt=4.0)])
    told_at = []
    calculated = calculator(lambda: told_at.append(capsys.readouterr().out), at=2)
    monkeypatch.setattr(relaxing, "_read", lambda _: atoms)  # which no file would hold
    assert relax("crystal.traj", "--out", out, "--fmax", 0.1) == 0
    assert calculated.n_calls > 1
    assert told_at[0] == f"Beware: {out} cannot hold {', '.join(lost)}.\n"
    assert "Beware" not in capsys.readouterr().out


@pytest.mark.parametrize("structure", [["cluster.xyz"], ["crystal.traj", "--cell"]], ids=["cluster", "cell"])
@pytest.mark.parametrize("out", ["r.xyz", "r.cif"])
@pytest.mark.parametrize("noted", [True, False])
def test_a_resumed_relaxation_that_gets_no_lower_tells_the_force_or_none(
    here, calculator, capsys, structure, out, noted
):
    calculator(sent(signal.SIGINT))
    assert relax(*structure, "--out", out, "--fmax", 1e-4) == 130
    first = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("stopped: "))
    assert "largest force" in first and "nan" not in first
    if not noted:
        (here / f"{out}.relaxing" / "reached.json").unlink()
    calculator(interrupt, at=1)
    assert relax("--resume", "--out", out) == 130
    again = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("stopped: "))
    shown = first if noted else ",".join(part for part in first.split(",") if "force" not in part)
    assert again.rsplit(",", 1)[0] == shown.rsplit(",", 1)[0]
