"""Scales that are wrong are noticed in the first evaluations, right ones are left alone, and nothing else changes."""

from functools import cache
from io import StringIO

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.lj import LennardJones
from ase.calculators.singlepoint import SinglePointCalculator
from ase.constraints import FixAtoms
from ase.filters import FrechetCellFilter

from ase_learnedopt.adapter import LearnedHop, restart_file
from ase_learnedopt.adapter.convert import describe, resolve_scales, to_rows, to_system
from ase_learnedopt.adapter.restart_file import read_restart
from ase_learnedopt.adapter.scale_learning import MOST_LOOKS, ScaleLearner
from ase_learnedopt.bench.problems import get_problem
from ase_learnedopt.bench.starts import random_cluster
from ase_learnedopt.optimizers.learned import load_policy

BOND = 2.0 ** (1.0 / 6.0)
"""Length scale of Lennard-Jones in sigma."""
UNITS = {"Ar": (3.40, 10.4e-3), "Kr": (3.65, 14.0e-3), "Xe": (3.98, 20.0e-3), "H": (1.0, 1.0), "He": (2.56, 0.88e-3)}
"""Sigma in Angstrom and epsilon in eV: C. Kittel, Introduction to Solid State Physics, 8th ed., chapter 3, table 4."""


@cache
def prior():
    return load_policy("learned_hop", "learned_hop")[0]["prior"]["one kind"]


def cluster(symbol="Ar", seed=51000, unit=(1.0, 1.0), n=13):
    """Returns a random start of Lennard-Jones atoms with that name, sigma and epsilon."""
    atoms = Atoms([symbol] * n, get_problem(f"lj{n}").start(seed).positions * unit[0])
    atoms.calc = LennardJones(sigma=unit[0], epsilon=unit[1], rc=1e3 * unit[0])
    return atoms


def problem(name, seed=51000):
    atoms = get_problem(name).start(seed)
    atoms.calc = get_problem(name).calculator()
    return atoms


def with_forces(atoms, forces=None):
    """Returns the atoms with given forces, or with random ones of half an eV/Angstrom."""
    forces = np.random.default_rng(0).normal(0.0, 0.5, (len(atoms), 3)) if forces is None else forces
    atoms.calc = SinglePointCalculator(atoms, energy=0.0, forces=forces)
    return atoms


def look(atoms, given=(None, None)):
    """Returns by what factors the scales of the tables are changed after one evaluation, None where they are not."""
    rows = describe(atoms, atoms.__ase_optimizable__())
    system = to_system(rows, atoms.positions.reshape(-1), *resolve_scales(rows, *given))
    learner = ScaleLearner(prior(), system, tuple(scale is not None for scale in given))
    gradient = to_rows(-atoms.get_forces().reshape(-1), len(system.species))
    found = learner.look(system, system.positions, atoms.get_potential_energy(), gradient)
    return None if found is None else (float(found.length_scale), float(found.energy_scale))


@pytest.mark.parametrize("symbol", UNITS)
@pytest.mark.parametrize("seed", [51000, 51001])
def test_atoms_named_after_others(symbol, seed):
    sigma, epsilon = UNITS[symbol]
    length, energy = look(cluster(symbol, seed, (sigma, epsilon)))
    assert length == pytest.approx(BOND * sigma, rel=0.12)
    assert 0.4 < energy / epsilon < 2.5


def relaxed():
    return with_forces(bulk("Ar", cubic=True) * 2)


def molecules():
    centers = np.array(np.meshgrid([0.0, 4.0], [0.0, 4.2], [0.0, 3.8])).reshape(3, -1).T
    turns = np.random.default_rng(2).normal(size=(8, 3))
    away = 0.55 * turns / np.linalg.norm(turns, axis=1, keepdims=True)
    return with_forces(Atoms("N16", np.concatenate([centers + away, centers - away])))


def gas():
    positions = np.random.default_rng(1).uniform(0.0, 200.0, (13, 3))
    return with_forces(Atoms("Ar13", positions), np.zeros((13, 3)))


LEFT_ALONE = {
    "relaxed": relaxed,
    "molecules": molecules,
    "gas": gas,
    "ions": lambda: with_forces(random_cluster("Na6Cl6", 3)),
    "covalent": lambda: problem("sw-si64"),
    "EMT": lambda: problem("emt-Cu38"),
    "EMT, few atoms": lambda: problem("emt-Pt13"),
    "three atoms": lambda: with_forces(random_cluster("Ar3", 0)),
}


@pytest.mark.parametrize("name", LEFT_ALONE)
def test_left_alone(name):
    assert look(LEFT_ALONE[name]()) is None


@pytest.mark.parametrize("seed", [80000, 80004, 80009])
def test_atoms_thrown_far_too_close(seed):
    """A start at covalent distances only says that atoms repel each other; what comes after says where they stop."""
    sigma, epsilon = UNITS["Ar"]
    atoms = cluster("Ar", seed, (sigma, epsilon))
    atoms.positions *= 2.12 / (BOND * sigma)
    target = (get_problem("lj13").reference + 1e-3) * epsilon
    run = LearnedHop(atoms, seed=seed, logfile=None, target_energy=target, patience=None)
    run.run(fmax=1.0, steps=60)
    assert run.best_energy <= target
    assert run.length_scale == pytest.approx(BOND * sigma, rel=0.1)


@pytest.mark.parametrize("given", [(2.0, 5.0), (2.0, None), (None, 5.0)])
def test_given_scales_stay(given):
    found = look(cluster(), given) or given
    for scale, kept in zip(found, given, strict=True):
        assert kept is None or scale == kept


def test_looks_end():
    atoms = problem("emt-Pt13")
    rows = describe(atoms, atoms.__ase_optimizable__())
    system = to_system(rows, atoms.positions.reshape(-1), *resolve_scales(rows, None, None))
    learner, gradient = ScaleLearner(prior(), system, (False, False)), to_rows(-atoms.get_forces().reshape(-1), 16)
    assert learner.look(system, system.positions, np.inf, gradient) is None
    assert learner.looks == 0  # what failed says nothing
    for _ in range(MOST_LOOKS):
        assert learner.look(system, system.positions, 1.0, gradient) is None
    assert learner.looks is None
    assert learner.datafy()["evaluations"] == []


@pytest.fixture
def run():
    def make(atoms, **kwargs):
        return LearnedHop(atoms, **{"seed": 3, "logfile": None, "patience": None, **kwargs})

    return make


def path_of(opt, steps, stop_after=None):
    """Runs and returns every geometry evaluated; leaves off as a killed process would."""
    path = []
    for _ in opt.irun(fmax=1e-3, steps=steps):
        path.append(opt.optimizable.get_x())
        if stop_after is not None and len(path) > stop_after:
            break
    return np.array(path)


def test_search_goes_on_as_one_that_is_given_them(run):
    log = StringIO()
    learned = run(cluster(), logfile=log)
    before = learned.length_scale, learned.energy_scale
    path = path_of(learned, 12)
    after = learned.length_scale, learned.energy_scale
    assert after != before
    assert log.getvalue().count("scales from the forces: length") == 1
    assert f"(was {before[0]:.4g})" in log.getvalue()
    given = run(cluster(), length_scale=after[0], energy_scale=after[1])
    np.testing.assert_allclose(path, path_of(given, 12), rtol=1e-6, atol=1e-6)
    assert (given.length_scale, given.energy_scale) == after


@pytest.mark.parametrize("killed_at", [1, 2, 9])
def test_resumed_is_uninterrupted(run, tmp_path, monkeypatch, killed_at):
    monkeypatch.setattr(restart_file, "SHARE_OF_TIME", 1e9)
    whole = run(cluster())
    expected = path_of(whole, 40)
    begin = path_of(run(cluster(), restart=tmp_path / "r.json"), 40, stop_after=killed_at)
    learned = read_restart(tmp_path / "r.json")["scales"] == [whole.length_scale, whole.energy_scale]
    assert learned == (killed_at > 1)  # the file is of before the last step
    second = run(cluster(), restart=tmp_path / "r.json")
    end = path_of(second, 40 - second.nsteps)
    np.testing.assert_array_equal(np.concatenate([begin[: len(expected) - len(end)], end]), expected)
    for name in ("best_energy", "n_hops", "length_scale", "energy_scale"):
        assert getattr(second, name) == getattr(whole, name), name


def test_resumed_counts_the_same_minima(run, tmp_path, monkeypatch):
    monkeypatch.setattr(restart_file, "SHARE_OF_TIME", 1e9)
    whole = run(cluster())
    path_of(whole, 40)
    path_of(run(cluster(), restart=tmp_path / "r.json"), 40, stop_after=2)
    second = run(cluster(), restart=tmp_path / "r.json")
    path_of(second, 40 - second.nsteps)
    assert [(m.energy, m.times_seen) for m in second.minima] == [(m.energy, m.times_seen) for m in whole.minima]


def test_maxstep_stays_in_angstrom(run):
    """Where it is compiled in it is in length scales: kept from the tables, it would be 0.09 Angstrom."""
    opt = run(cluster(unit=UNITS["Ar"]), maxstep=0.05)
    path = path_of(opt, 40).reshape(-1, 13, 3)
    assert opt.length_scale == pytest.approx(BOND * 3.4, rel=0.12)
    moves = np.linalg.norm(np.diff(path, axis=0), axis=2).max(axis=1)
    steps = moves[(moves > 0.04) & (moves < 0.2)]  # nearer they end, farther they are hops
    assert len(steps) >= 3
    np.testing.assert_allclose(steps, 0.05, rtol=0.1)


@pytest.mark.parametrize("killed_at", [None, 4])
@pytest.mark.parametrize("maxstep", [None, 0.05])
def test_scales_that_change_late(run, tmp_path, monkeypatch, maxstep, killed_at):
    """At the seventh evaluation; where a maxstep is given another program goes on."""
    monkeypatch.setattr(restart_file, "SHARE_OF_TIME", 1e9)
    monkeypatch.setattr(ScaleLearner, "_weigh", lambda *_: None)
    monkeypatch.setattr(
        ScaleLearner, "_weigh_springs", lambda self, _: (1.8, 0.8) if len(self.evaluations) == 7 else None
    )
    atoms, settings = cluster(unit=UNITS["Ar"]), {"maxstep": maxstep, "restart": tmp_path / "r.json"}
    opt = run(atoms, **settings)
    before = opt.length_scale
    if killed_at is not None:
        path_of(opt, 20, stop_after=killed_at)
        opt = run(cluster(unit=UNITS["Ar"]), **settings)
    opt.run(fmax=1e-9, steps=20 - opt.nsteps)
    assert opt.length_scale == pytest.approx(1.8 * before) and np.isfinite(opt.best_energy)


def test_untrained_never_changes(run):
    opt = run(cluster(), weights=None)
    before = opt.length_scale, opt.energy_scale
    opt.run(fmax=1e-3, steps=5)
    assert (opt.length_scale, opt.energy_scale) == before


def test_fixed_atoms(run):
    atoms = cluster(n=13)
    atoms.set_constraint(FixAtoms([0, 1]))
    fixed = atoms.positions[:2].copy()
    opt = run(atoms)
    opt.run(fmax=1e-3, steps=8)
    assert opt.length_scale == pytest.approx(BOND, rel=0.12)
    np.testing.assert_array_equal(atoms.positions[:2], fixed)


def test_cell_filter(run):
    atoms = Atoms("Ar13", cluster().positions, cell=np.eye(3) * 30.0, pbc=True)
    atoms.calc = LennardJones(sigma=1.0, epsilon=1.0, rc=6.0)
    opt = run(FrechetCellFilter(atoms))
    opt.run(fmax=1e-3, steps=4)
    assert opt.length_scale == pytest.approx(BOND, rel=0.12)
