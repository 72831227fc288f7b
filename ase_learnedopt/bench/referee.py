"""Judges energies: what can be a structure, what is a hit, and whether an energy too low for either is real. Layer 4.

Potentials have holes and calculators have histories: an energy counts where no two atoms are fused, a hit only from
both sides, and what lies below the reference only if a fresh calculator finds it again and it survives a relaxation.
What the referee evaluates is nobody's cost.
"""

import time
from collections.abc import Callable
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator
from ase.optimize import BFGS

from ..sanity import is_sane
from .counting import FINE, HIT, LOWER, WRONG
from .problems import Problem
from .rivals.common import radii, scales

FMAX = 0.05
"""Largest force of a relaxed structure, in bond energies over bond lengths."""
STEPS = 500
"""Of a relaxation; structures within reach of their minimum take less than a hundred."""
MAX_CHECKS = 20
"""Geometries of a run that are evaluated anew; a calculator that was wrong so often is not asked again."""


class Relaxed(NamedTuple):
    """Holds the end of a relaxation."""

    energy: float  # eV
    positions: np.ndarray  # [n_atoms, 3] Angstrom
    fmax: float  # eV/Angstrom, the largest force left


class Referee:
    """Judges the evaluations of one run.

    Attributes:
      reference: eV, the lowest energy known; None: there is none, nothing is a hit.
      tolerance: eV, how near a hit is to it.
      calculator_failures: energies that were not those of a structure.
      lower: what was found below the reference and is real, relaxed; None if nothing was.
      seconds: time spent here.
    """

    def __init__(self, problem: Problem, atoms: Atoms):
        """Takes composition and cell from `atoms`."""
        self.reference, self.tolerance = problem.reference, problem.tolerance
        self.calculator_failures = 0
        self.lower: Relaxed | None = None
        self.seconds = 0.0
        self._new_calculator: Callable[[], Calculator] = problem.calculator
        self._is_ours = problem.potential is not None
        self._atoms, self._radii = atoms.copy(), radii(problem, atoms)
        length, energy = scales(problem, atoms)
        self.fmax = FMAX * energy / length
        self._n_checks, self._lowest_checked = 0, np.inf

    def is_sane(self, positions: np.ndarray) -> bool:
        """Says whether no two atoms of a geometry `[n_atoms, 3]` are fused, see `sanity`."""
        return is_sane(positions, self._radii, self._atoms.cell.array, self._atoms.pbc)

    def judge(self, positions: np.ndarray, energy: float) -> str:
        """Returns the verdict on an energy (eV) given for a sane geometry `[n_atoms, 3]` (Angstrom)."""
        if self.reference is None or energy > self.reference + self.tolerance:
            return FINE
        if self._is_ours and energy >= self.reference - self.tolerance:
            return HIT  # a function of the positions alone
        with self._timed():
            verdict = self._checked(positions, energy)
        self.calculator_failures += verdict == WRONG
        return verdict

    def confirm(self, positions: np.ndarray, energy: float) -> float | None:
        """Returns the energy (eV) that the best geometry of a run has, None if it has none, and counts a difference."""
        if self._is_ours:
            return energy
        with self._timed():
            again = self._energy(positions)
        if np.isfinite(again) and abs(again - energy) <= self.tolerance:
            return energy
        self.calculator_failures += 1
        return again if np.isfinite(again) else None

    def relaxed(self, positions: np.ndarray, fmax: float, steps: int = STEPS) -> Relaxed | None:
        """Returns the end of a relaxation by a fresh calculator; None where atoms fuse or the calculator fails.

        Args:
          positions: `[n_atoms, 3]` Angstrom, the start.
          fmax: eV/Angstrom, the largest force to relax to.
          steps: after which it ends, relaxed or not.
        """
        atoms = self._at(positions)
        try:
            atoms.calc = self._new_calculator()
            for _ in BFGS(atoms, logfile=None).irun(fmax=fmax, steps=steps):
                if not self.is_sane(atoms.positions):
                    return None
            force = float(np.linalg.norm(atoms.get_forces(), axis=1).max())
            return Relaxed(float(atoms.get_potential_energy()), atoms.positions.copy(), force)
        except Exception:  # noqa: BLE001  whatever a calculator raises, this is no structure of it
            return None

    def is_real(self, found: Relaxed | None) -> bool:
        """Says whether a relaxed structure has small forces and lies below the reference by more than the tolerance."""
        if found is None or self.reference is None:
            return False
        return bool(found.fmax <= self.fmax and found.energy < self.reference - self.tolerance)

    def _checked(self, positions: np.ndarray, energy: float) -> str:
        assert self.reference is not None
        lowest = self.reference - self.tolerance
        known_wrong = energy < lowest and energy >= self._lowest_checked - self.tolerance
        if known_wrong or self._n_checks >= MAX_CHECKS:
            return WRONG
        self._n_checks += 1
        again = self._energy(positions)
        if np.isfinite(again) and abs(again - energy) <= self.tolerance:
            if again >= lowest:
                return HIT if again <= self.reference + self.tolerance else FINE
            found = self.relaxed(positions, self.fmax)
            if self.is_real(found):
                self.lower = found
                return LOWER
        if energy < lowest:
            self._lowest_checked = energy
        return WRONG

    def _energy(self, positions: np.ndarray) -> float:
        """Returns what a fresh calculator says, eV; not a number where it fails."""
        atoms = self._at(positions)
        try:
            atoms.calc = self._new_calculator()
            return float(atoms.get_potential_energy())
        except Exception:  # noqa: BLE001  as in `relaxed`
            return np.nan

    def _at(self, positions: np.ndarray) -> Atoms:
        atoms = self._atoms.copy()
        atoms.positions = positions
        return atoms

    @contextmanager
    def _timed(self) -> Any:
        begin = time.perf_counter()
        try:
            yield
        finally:
            self.seconds += time.perf_counter() - begin
