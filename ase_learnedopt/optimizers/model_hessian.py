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
from .cell_model import cell_blocks, deformation
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
"""Stiffness of a row without an element that is not of a cell: that of an atom in a close-packed metal."""
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
    eye, identity = xp.eye(n, dtype=dtype), xp.eye(3, dtype=dtype)
    displacements, pairs = _displacements(positions, system, xp)
    distances = xp.sqrt(xp.maximum(xp.sum(displacements**2, axis=-1), 1e-12))
    ratios = xp.where(pairs, distances / (system.radii[:, None] + system.radii[None, :])[None], xp.inf)
    ratios = xp.where(pairs, ratios / _typical(ratios, xp), 9.0)
    decay, transverse, ground, _ = xp.exp(springs["logs"].astype(dtype))
    change = _bond_features(ratios, pairs, system, xp) @ springs["bond"].astype(dtype)
    stiffness = xp.minimum(xp.exp(decay * (1.0 - ratios) + change[..., 0]), STIFFEST)
    stiffness = xp.where(pairs, stiffness, 0.0)
    units = displacements / distances[..., None]
    across = transverse * xp.exp(change[..., 1])
    projectors = units[..., :, None] * units[..., None, :] + across[..., None, None] * identity[None, None, None]
    springs_of_pairs = stiffness[..., None, None] * projectors  # [n_images, n, n, 3, 3]
    lone = LONE_ROW if system.cell_factor is None else 0.0
    between = xp.sum(springs_of_pairs, axis=0)
    own = xp.sum(between, axis=1) + xp.where(atoms, ground, lone)[:, None, None] * identity[None]
    blocks = eye[:, :, None, None] * own[:, None] - between
    if system.cell_factor is not None:
        blocks = blocks + cell_blocks(springs_of_pairs, displacements, system, xp)
    both_move = system.movable[:, None] & system.movable[None, :]
    blocks = xp.where(both_move[:, :, None, None], blocks, eye[:, :, None, None] * identity[None, None])
    matrix = blocks.transpose(0, 2, 1, 3).reshape(3 * n, 3 * n)
    return _inverse(matrix if system.held is None else _within(matrix, system.held), xp)


def _displacements(positions, system: System, xp):
    """Returns vectors `[n_images, n_atoms, n_atoms, 3]` from the first to the second atom, and which are of pairs.

    Nearest images; where the cell may move, also those one cell further, since small cells are held by them.
    """
    atoms = has_element(system)
    pairs = (atoms[:, None] & atoms[None, :])[None]
    nearest = minimum_image(positions[None] - positions[:, None], system.cell, system.pbc, xp)[None]
    different = ~xp.eye(positions.shape[0], dtype=bool)[None]
    if system.cell_factor is None:
        return nearest, pairs & different
    steps = np.stack(np.meshgrid(*[(0, 1, -1)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)  # none first
    possible = ~xp.any((steps != 0) & ~system.pbc[None, :], axis=1)
    shifts = (steps.astype(positions.dtype) @ system.cell)[:, None, None, :]
    here = xp.asarray(np.all(steps == 0, axis=1))
    here_and_now = (nearest + shifts) @ deformation(positions, system, xp).T
    return here_and_now, pairs & possible[:, None, None] & (different | ~here[:, None, None])


def _within(matrix, held):
    """Returns the matrix with springs of stiffness 1 along held directions, coupled to nothing."""
    half = matrix - held @ (held.T @ matrix)
    return half - (half @ held) @ held.T + held @ held.T


def _inverse(matrix, xp):
    """Returns the inverse of a positive symmetric matrix; in jax by its Cholesky factor, in a third of the time."""
    if xp is np:
        return np.linalg.inv(matrix)
    factor = jnp.linalg.cholesky(matrix)
    inverse_factor = jax.scipy.linalg.solve_triangular(factor, jnp.eye(matrix.shape[0], dtype=matrix.dtype), lower=True)
    return inverse_factor.T @ inverse_factor


def _bond_features(ratios, pairs, system: System, xp):
    """Returns what the parameters of a bond are changed by, `[n_images, n_atoms, n_atoms, len(BOND_FEATURES)]`."""
    dtype = ratios.dtype
    near = xp.where(pairs, smooth_count(ratios, 1.1, 0.4, xp), 0.0)
    coordination = xp.sum(near, axis=(0, 2)) / 8.0
    both = 0.5 * (coordination[:, None] + coordination[None, :])
    unlike = system.species[:, None] != system.species[None, :]
    nearness = xp.exp(-4.0 * (ratios - 1.0)) - 0.5
    difference = xp.abs(coordination[:, None] - coordination[None, :])
    of_pairs = [xp.broadcast_to(x[None], ratios.shape) for x in (both - 1.0, difference, unlike.astype(dtype))]
    return xp.stack([nearness, *of_pairs], axis=-1)


def _typical(ratios, xp):
    """Returns the median over atoms of the distance to the nearest neighbour over contact, 1 where nothing has one.

    It makes up for radii that are all too large or too small.
    """
    nearest = xp.sort(xp.min(ratios, axis=(0, 2)))
    known = xp.sum(xp.isfinite(nearest))
    median = nearest[xp.maximum(known - 1, 0) // 2]
    return xp.where(known > 0, median, 1.0)
