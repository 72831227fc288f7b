"""Where atoms are put without asking their constraints, and taken back to. Layer 3."""

import numpy as np
from ase import Atoms
from ase.utils.abc import Optimizable

from .convert import Rows


class Placement:
    """Remembers where all atoms of an Optimizable are, and their cells."""

    def __init__(self, optimizable: Optimizable):
        images = [image for image in optimizable.iterimages() if isinstance(image, Atoms)]
        self._kept = [(image, image.positions.copy(), image.cell.array.copy()) for image in images]

    def restore(self) -> None:
        """Takes everything back, whatever a constraint has made of it."""
        for image, positions, cell in self._kept:
            image.set_cell(cell, scale_atoms=False, apply_constraint=False)
            image.set_positions(positions, apply_constraint=False)


def place(rows: Rows, optimizable: Optimizable, x: np.ndarray) -> None:
    """Puts an Optimizable where it has been before: `x` `[n_dofs]`, to the last bit where its rows are atoms.

    Constraints allow that geometry, but some would move it, or fail, on the way from another one.
    """
    if rows.atoms is not None and is_plain(rows):
        rows.atoms.set_positions(x.reshape(-1, 3), apply_constraint=False)
    else:
        optimizable.set_x(x)


def is_plain(rows: Rows) -> bool:
    """Says whether the rows are the atoms, all of them and in their order, and nothing else."""
    return rows.atoms is not None and np.array_equal(rows.index, np.arange(len(rows.atoms)))
