"""A whole search: what it leaves, how it ends, and that a killed one goes on as if nothing had happened."""

import json
import os
import signal
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
from ase import Atoms
from ase.build import add_adsorbate, fcc111
from ase.calculators.calculator import CalculationFailed
from ase.calculators.emt import EMT
from ase.constraints import FixAtoms
from ase.io import read
from ase.io.trajectory import Trajectory

from ase_learnedopt.adapter.evaluating import MOST_FAILURES
from ase_learnedopt.search import MinimaDatabase, command, recorder, search
from ase_learnedopt.search.command import search_command
from ase_learnedopt.search.inputs import place, read_structure
from ase_learnedopt.search.report import describe_calculator, table
from ase_learnedopt.search.trace import read_trace

FILES = [
    "best.xyz", "minima.db", "restart.json", "run.json", "search.log", "start.traj", "trace.csv", "trace.png",
    "trajectory.traj",
]  # fmt: skip


class StoppingEMT(EMT):
    """Does something at its n-th evaluation, or from there on at every one."""

    def __init__(self, at: int = 0, act=lambda: None, for_good: bool = False):
        super().__init__()
        self.at, self.act, self.n_calls, self.for_good = at, act, 0, for_good

    def calculate(self, *args, **kwargs):
        self.n_calls += 1
        if self.n_calls == self.at or (self.for_good and self.n_calls > self.at):
            self.act()
        super().calculate(*args, **kwargs)


def crash() -> None:
    raise RuntimeError("the calculator died")


def start(calculator=None, formula: str = "Cu7") -> Atoms:
    atoms = place(read_structure(formula), 0)
    atoms.calc = calculator or StoppingEMT()
    return atoms


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """An uninterrupted search."""
    calculator = StoppingEMT()
    out = tmp_path_factory.mktemp("whole") / "cu7"
    with jax.numpy_rank_promotion("raise"), jax.numpy_dtype_promotion("strict"):  # as in tests: else it compiles twice
        return search(start(calculator), evaluations=300, out=out, show_progress=False), calculator.n_calls


def test_it_leaves_everything(whole):
    result, n_calls = whole
    out = result.out
    assert sorted(file.name for file in out.iterdir()) == FILES
    assert n_calls == result.n_evaluations <= 300
    run, trace = json.loads((out / "run.json").read_text()), read_trace(out / "trace.csv")
    assert run["status"] == result.status == "budget"
    assert run["figures"]["n_evaluations"] == len(trace.evaluation) == result.n_evaluations
    assert {"ase", "jax", "numpy", "ase-learnedopt", "python"} <= set(run["versions"])
    assert (run["settings"]["seed"], run["weights"]["name"]) == (0, "learned_hop_v1")
    assert (out / "trace.png").read_bytes().startswith(b"\x89PNG")
    with Trajectory(out / "trajectory.traj") as frames:
        assert np.allclose([frame.get_potential_energy() for frame in frames], trace.energy, atol=1e-7)


def test_the_best_structure_is_what_it_is_said_to_be(whole):
    result, _ = whole
    best = read(result.out / "best.xyz")
    assert best.get_potential_energy() == pytest.approx(result.best_energy, abs=1e-6)
    best.calc = EMT()
    assert best.get_potential_energy() == pytest.approx(result.best_energy, abs=1e-5)
    assert np.linalg.norm(best.get_forces(), axis=1).max() < 0.05
    assert result.minima[0].energy == pytest.approx(result.best_energy, abs=1e-3)


def test_minima_are_distinct_and_counted(whole):
    result, _ = whole
    energies = [m.energy for m in result.minima]
    assert energies == sorted(energies)
    assert len(energies) >= 2
    stored = MinimaDatabase(result.out / "minima.db").sorted()
    assert [(m.energy, m.evaluation, m.times_seen) for m in stored] == [
        (m.energy, m.evaluation, m.times_seen) for m in result.minima
    ]
    lines = table(result.minima, 2).splitlines()
    assert lines[1].split()[:4] == [
        "1", f"{energies[0]:.5f}", "0.00000", str(result.minima[0].evaluation),
    ]  # fmt: skip
    assert "D5h" in lines[1]  # the pentagonal bipyramid


def test_it_says_where_the_minimum_of_the_best_was_first_met(whole):
    result, _ = whole
    figures, trace = json.loads((result.out / "run.json").read_text())["figures"], read_trace(result.out / "trace.csv")
    assert result.first_met == figures["minimum_first_met"] == result.minima[0].evaluation
    assert result.first_met < figures["evaluation_of_best"] == 1 + np.argmin(trace.energy)  # visited again, or refined
    assert 0 < trace.energy[result.first_met - 1] - result.best_energy < 0.01 * figures["energy_scale_eV"]


def stop(number: int):
    return lambda: os.kill(os.getpid(), number)


@pytest.mark.parametrize(
    ("act", "error", "status"),
    [
        (stop(signal.SIGINT), KeyboardInterrupt, "interrupted"),
        (stop(signal.SIGTERM), KeyboardInterrupt, "interrupted"),
        (crash, RuntimeError, "error"),
        (sys.exit, SystemExit, "error"),
    ],
)
def test_stopped_and_resumed_is_the_same_as_uninterrupted(whole, tmp_path, act, error, status):
    reference, out = whole[0], tmp_path / "cu7"
    with pytest.raises(error):
        search(start(StoppingEMT(120, act, act is crash)), evaluations=300, out=out, show_progress=False)
    run = json.loads((out / "run.json").read_text())
    assert run["status"] == status
    assert 115 <= run["figures"]["n_evaluations"] <= 120 + MOST_FAILURES
    assert sorted(file.name for file in out.iterdir()) == FILES
    with (out / "trace.csv").open("a") as trace:
        trace.write("400,1.0,1.0,3\n401,1.")  # what a kill may leave beyond the restart file
    result = search(start(), evaluations=300, out=out, resume=True, show_progress=False)
    for column, wanted in zip(read_trace(out / "trace.csv"), read_trace(reference.out / "trace.csv"), strict=True):
        assert np.array_equal(column, wanted)
    assert (result.best_energy, result.fmax) == (reference.best_energy, reference.fmax)
    assert [(m.energy, m.evaluation, m.times_seen) for m in result.minima] == [
        (m.energy, m.evaluation, m.times_seen) for m in reference.minima
    ]
    with Trajectory(out / "trajectory.traj") as frames:
        assert len(frames) == reference.n_evaluations
    assert read(out / "best.xyz").get_potential_energy() == pytest.approx(reference.best_energy, abs=1e-6)


def test_a_full_disk_is_told_with_the_way_on(whole, tmp_path, monkeypatch):
    settings = {"out": tmp_path / "x", "evaluations": 300, "show_progress": False}
    monkeypatch.setattr(recorder, "write_structure", lambda *_: os.write(os.open("/dev/full", os.O_WRONLY), b"x"))
    with pytest.raises(OSError, match="No space left") as told:
        search(start(StoppingEMT(40, crash, True)), **settings)
    assert told.value.__notes__ == [f"what was found before is in {tmp_path / 'x'}; --resume continues from there"]
    monkeypatch.undo()
    result = search(start(), resume=True, **settings)
    assert (result.best_energy, result.n_evaluations) == (whole[0].best_energy, whole[0].n_evaluations)


class Kernel:
    """What a calculator may have among its parameters; its text has its place in memory."""


def test_calculators_are_described_in_the_same_words_by_every_process(tmp_path):
    def calculator(order):
        made = StoppingEMT()
        made.parameters.update(kernel=Kernel(), function=lambda x: x, names=set(order), bound=Kernel().__str__)
        return made

    assert describe_calculator(calculator("abcdefgh")) == describe_calculator(calculator("hgfedcba"))
    settings = {"out": tmp_path / "x", "show_progress": False}
    search(start(calculator("ab")), evaluations=6, **settings)
    result = search(start(calculator("ba")), evaluations=9, resume=True, **settings)
    assert result.n_evaluations > 6
    frames = read(tmp_path / "x" / "trajectory.traj", ":")
    assert len(frames) == result.n_evaluations
    assert frames[0].get_potential_energy() == pytest.approx(start(EMT()).get_potential_energy(), abs=1e-9)


@pytest.mark.parametrize("results", [{"dipole": [0.0, 0.0, 1.0]}, {"stress": None}, {"magmom": object()}], ids=" ".join)
def test_results_that_a_trajectory_does_not_take_are_no_end(results, tmp_path):
    class Telling(EMT):
        def calculate(self, *args, **kwargs):
            super().calculate(*args, **kwargs)
            self.results.update(results)

    result = search(start(Telling()), evaluations=6, out=tmp_path / "x", show_progress=False)
    frames = read(result.out / "trajectory.traj", ":")
    assert min(frame.get_potential_energy() for frame in frames) == pytest.approx(result.best_energy, abs=1e-9)
    assert len(frames) == result.n_evaluations


def test_an_evaluation_that_fails_is_noted_and_the_search_goes_on(tmp_path):
    result = search(start(StoppingEMT(60, crash)), evaluations=200, out=tmp_path / "x", show_progress=False)
    trace = read_trace(result.out / "trace.csv")
    assert trace.evaluation[~np.isfinite(trace.energy)].tolist() == [60]
    assert result.n_evaluations == len(trace.evaluation) > 150
    assert "no energy, the search goes on: the calculator died" in (result.out / "search.log").read_text()
    with Trajectory(result.out / "trajectory.traj") as frames:
        assert len(frames) == result.n_evaluations and frames[59].calc is None
        assert frames[58].calc is not None


def test_a_random_start_that_fails_is_drawn_again(tmp_path, monkeypatch):
    tried = []

    class Unwilling(EMT):
        def calculate(self, atoms=None, *args):
            tried.append(atoms.positions.copy())
            if len(tried) < 4:
                raise CalculationFailed("no convergence")
            super().calculate(atoms, *args)

    monkeypatch.setattr(command, "make_calculator", lambda *_: Unwilling())
    options = {"input": "Cu7", "evaluations": 40}
    result = search_command(options, tmp_path / "x", resume=False, overwrite=False, show_progress=False)
    assert len({x.tobytes() for x in tried[:4]}) == 4
    assert np.array_equal(read(result.out / "start.traj").positions, tried[3])
    assert result.n_evaluations == len(tried) - 3 > 20


def test_resume_with_nothing_left_to_do(whole, tmp_path):
    reference = whole[0]
    result = search(start(), evaluations=100, out=reference.out, resume=True, show_progress=False)
    assert (result.n_evaluations, result.best_energy) == (reference.n_evaluations, reference.best_energy)


def test_target_energy_ends_it(whole, tmp_path):
    target = whole[0].best_energy + 0.05
    result = search(start(), evaluations=300, out=tmp_path / "x", target_energy=target, show_progress=False)
    assert result.status == "target"
    assert result.best_energy <= target


def test_fixed_atoms_stay(tmp_path):
    slab = fcc111("Cu", (2, 2, 2), vacuum=5.0)
    add_adsorbate(slab, "Cu", 2.5, "ontop")
    slab.set_constraint(FixAtoms(range(4)))
    slab.calc = EMT()
    before = slab.positions.copy()
    result = search(slab, evaluations=60, out=tmp_path / "slab", show_progress=False, trajectory=False)
    assert np.array_equal(slab.positions, before)
    assert np.allclose(result.best.positions[:4], before[:4], atol=1e-7)
    assert not (tmp_path / "slab" / "trajectory.traj").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({}, "not empty.*--resume.*--overwrite"),
        ({"resume": True, "seed": 1}, "seed was 0 and is now 1"),
        ({"resume": True, "atoms": "Cu8"}, "another structure"),
        ({"resume": True, "out": "elsewhere"}, "no search in .*elsewhere"),
        ({"evaluations": 0, "out": "new"}, "evaluations must be"),
        ({"patience": -1, "out": "new"}, "patience must be"),
        ({"weights": "no such", "out": "new"}, "no weights"),
        *(
            ({name: value, "overwrite": True}, f"{name} must be")
            for name in ("fmax", "target_energy", "walltime", "length_scale", "energy_scale", "maxstep", "min_distance")
            for value in ("0.1", -np.inf, np.nan, [0.1])
        ),
        ({"fmax": None, "overwrite": True}, "fmax must be"),
        ({"weights": "", "overwrite": True}, "no weights ''"),
        ({"seed": 0.5, "overwrite": True}, "seed must be"),
    ],
)
def test_bad_requests_touch_nothing(whole, tmp_path, change, message):
    out = tmp_path / change["out"] if "out" in change else whole[0].out
    settings = {"evaluations": 300, "show_progress": False, **change, "out": out}
    atoms = start(formula=settings.pop("atoms", "Cu7"))
    before = {file: file.read_bytes() for file in whole[0].out.iterdir()}
    with pytest.raises(ValueError, match=message):
        search(atoms, **settings)
    assert {file: file.read_bytes() for file in whole[0].out.iterdir()} == before
    assert not list(tmp_path.iterdir())


def test_a_seed_that_was_drawn_is_noted(tmp_path):
    def seed_of(**settings):
        search(start(), seed=None, show_progress=False, **settings)
        return json.loads((settings["out"] / "run.json").read_text())["settings"]["seed"]

    drawn = [seed_of(evaluations=3, out=tmp_path / name) for name in "ab"]
    assert drawn[0] != drawn[1]
    assert seed_of(evaluations=5, out=tmp_path / "a", resume=True) == drawn[0]


@pytest.mark.parametrize(
    "change",
    [
        {"seed": np.uint64(3), "evaluations": np.int8(8), "patience": np.int16(9), "trajectory": np.bool_(0)},
        {"weights": Path("learned_hop"), "fmax": np.float32(0.1), "min_distance": np.float32(0.25)},
        {"maxstep": np.array(0.125), "walltime": np.array(99), "target_energy": np.float32(-9)},
        {"length_scale": np.float32(2.5), "energy_scale": np.array(0.25)},
    ],
    ids=" ".join,
)
def test_settings_of_numpy_are_those_of_python(change, tmp_path):
    plain = {name: str(x) if isinstance(x, Path) else np.asarray(x).item() for name, x in change.items()}
    settings = {"evaluations": 8, "show_progress": False}
    wanted = search(start(), out=tmp_path / "plain", **{**settings, **plain})
    found = search(start(), out=tmp_path / "numpy", **{**settings, **change})
    again = search(start(), out=tmp_path / "numpy", resume=True, **{**settings, **change})
    assert wanted.best_energy == found.best_energy >= again.best_energy
    assert wanted.n_evaluations == found.n_evaluations <= again.n_evaluations <= 8
    ours, others = (json.loads((tmp_path / name / "run.json").read_text()) for name in ("numpy", "plain"))
    assert ours["settings"] == others["settings"]


def test_overwrite_replaces_only_searches(tmp_path):
    out = tmp_path / "x"
    first = search(start(), evaluations=30, out=out, show_progress=False)
    second = search(start(), evaluations=80, out=out, overwrite=True, show_progress=False)
    assert first.n_evaluations <= 30 < len(read_trace(out / "trace.csv").evaluation) == second.n_evaluations
    (tmp_path / "precious.txt").write_text("")
    with pytest.raises(ValueError, match="nothing was overwritten"):
        search(start(), evaluations=30, out=tmp_path, overwrite=True, show_progress=False)
