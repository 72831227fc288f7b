"""L-BFGS without a line search, one evaluation a step. Layer 1.

The quasi-Newton core of `relax` as an optimizer of its own: Nocedal, Math. Comp. 35, 773 (1980).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from ..types import Optimizer, System
from .base import common_fields, compose, record
from .local import TOLERANCE, energy_gradient, report
from .relax import RelaxState, relax_init, relax_step


class LBFGSState(NamedTuple):
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
    relax: RelaxState


def lbfgs(*, memory=6, inverse_curvature=0.01, maxstep=0.25, tolerance=TOLERANCE) -> Optimizer:
    """Builds L-BFGS.

    Args:
      memory: curvature pairs kept.
      inverse_curvature: of the first step, in length scales squared per energy scale; a Lennard-Jones bond has 1/72.
      maxstep: longest move of one row, in length scales; a longer step is shortened as a whole.
      tolerance: rms gradient of a minimum, in energy scales per length scale.
    """

    def init(key, system, budget=jnp.inf):
        del budget
        scale = inverse_curvature * system.length_scale**2 / system.energy_scale
        return LBFGSState(
            **common_fields(key, system),
            arrived=jnp.zeros((), bool),
            relax=relax_init(system.positions, scale, memory),
        )

    def advance(state, energy, forces):
        gradient = energy_gradient(state.system, forces)
        cap = maxstep * state.system.length_scale
        relax, proposal = relax_step(state.relax, state.positions, energy, gradient, cap)
        seen = {**record(state, energy), **report(state, gradient, tolerance)}
        return state._replace(**seen, positions=proposal, relax=relax)

    return compose(init, advance)
