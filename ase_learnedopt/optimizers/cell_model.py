"""What a deformation of the cell costs in the springs of a model Hessian, for cell filters. Layer 1.

An atom at `x` stands for one at `F @ x`, so a small change of the deformation stretches the bond `d` from one atom to
another by `dF @ d` more than the atoms themselves do: a spring `K` costs half of `s . K s` with the stretch `s = dx_j -
dx_i + dF @ d`. Rows of a filter are `cell_factor * F`, or as many times its logarithm, which begins the same.
"""

from typing import Any

import jax.numpy as jnp
import numpy as np

from ..geometry import has_element
from ..types import System

GROUND = 0.02
"""Of the mean stiffness of the cell, added to all of it: a turn of the whole costs nothing."""
SOFTEST = 1e-3
"""Bonds at contact: no cell is softer."""
REACH_OF_STEP = 2.5
"""Length scales over which a step of the cell may move an atom as far as any other step may."""


def cell_measure(system: System) -> Any:
    """Returns what the move of a row counts for its length, `[n_atoms, 1]`, see `relax_step`; None without a cell."""
    if system.cell_factor is None:
        return None
    reach = REACH_OF_STEP * system.length_scale / system.cell_factor
    return jnp.where(_is_cell(system), reach, 1.0)[:, None]


def deformation(positions, system: System, xp=jnp):
    """Returns how the cell has been deformed since the start, `[3, 3]`, to first order, from rows `[n_atoms, 3]`."""
    rows = _axes_of_cell(system, positions.dtype, xp) @ (positions - system.positions)
    return xp.eye(3, dtype=positions.dtype) + rows / system.cell_factor


def cell_blocks(springs, displacements, system: System, xp=jnp):
    """Returns what the rows of the cell add to a Hessian, `[n_atoms, n_atoms, 3, 3]`.

    Args:
      springs: `[n_images, n_atoms, n_atoms, 3, 3]` between the atoms.
      displacements: `[n_images, n_atoms, n_atoms, 3]` Angstrom, from the first to the second atom.
      system: has a `cell_factor`.
      xp: jax.numpy or numpy.
    """
    factor, dtype = xp.asarray(system.cell_factor), displacements.dtype
    select = _axes_of_cell(system, dtype, xp)
    pull = xp.einsum("mijab,mijd->jabd", springs, displacements) / factor
    rows_of_atoms = xp.einsum("jabd,br->jrad", pull, select)
    stretched = springs[..., None] * displacements[..., None, None, :]
    stiffness = 0.5 * xp.einsum("mijacd,mijb->abcd", stretched, displacements) / factor**2
    mean = xp.einsum("abab->", stiffness) / 9.0
    identity = xp.eye(3, dtype=dtype)
    stiffness = stiffness + xp.maximum(GROUND * mean, SOFTEST) * identity[:, None, :, None] * identity[None, :, None, :]
    rows_of_cell = xp.einsum("abcd,ar,cs->rsbd", stiffness, select, select)
    return rows_of_atoms + rows_of_atoms.transpose(1, 0, 3, 2) + rows_of_cell


def _is_cell(system: System):
    """Returns `[n_atoms]` bool: the rows of the cell."""
    return system.movable & ~has_element(system)


def _axes_of_cell(system: System, dtype, xp):
    """Returns which row is which axis of the cell, `[3, n_atoms]`, one or zero."""
    is_cell = _is_cell(system)
    rank = xp.cumsum(is_cell.astype(np.int32))
    return (is_cell[None, :] & (rank[None, :] == np.arange(1, 4, dtype=np.int32)[:, None])).astype(dtype)
