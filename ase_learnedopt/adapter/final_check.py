"""How a run ends: the best structure of a search is evaluated once more, by a calculator without history. Layer 3.

Calculators that begin with what the last geometry left them, such as a density, may converge to a wrong solution, and a
search finds the geometries where they do: wrong energies are often low.
"""

import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import numpy as np

from .convert import Rows
from .placing import place
from .restart_file import RestartFile
from .stages import SAME, Stages

MOST_CHECKS = 10
"""Structures that are evaluated once more at the end of a search, until the energy of one holds."""


class FinalCheck:
    """Checks the best structure of a run; the base of `TwoStageRun`, which has the rest of the attributes."""

    calculator_error: str | None  # what was found wrong, None if nothing
    fresh_calculator: Callable[[], Any] | None  # makes the calculator of the check; None: the present one is reset
    optimizable: Any
    logfile: Any
    max_steps: int
    nsteps: int
    _rows: Rows
    _stages: Stages
    _restart_file: RestartFile
    _run_start: int  # step at which the run began whose budget is being spent
    _awaiting: Any  # [n_dofs], the geometry that was evaluated last or is to be next; None before
    _evaluated: bool  # whether `_energy` and `_gradient` belong to it
    _left_at: Any  # [n_dofs], where the last run left the atoms; None before
    _resumed: bool  # whether the next run continues one that a restart file left unfinished
    _wanted: int  # step at which the run ends at the latest
    _ended: dict[str, Any] | None  # status and `_wanted` of the run that has ended, for the restart file
    _end_before: dict[str, Any] | None  # the same of a restart file, until a run begins that is another one

    def log(self, gradient: np.ndarray) -> None:
        """Writes a line for an evaluation."""
        raise NotImplementedError

    def call_observers(self) -> None:
        """Calls whoever wants to see every evaluation."""
        raise NotImplementedError

    def _datafy(self, nsteps: int) -> dict:
        """Returns all that a restart needs."""
        raise NotImplementedError

    def has_ended(self, steps: int) -> bool:
        """Returns whether the restart file is of a run that has ended, of so many steps in all at most."""
        return not self._resumed and self._end_before is not None and self._end_before["steps"] == steps

    def _recall_end(self, steps: int) -> None:
        """Finds out whether there is nothing left of the run but what was killed at its end: a check, or no step."""
        before, self._ended, self._wanted = self._end_before, None, self.nsteps + steps
        if before is None or (before["steps"] != self._wanted if self._resumed else steps > 0):
            self._end_before = None
        else:
            self._wanted = before["steps"]

    def _note_end(self, status: str) -> str:
        """Notes and returns how the run ended; one that was killed before its check, and resumed, comes here again."""
        status = self._end_before["status"] if self._end_before is not None else status
        self._ended, self._end_before = {"status": status, "steps": self._wanted}, None
        if self._check_is_due():
            self._restart_file.write(self._datafy(self.nsteps))
        return status

    def _kept_for_check(self) -> int:
        """Returns the evaluation that is kept for the check of the best structure at the end of a search."""
        return int(self._stages.searches and self.max_steps - self._run_start > 1)

    def _check_is_due(self) -> bool:
        return self._stages.searches and self.nsteps < self.max_steps and self._stages.needs_check

    def _check_best(self) -> Iterator[None]:
        """Asks the calculator afresh for the best energy, and where it does not hold for what is the best then.

        Yields after each evaluation. The first is within the budget; the others are the price of a wrong energy.
        """
        if not self._check_is_due():
            return
        stages = self._stages
        assert stages.best_x is not None  # or there were no energy to check
        for _ in range(MOST_CHECKS):
            place(self._rows, self.optimizable, stages.best_x)
            claimed, energy, gradient = stages.best_energy, *self._afresh()
            self._awaiting, self._energy, self._gradient = self.optimizable.get_x(), energy, gradient
            self._evaluated = True
            if not stages.check(energy):
                self._complain(claimed, energy)
            if self.calculator_error is not None and not stages.needs_check:
                stages.best_evaluation = stages.n_evaluations
            if np.isfinite(energy):
                self.log(gradient)
                self.call_observers()
            yield
            if not stages.needs_check:
                break
        else:
            place(self._rows, self.optimizable, stages.best_x)
        self._left_at = self.optimizable.get_x()
        self._restart_file.write(self._datafy(self.nsteps))

    def _complain(self, claimed: float, energy: float) -> None:
        """Says that an energy did not hold, in the log, as a warning, and in `calculator_error`."""
        self.calculator_error = (
            f"the calculator gave {claimed:.6f} eV for the best structure, and {energy:.6f} eV when asked afresh: "
            "that energy is not kept, the lowest that holds is in its place"
        )
        self.logfile.write(f"{type(self).__name__}:  {self.calculator_error}\n")
        warnings.warn(self.calculator_error, RuntimeWarning, stacklevel=5)

    def _ask_again(self) -> np.ndarray:
        """Returns the gradient `[n_dofs]` at the present geometry from a calculator that has no history."""
        wrong = self.optimizable.get_value()
        self._forget_history()
        self._stages.n_evaluations += 1
        self.max_steps -= 1
        gradient = self.optimizable.get_gradient()
        right = self.optimizable.get_value()
        if abs(right - wrong) <= SAME * self._stages.scales[1]:
            self._stages.n_confirmed += 1
        else:
            self.logfile.write(f"{type(self).__name__}:  {wrong:.6f} eV is {right:.6f} eV when asked for afresh\n")
        return gradient

    def _forget_history(self, anew: bool = True) -> None:
        """Makes the calculator anew where that is possible and wanted, else resets it."""
        atoms = self._rows.atoms
        if atoms is None:
            return
        if anew and self.fresh_calculator is not None:
            atoms.calc = self.fresh_calculator()
        elif hasattr(atoms.calc, "reset"):
            with suppress(Exception):  # some have none that works, and then what they say is all there is
                atoms.calc.reset()

    def _afresh(self) -> tuple[float, np.ndarray]:
        """Evaluates the present geometry with a calculator that has no history; infinity where it fails."""
        self._forget_history()
        self._stages.n_evaluations += 1
        self.nsteps += 1
        try:
            return float(self.optimizable.get_value()), self.optimizable.get_gradient()
        except Exception:  # noqa: BLE001  calculators raise what they like
            return np.inf, np.zeros(self._rows.n_dofs)
