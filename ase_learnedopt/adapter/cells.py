"""Whether a cell has what periodic directions and cell filters need, asked before anything is evaluated. Layer 3."""

import numpy as np
from ase import Atoms
from ase.filters import Filter, StrainFilter, UnitCellFilter

FLAT = 1e-6
"""Volume of three unit vectors below which they lie in one plane."""


def require_cell(target) -> None:
    """Checks that the cell has what periodic directions and cell filters need. Evaluates nothing.

    Args:
      target: atoms, a filter, a band of images, or anything else, of which nothing is required.

    Raises:
      ValueError: a periodic direction without a cell vector, vectors that span no volume, a filter of no cell.
    """
    if isinstance(target, Filter):
        if isinstance(target, (UnitCellFilter, StrainFilter)) and isinstance(target.atoms, Atoms):
            require_volume(target.atoms, type(target).__name__)
        require_cell(target.atoms)
    elif isinstance(target, Atoms):
        _require_periods(target)
    else:
        wrapped = getattr(target, "images", None) or [getattr(target, "atoms", None)]  # of a band, of a dimer
        for atoms in wrapped:
            if isinstance(atoms, Atoms):
                require_cell(atoms)


def _require_periods(atoms: Atoms) -> None:
    cell = atoms.cell.array
    if not np.isfinite(cell).all():
        raise ValueError(
            f"the cell {_shown(cell)} has vectors that are no numbers: set atoms.cell; nothing was evaluated"
        )
    missing = atoms.pbc & ~cell.any(axis=1)
    if missing.any():
        names = " and ".join(np.array(["a", "b", "c"])[missing])
        raise ValueError(
            f"the atoms are periodic along {names}, where the cell {_shown(cell)} has no vector: set atoms.cell, or "
            "atoms.pbc to False there; nothing was evaluated"
        )
    with np.errstate(invalid="ignore"):  # of two parallel vectors there is no third
        complete = atoms.cell.complete().array
    if atoms.pbc.any() and not _spans_volume(complete):
        raise ValueError(
            f"the vectors of the cell {_shown(cell)} are parallel or lie in one plane: set atoms.cell, or atoms.pbc "
            "to False; nothing was evaluated"
        )


def require_volume(atoms: Atoms, name: str) -> None:
    """Raises ValueError for a cell without a volume, which what has this name needs."""
    cell = atoms.cell.array
    if np.isfinite(cell).all() and not (cell.any(axis=1).all() and _spans_volume(cell)):
        raise ValueError(
            f"{name} needs a cell with a volume, not {_shown(cell)}: set atoms.cell, or relax the atoms only; "
            "nothing was evaluated"
        )


def _shown(cell: np.ndarray) -> list:
    return np.round(cell, 4).tolist()


def _spans_volume(cell: np.ndarray) -> bool:
    """Whether three vectors, of whatever length, point into three directions."""
    if not np.isfinite(cell).all():
        return False
    return bool(abs(np.linalg.det(cell / np.linalg.norm(cell, axis=1, keepdims=True))) > FLAT)
