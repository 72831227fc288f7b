"""Two-phase relaxation of clusters: first on the energy plus a compression, then on the energy alone. Layer 1.

Locatelli & Schoen, Comput. Optim. Appl. 21, 55 (2002), with the linear pair compression of Doye, Leary, Locatelli &
Schoen, INFORMS J. Comput. 16, 371 (2004): `E + mu * sum_{i<j} r_ij`. What is not a free cluster is only relaxed.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from ..geometry import has_element
from ..types import STEP, Optimizer, System
from .base import common_fields, compose, record
from .kinds import is_cluster
from .local import TOLERANCE, energy_gradient, report, rms_gradient
from .relax import RelaxState, relax_init, relax_step


class TwoPhaseState(NamedTuple):
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
    compressing: jax.Array  # [] bool, the first phase
    relax: RelaxState


def two_phase(
    *,
    compression=1.0,
    compress_steps=60,
    compress_tolerance=0.5,
    memory=6,
    inverse_curvature=0.01,
    maxstep=0.15,
    tolerance=TOLERANCE,
) -> Optimizer:
    """Builds the two-phase relaxation, both phases by L-BFGS.

    Args:
      compression: mu, in energy scales per length scale.
      compress_steps: most evaluations of the first phase.
      compress_tolerance: rms gradient that ends it earlier, in energy scales per length scale.
      memory: curvature pairs kept.
      inverse_curvature: of the first step, in length scales squared per energy scale.
      maxstep: longest move of one row, in length scales.
      tolerance: rms gradient of a minimum, in energy scales per length scale.
    """

    def begin(system, positions):
        return relax_init(positions, inverse_curvature * system.length_scale**2 / system.energy_scale, memory)

    def init(key, system, budget=jnp.inf):
        del budget
        return TwoPhaseState(
            **common_fields(key, system),
            arrived=jnp.zeros((), bool),
            compressing=is_cluster(system) & (compression > 0),
            relax=begin(system, system.positions),
        )

    def advance(state, energy, forces):
        system = state.system
        gradient = energy_gradient(system, forces)
        mu = jnp.where(state.compressing, compression * system.energy_scale / system.length_scale, 0.0)
        added, slope = _compression(state.positions, has_element(system))
        pushed = gradient + mu * slope
        cap = maxstep * system.length_scale
        relax, proposal = relax_step(state.relax, state.positions, energy + mu * added, pushed, cap)
        seen = {**record(state, energy), **report(state, gradient, tolerance)}
        late = seen["n_evaluations"] >= compress_steps
        compressing = state.compressing & ~late & (rms_gradient(system, pushed) >= compress_tolerance)
        turn = state.compressing & ~compressing
        relax = jax.tree.map(lambda a, b: jnp.where(turn, a, b), begin(system, proposal), relax)
        return state._replace(
            **seen
            | {
                "event": jnp.where(state.compressing, STEP, seen["event"]).astype(jnp.int32),
                "arrived": seen["arrived"] & ~state.compressing,
            },
            positions=proposal,
            compressing=compressing,
            relax=relax,
        )

    return compose(init, advance)


def _compression(positions, atoms):
    """Returns the sum of all distances `[]` between atoms `[n_atoms]` bool and its gradient `[n_atoms, 3]`."""
    offsets = positions[:, None, :] - positions[None, :, :]
    pair = atoms[:, None] & atoms[None, :] & ~jnp.eye(positions.shape[0], dtype=bool)
    distances = jnp.sqrt(jnp.where(pair, jnp.sum(offsets * offsets, axis=2), 1.0) + 1e-12)
    directions = jnp.where(pair[:, :, None], offsets / distances[:, :, None], 0.0)
    return 0.5 * jnp.sum(jnp.where(pair, distances, 0.0)), jnp.sum(directions, axis=1)
