"""What every rival promises: its own code, our start, our budget, every call counted, the same run for a seed."""

import importlib.util
from functools import cache

import jax
import numpy as np
import pytest
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.optimize import BFGS
from ase.optimize.minimahopping import ComparePositions

from ase_learnedopt.bench.counting import Evaluator, RunEnded
from ase_learnedopt.bench.methods import METHODS, how_to_install
from ase_learnedopt.bench.problems import Problem
from ase_learnedopt.bench.rivals import MODELLED, RIVALS
from ase_learnedopt.bench.rivals.ase_minima_hopping import farthest_pair
from ase_learnedopt.bench.rivals.beacon_kernel import fast_kernel
from ase_learnedopt.bench.rivals.common import apart, contain, container_radius, fresh_start, numpy_seed, scales
from ase_learnedopt.bench.rivals.their_units import Finishing, TheirUnits
from ase_learnedopt.potentials import cluster_system

LJ13, LJ6 = -44.326801, -12.712062  # Cambridge Cluster Database
BUDGET = 250
CLASSICAL = [name for name in RIVALS if name not in MODELLED]
CLUSTERS_ONLY = [name for name in RIVALS if name.startswith(("ase_ga", "pele", "agox", "beacon"))]
SHORT = {"ase_gpmin": 90, "agox_gofee": 14, "agox_local_gpr": 12, "beacon": 4}
"""Evaluations of those with a model of the energy, enough for the model to be asked."""


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


@cache
def small_start_of(seed):
    return cluster_system("lj6", jax.random.split(jax.random.PRNGKey(seed))[0])[1]


def small_start(seed):
    return Atoms("Ar6", np.asarray(small_start_of(seed).positions, float))


PROBLEM = Problem("lj13", LJ13, 1e-3, "Cambridge Cluster Database", start, CountedLennardJones, system=start_of)
SMALL = Problem("lj6", LJ6, 1e-3, "the same", small_start, CountedLennardJones, system=small_start_of)
PERIODIC = Problem("bulk", None, 1e-3, "", start, CountedLennardJones)


def play(name, seed=0, budget=BUDGET, target=None, walltime=None, problem=PROBLEM):
    """Runs a rival to its end; returns its evaluator and its calculator."""
    rival, calculator, atoms = RIVALS[name], CountedLennardJones(), problem.start(seed)
    if rival.extra is not None and importlib.util.find_spec(rival.extra) is None:
        pytest.skip(f"{rival.extra} is not installed")
    evaluator = Evaluator(atoms, calculator, budget, target, walltime)
    with pytest.raises(RunEnded):
        rival.run(problem, atoms, evaluator, seed, **rival.settings)
    return evaluator, calculator


@pytest.mark.parametrize("name", CLASSICAL)
def test_counts_every_call_within_the_budget_from_our_start(name):
    evaluator, calculator = play(name)
    assert evaluator.n_evaluations == len(calculator.visited) == BUDGET
    np.testing.assert_array_equal(calculator.visited[0], start(0).positions)
    assert evaluator.best_energy < -30.0


@pytest.mark.parametrize("name", CLASSICAL)
def test_ends_where_the_target_is_reached(name):
    evaluator, calculator = play(name, seed=1, target=-34.0, budget=5000)
    assert evaluator.hit_at == evaluator.n_evaluations == len(calculator.visited) < 5000
    assert evaluator.best_energy <= -34.0


@pytest.mark.parametrize("name", CLASSICAL)
def test_the_same_seed_is_the_same_run(name):
    (first, _), (second, _), (third, _) = (play(name, seed) for seed in (2, 2, 3))
    assert first.trace == second.trace != third.trace
    assert first.trace[-1][0] > 20


@pytest.mark.parametrize("name", CLASSICAL)
def test_leaves_the_global_stream_and_the_folder_alone(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.random.seed(5)  # noqa: NPY002
    expected = np.random.random(3)  # noqa: NPY002
    np.random.seed(5)  # noqa: NPY002
    play(name, budget=100)
    np.testing.assert_array_equal(np.random.random(3), expected)  # noqa: NPY002
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name == "ase_gpmin" else pytest.mark.slow) for name in MODELLED]
)
def test_those_with_a_model_count_repeat_themselves_and_leave_no_trace(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    runs = [play(name, seed, SHORT[name], problem=SMALL) for seed in (2, 2, 3)]
    for evaluator, calculator in runs:
        assert evaluator.n_evaluations == len(calculator.visited) == SHORT[name]
    traces = [evaluator.trace for evaluator, _ in runs]
    assert traces[0] == traces[1] != traces[2]
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002
    assert not list(tmp_path.iterdir())


def test_gpmin_relaxes_to_a_millielectronvolt():
    evaluator, _ = play("ase_gpmin", budget=200, target=-12.302928 + 1e-3, problem=SMALL)  # the wider of two minima
    assert evaluator.hit_at is not None


@pytest.mark.parametrize("name", CLUSTERS_ONLY)
def test_refuses_what_is_periodic(name):
    bulk = Atoms("Ar2", [[0.0] * 3, [1.0] * 3], cell=[5.0] * 3, pbc=True)
    evaluator = Evaluator(bulk, CountedLennardJones(), 10, None)
    with pytest.raises(ValueError, match="bulk is periodic"):
        RIVALS[name].run(PERIODIC, bulk, evaluator, 0, **RIVALS[name].settings)


@pytest.mark.parametrize("extra", ["ase_ga", "pele", "agox", "gpatom"])
def test_says_what_to_install(extra, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, extra, None)
    monkeypatch.setitem(__import__("sys").modules, f"{extra}.basinhopping", None)
    name = next(name for name, rival in RIVALS.items() if rival.extra == extra)
    assert RIVALS[name].install in how_to_install(METHODS[name])
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


def test_atoms_that_overlap_are_pushed_apart():
    atoms = start(0)
    atoms.positions[1] = atoms.positions[0] + 0.01
    lengths = apart(PROBLEM, atoms).get_all_distances()[np.triu_indices(13, 1)]
    assert lengths.min() > 0.7 * 2.0 ** (1.0 / 6.0)


def test_their_units_are_of_covalent_bonds_and_any_order_of_atoms_will_do():
    atoms, order = start(0), np.random.default_rng(0).permutation(13)
    atoms.numbers = [47] * 7 + [29] * 6
    evaluator = Evaluator(atoms, CountedLennardJones(), 10, None)
    units = TheirUnits(PROBLEM, atoms, evaluator)
    energy, forces = evaluator.evaluate(atoms.positions)
    theirs = units.to_theirs(atoms)[order]
    theirs.calc = units
    assert theirs.get_potential_energy() == pytest.approx(energy)
    assert sorted(np.abs(theirs.get_forces()).ravel()) == pytest.approx(sorted(np.abs(forces * units.length).ravel()))
    assert units.length_scale == pytest.approx(2.0 * (7 * 1.45 + 6 * 1.32) / 13, rel=1e-2)


def test_the_faster_kernel_is_that_of_ase_gpatom():
    pytest.importorskip("gpatom")
    from gpatom.gpfp.fingerprint import FingerPrint
    from gpatom.gpfp.kernel import FPKernel

    random, fingerprint = np.random.default_rng(0), FingerPrint(fp_args={"aweight": 1.0})
    places = random.uniform(5.0, 10.0, (4, 6, 3))
    one, *others = [fingerprint.get(Atoms("Ag3Cu3", x, cell=[15.0] * 3)) for x in places]
    theirs, ours = FPKernel(), fast_kernel()
    for scale in (100.0, 300.0):
        for kernel in (theirs, ours):
            kernel.set_params({"scale": scale, "weight": 2.0})
        np.testing.assert_allclose(ours.kernel_matrix(others), theirs.kernel_matrix(others), rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(ours.kernel_vector(one, others), theirs.kernel_vector(one, others), atol=1e-12)


def test_finishing_is_for_what_is_low_nearly_relaxed_and_new():
    atoms = start(0)
    units = TheirUnits(PROBLEM, atoms, Evaluator(atoms, CountedLennardJones(), 2000, None))
    finishing, theirs = Finishing(units), units.to_theirs(atoms)
    theirs.calc = units
    assert not finishing.is_worth(theirs)  # forces of a random start
    BFGS(theirs, logfile=None).run(fmax=0.01, steps=500)
    assert finishing.is_worth(theirs)
    finishing.remember(theirs)
    theirs.rotate(30, "z")
    assert not finishing.is_worth(theirs)


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
