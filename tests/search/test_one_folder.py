"""The folder of a search: one writer at a time, wherever the calculator goes, whatever killed the one before."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from ase.calculators.emt import EMT
from ase.io import read

from ase_learnedopt import one_writer
from ase_learnedopt.cli import main
from ase_learnedopt.search import MinimaDatabase, search
from ase_learnedopt.search.folder import Folder
from ase_learnedopt.search.inputs import place, read_structure
from ase_learnedopt.search.trace import Trace, marked, read_trace

FILES = [
    "best.xyz", "minima.db", "restart.json", "run.json", "search.log", "start.traj", "trace.csv", "trace.png",
    "trajectory.traj",
]  # fmt: skip


class Acting(EMT):
    """Does something at every evaluation after the first."""

    def __init__(self, act):
        super().__init__()
        self.act, self.n_calls = act, 0

    def calculate(self, *args, **kwargs):
        self.n_calls += 1
        if self.n_calls > 1:
            self.act()
        super().calculate(*args, **kwargs)


def start(act=lambda: None):
    atoms = place(read_structure("Cu7"), 0)
    atoms.calc = Acting(act)
    return atoms


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def finished(tmp_path):
    search(start(), evaluations=30, out=tmp_path / "x", show_progress=False)
    return tmp_path / "x"


@pytest.mark.parametrize("how", [{}, {"resume": True}, {"overwrite": True}], ids=str)
def test_a_second_writer_is_refused_and_changes_nothing(finished, how, capsys):
    folder = Folder(finished)
    with folder.only_writer():
        before = contents(finished)
        message = f"{finished} is being written to by process {os.getpid()} on .*delete {folder.lock}"
        with pytest.raises(ValueError, match=message):
            search(start(), evaluations=60, out=finished, show_progress=False, **how)
        options = [f"--{name}" for name in how] or []
        assert main(["search", "Cu7", "--out", str(finished), "--quiet", *options]) == 1
        printed, errors = capsys.readouterr()
        assert (printed, errors.count("\n")) == ("", 1)
        assert errors.startswith(f"ase-learnedopt: {finished} is being written to by process")
        assert contents(finished) == before
    assert sorted(path.name for path in finished.iterdir()) == FILES


def test_another_process_is_refused_while_a_search_runs(tmp_path):
    answers = []

    def try_another():
        if len(answers) < 2:
            command = [sys.executable, "-m", "ase_learnedopt.cli", "search", "Cu7", "--out", "x", "--quiet"]
            how = ["--resume"] if answers else []
            options = {"cwd": tmp_path, "env": {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}}
            answers.append(subprocess.run([*command, *how], check=False, capture_output=True, text=True, **options))

    result = search(start(try_another), evaluations=30, out=tmp_path / "x", show_progress=False)
    for answer in answers:
        assert answer.returncode == 1 and answer.stdout == ""
        assert answer.stderr.startswith(f"ase-learnedopt: x is being written to by process {os.getpid()} on ")
    assert len(answers) == 2
    assert len(read_trace(tmp_path / "x" / "trace.csv").evaluation) == result.n_evaluations
    assert sorted(path.name for path in (tmp_path / "x").iterdir()) == FILES


def leave():
    sys.exit(3)


def interrupt():
    raise KeyboardInterrupt


def crash():
    raise RuntimeError("the calculator died")


@pytest.mark.parametrize("act", [leave, interrupt, crash])
def test_the_folder_is_given_back_at_every_exit(tmp_path, act):
    with pytest.raises((SystemExit, KeyboardInterrupt, RuntimeError)):
        search(start(act), evaluations=60, out=tmp_path / "x", show_progress=False)
    left = {path.name for path in (tmp_path / "x").iterdir()}
    assert {"best.xyz", "restart.json", "run.json", "start.traj", "trace.csv"} <= left <= set(FILES)
    result = search(start(), evaluations=30, out=tmp_path / "x", resume=True, show_progress=False)
    assert (result.status, sorted(path.name for path in (tmp_path / "x").iterdir())) == ("budget", FILES)


@pytest.mark.parametrize("how", ["resume", "overwrite"])
def test_what_a_killed_search_left_is_in_nobodys_way(finished, how):
    dead = {**one_writer._this_process(), "pid": 2**22 - 3}
    (finished / "search.lock").write_text(json.dumps(dead))
    (finished / ".unfinished-of-a-killed-one.json").write_text("{")
    if how == "overwrite":
        (finished / "minima.db-journal").write_text("of a database that is gone")
    whole = contents(finished)[finished / "trace.csv"]
    result = search(start(), evaluations=30, out=finished, show_progress=False, **{how: True})
    assert sorted(path.name for path in finished.iterdir()) == FILES
    assert how == "resume" or contents(finished)[finished / "trace.csv"] == whole
    assert [m.energy for m in MinimaDatabase(finished / "minima.db")] == [m.energy for m in result.minima]


@pytest.mark.parametrize("left", [(), ("run.json",)], ids=str)
def test_a_search_killed_before_its_first_files_begins_again(finished, left):
    whole = contents(finished)[finished / "trace.csv"]
    for path in finished.iterdir():
        if path.name not in left:
            path.unlink()
    how = {"resume": True} if left else {}
    search(start(), evaluations=30, out=finished, show_progress=False, **how)
    assert contents(finished)[finished / "trace.csv"] == whole


@pytest.mark.parametrize("out", ["x", "a/b/x", "./x", "n" * 255])
def test_a_calculator_may_change_the_working_directory(tmp_path, monkeypatch, out):
    (tmp_path / "here").mkdir()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    elsewhere = tmp_path / "elsewhere"
    first = search(start(lambda: os.chdir(elsewhere)), evaluations=30, out=out, show_progress=False)
    assert first.out == tmp_path / "here" / out
    assert sorted(path.name for path in first.out.iterdir()) == FILES
    assert read(first.out / "best.xyz").get_potential_energy() == pytest.approx(first.best_energy, abs=1e-6)
    os.chdir(tmp_path / "here")
    second = search(start(lambda: os.chdir(elsewhere)), evaluations=60, out=out, resume=True, show_progress=False)
    assert second.n_evaluations > first.n_evaluations
    assert not list(elsewhere.iterdir())


@pytest.mark.parametrize("out", ["x", "a/b/x"])
def test_no_folder_is_left_by_a_search_that_cannot_begin(tmp_path, out):
    atoms = place(read_structure("Fe3"), 0)
    atoms.calc = EMT()
    with pytest.raises(ValueError, match="no parameters for Fe"):
        search(atoms, evaluations=30, out=tmp_path / out, show_progress=False)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("out", "message"),
    [("file", "is a file"), ("file/x", "cannot be written to"), ("n" * 256, "cannot be written to")],
)
def test_a_place_that_cannot_be_written_to_is_told_before_anything_is_evaluated(tmp_path, out, message):
    (tmp_path / "file").write_text("")
    atoms = start()
    with pytest.raises(ValueError, match=message):
        search(atoms, evaluations=30, out=tmp_path / out, show_progress=False)
    assert atoms.calc.n_calls == 0


@pytest.mark.parametrize("kind", [int, np.int64, np.int32, np.uint8])
def test_whole_numbers_of_every_kind(tmp_path, kind):
    options = {"seed": kind(1), "patience": kind(5), "fmax": np.float32(0.05), "walltime": np.float64(1000)}
    result = search(start(), evaluations=kind(30), out=tmp_path / "x", show_progress=False, **options)
    assert 15 < result.n_evaluations <= 30
    settings = json.loads((tmp_path / "x" / "run.json").read_text())["settings"]
    assert [settings[name] for name in ("evaluations", "seed", "patience", "walltime")] == [30, 1, 5, 1000.0]
    again = search(start(), evaluations=kind(40), out=tmp_path / "x", resume=True, show_progress=False, **options)
    assert again.n_evaluations > result.n_evaluations


@pytest.mark.parametrize("wrong", [0, -1, 30.0, "30", True, None, np.float64(30), np.bool_(True), np.array([30])])
def test_what_is_no_whole_number_is_refused(tmp_path, wrong):
    with pytest.raises(ValueError, match="evaluations must be a whole number of 1 or more, not "):
        search(start(), evaluations=wrong, out=tmp_path / "x", show_progress=False)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("first_met", "row"), [(2, 1), (4, 3), (5, 4), (None, 3), (99, 3)])
def test_the_star_is_where_the_minimum_was_first_met(first_met, row):
    energy = np.array([3.0, 1.00001, np.inf, 1.0, 1.5])
    trace = Trace(np.arange(1, 6), energy, np.zeros(5), np.zeros(5, int))
    assert marked(trace, first_met) == row
