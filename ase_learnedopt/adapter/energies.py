"""Which energy is meant where a calculator gives two: the one that the forces belong to. Layer 3.

With smeared occupations ASE calls that one `free_energy`, and `energy` is extrapolated to no smearing.
"""

import math
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import PropertyNotImplementedError


def energy_of(atoms: Atoms) -> float:
    """Returns the energy in eV that the forces belong to, as ASE's optimizers do: `free_energy` where there is one.

    Raises:
      ValueError: it is no number.
    """
    try:
        energy = atoms.get_potential_energy(force_consistent=True)
    except PropertyNotImplementedError:
        energy = atoms.get_potential_energy()
    return as_number(energy)


def without_smearing(atoms: Atoms, energy: float) -> float | None:
    """Returns the other energy in eV of atoms just evaluated, None where the calculator gives only one.

    Args:
      atoms: with the results of their calculator.
      energy: eV, what the forces belong to, with what constraints such as springs add to both.
    """
    results = getattr(atoms.calc, "results", None) or {}
    plain, free = results.get("energy"), results.get("free_energy")
    return None if plain is None or free is None else energy + (float(plain) - float(free))


def as_number(energy: Any) -> float:
    """Returns an energy as a number, which may be infinite or not a number.

    Raises:
      ValueError: it is an array, even of one number, a text, a complex number, or nothing at all.
    """
    try:
        if np.ndim(energy) == 0 and not isinstance(energy, str | bytes | complex | np.complexfloating):
            return float(energy)
    except (TypeError, ValueError):
        pass
    raise ValueError(
        f"the energy that the calculator gives is no number in eV but {' '.join(repr(energy).split())[:80]}, of shape "
        f"{np.shape(energy)}: let the calculator return float(energy)"
    )


def differ(energy: float, other: float | None) -> bool:
    """Says whether a calculator means something else by its two energies, beyond rounding."""
    return other is not None and not math.isclose(energy, other, rel_tol=1e-9, abs_tol=1e-9)
