"""A run that was killed and taken up again is the run that was not."""

import json
import os
from functools import partial

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.constraints import FixAtoms, FixBondLength
from ase.filters import FrechetCellFilter, StrainFilter, UnitCellFilter
from ase.optimize.optimize import RestartError

from ase_learnedopt.adapter import LearnedHop, LearnedRelax, restart_file

STEPS = 260


def path_of(opt, fmax, steps, stop_after=None):
    """Runs and returns every geometry evaluated; leaves off as a killed process would."""
    path = []
    for _ in opt.irun(fmax=fmax, steps=steps):
        path.append(opt.optimizable.get_x())
        if stop_after is not None and len(path) > stop_after:
            break
    return path


@pytest.fixture(autouse=True)
def write_at_every_step(monkeypatch):
    monkeypatch.setattr(restart_file, "SHARE_OF_TIME", 1e9)


@pytest.mark.parametrize("killed_at", [0, 1, 7, 40, 90])
@pytest.mark.parametrize("fails", [False, True])
def test_resumed_is_uninterrupted(make, cluster, tmp_path, killed_at, fails):
    if fails:
        if not make.searches:
            pytest.skip("a relaxation cannot do without")
        cluster = partial(cluster, rattle=0.02, broken_within=1.0, error=RuntimeError("no convergence"))
    whole = make(cluster(), seed=3)
    expected = path_of(whole, 1e-3, STEPS)
    first = make(cluster(), seed=3, restart=tmp_path / "state.json")
    begin = path_of(first, 1e-3, STEPS, stop_after=killed_at)
    second = make(cluster(), seed=99 if killed_at else 3, restart=tmp_path / "state.json")
    done = second.nsteps
    # A killed one evaluates once more what was evaluated last, so that another calculator is noticed.
    assert done == (len(expected) - 1 if killed_at >= len(expected) else max(killed_at - 1, 0))
    end = path_of(second, 1e-3, STEPS - done)
    np.testing.assert_array_equal(np.array(begin[:done] + end), np.array(expected))
    for name in ("nsteps", "n_hops", "n_evaluations", "best_energy", "status", "length_scale"):
        assert getattr(second, name) == getattr(whole, name), name
    assert second.seed == 3
    assert [(m.energy, m.first_seen, m.times_seen) for m in second.minima] == [
        (m.energy, m.first_seen, m.times_seen) for m in whole.minima
    ]


def test_killed_while_the_calculator_runs(search, cluster, tmp_path):
    expected = path_of(search(cluster()), 1e-3, STEPS)
    atoms = cluster(broken_from=12, error=KeyboardInterrupt())
    opt = search(atoms, restart=tmp_path / "state.json")
    with pytest.raises(KeyboardInterrupt):
        opt.run(fmax=1e-3, steps=STEPS)
    second = search(cluster(), restart=tmp_path / "state.json")
    end = path_of(second, 1e-3, STEPS - second.nsteps)
    np.testing.assert_array_equal(np.array(end), np.array(expected[-len(end) :]))


@pytest.mark.parametrize("kind", [FrechetCellFilter, UnitCellFilter, StrainFilter])
@pytest.mark.parametrize("constraint", [None, FixAtoms([-1]), FixBondLength(0, 1)], ids=["free", "atom", "bond"])
def test_resume_under_a_cell_filter(tmp_path, kind, constraint):
    def target():
        atoms = bulk("Cu", a=3.75, cubic=True)
        atoms.rattle(0.05, seed=3)
        atoms.set_constraint(constraint)
        atoms.calc = EMT()
        return kind(atoms)

    keywords = {"max_hops": 0, "logfile": None}
    expected = path_of(LearnedHop(target(), **keywords), 1e-3, 12)
    killed = target()
    begin = path_of(LearnedHop(killed, restart=tmp_path / "r.json", **keywords), 1e-3, 12, stop_after=5)
    # What a workflow does: the last frame written, which knows nothing of the cell the filter began with.
    resumed = killed.atoms.copy() if issubclass(kind, UnitCellFilter) else target().atoms  # strain is relative
    resumed.calc = EMT()
    second = LearnedHop(kind(resumed), restart=tmp_path / "r.json", **keywords)
    assert second.nsteps == 4
    end = path_of(second, 1e-3, 12 - second.nsteps)
    # A strain alone says nothing of the atoms, whose last bits depend on the strains before.
    rounding = 1e-9 if kind is StrainFilter else 0.0
    np.testing.assert_allclose(np.array(begin[:4] + end), np.array(expected), rtol=0, atol=rounding)


def test_finished_search_goes_on_with_new_steps(search, cluster, tmp_path):
    first = search(cluster(), patience=None, restart=tmp_path / "r.json")
    first.run(fmax=1e-3, steps=60)
    assert first.status == "budget"
    again = search(cluster(), patience=None, restart=tmp_path / "r.json")
    assert (again.best_energy, again.n_hops) == (first.best_energy, first.n_hops)
    for opt in (again, first):
        hops = opt.n_hops
        opt.run(fmax=1e-3, steps=200)
        assert opt.n_hops > hops


def test_missing_file_is_a_fresh_start(make, cluster, tmp_path):
    opt = make(cluster(), restart=tmp_path / "none.json")
    assert opt.nsteps == 0
    opt.run(fmax=0.01, steps=4)
    assert [file.name for file in tmp_path.iterdir()] == ["none.json"]


@pytest.mark.parametrize("name", ["r.json", "n" * 255, "\u00e4" * 127, "r" * 250 + ".json"])
def test_a_long_name_and_a_calculator_that_changes_the_working_directory(cluster, tmp_path, monkeypatch, name):
    (tmp_path / "here").mkdir()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    atoms = cluster()
    calculate = atoms.calc.calculate
    atoms.calc.calculate = lambda *args: (os.chdir(tmp_path / "elsewhere"), calculate(*args))
    LearnedRelax(atoms, restart=name, logfile=None).run(fmax=1e-3, steps=5)
    assert [file.name for file in (tmp_path / "here").iterdir()] == [name]
    assert not list((tmp_path / "elsewhere").iterdir())
    assert LearnedRelax(cluster(), restart=tmp_path / "here" / name, logfile=None).nsteps == 5


def truncated(text):
    return text[: len(text) // 2]


def other_class(text):
    return json.dumps({**json.loads(text), "optimizer": "BFGS"})


def other_state(text):
    data = json.loads(text)
    for name in ("search_state", "relax_state"):
        if data["stages"][name] is not None:
            data["stages"][name] = {"state": [1.0, 2.0]}
    return json.dumps(data)


def without_stages(text):
    return json.dumps({key: value for key, value in json.loads(text).items() if key != "stages"})


@pytest.mark.parametrize(
    "damage", [truncated, other_class, other_state, without_stages, lambda text: "", lambda text: "[1, 2]"]
)
def test_damaged_file(make, cluster, tmp_path, damage):
    path = tmp_path / "r.json"
    make(cluster(), restart=path).run(fmax=1e-3, steps=5)
    path.write_text(damage(path.read_text()))
    with pytest.raises(RestartError, match=r"r\.json"):
        make(cluster(), restart=path)


def test_file_of_another_size(make, cluster, tmp_path):
    path = tmp_path / "r.json"
    make(cluster(), restart=path).run(fmax=1e-3, steps=3)
    smaller = cluster()
    calc = smaller.calc
    smaller = smaller[:7]
    smaller.calc = calc
    with pytest.raises(ValueError, match="8 atoms or rows, but there are 7 here"):
        make(smaller, restart=path)


def test_relaxation_does_not_continue_a_search(search, cluster, tmp_path):
    path = tmp_path / "r.json"
    search(cluster(), restart=path).run(fmax=1e-3, steps=8)
    with pytest.raises(RestartError, match="search"):
        search(cluster(), max_hops=0, restart=path)


def test_writing_takes_its_share_of_time_only(monkeypatch, tmp_path):
    monkeypatch.setattr(restart_file, "SHARE_OF_TIME", 0.1)
    clock = iter([5.0, 10.0, 12.0, 31.0, 33.0])
    monkeypatch.setattr(restart_file.time, "monotonic", lambda: next(clock))
    file = restart_file.RestartFile(tmp_path / "r.json", master=True)
    assert file.due  # at 5
    file.write({"a": np.arange(3)})  # from 10 to 12
    assert not file.due  # at 31
    assert file.due  # at 33
    assert not restart_file.RestartFile(tmp_path / "r.json", master=False).due
