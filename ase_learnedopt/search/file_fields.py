"""What of a structure a file holds, found by trying out every field. Layer 4.

ASE leaves out silently what a format has no place for, and some values spoil the file that they are written to.
"""

import io
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from ase import Atoms
from ase.calculators.calculator import PropertyNotImplementedError, all_properties
from ase.constraints import FixAtoms, FixCartesian, dict2constraint
from ase.io import read, write
from ase.io.jsonio import decode, encode

from ..adapter.energies import energy_of, without_smearing
from .kept import remember, without_springs

RESULTS = ("energy", "free_energy", "forces")
OWN_ARRAYS = ("numbers", "positions")
COLUMNS = {"initial_charges": 1, "initial_magmoms": 1, "masses": 1, "momenta": 2, "tags": 1}
"""Arrays with a place of their own in `.db` and `.traj` files, and the number of dimensions that they have there."""
DIGITS = 1e-6
"""Error that extended XYZ with its eight decimals may make, relative to the largest number of a field."""


class Filed(NamedTuple):
    """Holds a structure as a file will hold it."""

    atoms: Atoms  # what the format has a place for, with the energy and forces of the whole
    rest: str  # JSON of the fields that it has no place for, which `join` puts back; empty where there are none
    lost: list[str]  # what cannot be held, in words


def for_extxyz(atoms: Atoms) -> Filed:
    """Returns what an extended XYZ file holds of a structure."""
    taken = {*RESULTS, *getattr(atoms.calc, "results", ())}

    def passed(kind: str, key: Any, value: Any) -> Any:
        probe = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
        getattr(probe, kind)[key] = value
        file = io.StringIO()
        write(file, probe, format="extxyz")
        file.seek(0)
        back: Any = read(file, format="extxyz")
        probe.positions = back.positions  # which have eight decimals
        if back != probe or key in taken:
            raise ValueError(f"{key} spoils the file")
        results = {} if back.calc is None else back.calc.results  # to which ASE moves info such as the charge
        return {**results, **getattr(back, kind)}[key]

    info, arrays, lost = _try_fields(atoms, passed)
    kept = [constraint for constraint in atoms.constraints if type(constraint) in (FixAtoms, FixCartesian)]
    lost += _lost_constraints(atoms, kept) + ["celldisp"] * bool(atoms.get_celldisp().any())
    return Filed(_reduced(atoms, info, arrays, kept), "", lost)


def for_ase_files(atoms: Atoms) -> Filed:
    """Returns what a `.db` or `.traj` file holds of a structure."""
    info, arrays, lost = _try_fields(atoms, lambda _, key, value: decode(encode({key: value}))[key])
    kept = [constraint for constraint in atoms.constraints if _is_known(constraint)]
    lost += _lost_constraints(atoms, kept)
    columns = {
        name: np.asarray(array, int if name == "tags" else float)
        for name, array in arrays.items()
        if name in COLUMNS and array.ndim == COLUMNS[name] and array.dtype.kind in "biuf"
    }
    fields = {"info": info, "arrays": arrays, "celldisp": atoms.get_celldisp() if atoms.get_celldisp().any() else {}}
    fields = {name: value for name, value in fields.items() if len(value)}
    return Filed(_reduced(atoms, {}, columns, kept), encode(fields) if fields else "", lost)


def join(atoms: Atoms, rest: str) -> None:
    """Gives atoms read from a file the fields that it had no place for."""
    fields = decode(rest or "{}")
    atoms.info = fields.get("info", {})
    atoms.arrays.update({name: np.array(array) for name, array in fields.get("arrays", {}).items()})
    atoms.set_celldisp(fields.get("celldisp", np.zeros(3)))
    if atoms.calc is not None:
        atoms.calc.atoms = atoms.copy()  # what its results are of: they would not count for other magnetic moments


def is_whole(atoms: Atoms) -> bool:
    """Whether a `.traj` file takes the atoms as they are, with all that their calculator says of itself and of them."""
    if for_ase_files(atoms).lost:
        return False
    try:
        write(io.BytesIO(), atoms, format="traj")
    except Exception:  # noqa: BLE001 parameters and results are of any kind, and not all can be written
        return False
    return True


def what_is_lost(atoms: Atoms) -> tuple[str | None, bool]:
    """Returns in a sentence what the files of a search cannot hold of a structure, and whether none of them can."""
    xyz, nowhere = for_extxyz(atoms).lost, for_ase_files(atoms).lost
    elsewhere = [name for name in xyz if name not in nowhere]
    lines = [f"best.xyz cannot hold {', '.join(elsewhere)}, which minima.db does"] if elsewhere else []
    lines += [f"no file can hold {', '.join(nowhere)}"] if nowhere else []
    return "; ".join(lines) or None, bool(nowhere)


def same(a: Any, b: Any, digits: float = 0.0) -> bool:
    """Tells whether two values are the same but for their containers; `digits` is the relative error allowed."""
    a, b = (value.item() if isinstance(value, np.generic) else value for value in (a, b))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key], digits) for key in a)
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return _same_arrays(np.asarray(a), np.asarray(b), digits)
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return len(a) == len(b) and all(same(*pair, digits) for pair in zip(a, b, strict=True))
    if isinstance(a, float | complex) and isinstance(b, float | complex):
        return _same_arrays(np.asarray(a), np.asarray(b), digits)
    return type(a) is type(b) and bool(a == b)


def _same_arrays(a: np.ndarray, b: np.ndarray, digits: float) -> bool:
    if a.shape != b.shape or (a.dtype.kind in "iufc") != (b.dtype.kind in "iufc"):
        return False
    if a.dtype.kind not in "fc":
        return bool((a == b).all())
    scale = float(np.max(np.abs(a[np.isfinite(a)]), initial=0.0))
    return bool(np.allclose(a, b, rtol=0.0, atol=digits * scale, equal_nan=True))


def _try_fields(atoms: Atoms, passed: Callable[[str, Any, Any], Any]) -> tuple[dict, dict, list[str]]:
    """Returns info and arrays that a format holds, and in words those that it does not.

    Args:
      atoms: the structure.
      passed: returns what comes back of a field, of `info` or `arrays`, with its key and value.
    """
    held: dict[str, dict] = {"info": {}, "arrays": {}}
    lost = []
    for kind, fields in held.items():
        for key, value in getattr(atoms, kind).items():
            if kind == "arrays" and key in OWN_ARRAYS:
                continue
            if _comes_back(value, partial(passed, kind, key, value), DIGITS):
                fields[key] = value
            else:
                lost.append(f"{kind}[{key!r}]")
    return held["info"], held["arrays"], lost


def _comes_back(value: Any, passed: Callable[[], Any], digits: float) -> bool:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what is skipped, and so does not come back
            return same(value, passed(), digits)
    except Exception:  # noqa: BLE001 formats fail in many ways at what they cannot hold, and users' classes, too
        return False


def _reduced(atoms: Atoms, info: dict, arrays: dict, constraints: list) -> Atoms:
    """Returns a copy with only these fields. It has the same energy and forces, those of lost constraints included."""
    copy = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
    copy.info.update(info)
    copy.arrays.update({name: array.copy() for name, array in arrays.items()})
    copy.set_constraint(constraints)
    if atoms.calc is not None:
        energy, complete = energy_of(atoms), len(constraints) == len(atoms.constraints)
        try:
            forces = atoms.get_forces(apply_constraint=not complete)
        except PropertyNotImplementedError:
            forces = None
        if forces is not None and not complete:
            forces = without_springs(copy, forces)
        remember(copy, energy, forces, without_smearing(atoms, energy))
        results = getattr(atoms.calc, "results", {}).items()
        others = {k: np.asarray(v) for k, v in results if k in all_properties and k not in RESULTS}
        numbers = {k: v if v.ndim else v.item() for k, v in others.items() if v.dtype.kind in "iuf"}
        copy.calc.results.update(numbers)
    return copy


def _is_known(constraint: Any) -> bool:
    """Whether ASE makes a constraint of the same class again from what it writes of it."""
    again = lambda: type(dict2constraint(decode(encode(constraint.todict()))))  # noqa: E731
    return _comes_back(type(constraint), again, 0.0)


def _lost_constraints(atoms: Atoms, kept: list) -> list[str]:
    return [f"the constraint {type(c).__name__}" for c in atoms.constraints if not any(c is k for k in kept)]
