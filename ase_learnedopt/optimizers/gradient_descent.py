"""Steepest descent with a fixed step length. Layer 1.

The plainest optimizer there is: Cauchy, Comptes rendus 25, 536 (1847).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from ..types import Optimizer, System
from .base import common_fields, compose, record
from .local import TOLERANCE, cap_rows, energy_gradient, report


class GradientDescentState(NamedTuple):
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


def gradient_descent(*, learning_rate=0.002, maxstep=0.1, tolerance=TOLERANCE) -> Optimizer:
    """Builds steepest descent, `positions -= learning_rate * gradient`.

    Args:
      learning_rate: length scales squared per energy scale; stable below twice the inverse of the largest curvature,
        which is about 600 for close-packed atoms.
      maxstep: longest move of one row, in length scales.
      tolerance: rms gradient of a minimum, in energy scales per length scale.
    """

    def init(key, system, budget=jnp.inf):
        del budget
        return GradientDescentState(**common_fields(key, system), arrived=jnp.zeros((), bool))

    def advance(state, energy, forces):
        system = state.system
        gradient = energy_gradient(system, forces)
        move = -learning_rate * system.length_scale**2 / system.energy_scale * gradient
        seen = {**record(state, energy), **report(state, gradient, tolerance)}
        return state._replace(**seen, positions=state.positions + cap_rows(move, maxstep * system.length_scale))

    return compose(init, advance)
