"""A model of the inverse Hessian from geometry alone, for `relax_step`: springs between all pairs. Layer 1.

Stiffness falls exponentially with distance over contact distance, after Lindh et al., Chem. Phys. Lett. 241, 423 (1995)
and, as a preconditioner, Packwood et al., J. Chem. Phys. 144, 164109 (2016). The absolute stiffness is left to the
relaxation, which learns it from the first step. It costs a dense inverse: refresh it every few steps of a small system.
"""

import jax.numpy as jnp

from ..geometry import has_element, minimum_image
from ..types import System

DECAY = 5.0
"""Of the stiffness, per contact distance."""
TRANSVERSE = 0.1
"""Stiffness across a bond over that along it; stands for bond angles."""
GROUND = 0.02
"""Stiffness of the spring from each row to its place, in that of a bond: keeps translations and rotations finite."""
LONE_ROW = 4.0
"""Stiffness of a row without an element, such as one of a cell filter: that of an atom in a close-packed metal."""


def inverse_model_hessian(positions, system: System):
    """Returns the metric `[3 * n_atoms, 3 * n_atoms]`, in units of the inverse stiffness of a bond at contact.

    Args:
      positions: `[n_atoms, 3]` Angstrom.
      system: says what the rows are; its own positions are not used.
    """
    n, dtype = positions.shape[0], positions.dtype
    atoms = has_element(system)
    eye = jnp.eye(n, dtype=dtype)
    pairs = atoms[:, None] & atoms[None, :] & ~jnp.eye(n, dtype=bool)
    displacements = minimum_image(positions[None] - positions[:, None], system.cell, system.pbc)
    distances = jnp.sqrt(jnp.maximum(jnp.sum(displacements**2, axis=-1), 1e-12))
    ratios = jnp.where(pairs, distances / (system.radii[:, None] + system.radii[None, :]), jnp.inf)
    stiffness = jnp.where(pairs, jnp.minimum(jnp.exp(-DECAY * (ratios / _typical(ratios) - 1.0)), 5.0), 0.0)
    units = displacements / distances[:, :, None]
    projectors = units[:, :, :, None] * units[:, :, None, :] + TRANSVERSE * jnp.eye(3, dtype=dtype)[None, None]
    springs = stiffness[:, :, None, None] * projectors
    own = jnp.sum(springs, axis=1) + jnp.where(atoms, GROUND, LONE_ROW)[:, None, None] * jnp.eye(3, dtype=dtype)[None]
    blocks = eye[:, :, None, None] * own[:, None] - springs
    both_move = system.movable[:, None] & system.movable[None, :]
    blocks = jnp.where(both_move[:, :, None, None], blocks, eye[:, :, None, None] * jnp.eye(3, dtype=dtype)[None, None])
    return jnp.linalg.inv(blocks.transpose(0, 2, 1, 3).reshape(3 * n, 3 * n))


def _typical(ratios):
    """Returns the median over atoms of the distance to the nearest neighbour over contact, 1 where nothing has one.

    It makes up for radii that are all too large or too small.
    """
    nearest = jnp.sort(jnp.min(ratios, axis=1))
    known = jnp.sum(jnp.isfinite(nearest))
    median = nearest[jnp.maximum(known - 1, 0) // 2]
    return jnp.where(known > 0, median, 1.0)
