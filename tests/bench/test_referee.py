"""What the referee lets count: sane geometries, hits from both sides, lower energies that a fresh calculator finds."""

import dataclasses
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.io import read

from ase_learnedopt.adapter.scales import contact_radii
from ase_learnedopt.bench.batched import run_batched
from ase_learnedopt.bench.counting import Evaluator, RunEnded
from ase_learnedopt.bench.methods import optimizer
from ase_learnedopt.bench.problems import Problem, get_problem
from ase_learnedopt.bench.referee import FINE, HIT, MAX_CHECKS, WRONG, Referee
from ase_learnedopt.bench.seeds import _record
from ase_learnedopt.sanity import is_sane

TOLERANCE = 1e-3
BOTTOM = -1.0
"""eV, of the pair of `Pair` at a distance of `BOND`."""
BOND, HOLE = 2.2, 0.2


class Pair(Calculator):
    """A spring between two atoms with a hole where they fuse; `offset` eV come on top after `after` calls."""

    implemented_properties = ["energy", "forces"]  # noqa: RUF012, ASE's own form

    def __init__(self, offset=0.0, after=0):
        super().__init__()
        self.calls, self.offset, self.after = 0, offset, after

    def calculate(self, atoms=None, properties=(), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        self.calls += 1
        away = atoms.positions[1] - atoms.positions[0]
        r = np.linalg.norm(away)
        at, depth = (HOLE, -50.0) if r < 0.9 else (BOND, BOTTOM)
        force = 20.0 * (r - at) * away / r
        shift = self.offset if self.calls > self.after else 0.0
        self.results = {"energy": depth + 10.0 * (r - at) ** 2 + shift, "forces": np.array([force, -force])}


def at(r):
    return np.array([[0.0, 0.0, 0.0], [r, 0.0, 0.0]])


def problem_of(reference=BOTTOM, **how):
    start = Atoms("Mg2", at(3.0))
    return Problem("pair", reference, TOLERANCE, "made up", lambda seed: start.copy(), lambda: Pair(**how))


def begin(reference=BOTTOM, used=None, budget=50, fresh=None):
    """Returns referee and evaluator of a run with the calculator `used`; the referee's are made with `fresh`."""
    problem = problem_of(reference, **(fresh or {}))
    atoms = problem.start(0)
    referee = Referee(problem, atoms)
    return referee, Evaluator(atoms, used or Pair(), budget, None, None, referee)


def evaluate(evaluator, *distances):
    """Returns whether the run ended at the last of the distances; it may not end before."""
    for k, r in enumerate(distances):
        try:
            evaluator.evaluate(at(r))
        except RunEnded:
            assert k == len(distances) - 1
            return True
    return False


def test_the_published_hole_is_not_sane():
    atoms = read(Path(__file__).parent.parent / "data" / "mg6o6_hole.extxyz")
    radii = contact_radii(atoms.numbers, None)
    assert not is_sane(atoms.positions, radii, atoms.cell.array, atoms.pbc)
    referee = Referee(dataclasses.replace(problem_of(), start=lambda seed: atoms), atoms)
    assert not referee.is_sane(atoms.positions)
    assert referee.is_sane(2.0 * np.arange(36.0).reshape(12, 3))
    assert not referee.is_sane(np.full((12, 3), np.nan))


@pytest.mark.parametrize("name", ["lj13", "sw-si64"])
def test_open_and_periodic_systems_are_judged_as_sanity_does(name):
    problem = get_problem(name)
    for seed in range(4):
        atoms = problem.start(seed)
        for scale in (1.0, 2.5):
            x, radii = scale * atoms.positions, np.asarray(problem.system(0).radii, float)
            assert Referee(problem, atoms).is_sane(x) == is_sane(x, radii, atoms.cell.array, atoms.pbc)


def test_a_hole_is_an_evaluation_and_nothing_else():
    referee, evaluator = begin()
    assert not evaluate(evaluator, HOLE, 3.0, HOLE, 0.21, 3.1)
    assert evaluator.evaluate(at(HOLE))[0] == -50.0  # the method is told what the calculator said
    assert (evaluator.n_evaluations, evaluator.fused, evaluator.hit_at) == (6, 4, None)
    assert evaluator.trace == [(2, pytest.approx(5.4))]
    np.testing.assert_array_equal(evaluator.best_positions, at(3.0))
    assert referee.calculator_failures == 0


@pytest.mark.parametrize(
    ("reference", "ended", "hit", "lower"),
    [
        (BOTTOM, True, True, False),
        (BOTTOM + 0.9 * TOLERANCE, True, True, False),  # from both sides
        (BOTTOM - 0.9 * TOLERANCE, True, True, False),
        (BOTTOM + 0.5, True, False, True),
        (BOTTOM - 0.5, False, False, False),
        (None, False, False, False),
    ],
)
def test_what_ends_a_run(reference, ended, hit, lower):
    referee, evaluator = begin(reference)
    assert evaluate(evaluator, 3.0, BOND) is ended
    assert (evaluator.hit_at == 2, referee.lower is not None) == (hit, lower)
    if lower:
        assert referee.lower.energy == pytest.approx(BOTTOM, abs=TOLERANCE)
        assert referee.lower.fmax <= referee.fmax
    assert evaluator.n_evaluations == 2  # what the referee evaluates is nobody's cost


@pytest.mark.parametrize("reference", [BOTTOM - 0.7, BOTTOM - 0.2], ids=["hit", "lower"])
def test_an_energy_that_a_fresh_calculator_does_not_find_is_the_calculators_failure(reference):
    referee, evaluator = begin(reference, used=Pair(offset=-0.7, after=1))
    assert not evaluate(evaluator, 2.5, BOND)
    assert (referee.calculator_failures, referee.lower, evaluator.hit_at) == (1, None, None)
    assert evaluator.trace == [(1, pytest.approx(-0.1))]


def test_a_low_energy_that_relaxes_into_a_hole_is_the_calculators_failure(monkeypatch):
    referee, evaluator = begin(BOTTOM + 0.5)
    monkeypatch.setattr(referee, "relaxed", lambda *_: None)
    assert not evaluate(evaluator, 3.0, BOND)
    assert (referee.calculator_failures, referee.lower, evaluator.best_energy) == (1, None, pytest.approx(5.4))


def test_checks_are_few():
    referee, made = begin(BOTTOM + 5.0)[0], []
    referee._new_calculator = lambda: made.append(1) or Pair()
    for k in range(100):
        assert referee.judge(at(BOND), BOTTOM - 9.0 + 1e-6 * k) == WRONG  # no lower than the last one that was wrong
    assert (len(made), referee.calculator_failures) == (1, 100)
    for k in range(100):
        referee.judge(at(BOND), BOTTOM - 10.0 - k)
    assert len(made) == MAX_CHECKS


@pytest.mark.parametrize(("distance", "verdict"), [(3.0, FINE), (BOND, HIT)], ids=["above", "hit"])
def test_a_potential_of_ours_is_not_asked_twice(distance, verdict):
    problem = dataclasses.replace(get_problem("lj13"), calculator=None)
    referee = Referee(problem, problem.start(0))
    energy = problem.reference + (1.0 if distance == 3.0 else 0.0)
    assert referee.judge(problem.start(0).positions, energy) == verdict


def test_a_best_energy_that_is_not_found_again_is_replaced():
    referee, evaluator = begin(BOTTOM - 5.0, used=Pair(offset=-0.7, after=1), budget=3)
    assert evaluate(evaluator, 3.0, 2.5, 2.9)
    record = _record(0, evaluator, referee, 1.0, None)
    assert record["best_energy"] == pytest.approx(-0.1)
    assert record["trace"] == [(1, 5.4), (2, pytest.approx(-0.1))]
    assert record["calculator_failures"] == 1 and not record["hit"]


def hollow(positions, system):
    """Lennard-Jones of lj13 with a well of 1e4 eV for each pair nearer than 0.3."""
    energy, forces = get_problem("lj13").potential(positions, system)
    away = positions[:, None] - positions[None, :]
    near = jnp.sum(away**2, axis=2) + jnp.eye(len(positions), dtype=positions.dtype) < 0.3**2
    return jnp.where(jnp.any(near), -1e4, energy).astype(energy.dtype), forces


def test_batches_obey_the_same_rules():
    problem = dataclasses.replace(get_problem("lj13"), potential=hollow)
    start = np.asarray(problem.system(0).positions)
    assert float(jax.jit(hollow)(jnp.asarray(start) * 0.1, problem.system(0))[0]) == -1e4
    target = problem.reference + problem.tolerance
    for run in run_batched(problem, optimizer("random_restart_fire"), range(4), 400, target, width=2):
        assert run.best_energy > problem.reference - problem.tolerance
        assert run.referee.is_sane(run.best_positions)
        assert [energy for _, energy in run.trace] == sorted((e for _, e in run.trace), reverse=True)
        assert run.evaluations == 400 or run.hit


def test_a_batch_that_goes_lower_says_so():
    known = get_problem("lj7")
    problem = dataclasses.replace(known, reference=known.reference + 1.0)
    target = problem.reference + problem.tolerance
    found = list(run_batched(problem, optimizer("basin_hopping"), range(4), 2000, target, width=4))
    lower = [run.referee.lower for run in found if run.referee.lower is not None]
    assert lower
    assert all(one.energy < problem.reference - problem.tolerance for one in lower)
    assert not any(run.hit and run.referee.lower for run in found)
