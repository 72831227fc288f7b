"""Snapshots of a melt by Langevin dynamics in JAX, as starts of training. Layer 2.

The integrator is BAOAB: Leimkuhler & Matthews, Appl. Math. Res. Express 2013, 34 (2013), with unit masses, because only
positions are wanted.
"""

import jax
import jax.numpy as jnp

from ..geometry import random_start
from ..types import PotentialFn, System

TEMPERATURE = 0.3016
"""eV, 3,500 K."""
TIME_STEP = 0.037
"""Angstrom sqrt(unit mass / eV); 2 fs for silicon."""
FRICTION = 1.0
"""Per unit of time, 0.02 / fs for silicon: the walk forgets its start within some hundred steps."""
N_DESCENT, N_STEPS = 100, 600
"""Short descent steps that part overlapping atoms, then steps of dynamics."""
LONGEST = 0.1
"""Angstrom, the longest descent step and the longest way along an axis in one step of dynamics."""


def melt(potential: PotentialFn, system: System, key) -> System:
    """Returns the system after dynamics from a random start; pure JAX.

    Args:
      potential: energy and forces.
      system: elements, cell and scales.
      key: `[2]` uint32, draws the start and the noise.
    """
    key_start, key_walk = jax.random.split(key)
    atoms = (system.species >= 0)[:, None]

    def descend(_, positions):
        forces = jnp.where(atoms, potential(positions, system)[1], 0.0)
        length = jnp.sqrt(jnp.sum(forces * forces, axis=1, keepdims=True))
        return positions + forces * jnp.minimum(0.01, LONGEST / jnp.maximum(length, 1e-12))

    def kick(velocities, positions):
        """Adds the last half kick of a step and the first of the next, which see the same forces."""
        forces = jnp.where(atoms, potential(positions, system)[1], 0.0)
        fastest = LONGEST / TIME_STEP
        return jnp.clip(velocities + TIME_STEP * forces, -fastest, fastest)

    def step(k, walk):
        positions, velocities = walk
        positions = positions + 0.5 * TIME_STEP * velocities
        decay = jnp.exp(-FRICTION * TIME_STEP)
        noise = jax.random.normal(jax.random.fold_in(key_walk, k), positions.shape, positions.dtype)
        velocities = decay * velocities + jnp.sqrt(TEMPERATURE * (1.0 - decay * decay)) * jnp.where(atoms, noise, 0.0)
        positions = positions + 0.5 * TIME_STEP * velocities
        return positions, kick(velocities, positions)

    start = random_start(key_start, system)
    positions = jax.lax.fori_loop(0, N_DESCENT, descend, start)
    positions, _ = jax.lax.fori_loop(0, N_STEPS, step, (positions, jnp.zeros_like(positions)))
    return system._replace(positions=positions)
