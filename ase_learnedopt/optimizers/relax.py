"""The quasi-Newton core that every relaxation in this package is made of: limited-memory BFGS, one evaluation a step.

Layer 1. Two-loop recursion after Nocedal, Math. Comp. 35, 773 (1980); the initial inverse curvature is
s.y / y.y of the newest pair (Shanno & Phua, Math. Program. 14, 149, 1978), times a metric where one is given
(Packwood et al., J. Chem. Phys. 144, 164109, 2016; `model_hessian` builds one). There is no line search that must be
paid for: a step that raises the energy is replaced by one of at most half its length, as a rule, from the last good
point, in the direction that the curvature just seen suggests; any other step is taken as it is. Near the rounding error
of the energy the slopes decide (Hager & Zhang, SIAM J. Optim. 16, 170, 2005).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

UNROLLED_MEMORY = 8
"""Up to this memory the recursion is written out, which is fastest in batches; a loop compiles sooner."""
MAX_REJECTIONS = 4
"""In a row; the next step, by then very short, is taken as it is, so that noise in the energy cannot stop a run."""


class RelaxState(NamedTuple):
    """Carries one relaxation: the last accepted point and the curvature pairs seen (newest last)."""

    positions: jax.Array  # [n_atoms, 3] last accepted point
    gradient: jax.Array  # [n_atoms, 3] there
    value: jax.Array  # [] objective there
    steps: jax.Array  # [memory, n_atoms, 3]
    changes: jax.Array  # [memory, n_atoms, 3] of the gradient over the steps
    weights: jax.Array  # [memory] 1 / (step . change), 0 for an empty slot
    inverse_curvature: jax.Array  # [] Angstrom^2 / eV, scale of the next step along minus the gradient
    n_rejected: jax.Array  # [] int32, rejections in a row
    n_steps: jax.Array  # [] int32


def relax_init(positions, inverse_curvature, memory: int) -> RelaxState:
    """Returns the state of a relaxation that has evaluated nothing yet."""
    zeros = jnp.zeros_like(positions)
    history = jnp.zeros((memory, *positions.shape), positions.dtype)
    return RelaxState(
        positions=positions,
        gradient=zeros,
        value=jnp.full((), jnp.inf, positions.dtype),
        steps=history,
        changes=history,
        weights=jnp.zeros((memory,), positions.dtype),
        inverse_curvature=jnp.asarray(inverse_curvature, positions.dtype),
        n_rejected=jnp.zeros((), jnp.int32),
        n_steps=jnp.zeros((), jnp.int32),
    )


def relax_step(
    state: RelaxState,
    positions,
    value,
    gradient,
    maxstep,
    multiplier=1.0,
    metric=None,
    unrolled=True,
    retreat=0.5,
    measure=None,
):
    """Absorbs one evaluation at `positions` and proposes the next point.

    Args:
      state: the relaxation so far.
      positions: `[n_atoms, 3]` the point that `value` `[]` and `gradient` `[n_atoms, 3]` belong to.
      maxstep: `[]` Angstrom, longest move of one row.
      multiplier: `[]` factor on the quasi-Newton step, 1 for the classical method.
      metric: `[3 * n_atoms, 3 * n_atoms]` a symmetric positive matrix that the inverse Hessian is about proportional
        to, in place of the identity; may change from step to step.
      unrolled: whether the recursion is written out where the memory is short, or always a loop.
      retreat: `[]` longest move after a step that raised the energy, in the length of that step.
      measure: `[n_atoms, 1]` what the move of a row counts for its length, where that is not 1 for all.

    Returns:
      The new state and the next point `[n_atoms, 3]`.
    """
    first = state.n_steps == 0
    gradient = _bounded(gradient)
    step, change = positions - state.positions, gradient - state.gradient
    rise = value - state.value
    slope, sy = jnp.sum(step * state.gradient), jnp.sum(step * change)
    finite = jnp.isfinite(value + sy)  # sy is that of gradient and step, and zero times NaN is NaN
    accept = finite & (first | _is_progress(rise, value, slope, slope + sy) | (state.n_rejected >= MAX_REJECTIONS))
    state = _remember(state, step, change, sy, ~first & finite, metric)
    state = state._replace(
        positions=jnp.where(accept, positions, state.positions),
        gradient=jnp.where(accept, gradient, state.gradient),
        value=jnp.where(accept, value, state.value),
        n_rejected=jnp.where(accept, 0, state.n_rejected + 1),
        n_steps=state.n_steps + 1,
    )
    move = multiplier * _downhill(state, metric, unrolled)
    cap = jnp.where(accept, maxstep, jnp.minimum(maxstep, retreat * _longest(step, measure)))
    return state, state.positions + _with_length_between(_shortest(maxstep, move.dtype), cap, move, measure)


def follow(state: RelaxState, positions, gradient) -> tuple[RelaxState, jax.Array]:
    """Absorbs a point that someone else chose, and returns the quasi-Newton step `[n_atoms, 3]` from it.

    Args:
      state: the points so far; of its energies nothing is asked.
      positions: `[n_atoms, 3]` the point.
      gradient: `[n_atoms, 3]` there.
    """
    gradient = _bounded(gradient)
    step, change = positions - state.positions, gradient - state.gradient
    sy = jnp.sum(step * change)
    state = _remember(state, step, change, sy, (state.n_steps > 0) & jnp.isfinite(sy), None)
    state = state._replace(positions=positions, gradient=gradient, n_steps=state.n_steps + 1)
    return state, _downhill(state, None, unrolled=True)


def forget(state: RelaxState, when) -> RelaxState:
    """Returns the state without its curvature pairs where `when` `[]` bool says so; their scale is kept."""
    return state._replace(weights=jnp.where(when, 0.0, state.weights), n_steps=jnp.where(when, 0, state.n_steps))


def _downhill(state: RelaxState, metric, unrolled: bool):
    """Returns the quasi-Newton step, or that along minus the gradient where rounding has turned it uphill."""
    direction = _direction(state, metric, unrolled)
    downhill = jnp.sum(direction * state.gradient) < 0
    return jnp.where(downhill, direction, -state.inverse_curvature * state.gradient)


def _shortest(maxstep, dtype):
    """Returns the shortest move that still shows the curvature: a collapse of overlapping atoms leaves none behind."""
    return maxstep * (1e-5 if dtype == jnp.float32 else 1e-9)


def _with_length_between(shortest, cap, move, measure):
    """Returns the move scaled so that its longest row lies between the bounds; a move of zero stays one."""
    longest = jnp.maximum(_longest(move, measure), 10.0 * jnp.finfo(move.dtype).tiny ** 0.5)
    return move * (jnp.minimum(jnp.maximum(longest, shortest), cap) / longest)


def _longest(rows, measure):
    """Returns the length of the longest row, by its measure."""
    rows = rows if measure is None else measure * rows
    return jnp.sqrt(jnp.max(jnp.sum(rows * rows, axis=-1)))


def _bounded(gradient):
    """Returns the gradient with components so small that sums of their squares cannot overflow."""
    bound = 1e15 if gradient.dtype == jnp.float32 else 1e100
    return jnp.clip(gradient, -bound, bound)


def _is_progress(rise, value, slope_before, slope_after):
    """Says whether a step is to be kept: the value fell, or it rose by no more than noise while the slopes say it fell.

    The slopes are those along the step, at its ends; the second case is the approximate Wolfe condition of Hager &
    Zhang (2005), equation 1.6 with delta = 0.1, within their band of 1e-6 of the value.
    """
    fell = rise <= 0.0
    level = rise <= 1e-6 * jnp.abs(value)
    return fell | (level & (slope_after <= -0.8 * slope_before))


def _remember(state: RelaxState, step, change, sy, usable, metric) -> RelaxState:
    """Adds a curvature pair where it has positive curvature."""
    yy = jnp.sum(change * change)
    keep = usable & (sy > 1e-8 * jnp.sqrt(jnp.sum(step * step) * yy)) & (yy > 0)
    size = yy if metric is None else jnp.sum(change * _apply(metric, change))

    def push(history, new):
        return jnp.where(keep, jnp.concatenate([history[1:], new[None]]), history)

    return state._replace(
        steps=push(state.steps, step),
        changes=push(state.changes, change),
        weights=push(state.weights, 1.0 / jnp.where(keep, sy, 1.0)),
        inverse_curvature=jnp.where(keep, sy / jnp.where(keep, size, 1.0), state.inverse_curvature),
    )


def _apply(metric, rows):
    """Returns the metric times a vector given as rows `[n_atoms, 3]`."""
    return rows if metric is None else (metric @ rows.reshape(-1)).reshape(rows.shape)


def _direction(state: RelaxState, metric, unrolled: bool):
    """Returns minus the inverse Hessian times the gradient, `[n_atoms, 3]`, by the two-loop recursion."""
    memory = state.steps.shape[0]
    unroll = memory if unrolled and memory <= UNROLLED_MEMORY else 1
    pairs = (state.steps, state.changes, state.weights)

    def down(q, pair):
        step, change, weight = pair
        a = weight * jnp.sum(step * q)
        return q - a * change, a

    def up(r, pair):
        step, change, weight, a = pair
        return r + step * (a - weight * jnp.sum(change * r)), None

    q, coefficients = jax.lax.scan(down, state.gradient, pairs, reverse=True, unroll=unroll)
    r, _ = jax.lax.scan(up, state.inverse_curvature * _apply(metric, q), (*pairs, coefficients), unroll=unroll)
    return -r
