"""What every rival promises: its own code, our start, our budget, every call counted, the same run for a seed."""

import importlib.util
from functools import cache

import jax
import numpy as np
import pytest
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.optimize.minimahopping import ComparePositions

from ase_learnedopt.bench.counting import Evaluator, RunEnded
from ase_learnedopt.bench.problems import Problem
from ase_learnedopt.bench.rivals import RIVALS
from ase_learnedopt.bench.rivals.ase_minima_hopping import farthest_pair
from ase_learnedopt.bench.rivals.common import contain, container_radius, fresh_start, numpy_seed, scales
from ase_learnedopt.potentials import cluster_system

LJ13 = -44.326801  # Cambridge Cluster Database
BUDGET = 250
CLUSTERS_ONLY = [name for name in RIVALS if name.startswith(("ase_ga", "pele"))]


class CountedLennardJones(Calculator):
    """Lennard-Jones in NumPy; counts its own calls and keeps where they were."""

    implemented_properties = ["energy", "forces"]  # noqa: RUF012, ASE's own form

    def __init__(self):
        super().__init__()
        self.visited = []

    def calculate(self, atoms=None, properties=(), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        self.visited.append(atoms.positions.copy())
        offset = atoms.positions[:, None] - atoms.positions[None]
        square = np.sum(offset**2, axis=2) + np.eye(len(atoms))
        sixth = (1.0 - np.eye(len(atoms))) / square**3
        slope = (48.0 * sixth * sixth - 24.0 * sixth) / square
        energy = 2.0 * float(np.sum(sixth * sixth - sixth))
        self.results = {"energy": energy, "forces": np.sum(slope[:, :, None] * offset, axis=1)}


@cache
def start_of(seed):
    return cluster_system("lj13", jax.random.split(jax.random.PRNGKey(seed))[0])[1]


def start(seed):
    return Atoms("Ar13", np.asarray(start_of(seed).positions, float))


PROBLEM = Problem("lj13", LJ13, 1e-3, "Cambridge Cluster Database", start, CountedLennardJones, system=start_of)
PERIODIC = Problem("bulk", None, 1e-3, "", start, CountedLennardJones)


def play(name, seed=0, budget=BUDGET, target=None, walltime=None):
    """Runs a rival to its end; returns its evaluator and its calculator."""
    rival, calculator, atoms = RIVALS[name], CountedLennardJones(), start(seed)
    if rival.extra is not None and importlib.util.find_spec(rival.extra) is None:
        pytest.skip(f"{rival.extra} is not installed")
    evaluator = Evaluator(atoms, calculator, budget, target, walltime)
    with pytest.raises(RunEnded):
        rival.run(PROBLEM, atoms, evaluator, seed, **rival.settings)
    return evaluator, calculator


@pytest.mark.parametrize("name", RIVALS)
def test_counts_every_call_within_the_budget_from_our_start(name):
    evaluator, calculator = play(name)
    assert evaluator.n_evaluations == len(calculator.visited) == BUDGET
    np.testing.assert_array_equal(calculator.visited[0], start(0).positions)
    assert evaluator.best_energy < -30.0


@pytest.mark.parametrize("name", RIVALS)
def test_ends_where_the_target_is_reached(name):
    evaluator, calculator = play(name, seed=1, target=-34.0, budget=5000)
    assert evaluator.hit_at == evaluator.n_evaluations == len(calculator.visited) < 5000
    assert evaluator.best_energy <= -34.0


@pytest.mark.parametrize("name", RIVALS)
def test_the_same_seed_is_the_same_run(name):
    (first, _), (second, _), (third, _) = (play(name, seed) for seed in (2, 2, 3))
    assert first.trace == second.trace != third.trace
    assert first.trace[-1][0] > 20


@pytest.mark.parametrize("name", RIVALS)
def test_leaves_the_global_stream_and_the_folder_alone(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.random.seed(5)  # noqa: NPY002
    expected = np.random.random(3)  # noqa: NPY002
    np.random.seed(5)  # noqa: NPY002
    play(name, budget=100)
    np.testing.assert_array_equal(np.random.random(3), expected)  # noqa: NPY002
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", CLUSTERS_ONLY)
def test_refuses_what_is_periodic(name):
    bulk = Atoms("Ar2", [[0.0] * 3, [1.0] * 3], cell=[5.0] * 3, pbc=True)
    evaluator = Evaluator(bulk, CountedLennardJones(), 10, None)
    with pytest.raises(ValueError, match="bulk is periodic"):
        RIVALS[name].run(PERIODIC, bulk, evaluator, 0, **RIVALS[name].settings)


@pytest.mark.parametrize("extra", ["ase_ga", "pele"])
def test_says_what_to_install(extra, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, extra, None)
    monkeypatch.setitem(__import__("sys").modules, f"{extra}.basinhopping", None)
    name = next(name for name, rival in RIVALS.items() if rival.extra == extra)
    evaluator = Evaluator(start(0), CountedLennardJones(), 10, None)
    with pytest.raises(ValueError, match="pip install"):
        RIVALS[name].run(PROBLEM, start(0), evaluator, 0)


def test_scales_are_those_of_the_potential_or_of_the_elements():
    assert scales(PROBLEM, start(0)) == pytest.approx((2.0 ** (1.0 / 6.0), 1.0))
    length, energy = scales(PERIODIC, Atoms("Cu2"))
    assert 2.0 < length < 3.0
    assert 0.3 < energy < 1.0


def test_the_container_brings_evaporated_atoms_back():
    radius = container_radius(PROBLEM, start(0))
    assert np.max(np.linalg.norm(start(0).positions, axis=1)) < radius
    far = start(0).positions + 0.0
    far[0] += 100.0
    inside = contain(far, radius)
    assert np.linalg.norm(inside[0] - far.mean(axis=0)) == pytest.approx(radius)
    assert container_radius(PROBLEM, Atoms("Ar", cell=[3.0] * 3, pbc=True)) == np.inf


def test_fresh_starts_differ():
    starts = [fresh_start(PROBLEM, seed, attempt).positions[0, 0] for seed in (0, 1) for attempt in (1, 2)]
    assert len(set(starts)) == 4


def test_a_seeded_stream_is_put_back():
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    with numpy_seed(3):
        np.random.random()  # noqa: NPY002
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


@pytest.mark.parametrize("formula", ["Ar13", "Ag7Cu6"])
def test_the_faster_comparison_of_minima_is_that_of_ase(formula):
    random = np.random.default_rng(0)
    for spread in (0.01, 2.0):
        one = Atoms(formula, random.normal(size=(13, 3)))
        other = Atoms(formula, one.positions + spread * random.normal(size=(13, 3)))[random.permutation(13)]
        expected = ComparePositions()._indistinguishable_compare(one, other)
        assert farthest_pair(None, one, other) == pytest.approx(expected, rel=1e-14)
