"""Questions asked before and after an evaluation, each with an answer that a user can act on. Layer 3."""

import math
import numbers as abstract
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase.parallel import broadcast

from .convert import Rows


@dataclass(frozen=True)
class Limits:
    """Says when a search ends; None: no such limit."""

    max_hops: int | None
    target_energy: float | None  # eV
    patience: int | None  # hops without a new best
    walltime: float | None  # seconds, of one run

    def __post_init__(self):
        for name in ("max_hops", "patience"):
            value = getattr(self, name)
            if value is not None and (not _is_int(value) or value < 0):
                raise ValueError(f"{name} must be a whole number of hops, 0 or more, or None, not {value!r}")
        if self.target_energy is not None and not (_is_real(self.target_energy) and math.isfinite(self.target_energy)):
            raise ValueError(f"target_energy must be a finite energy in eV or None, not {self.target_energy!r}")
        if self.walltime is not None and not (_is_real(self.walltime) and self.walltime > 0):
            raise ValueError(f"walltime must be a positive number of seconds or None, not {self.walltime!r}")


def positive(name: str, value: Any) -> float | None:
    """Returns a setting as a plain number, None where none is given.

    Raises:
      ValueError: it is not a positive finite number.
    """
    if value is None:
        return None
    if not (_is_real(value) and math.isfinite(value) and value > 0):
        raise ValueError(f"{name} must be a positive number or None, not {value!r}")
    return float(value)


def require_min_distance(value: float) -> None:
    """Raises ValueError where the shortest distance, in contacts, is none that a structure could keep to."""
    if not (isinstance(value, abstract.Real) and 0 <= value < 1):
        raise ValueError(f"min_distance must be a share of the contact distance from 0 to below 1, not {value!r}")


def resolve_seed(seed: int | None, comm) -> int:
    """Returns the seed, or one from fresh entropy, the same on all ranks."""
    if seed is None:
        return int(broadcast(int(np.random.SeedSequence().generate_state(1)[0]), 0, comm))
    if not _is_int(seed) or not 0 <= seed < 2**64:
        raise ValueError(f"seed must be a whole number from 0 to 2**64 - 1 or None, not {seed!r}")
    return int(seed)


def key_from_seed(seed: int) -> np.ndarray:
    """Returns the random key `[2]` uint32 that jax makes of a seed in double precision."""
    return np.array([seed >> 32, seed & 0xFFFFFFFF], np.uint32)


def require_run(fmax: float, steps: int) -> None:
    """Raises ValueError where a run cannot be meant."""
    if not (_is_real(fmax) and fmax >= 0):
        raise ValueError(f"fmax must be a force of 0 eV/Angstrom or more, not {fmax!r}")
    if not (_is_real(steps) and steps >= 0):
        raise ValueError(f"steps must be a number of 0 or more, not {steps!r}")


def require_ready(rows: Rows, x: np.ndarray) -> None:
    """Raises ValueError for atoms that came or went since, have no calculator, or are at no place of their own."""
    if len(x) != rows.n_dofs:
        raise ValueError(
            f"there were {rows.n_dofs / 3:g} atoms or rows when this optimizer was made, and there are "
            f"{len(x) / 3:g} now: make another optimizer"
        )
    require_numbers(x)
    if rows.atoms is None:
        return
    if rows.atoms.calc is None:
        raise ValueError("the atoms have no calculator: set atoms.calc before run()")
    real = np.flatnonzero(rows.index >= 0)
    positions = x.reshape(-1, 3)[real]
    if rows.atoms.pbc.any():
        cell = rows.atoms.cell.complete().array
        fractional = np.linalg.solve(cell.T, positions.T).T
        wrapped = np.where(rows.atoms.pbc, (fractional + 1e-9) % 1.0, fractional)
        positions = wrapped @ cell
    _, first, inverse = np.unique(np.round(positions, 6), axis=0, return_index=True, return_inverse=True)
    first = first[np.reshape(inverse, -1)]
    doubled = np.flatnonzero(first != np.arange(len(real)))
    if len(doubled):
        a, b = sorted(int(rows.index[real[k]]) for k in (doubled[0], first[doubled[0]]))
        raise ValueError(f"atoms {a} and {b} are at the same place; move one of them (atoms.rattle() is enough)")


def require_numbers(x: np.ndarray) -> None:
    """Raises ValueError where a position `[n_dofs]` is not a number."""
    if not np.isfinite(x).all():
        row = int(np.argmin(np.isfinite(x))) // 3
        raise ValueError(f"the position of atom {row} is not a number; nothing was evaluated")


def require_forces(forces: Any, n_atoms: int) -> None:
    """Raises ValueError where the forces on atoms are no array `[n_atoms, 3]` of numbers, whatever its container."""
    shape, kind = np.shape(forces), type(forces).__name__
    if not hasattr(forces, "ravel") or shape != (n_atoms, 3) or np.asarray(forces).dtype.kind not in "iuf":
        what = f"{kind} of {np.asarray(forces).dtype}" if hasattr(forces, "ravel") else kind
        raise ValueError(
            f"the forces that the calculator gives are a {what} of shape {shape}, but must be an array of numbers of "
            f"shape ({n_atoms}, 3) in eV/Angstrom"
        )


def require_finite(rows: Rows, energy: float, gradient: np.ndarray, evaluation: int) -> None:
    """Raises ValueError where an evaluation gave no numbers, and names the atom."""
    if math.isfinite(energy) and np.isfinite(gradient).all():
        return
    broken = np.flatnonzero(~np.isfinite(gradient))
    where = "the energy"
    if len(broken):
        row = int(broken[0]) // 3
        atom = int(rows.index[row])
        where = f"the force on atom {atom}" if atom >= 0 else f"the force on row {row} (not an atom)"
    error = ValueError(
        f"{where} is not a finite number at evaluation {evaluation} (energy {energy} eV): the calculator failed there"
    )
    error.add_note("the atoms are back at the lowest structure found before")  # no words of a log that goes on
    raise error


def _is_int(value) -> bool:
    return isinstance(value, abstract.Integral) and not isinstance(value, bool)


def _is_real(value) -> bool:
    """Whether this is one number of any package, but no text that looks like one, and neither true nor false."""
    return np.ndim(value) == 0 and np.asarray(value).dtype.kind in "iuf"
