"""Adam: steps scaled by running moments of each gradient component. Layer 1.

Kingma & Ba, arXiv:1412.6980, Algorithm 1. Works on components, so its path depends on how the structure is oriented.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from ..types import Optimizer, System
from .base import common_fields, compose, record
from .local import TOLERANCE, cap_rows, energy_gradient, report


class AdamState(NamedTuple):
    """Carries a run; the first eight fields are those of every optimizer."""

    system: System
    positions: jax.Array  # [n_atoms, 3]
    best_positions: jax.Array  # [n_atoms, 3]
    best_energy: jax.Array  # []
    n_evaluations: jax.Array  # [] int32
    event: jax.Array  # [] int32
    pending: jax.Array  # [] bool
    key: jax.Array
    arrived: jax.Array  # [] bool, the minimum has been reported
    first_moment: jax.Array  # [n_atoms, 3] mean gradient, energy scales per length scale
    second_moment: jax.Array  # [n_atoms, 3] mean squared gradient


def adam(
    *,
    learning_rate=0.01,
    half_life=math.inf,
    b1=0.9,
    b2=0.999,
    eps=1e-8,
    clip=math.inf,
    maxstep=0.1,
    tolerance=TOLERANCE,
) -> Optimizer:
    """Builds Adam.

    Args:
      learning_rate: longest ordinary step of a component, in length scales.
      half_life: evaluations in which the learning rate halves; at a constant rate the last steps are as long as the
        first, and the structure goes on trembling around its minimum.
      b1, b2: decays of the first and second moment.
      eps: added to the root of the second moment, in energy scales per length scale.
      clip: largest component of a gradient, in energy scales per length scale; the second moment of one collision
        would shorten the steps for 1 / (1 - b2) evaluations and more.
      maxstep: longest move of one row, in length scales.
      tolerance: rms gradient of a minimum, in energy scales per length scale.
    """

    def init(key, system, budget=jnp.inf):
        del budget
        zeros = jnp.zeros_like(system.positions)
        arrived = jnp.zeros((), bool)
        return AdamState(**common_fields(key, system), arrived=arrived, first_moment=zeros, second_moment=zeros)

    def advance(state, energy, forces):
        system = state.system
        gradient = energy_gradient(system, forces)
        seen = {**record(state, energy), **report(state, gradient, tolerance)}
        slope = jnp.clip(gradient * system.length_scale / system.energy_scale, -clip, clip)
        first = b1 * state.first_moment + (1.0 - b1) * slope
        second = b2 * state.second_moment + (1.0 - b2) * slope * slope
        step = seen["n_evaluations"].astype(slope.dtype)
        unbiased = first / (1.0 - b1**step), second / (1.0 - b2**step)
        rate = learning_rate * system.length_scale * 0.5 ** (step / half_life)
        move = -rate * unbiased[0] / (jnp.sqrt(unbiased[1]) + eps)
        positions = state.positions + cap_rows(move, maxstep * system.length_scale)
        return state._replace(**seen, positions=positions, first_moment=first, second_moment=second)

    return compose(init, advance)
