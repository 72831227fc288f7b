"""What ASE optimizes, as a `System`: rows with elements, cell, fixed atoms, scales, padded to few sizes. Layer 3.

ASE hands an optimizer rows of three numbers: atoms, or what a filter or a band of images makes of them. Here
every row is matched with its atom where it has one.
"""

import sys
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms
from ase.filters import Filter, StrainFilter, UnitCellFilter
from ase.utils.abc import Optimizable

from ..types import System
from .held import fixed_atoms
from .scales import contact_radii, typical_bond_energy


@dataclass(frozen=True)
class Rows:
    """Says what the rows of an Optimizable are."""

    n_dofs: int
    atoms: Atoms | None  # what the rows were matched with
    index: np.ndarray  # [n_rows] the atom of each row, -1 where it has none
    has_objective: bool  # the gradient is that of the value; not so for bands of images and dimers
    cell_factor: float | None = None  # of the last three rows, if they are the deformation of the cell

    @property
    def n_rows(self) -> int:
        """Returns the number of rows of three numbers, the last one filled up where needed."""
        return len(self.index)

    @property
    def has_atoms(self) -> bool:
        """Whether any row is an atom, so that hops have a meaning."""
        return bool(np.any(self.index >= 0))

    @property
    def numbers(self) -> np.ndarray:
        """Returns the atomic numbers `[n_rows]`, -1 for a row without an element."""
        numbers = np.full(self.n_rows, -1)
        if self.atoms is not None:
            numbers[self.index >= 0] = self.atoms.numbers[self.index[self.index >= 0]]
        return numbers


def describe(target, optimizable: Optimizable) -> Rows:
    """Matches the rows of an optimizable with atoms.

    Args:
      target: what the user handed over: atoms, a filter, a band of images, an Optimizable.
      optimizable: its `__ase_optimizable__()`.

    Raises:
      ValueError: there is nothing to optimize.
    """
    n_dofs = optimizable.ndofs()
    n_rows = -(-n_dofs // 3)
    if n_dofs == 0:
        raise ValueError("there are no atoms to optimize: the structure or the filter is empty")
    has_objective = not (_is_a(target, "ase.mep.neb", "BaseNEB") or _is_dimer(target))
    atoms, index = _match(target, n_rows)
    if atoms is None and (has_objective or _is_dimer(target)) and not isinstance(target, (Atoms, Filter)):
        images = [image for image in optimizable.iterimages() if isinstance(image, Atoms)]
        if len(images) == 1 and 3 * len(images[0]) == n_dofs:
            atoms, index = images[0], np.arange(n_rows)
    return Rows(n_dofs, atoms, index, has_objective, _cell_factor(target))


def _cell_factor(target) -> float | None:
    """Returns what a filter multiplies the deformation of the cell by, None where there is no such filter.

    None too where it allows only deformations of one kind, which a model of all of them would not keep to.
    """
    if not isinstance(target, UnitCellFilter) or target.hydrostatic_strain or target.constant_volume:
        return None
    return float(getattr(target, "exp_cell_factor", target.cell_factor))


def _is_dimer(target) -> bool:
    """Whether this climbs to a saddle point: what ASE shows of it as forces is not the slope of its energy."""
    return _is_a(target, "ase.mep.dimer", "MinModeAtoms")


def _is_a(target, module: str, name: str) -> bool:
    """Whether this is of a class whose module who has one has imported, and nobody else should pay for."""
    home = sys.modules.get(module)
    return home is not None and isinstance(target, getattr(home, name))


def _match(target, n_rows: int) -> tuple[Atoms | None, np.ndarray]:
    """Follows a chain of filters down to the atoms; rows that a cell filter adds come last and have no atom."""
    nothing = np.full(n_rows, -1)
    if isinstance(target, Atoms):
        return target, np.arange(n_rows)
    if not isinstance(target, Filter) or isinstance(target, StrainFilter):
        return None, nothing
    n_inner = len(target.atoms) if isinstance(target.atoms, Atoms) else len(target.atoms.get_positions())
    atoms, inner = _match(target.atoms, n_inner)
    chosen = inner[target.index]
    return atoms, np.concatenate([chosen, nothing])[:n_rows]


def padded_size(n_rows: int) -> int:
    """Returns the size that a system is padded to: 8, 16 ... 64, 80 ... 128, 160 ...; few sizes, few compilations."""
    step = max(8, 2 ** ((n_rows - 1).bit_length() - 3)) if n_rows > 1 else 8
    return -(-n_rows // step) * step


def to_rows(x: np.ndarray, size: int) -> np.ndarray:
    """Returns rows `[size, 3]` of flat numbers `[n_dofs]`, the new ones zero."""
    rows = np.zeros(3 * size)
    rows[: len(x)] = x
    return rows.reshape(size, 3)


def resolve_scales(rows: Rows, length_scale: float | None, energy_scale: float | None) -> tuple[float, float]:
    """Returns length scale (Angstrom) and energy scale (eV), from the elements where not given."""
    numbers = rows.numbers[rows.index >= 0]
    if not len(numbers):
        numbers = np.zeros(1, int)
    if length_scale is None:
        length_scale = 2.0 * float(contact_radii(numbers, None).mean())
    return float(length_scale), float(typical_bond_energy(numbers) if energy_scale is None else energy_scale)


def to_system(rows: Rows, x: np.ndarray, length_scale: float, energy_scale: float) -> System:
    """Returns the padded `System` in float64 numpy arrays.

    Args:
      rows: what the rows are.
      x: `[n_dofs]` where they are.
      length_scale: Angstrom; contact radii are scaled to it.
      energy_scale: eV.
    """
    numbers = rows.numbers
    real = numbers >= 0
    species, radii = np.full(rows.n_rows, -1, np.int32), np.full(rows.n_rows, 0.5 * length_scale)
    movable = np.ones(rows.n_rows, bool)
    cell, pbc = np.zeros((3, 3)), np.zeros(3, bool)
    if rows.atoms is not None and real.any():
        species[real] = np.unique(numbers[real], return_inverse=True)[1]
        radii[real] = contact_radii(numbers[real], length_scale)
        movable[np.isin(rows.index, fixed_atoms(rows.atoms))] = False
        cell, pbc = rows.atoms.cell.array.copy(), np.array(rows.atoms.pbc)
    size = padded_size(rows.n_rows)
    missing = size - rows.n_rows
    arrays: dict[str, Any] = {
        "positions": to_rows(x, size),
        "species": np.concatenate([species, np.full(missing, -1, np.int32)]),
        "cell": cell,
        "pbc": pbc,
        "movable": np.concatenate([movable, np.zeros(missing, bool)]),
        "radii": np.concatenate([radii, np.full(missing, 0.5 * length_scale)]),
        "length_scale": np.asarray(length_scale, float),
        "energy_scale": np.asarray(energy_scale, float),
        "cell_factor": None if rows.cell_factor is None else np.asarray(rows.cell_factor, float),
    }
    return System(**arrays)
