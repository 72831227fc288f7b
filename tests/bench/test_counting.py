"""The referee: what it counts, when it ends a run, what it keeps."""

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.optimize import BFGS

from ase_learnedopt.bench.counting import CountingCalculator, EvaluationFailed, Evaluator, RunEnded, StuckError


class Bowl(Calculator):
    """Energy |x|^2 about the origin; counts its own calls; `special` energies by call."""

    implemented_properties = ["energy", "forces"]  # noqa: RUF012, ASE's own form

    def __init__(self, special=None):
        super().__init__()
        self.calls, self.special = 0, special or {}

    def calculate(self, atoms=None, properties=(), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        self.calls += 1
        energy = self.special.get(self.calls, float(np.sum(atoms.positions**2)))
        if energy is None:
            raise ArithmeticError("no convergence")
        self.results = {"energy": energy, "forces": -2.0 * atoms.positions}


def at(x):
    return np.array([[x, 0.0, 0.0], [0.0, 1.0, 0.0]])


def begin(budget=100, target=None, walltime=None, special=None):
    bowl = Bowl(special)
    return bowl, Evaluator(Atoms("Ar2", at(0.0)), bowl, budget, target, walltime)


def test_returns_what_the_calculator_says():
    _, evaluator = begin()
    energy, forces = evaluator.evaluate(at(3.0))
    assert energy == 10.0
    np.testing.assert_array_equal(forces, -2.0 * at(3.0))
    forces[:] = 0.0
    np.testing.assert_array_equal(evaluator.evaluate(at(3.0))[1], -2.0 * at(3.0))


def test_the_same_geometry_twice_in_a_row_costs_one():
    bowl, evaluator = begin()
    x = at(1.0)
    for shift in (0.0, 0.0, 1.0, 0.0, -1.0):
        x += [[shift, 0.0, 0.0], [0.0, 0.0, 0.0]]  # in place, as rivals do it
        evaluator.evaluate(x)
    assert evaluator.n_evaluations == bowl.calls == 3


def test_a_call_that_fails_is_counted_and_the_run_goes_on():
    bowl, evaluator = begin(budget=3, special={2: None, 3: None})
    evaluator.evaluate(at(3.0))
    with pytest.raises(EvaluationFailed, match="at evaluation 2: no convergence"):
        evaluator.evaluate(at(4.0))
    with pytest.raises(RunEnded):
        evaluator.evaluate(at(5.0))
    assert (evaluator.n_evaluations, bowl.calls, evaluator.trace) == (3, 3, [(1, 10.0)])


def test_a_first_call_that_fails_is_no_fault_of_the_geometry():
    with pytest.raises(ArithmeticError):
        begin(special={1: None})[1].evaluate(at(3.0))


def test_the_trace_has_one_entry_for_each_improvement():
    bowl, evaluator = begin(special={3: np.nan, 4: -np.inf})
    for x in (3.0, 4.0, 0.0, 0.5, 2.0, 1.0):
        evaluator.evaluate(at(x))
    assert evaluator.trace == [(1, 10.0), (5, 5.0), (6, 2.0)]
    assert evaluator.best_energy == 2.0
    np.testing.assert_array_equal(evaluator.best_positions, at(1.0))
    assert evaluator.n_evaluations == bowl.calls == 6
    assert evaluator.hit_at is None


@pytest.mark.parametrize(
    ("limits", "calls", "hit_at"),
    [
        ({"budget": 4}, 4, None),
        ({"budget": 1}, 1, None),
        ({"target": 5.0}, 6, 6),
        ({"target": 5.0, "budget": 6}, 6, 6),
        ({"walltime": 0.0}, 1, None),
    ],
)
def test_a_run_ends_after_the_evaluation_that_ends_it(limits, calls, hit_at):
    bowl, evaluator = begin(**limits)
    with pytest.raises(RunEnded):  # noqa: PT012
        for k in range(100):
            evaluator.evaluate(at(7.0 - k))
    assert (evaluator.n_evaluations, evaluator.hit_at) == (calls, hit_at)
    assert evaluator.trace[-1][0] == calls
    with pytest.raises(RunEnded):
        evaluator.evaluate(at(0.0))
    assert bowl.calls == calls


def test_times_the_calculator():
    _, evaluator = begin()
    evaluator.evaluate(at(1.0))
    assert evaluator.calculator_seconds > 0.0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: begin(budget=0), "budget is 0"),
        (lambda: begin()[1].evaluate(np.zeros((3, 3))), r"shape \(3, 3\)"),
        (lambda: CountingCalculator(begin()[1]).get_potential_energy(Atoms("Ne2", at(0.0))), "the run is for"),
    ],
)
def test_refuses(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_an_ase_optimizer_pays_for_each_geometry_once():
    bowl, evaluator = begin(target=1e-6)
    atoms = Atoms("Ar2", at(3.0), calculator=CountingCalculator(evaluator))
    with pytest.raises(RunEnded):
        BFGS(atoms, logfile=None).run(fmax=1e-9, steps=200)
    assert evaluator.n_evaluations == bowl.calls == evaluator.hit_at
    assert evaluator.trace[0] == (1, 10.0)


def test_one_geometry_for_ever_is_stuck():
    bowl, evaluator = begin()
    atoms = Atoms("Ar2", at(3.0), calculator=CountingCalculator(evaluator))
    with pytest.raises(StuckError, match="evaluation 1"):  # noqa: PT012
        for _ in range(CountingCalculator.PATIENCE + 2):
            atoms.get_potential_energy()
    assert bowl.calls == 1
