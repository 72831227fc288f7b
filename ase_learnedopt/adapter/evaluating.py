"""What counts as an evaluation, each of them once, and what becomes of those that fail. Layer 3."""

import time
from typing import Any

import numpy as np

from . import checks
from .energies import as_number
from .final_check import FinalCheck

MOST_FAILURES = 25
"""Evaluations of a search that may fail in a row: then the fault is hardly the geometry's."""


class Evaluating(FinalCheck):
    """Evaluates the present geometry; a base of `TwoStageRun`, which has the rest of the attributes."""

    _energy: float  # eV, of the evaluation that was counted last
    _gradient: Any  # [n_dofs] eV/Angstrom, likewise
    _n_failures: int  # evaluations in a row that failed
    _before_failures: dict  # what a restart needs that tries the first of them again

    def _evaluate(self) -> np.ndarray | None:
        """Returns the gradient `[n_dofs]` at the present geometry; None where it failed and a search can go on."""
        try:
            gradient = self.optimizable.get_gradient()
            if not self._evaluated and self._stages.seems_wrong(
                self._awaiting, as_number(self.optimizable.get_value())
            ):
                gradient = self._ask_again()
            self._take(gradient)
        except Exception as error:  # calculators raise what they like where their own iterations do not converge
            self._require_forces()  # first of all: of another shape they may have led to the error
            if not self._stages.searches or np.isinf(self._stages.best_energy) or self._n_failures == MOST_FAILURES:
                raise
            self._fail(error)
            return None
        self._n_failures = 0
        return gradient

    def _fail(self, error: Exception) -> None:
        """Counts an evaluation that failed as one of infinite energy."""
        if not self._n_failures:
            self._before_failures = self._datafy(self.nsteps)
        self._forget_history(anew=False)  # a cycle that did not converge must not be where the next one begins
        self._n_failures += 1
        if not self._evaluated:  # or else it has been counted
            self._energy, self._gradient, self._evaluated = np.inf, np.zeros_like(self._awaiting), True
            self._stages.record(self._awaiting, np.inf)
        reason = " ".join(str(error).split()) or type(error).__name__
        clock = time.strftime("%H:%M:%S")
        self.logfile.write(
            f"{type(self).__name__}:  {self.nsteps:3d} {clock} no energy, the search goes on: {reason[:200]}\n"
        )

    def _take(self, gradient: np.ndarray, energy: float | None = None) -> None:
        """Counts the evaluation at the present geometry once, and refuses what is not finite."""
        if self._evaluated:
            return
        energy = as_number(self.optimizable.get_value() if energy is None else energy)
        self._require_forces()
        checks.require_finite(self._rows, energy, gradient, self._stages.n_evaluations + 1)
        self._stages.require_sane(self._awaiting, energy)
        self._energy, self._gradient, self._evaluated = float(energy), gradient, True
        self._stages.record(self._awaiting, self._energy)

    def _require_forces(self) -> None:
        """Raises ValueError where the calculator gave forces of another kind or shape, which a sum may not notice."""
        atoms = self._rows.atoms
        results = getattr(getattr(atoms, "calc", None), "results", None) or {}
        if atoms is not None and "forces" in results:
            checks.require_forces(results["forces"], len(atoms))
