"""What of a structure a file has not brought back, whatever its format, in words. Layer 4."""

from typing import Any

import numpy as np
from ase import Atoms
from ase.constraints import FixAtoms

from .file_fields import OWN_ARRAYS, same

DIGITS = 1e-3
"""Relative error that a format may make: what it rounds is not lost."""
RESULTS = ("energy", "forces")
DEFAULTS = {"tags": 0.0, "momenta": 0.0, "initial_magmoms": 0.0, "initial_charges": 0.0}
"""Arrays that mean nothing where they have no other value."""


def not_brought_back(atoms: Atoms, found: Atoms) -> list[str]:
    """Returns what the structure found lacks of the one written; elements, positions and cell are for others."""
    lost = [f"info[{key!r}]" for key, value in atoms.info.items() if not _is_in(key, value, found.info)]
    for name, array in atoms.arrays.items():
        empty = name in DEFAULTS and bool((array == DEFAULTS[name]).all())
        usual = name == "masses" and np.allclose(array, found.get_masses(), rtol=DIGITS)
        if not (name in OWN_ARRAYS or empty or usual or _is_in(name, array, found.arrays)):
            lost.append(f"arrays[{name!r}]")
    lost += [f"the constraint {type(c).__name__}" for c in atoms.constraints if not _is_held(c, found)]
    lost += ["celldisp"] * (not np.allclose(atoms.get_celldisp(), found.get_celldisp(), atol=1e-6))
    lost += ["pbc"] * bool((atoms.pbc != found.pbc).any())
    results = {} if found.calc is None else getattr(found.calc, "results", {})
    lost += [f"the {name}" for name in RESULTS if name not in results]
    return list(dict.fromkeys(lost))


def _is_in(key: Any, value: Any, fields: dict) -> bool:
    try:
        return key in fields and same(value, fields[key], DIGITS)
    except Exception:  # noqa: BLE001 users' classes may refuse to be compared
        return False


def _is_held(constraint: Any, found: Atoms) -> bool:
    """Returns whether a constraint came back; formats may join those that fix atoms."""
    if isinstance(constraint, FixAtoms):
        fixed = [c.get_indices() % len(found) for c in found.constraints if isinstance(c, FixAtoms)]
        return set(constraint.get_indices() % len(found)) <= {int(i) for indices in fixed for i in indices}
    try:
        return any(
            type(c) is type(constraint) and same(c.todict(), constraint.todict(), DIGITS) for c in found.constraints
        )
    except Exception:  # noqa: BLE001 not all have the method
        return False
