"""A model of the inverse Hessian from geometry alone, for `relax_step`: springs between all pairs. Layer 1.

Stiffness falls exponentially with distance over contact distance, after Lindh et al., Chem. Phys. Lett. 241, 423 (1995)
and, as a preconditioner, Packwood et al., J. Chem. Phys. 144, 164109 (2016). Its constants, and how far the
surroundings of a bond change it, are parameters. The absolute stiffness is left to the relaxation, which learns it from
the first step. It costs a dense inverse: refresh it every few steps of a small system.
"""

import jax
import jax.numpy as jnp
import numpy as np

from ..geometry import has_element, minimum_image
from ..types import System
from .environment import smooth_count

CONSTANTS = {
    "decay": 5.0,  # of the stiffness, per contact distance
    "transverse": 0.1,  # stiffness across a bond over that along it; stands for bond angles
    "ground": 0.02,  # of the spring from each row to its place, in that of a bond: keeps translations finite
    "inverse curvature": 0.014,  # of a bond at contact, length scales squared per energy scale: 1/72 for Lennard-Jones
}
"""What an untrained model begins with."""
BOND_FEATURES = ("nearness", "coordination", "difference of coordinations", "unlike elements")
BOND_OUTPUTS = ("log stiffness", "log transverse")
LONE_ROW = 4.0
"""Stiffness of a row without an element, such as one of a cell filter: that of an atom in a close-packed metal."""
STIFFEST = 5.0
"""No pair is stiffer, in bonds at contact: atoms that overlap would be held too firmly."""


def untrained_springs() -> dict:
    """Returns the parameters of a model that knows nothing of surroundings."""
    logs = np.log(list(CONSTANTS.values())).astype(np.float32)
    return {"logs": logs, "bond": np.zeros((len(BOND_FEATURES), len(BOND_OUTPUTS)), np.float32)}


def inverse_model_hessian(springs, positions, system: System, xp=jnp):
    """Returns the metric `[3 * n_atoms, 3 * n_atoms]`, in units of the inverse stiffness of a bond at contact.

    Args:
      springs: `logs` `[4]` of the constants, in the order of `CONSTANTS`; `bond` `[4, 2]`, what each feature of a bond
        adds to each of its outputs.
      positions: `[n_atoms, 3]` Angstrom.
      system: says what the rows are; its own positions are not used.
      xp: jax.numpy, or numpy for a few models of one structure, which are not worth compiling.
    """
    n, dtype = positions.shape[0], positions.dtype
    atoms = has_element(system)
    eye = xp.eye(n, dtype=dtype)
    pairs = atoms[:, None] & atoms[None, :] & ~xp.eye(n, dtype=bool)
    displacements = minimum_image(positions[None] - positions[:, None], system.cell, system.pbc, xp)
    distances = xp.sqrt(xp.maximum(xp.sum(displacements**2, axis=-1), 1e-12))
    ratios = xp.where(pairs, distances / (system.radii[:, None] + system.radii[None, :]), xp.inf)
    ratios = xp.where(pairs, ratios / _typical(ratios, xp), 9.0)
    decay, transverse, ground, _ = xp.exp(springs["logs"].astype(dtype))
    change = _bond_features(ratios, pairs, system, xp) @ springs["bond"].astype(dtype)
    stiffness = xp.minimum(xp.exp(decay * (1.0 - ratios) + change[:, :, 0]), STIFFEST)
    stiffness = xp.where(pairs, stiffness, 0.0)
    units = displacements / distances[:, :, None]
    across = transverse * xp.exp(change[:, :, 1])
    identity = xp.eye(3, dtype=dtype)
    projectors = units[:, :, :, None] * units[:, :, None, :] + across[:, :, None, None] * identity[None, None]
    springs_of_pairs = stiffness[:, :, None, None] * projectors
    own = xp.sum(springs_of_pairs, axis=1) + xp.where(atoms, ground, LONE_ROW)[:, None, None] * identity[None]
    blocks = eye[:, :, None, None] * own[:, None] - springs_of_pairs
    both_move = system.movable[:, None] & system.movable[None, :]
    blocks = xp.where(both_move[:, :, None, None], blocks, eye[:, :, None, None] * identity[None, None])
    return _inverse(blocks.transpose(0, 2, 1, 3).reshape(3 * n, 3 * n), xp)


def _inverse(matrix, xp):
    """Returns the inverse of a positive symmetric matrix; in jax by its Cholesky factor, in a third of the time."""
    if xp is np:
        return np.linalg.inv(matrix)
    factor = jnp.linalg.cholesky(matrix)
    inverse_factor = jax.scipy.linalg.solve_triangular(factor, jnp.eye(matrix.shape[0], dtype=matrix.dtype), lower=True)
    return inverse_factor.T @ inverse_factor


def _bond_features(ratios, pairs, system: System, xp):
    """Returns what the parameters of a bond are changed by, `[n_atoms, n_atoms, len(BOND_FEATURES)]`."""
    dtype = ratios.dtype
    coordination = xp.sum(xp.where(pairs, smooth_count(ratios, 1.1, 0.4, xp), 0.0), axis=1) / 8.0
    both = 0.5 * (coordination[:, None] + coordination[None, :])
    unlike = system.species[:, None] != system.species[None, :]
    nearness = xp.exp(-4.0 * (ratios - 1.0)) - 0.5
    difference = xp.abs(coordination[:, None] - coordination[None, :])
    return xp.stack([nearness, both - 1.0, difference, unlike.astype(dtype)], axis=-1)


def _typical(ratios, xp):
    """Returns the median over atoms of the distance to the nearest neighbour over contact, 1 where nothing has one.

    It makes up for radii that are all too large or too small.
    """
    nearest = xp.sort(xp.min(ratios, axis=1))
    known = xp.sum(xp.isfinite(nearest))
    median = nearest[xp.maximum(known - 1, 0) // 2]
    return xp.where(known > 0, median, 1.0)
