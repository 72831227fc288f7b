"""A pickled optimizer goes on as the one it was made of would have, in this process or another one."""

import copy
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.constraints import FixAtoms, FixBondLength, Hookean
from ase.filters import ExpCellFilter, Filter, FrechetCellFilter, StrainFilter, UnitCellFilter
from ase.io import read
from helpers import precision

from ase_learnedopt import Gupta
from ase_learnedopt.adapter import LearnedHop
from ase_learnedopt.adapter.calculators import PotentialCalculator

STEPS = 40
COPIES = {"pickle": lambda opt: pickle.loads(pickle.dumps(opt)), "deepcopy": copy.deepcopy}
SHOWN = ("nsteps", "n_hops", "n_evaluations", "best_energy", "best_evaluation", "status", "seed", "length_scale")


def cluster(*constraints):
    """Makes a rattled cluster of eight atoms with a calculator that can be pickled, which EMT cannot."""
    corners = np.array(np.meshgrid(*[[0.0, 1.12]] * 3)).reshape(3, -1).T
    atoms = Atoms("Ar8", corners + np.random.default_rng(0).normal(0, 0.12, (8, 3)), constraint=list(constraints))
    atoms.calc = PotentialCalculator("lennard_jones", epsilon=1.0, sigma=1.0)
    return atoms


def crystal():
    atoms = bulk("Cu", a=3.75, cubic=True)
    atoms.rattle(0.05, seed=3)
    atoms.calc = Gupta()
    return atoms


TARGETS = {
    "atoms": cluster,
    "fixed atoms": lambda: cluster(FixAtoms([0, 3])),
    "fixed bond": lambda: cluster(FixBondLength(0, 1)),
    "spring": lambda: cluster(Hookean(0, 5, k=2.0, rt=1.2)),
    "filter": lambda: Filter(cluster(), indices=[1, 2, 3, 4, 5, 6, 7]),
    "Frechet": lambda: FrechetCellFilter(crystal()),
    "unit cell": lambda: UnitCellFilter(crystal()),
    "exponential": lambda: ExpCellFilter(crystal()),
    "strain": lambda: StrainFilter(crystal()),
}


def path_of(opt, fmax=1e-3, steps=STEPS, n=None):
    """Returns every geometry evaluated, or the first `n` of them, and leaves the run under way."""
    run, path = opt.irun(fmax=fmax, steps=steps), []
    for _ in run:
        path.append(opt.optimizable.get_x())
        if len(path) == n:
            break
    return path, run


def require_same_path(make_one, twin_of, n):
    """Pickles after `n` geometries, and requires of the copy the rest of the path and all that is shown at the end."""
    whole, first = make_one(), make_one()
    expected, _ = path_of(whole)
    begin, run = path_of(first, n=n) if n else ([], None)
    twin = twin_of(first)
    assert twin.nsteps == max(len(begin) - 1, 0)
    end, _ = path_of(twin, steps=STEPS - twin.nsteps)
    np.testing.assert_array_equal(np.array(begin[:-1] + end), np.array(expected))
    for name in SHOWN:
        assert getattr(twin, name) == getattr(whole, name), name
    assert [vars(a).keys() for a in twin.minima] == [vars(a).keys() for a in whole.minima]
    for a, b in zip(twin.minima, whole.minima, strict=True):
        assert (a.energy, a.first_seen, a.times_seen) == (b.energy, b.first_seen, b.times_seen)
    if run is not None:  # what was pickled is as it was
        rest = [first.optimizable.get_x() for _ in run]
        np.testing.assert_array_equal(np.array(begin + rest), np.array(expected))


@pytest.mark.parametrize(("way", "n"), [("pickle", 0), ("pickle", 1), ("pickle", 9), ("pickle", 30), ("deepcopy", 9)])
def test_goes_on_as_what_was_pickled(make, way, n):
    require_same_path(lambda: make(cluster(), seed=1), COPIES[way], n)


@pytest.mark.parametrize(("before", "after"), [("float32", "float64"), ("float64", "float32")])
def test_whatever_precision_the_user_has(make, before, after):
    def twin_of(first):
        with precision(before):
            data = pickle.dumps(first)
        return pickle.loads(data)

    with precision(after):
        require_same_path(lambda: make(cluster(), seed=1), twin_of, 12)


@pytest.mark.parametrize(
    ("target", "hops"),
    [
        *((target, False) for target in TARGETS),
        ("fixed atoms", True),
        ("spring", True),
        pytest.param("Frechet", True, marks=pytest.mark.slow),
    ],
)
@pytest.mark.filterwarnings("ignore:Use FrechetCellFilter")
def test_constraints_and_filters_go_along(target, hops):
    keywords = {"seed": 1, "logfile": None, "max_hops": None if hops else 0, "energy_scale": 1.0}

    def make_one():
        atoms = TARGETS[target]()
        length = 1.12 if len(atoms) in (7, 8) and not isinstance(atoms, FrechetCellFilter) else 2.5
        return LearnedHop(atoms, length_scale=length, **keywords)

    require_same_path(make_one, COPIES["pickle"], 4)


def test_scales_that_are_still_being_learned():
    require_same_path(lambda: LearnedHop(cluster(), seed=1, logfile=None), COPIES["pickle"], 2)


def test_log_and_trajectory_are_continued(make, tmp_path, monkeypatch):
    monkeypatch.setattr("time.strftime", lambda _: "00:00:00")

    def written(name, n):
        log, trajectory = tmp_path / f"{name}.log", tmp_path / f"{name}.traj"
        opt = make(cluster(), seed=1, logfile=log, trajectory=trajectory, restart=tmp_path / f"{name}.json")
        if n:
            _, _under_way = path_of(opt, n=n)
            opt = pickle.loads(pickle.dumps(opt))
        path_of(opt, steps=STEPS - opt.nsteps)
        return log.read_text(), [frame.positions for frame in read(trajectory, ":")]

    whole, pieces = written("whole", None), written("pieces", 9)
    assert pieces[0] == whole[0]
    np.testing.assert_array_equal(pieces[1], whole[1])
    resumed = make(cluster(), seed=1, restart=tmp_path / "pieces.json")
    assert resumed.nsteps > 9


def test_observers_go_along(make):
    seen = []
    opt = make(cluster(), seed=1)
    opt.attach(seen.append, 3, "seen")
    _, _under_way = path_of(opt, n=5)
    twin = pickle.loads(pickle.dumps(opt))
    path_of(twin, steps=10)
    (function, interval, arguments, _), *_ = twin.observers
    assert (interval, arguments) == (3, ("seen",))
    assert len(function.__self__) > len(seen) > 0


def test_atoms_moved_after_it_start_afresh(make):
    opt = make(cluster(), seed=1)
    _, _under_way = path_of(opt, n=9)
    twin = pickle.loads(pickle.dumps(opt))
    twin.atoms.positions += np.random.default_rng(0).normal(0, 0.05, (8, 3))
    begin = twin.atoms.positions.copy()
    twin.run(fmax=1e-9, steps=0)
    np.testing.assert_array_equal(twin.atoms.positions, begin)


def test_another_process_goes_on(make, tmp_path):
    opt = make(cluster(), seed=1)
    begin, run = path_of(opt, n=9)
    (tmp_path / "opt.pickle").write_bytes(pickle.dumps(opt))
    expected = [opt.optimizable.get_x() for _ in run]
    code = """
import pickle, sys
from pathlib import Path
opt = pickle.loads(Path("opt.pickle").read_bytes())
assert "jax" not in sys.modules or not sys.modules["jax._src.xla_bridge"]._backends  # nothing is computed by looking
assert opt.n_evaluations == 9
path = [opt.optimizable.get_x() for _ in opt.irun(fmax=1e-3, steps=STEPS - opt.nsteps)]
Path("path.pickle").write_bytes(pickle.dumps(path))
""".replace("STEPS", str(STEPS))
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, timeout=300)
    end = pickle.loads(Path(tmp_path / "path.pickle").read_bytes())
    np.testing.assert_array_equal(np.array(end[1:]), np.array(expected))
    np.testing.assert_array_equal(end[0], begin[-1])
