"""FIRE, the fast inertial relaxation engine: damped dynamics that stops whenever it runs uphill. Layer 1.

Bitzek, Koskinen, Gahler, Moseler & Gumbsch, Phys. Rev. Lett. 97, 170201 (2006), with unit masses and the semi-implicit
Euler integrator of ASE's `FIRE`. The paper's letters: N_min, f_inc, f_dec, alpha_start, f_alpha.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from ..types import Optimizer, System
from .base import common_fields, compose, record
from .local import TOLERANCE, cap_rows, energy_gradient, report


class FireState(NamedTuple):
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
    velocities: jax.Array  # [n_atoms, 3] length scales per unit of time
    dt: jax.Array  # [] unit of time: length_scale * sqrt(mass / energy_scale)
    alpha: jax.Array  # [] share of the velocity that is turned into the direction of the forces
    n_downhill: jax.Array  # [] int32, steps since the last uphill one


def fire(
    *,
    dt=0.02,
    dt_max=0.1,
    n_min=5,
    f_inc=1.1,
    f_dec=0.5,
    alpha_start=0.1,
    f_alpha=0.99,
    maxstep=0.1,
    tolerance=TOLERANCE,
) -> Optimizer:
    """Builds FIRE.

    Args:
      dt, dt_max: first and longest time step, in `length_scale * sqrt(mass / energy_scale)`.
      n_min: downhill steps before the time step may grow.
      f_inc, f_dec: factors on the time step after a downhill and an uphill step.
      alpha_start, f_alpha: first mixing of velocity and force directions, and its decay.
      maxstep: longest move of one row, in length scales.
      tolerance: rms gradient of a minimum, in energy scales per length scale.
    """

    def init(key, system, budget=jnp.inf):
        del budget
        dtype = system.positions.dtype
        return FireState(
            **common_fields(key, system),
            arrived=jnp.zeros((), bool),
            velocities=jnp.zeros_like(system.positions),
            dt=jnp.full((), dt, dtype),
            alpha=jnp.full((), alpha_start, dtype),
            n_downhill=jnp.zeros((), jnp.int32),
        )

    def advance(state, energy, forces):
        system, velocities = state.system, state.velocities
        gradient = energy_gradient(system, forces)
        push = -gradient * system.length_scale / system.energy_scale
        downhill = jnp.sum(push * velocities) > 0
        along = push * (_norm(velocities) / jnp.maximum(_norm(push), 1e-30))
        mixed = (1.0 - state.alpha) * velocities + state.alpha * along
        grows = downhill & (state.n_downhill > n_min)
        longer = jnp.minimum(state.dt * f_inc, dt_max)
        # At the very first step nothing moves yet: standing still is not running uphill.
        shorter = jnp.where(state.n_evaluations == 0, state.dt, state.dt * f_dec)
        new_dt = jnp.where(downhill, jnp.where(grows, longer, state.dt), shorter)
        velocities = jnp.where(downhill, mixed, 0.0) + new_dt * push
        move = cap_rows(new_dt * velocities, maxstep) * system.length_scale
        return state._replace(
            **record(state, energy),
            **report(state, gradient, tolerance),
            positions=state.positions + move,
            velocities=velocities,
            dt=new_dt,
            alpha=jnp.where(downhill, jnp.where(grows, state.alpha * f_alpha, state.alpha), alpha_start),
            n_downhill=jnp.where(downhill, state.n_downhill + 1, 0),
        )

    return compose(init, advance)


def _norm(rows):
    return jnp.sqrt(jnp.sum(rows * rows))
