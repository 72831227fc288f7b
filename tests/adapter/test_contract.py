"""What every ASE optimizer promises, for every way to use ours."""

import json
import re
from pathlib import Path

import jax
import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.filters import StrainFilter
from ase.io import read
from ase.io.trajectory import Trajectory
from ase.optimize.optimize import Optimizer
from ase.parallel import world

from ase_learnedopt.adapter import LearnedHop

LINE = re.compile(r"^(\w+):\s+(\d+) \d\d:\d\d:\d\d\s+(-?\d+\.\d{6})\s+(\d+\.\d{6})")


def test_is_an_optimizer_class(make, cluster):
    assert issubclass(make.cls, Optimizer)
    assert make(cluster()).maxstep == 0.2


def test_construction_evaluates_and_moves_nothing(make, cluster, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    atoms = cluster()
    before = atoms.positions.copy()
    opt = make(atoms)
    assert atoms.calc.n_calls == 0
    np.testing.assert_array_equal(atoms.positions, before)
    opt.run(fmax=0.1, steps=5)
    assert list(tmp_path.iterdir()) == []
    assert not jax.config.jax_enable_x64


def test_unknown_keyword(make, cluster):
    with pytest.raises(TypeError, match="temperature"):
        make(cluster(), temperature=3)


def test_base_keywords(make, cluster):
    opt = make(cluster(), master=True, comm=world, loginterval=2, append_trajectory=True)
    assert opt.comm is world


def test_converges_with_one_call_a_step(make, cluster):
    atoms = cluster()
    opt = make(atoms)
    assert opt.run(fmax=0.01) is True
    assert np.linalg.norm(atoms.get_forces(), axis=1).max() < 0.01
    assert atoms.calc.n_calls == opt.nsteps + 1 == opt.n_evaluations
    assert opt.status == ("patience" if make.searches else "converged")
    assert opt.best_energy == pytest.approx(atoms.get_potential_energy(), abs=1e-4)
    assert opt.minima[0].energy == pytest.approx(opt.best_energy, abs=1e-4)
    assert opt.converged()


@pytest.mark.parametrize("steps", [0, 1, 2, 7])
def test_stops_at_the_step_limit(make, cluster, steps):
    atoms = cluster()
    opt = make(atoms)
    assert opt.run(fmax=1e-9, steps=steps) is False
    assert opt.status == "budget"
    assert opt.nsteps <= steps
    assert atoms.calc.n_calls == opt.nsteps + 1
    assert not opt.converged()
    if not make.searches:
        assert opt.nsteps == steps


def test_run_twice_converges_at_once(make, cluster):
    atoms = cluster()
    opt = make(atoms)
    opt.run(fmax=0.01)
    calls, steps = atoms.calc.n_calls, opt.nsteps
    assert opt.run(fmax=0.01)
    assert (atoms.calc.n_calls, opt.nsteps) == (calls, steps)
    assert opt.run(fmax=1e-6)
    assert opt.nsteps > steps


def test_relaxation_in_pieces_is_the_relaxation(cluster):
    whole, pieces = cluster(), cluster()
    LearnedHop(whole, max_hops=0, logfile=None).run(fmax=0, steps=9)
    opt = LearnedHop(pieces, max_hops=0, logfile=None)
    for steps in (2, 3, 4):
        opt.run(fmax=0, steps=steps)
    np.testing.assert_array_equal(whole.positions, pieces.positions)


def test_irun_yields_every_evaluation(make, cluster):
    opt = make(cluster())
    flags = list(opt.irun(fmax=0.01, steps=300))
    assert len(flags) == opt.nsteps + 1
    assert flags[-1]
    assert not any(flags[:-1])


def test_positional_converged(make, cluster):
    atoms = cluster()
    opt = make(atoms)
    opt.run(fmax=0.01)
    assert opt.converged(opt.optimizable.get_gradient())
    assert opt.converged(atoms.get_forces())
    assert not opt.converged(np.ones(24))
    assert opt.gradient_converged(np.zeros(24))


@pytest.mark.parametrize("steps", [4, 60])
def test_log_is_that_of_ase(make, cluster, tmp_path, steps):
    log = tmp_path / "opt.log"
    atoms = cluster()
    opt = make(atoms, logfile=log)
    opt.run(fmax=0.01, steps=steps)
    header, *lines = log.read_text().splitlines()
    assert header.split()[:4] == ["Step", "Time", "Energy", "fmax"]
    assert f"seed {opt.seed}" in header
    matches = [LINE.match(line) for line in lines]
    assert [int(match[2]) for match in matches] == list(range(opt.nsteps + 1))
    assert {match[1] for match in matches} == {make.cls.__name__}
    assert min(float(match[3]) for match in matches) == pytest.approx(opt.best_energy, abs=1e-6)


def test_log_to_standard_output(make, cluster, capsys):
    make(cluster(), logfile="-").run(fmax=0.01, steps=2)
    assert capsys.readouterr().out.count("\n") >= 2


@pytest.mark.parametrize("kind", [str, Path, "open"])
def test_trajectory(make, cluster, tmp_path, kind):
    path = tmp_path / "opt.traj"
    trajectory = Trajectory(path, "w") if kind == "open" else kind(path)
    opt = make(cluster(), trajectory=trajectory)
    opt.run(fmax=0.01, steps=12)
    if kind == "open":
        trajectory.close()
    frames = read(path, ":")
    assert len(frames) == opt.nsteps + 1
    with Trajectory(path) as written:
        assert written.description["optimizer"] == make.cls.__name__
        assert written.description["type"] == "optimization"


@pytest.mark.parametrize("append", [False, True])
def test_append_trajectory(make, cluster, tmp_path, append):
    path = tmp_path / "opt.traj"
    for _ in range(2):
        opt = make(cluster(), trajectory=path, append_trajectory=append)
        opt.run(fmax=1e-9, steps=3)
    frames = opt.nsteps + 1
    assert len(read(path, ":")) == (2 * frames - 1 if append else frames)


def test_todict_is_json(make, cluster, tmp_path):
    opt = make(cluster(), restart=tmp_path / "opt.json")
    opt.run(fmax=0.1, steps=0)
    description = json.loads(json.dumps(opt.todict()))
    assert description["maxstep"] == 0.2
    assert description["fmax"] == 0.1
    assert description["restart"] == str(tmp_path / "opt.json")


def test_observers(make, cluster):
    opt = make(cluster())
    every, once, first = [], [], []
    opt.attach(lambda: every.append(opt.nsteps), interval=3)
    opt.attach(lambda: once.append(opt.nsteps), interval=-2)
    opt.insert_observer(first.append, 0, 1, "seen")
    with opt:
        opt.run(fmax=1e-9, steps=7)
    assert every == list(range(0, opt.nsteps + 1, 3))
    assert once == [2]
    assert len(first) == opt.nsteps + 1


@pytest.mark.parametrize("maxstep", [0.01, 0.05])
def test_maxstep_bounds_the_longest_move_of_an_atom(cluster, maxstep):
    atoms = cluster()
    opt = LearnedHop(atoms, max_hops=0, maxstep=maxstep, logfile=None)
    last, longest = atoms.positions.copy(), 0.0
    for _ in opt.irun(fmax=0.01, steps=30):
        longest = max(longest, np.linalg.norm(atoms.positions - last, axis=1).max())
        last = atoms.positions.copy()
    assert longest == pytest.approx(maxstep)


def test_atoms_moved_by_the_user_start_afresh(make, cluster):
    atoms = cluster()
    opt = make(atoms)
    opt.run(fmax=0.01)
    atoms.positions = cluster(seed=5).positions
    assert opt.run(fmax=0.01)
    assert np.linalg.norm(atoms.get_forces(), axis=1).max() < 0.01
    assert atoms.calc.n_calls == opt.n_evaluations


def test_a_loop_left_early_goes_on(make, cluster):
    whole, left = cluster(), cluster()
    expected = [whole.positions.copy() for _ in make(whole, seed=1).irun(fmax=0, steps=40)]
    opt = make(left, seed=1)
    steps = opt.irun(fmax=0, steps=40)
    path = [left.positions.copy() for _, _ in zip(range(6), steps, strict=False)]
    steps.close()
    path += [left.positions.copy() for _ in opt.irun(fmax=0, steps=20)][1:4]
    np.testing.assert_array_equal(path, expected[: len(path)])
    left.positions += np.random.default_rng(0).normal(0, 0.1, (8, 3))
    begin = left.positions.copy()
    opt.run(fmax=0, steps=0)
    np.testing.assert_array_equal(left.positions, begin)


def test_cell_changed_between_steps():
    """Two optimizers in turn, as in ASE's own documentation."""
    atoms = bulk("Cu", a=3.7, cubic=True)
    atoms.rattle(0.05, seed=1)
    atoms.calc = EMT()
    inner = LearnedHop(atoms, max_hops=0, logfile=None)
    for _ in LearnedHop(StrainFilter(atoms), max_hops=0, logfile=None).irun(fmax=0.02, steps=100):
        inner.run(fmax=0.02, steps=50)
    assert np.abs(atoms.get_stress() * atoms.get_volume()).max() < 0.03
    assert np.abs(atoms.get_forces()).max() < 0.03
