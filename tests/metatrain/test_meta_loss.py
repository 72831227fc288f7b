"""Meta-losses: their values by hand, their bounds, what divergence does to them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ase_learnedopt.metatrain.meta_loss import LARGEST, META_LOSSES, NEAR, WIDTH, Goal, best_at, checkpoints, evaluate
from ase_learnedopt.rollout import Trace

GOAL = Goal(jnp.float32(-10.0), jnp.float32(2.0), jnp.float32(4.0), jnp.float32(NEAR))


def scaled(spreads):
    """Returns the loss of so many spreads above the reference."""
    return np.sign(spreads) * np.log1p(np.abs(spreads) / NEAR) / np.log1p(1 / NEAR)


def trace(energies, counts=None):
    """Returns a trace `[n_windows, n_walkers]`, eight evaluations a window."""
    energies = jnp.asarray(energies, jnp.float32)
    counts = 8 * (1 + np.arange(len(energies)))[:, None] if counts is None else np.asarray(counts)
    return Trace(jnp.asarray(np.broadcast_to(counts, energies.shape), jnp.int32), energies)


def losses(kind, energies, last=0.0, **how):
    found = trace(energies)
    last = jnp.broadcast_to(jnp.float32(last), found.best_energy.shape[1:])
    budget = how.pop("budget", 8 * len(energies))
    return jax.jit(lambda t, e: evaluate(kind, t, e, GOAL, checkpoints(budget), **how))(found, last)


def test_best_at_counts_evaluations_and_not_windows():
    found = trace([[3.0, 9.0], [2.0, 9.0], [1.0, -5.0]], counts=[[8, 8], [16, 8], [24, 16]])
    np.testing.assert_array_equal(best_at(found, [7, 8, 16, 30]), [[np.inf, np.inf], [3, 9], [2, -5], [1, -5]])


def test_values_by_hand():
    energies = [[6.0], [-2.0], [-2.0], [-6.0]]  # 16, 8, 8 and 4 eV above: 2, 1, 1 and 1/2 spreads
    assert losses("minimum", energies).loss == pytest.approx([scaled(0.5)])
    assert losses("final", energies, last=-2.0).loss == pytest.approx([1.0])
    assert losses("minimum", energies).excess == pytest.approx([2.0])
    marks = checkpoints(32)
    at = np.array([np.inf if m < 8 else 2.0 if m < 16 else 1.0 if m < 32 else 0.5 for m in marks])
    assert losses("checkpoints", energies).loss == pytest.approx([np.mean(np.minimum(scaled(at), LARGEST))])
    # What is lowest after a window holds until the next one has ended.
    assert losses("evaluations", energies).loss == pytest.approx(
        [np.dot(scaled([2.0, 1.0, 1.0, 0.5]), [8, 8, 8, 0]) / 24]
    )
    failure = [1.0 - np.exp(-4.0 * x / WIDTH) for x in at]
    assert losses("success", energies).loss == pytest.approx([np.mean(failure)])


@pytest.mark.parametrize("kind", META_LOSSES)
def test_sooner_and_lower_is_better(kind):
    slow, fast, found = [[6.0], [6.0], [6.0], [-9.0]], [[6.0], [-9.0], [-9.0], [-9.0]], [[-10.0]] * 4
    a, b, c = (float(losses(kind, e, last=e[-1][0]).loss[0]) for e in (slow, fast, found))
    assert c < b <= a
    assert (b < a) == (kind in ("checkpoints", "evaluations", "success"))
    lower = [[6.0], [6.0], [-9.9], [-9.9]]
    assert float(losses(kind, lower, last=-9.9).loss[0]) < a


@pytest.mark.parametrize("kind", META_LOSSES)
@pytest.mark.parametrize("energy", [np.inf, np.nan])
def test_divergence_is_the_worst_and_is_reported(kind, energy):
    outcome = losses(kind, [[-9.5, energy]] * 3, last=[-9.5, energy])
    assert np.isfinite(outcome.loss).all()
    assert outcome.loss[1] == (1.0 if kind == "success" else LARGEST)
    assert outcome.loss[0] < outcome.loss[1]
    assert outcome.diverged.tolist() == [False, True]


def test_a_last_energy_that_is_not_finite_is_divergence():
    outcome = losses("minimum", [[0.0, 0.0]] * 3, last=[0.0, np.nan])
    assert outcome.diverged.tolist() == [False, True]
    assert outcome.loss[0] == outcome.loss[1]


@settings(max_examples=30, deadline=None, derandomize=True)
@given(st.lists(st.floats(allow_nan=True, allow_infinity=True, width=32), min_size=2, max_size=6))
def test_every_loss_is_bounded(energies):
    found = np.minimum.accumulate(np.array(energies, np.float32))[:, None]
    for kind in META_LOSSES:
        outcome = losses(kind, found, last=energies[-1], clip=2.0)
        assert np.all(np.abs(outcome.loss) <= 2.0)


def test_a_lower_energy_than_known_counts():
    assert float(losses("minimum", [[-14.0]]).loss[0]) == pytest.approx(scaled(-0.5))


def test_checkpoints_end_with_the_budget():
    marks = checkpoints(5000, n=6)
    assert marks[0] == pytest.approx(100)
    assert marks[-1] == pytest.approx(5000)
    np.testing.assert_allclose(np.diff(np.log(marks)), np.log(50) / 5, rtol=1e-5)
    np.testing.assert_allclose(checkpoints(5200, 200.0, n=6), marks + 200, rtol=1e-6)


@pytest.mark.parametrize("kind", [kind for kind in META_LOSSES if kind != "success"])
def test_further_down_is_better_even_far_away(kind):
    far, farther = (float(losses(kind, [[e]] * 3, last=e).loss[0]) for e in (1e3, 2e3))
    assert farther - far == pytest.approx(np.log(2.0) / np.log1p(1 / NEAR), rel=0.02) or kind == "checkpoints"
    assert far < farther < LARGEST


def test_unknown_kind():
    with pytest.raises(ValueError, match="no meta-loss 'best': give one of final"):
        evaluate("best", trace([[0.0]]), jnp.zeros(1), GOAL, 8)
