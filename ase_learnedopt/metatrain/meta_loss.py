"""What meta-training lowers: how far above the lowest known energy a run was, and when. Layer 2.

All losses are numbers without unit: energies above the task's reference, over the task's energy scale and over its
`spread`, what is usual on the task, on a logarithmic scale. They are clipped and never NaN.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ..rollout import Trace

N_CHECKPOINTS = 8
WIDTH = 0.3
"""Of the success surrogate, in energy scales: a run so far above the reference counts 37 % as found."""


class Goal(NamedTuple):
    """Says what the energies of a task are measured from and in; arrays `[]`, so that tasks share what is compiled."""

    reference: jax.Array  # eV, lowest known energy
    energy_scale: jax.Array  # eV
    spread: jax.Array  # energy scales above the reference that count as 1
    near: jax.Array  # spreads above the reference from which on the logarithm counts; below, the excess itself


class Outcome(NamedTuple):
    """Holds what a batch of runs came to, `[n_walkers]` each."""

    loss: jax.Array
    diverged: jax.Array  # bool: never a finite energy, or a last one that is not finite
    excess: jax.Array  # energy scales above the reference at the end
    n_evaluations: jax.Array  # int32


def checkpoints(budget, since=0.0, n: int = N_CHECKPOINTS):
    """Returns `n` evaluations from `since` to `budget`, spaced evenly in the logarithm of what lies between them.

    The first lies a fiftieth of the way behind `since` `[]`, the last at `budget` `[]`.
    """
    return since + (budget - since) * np.geomspace(1.0 / 50.0, 1.0, n).astype(np.float32)


def best_at(trace: Trace, marks) -> jax.Array:
    """Returns the lowest energies `[n_marks, n_walkers]` eV seen within so many evaluations; infinity before the first.

    Args:
      trace: of a rollout.
      marks: `[n_marks]` evaluations.
    """
    marks = jnp.asarray(marks, trace.best_energy.dtype)
    counts = trace.n_evaluations.astype(marks.dtype)

    def at(mark):
        return jnp.min(jnp.where(counts <= mark, trace.best_energy, jnp.inf), axis=0)

    return jax.lax.map(at, marks)


def final(trace: Trace, last_energy, goal: Goal, marks):
    """Returns the loss at the last structure, which a run may have hopped away to."""
    del trace, marks
    return _in_spreads(last_energy, goal)


def minimum(trace: Trace, last_energy, goal: Goal, marks):
    """Returns the loss at the lowest structure."""
    del last_energy, marks
    return _in_spreads(trace.best_energy[-1], goal)


def over_checkpoints(trace: Trace, last_energy, goal: Goal, marks):
    """Returns the mean loss of the lowest energies at log-spaced checkpoints: sooner is better."""
    del last_energy
    # Clipped before the mean, so that an early checkpoint without a finite energy does not drown the others.
    return jnp.mean(_clip(_in_spreads(best_at(trace, marks), goal), LARGEST), axis=0)


def success(trace: Trace, last_energy, goal: Goal, marks):
    """Returns the mean over checkpoints of 1 - exp(-excess / `WIDTH`): a smooth stand-in for the failure rate."""
    del last_energy
    excess = (best_at(trace, marks) - goal.reference) / goal.energy_scale
    excess = jnp.where(jnp.isnan(excess), jnp.inf, jnp.maximum(excess, 0.0))
    return jnp.mean(1.0 - jnp.exp(-excess / WIDTH), axis=0)


def over_evaluations(trace: Trace, last_energy, goal: Goal, marks):
    """Returns the mean loss of the lowest energies over all evaluations of the budget.

    It is 0 from the lowest known energy on, so that it falls with the time that a run needs to get there.
    """
    del last_energy
    counts = trace.n_evaluations.astype(trace.best_energy.dtype)
    ends = jnp.concatenate([counts[1:], jnp.broadcast_to(marks[-1], counts[:1].shape).astype(counts.dtype)])
    spans = jnp.maximum(ends - counts, 0.0)
    loss = _clip(_in_spreads(trace.best_energy, goal), LARGEST)
    return jnp.sum(spans * loss, axis=0) / jnp.maximum(jnp.sum(spans, axis=0), 1.0)


META_LOSSES: dict[str, Callable] = {
    "final": final,
    "minimum": minimum,
    "checkpoints": over_checkpoints,
    "evaluations": over_evaluations,
    "success": success,
}
LARGEST = 5.0
"""Default clip of a loss, a million spreads above the reference."""
NEAR = 0.003
"""Default of `Goal.near`."""


def evaluate(kind: str, trace: Trace, last_energy, goal: Goal, marks, clip: float = LARGEST) -> Outcome:
    """Computes the losses of a batch of runs.

    Args:
      kind: a key of `META_LOSSES`.
      trace: of the rollout.
      last_energy: `[n_walkers]` eV, of the last structure.
      goal: of the task.
      marks: `[n_marks]` evaluations at which the lowest energies count, see `checkpoints`.
      clip: losses lie between minus and plus this.

    Raises:
      ValueError: there is no such loss.
    """
    if kind not in META_LOSSES:
        raise ValueError(f"there is no meta-loss {kind!r}: give one of {', '.join(META_LOSSES)}")
    best = trace.best_energy[-1]
    loss = _clip(META_LOSSES[kind](trace, last_energy, goal, marks), clip)
    excess = (best - goal.reference) / goal.energy_scale
    return Outcome(loss, ~(jnp.isfinite(best) & jnp.isfinite(last_energy)), excess, trace.n_evaluations[-1])


def _in_spreads(energy, goal: Goal):
    """Returns a number that is 0 at the reference, 1 at one spread above it, and grows with the logarithm around that.

    So far away down is still better, and the last step to the reference is worth as much as the way to its
    neighbours: what counts in the end is who finds it.
    """
    excess = (energy - goal.reference) / (goal.energy_scale * goal.spread)
    return jnp.sign(excess) * jnp.log1p(jnp.abs(excess) / goal.near) / jnp.log1p(1.0 / goal.near)


def _clip(loss, clip: float):
    """Bounds a loss; what is not a number counts as the worst."""
    return jnp.clip(jnp.where(jnp.isnan(loss), clip, loss), -clip, clip)
