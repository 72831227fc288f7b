"""Copies of structures that carry whatever Atoms carry, and the energy that was evaluated. Layer 4."""

from copy import deepcopy
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator


def copy_atoms(atoms: Atoms, calculator: Any = None) -> Atoms:
    """Returns a copy with every field of Atoms, custom arrays and constraints of any class included.

    It is of the class Atoms: subclasses such as `ase.cluster.Cluster` may fail to copy themselves.
    """
    copy = Atoms(cell=atoms.cell, pbc=atoms.pbc, celldisp=atoms.get_celldisp())
    copy.arrays = {name: array.copy() for name, array in atoms.arrays.items()}
    try:
        copy.info = deepcopy(atoms.info)
    except Exception:  # noqa: BLE001 what users put there may refuse
        copy.info = dict(atoms.info)
    copy.set_constraint(deepcopy(atoms.constraints))
    copy.calc = calculator
    return copy


def remember(atoms: Atoms, energy: float, forces: np.ndarray | None = None, plain: float | None = None) -> None:
    """Attaches results, so that the atoms with their constraints say what was evaluated.

    ASE adds the energy of springs to that of the calculator whenever it is asked for, so it is taken off first.

    Args:
      atoms: changed.
      energy: eV, what the forces belong to, with that of springs.
      forces: `[n_atoms, 3]` eV/Angstrom, without constraints.
      plain: eV, the energy without smearing, likewise, of a calculator that gives both.
    """
    springs = [constraint for constraint in atoms.constraints if hasattr(constraint, "adjust_potential_energy")]
    share = sum(float(constraint.adjust_potential_energy(atoms)) for constraint in springs)
    results: dict[str, Any] = {"energy": float(energy if plain is None else plain) - share}
    if plain is not None:
        results["free_energy"] = float(energy) - share
    if forces is not None:
        results["forces"] = np.array(forces)
    atoms.calc = SinglePointCalculator(atoms, **results)


def without_springs(atoms: Atoms, forces: np.ndarray) -> np.ndarray:
    """Returns forces `[n_atoms, 3]` to which the constraints add their own and give back `forces`, in eV/Angstrom."""
    added = np.zeros_like(forces)
    for constraint in atoms.constraints:
        constraint.adjust_forces(atoms, added)
    return forces - added
