"""Steepest descent with momentum (the heavy ball). Layer 1.

Polyak, USSR Comput. Math. Math. Phys. 4, 1 (1964).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from ..types import Optimizer, System
from .base import common_fields, compose, record
from .local import TOLERANCE, cap_rows, energy_gradient, report


class MomentumState(NamedTuple):
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
    momentum: jax.Array  # [n_atoms, 3] Angstrom, the last move


def momentum(*, learning_rate=0.002, decay=0.9, maxstep=0.1, tolerance=TOLERANCE) -> Optimizer:
    """Builds the heavy ball, `momentum = decay * momentum - learning_rate * gradient; positions += momentum`.

    Args:
      learning_rate: length scales squared per energy scale.
      decay: share of the last move that is kept.
      maxstep: longest move of one row, in length scales.
      tolerance: rms gradient of a minimum, in energy scales per length scale.
    """

    def init(key, system, budget=jnp.inf):
        del budget
        zeros = jnp.zeros_like(system.positions)
        return MomentumState(**common_fields(key, system), arrived=jnp.zeros((), bool), momentum=zeros)

    def advance(state, energy, forces):
        system = state.system
        gradient = energy_gradient(system, forces)
        push = learning_rate * system.length_scale**2 / system.energy_scale * gradient
        # The cap is on what is carried too, or an overlapping start would coast for many steps.
        move = cap_rows(decay * state.momentum - push, maxstep * system.length_scale)
        seen = {**record(state, energy), **report(state, gradient, tolerance)}
        return state._replace(**seen, positions=state.positions + move, momentum=move)

    return compose(init, advance)
