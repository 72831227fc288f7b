"""Counts energy-and-forces calls, keeps the trace of a run and ends it: the one referee of every method. Layer 4."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes

if TYPE_CHECKING:  # the referee knows the rivals, which count here
    from .referee import Referee


FINE, HIT, LOWER, WRONG = "fine", "hit", "lower", "wrong"
"""Verdicts on an energy: of no consequence; ends a run; ends a run; not the energy of a structure."""


class RunEnded(Exception):  # noqa: N818  the end of a run is no error
    """Ends a run from inside the evaluation: budget spent, target reached, or time over."""


class EvaluationFailed(RuntimeError):  # noqa: N818  named as ASE's CalculationFailed
    """Says that the calculator gave no energy here; the call is counted, and the run may go on."""


class StuckError(RuntimeError):
    """Ends a local optimizer that asks for one geometry for ever, which no budget of evaluations would stop."""


class Evaluator:
    """Counts one run's energy-and-forces calls, keeps its trace and ends it by raising `RunEnded`.

    The evaluation that ends a run is recorded before. Once a run has ended, asking again raises again and evaluates
    nothing, so code that swallows exceptions cannot go on.

    Attributes:
      budget: evaluations that the run may use.
      target: eV; the run ends at an evaluated energy this low; None: never.
      n_evaluations: calls of the calculator so far.
      best_energy: eV, infinity before the first energy that counts.
      best_positions: `[n_atoms, 3]` Angstrom, where it was evaluated; None before.
      trace: (evaluations, best energy) at each improvement.
      hit_at: evaluations when the target was reached; None if it was not.
      fused: energies that would have been the best so far, had not two atoms been fused.
      out_of_time: whether the run ended for lack of time alone.
      calculator_seconds: time spent in the calculator.
      compile_seconds: time that a method spent compiling, set by its driver.
    """

    def __init__(
        self,
        atoms: Atoms,
        calculator: Calculator,
        budget: int,
        target: float | None,
        walltime: float | None = None,
        referee: Referee | None = None,
    ):
        """Takes the composition and the cell from `atoms`; `walltime` in seconds, from now.

        With a `referee` only what it lets pass counts, and what it calls a hit or lower than the reference ends the
        run; without one every finite energy counts.
        """
        if budget < 1:
            raise ValueError(f"budget is {budget}; give 1 evaluation or more")
        self.budget, self.target = budget, target
        self.n_evaluations = 0
        self.best_energy = float("inf")
        self.best_positions: np.ndarray | None = None
        self.trace: list[tuple[int, float]] = []
        self.hit_at: int | None = None
        self.fused = 0
        self.out_of_time = False
        self.calculator_seconds = 0.0
        self.compile_seconds = 0.0
        self._atoms, self._calculator = atoms.copy(), calculator
        self._referee = referee
        self._deadline = None if walltime is None else time.perf_counter() + walltime
        self._last: tuple[np.ndarray, float, np.ndarray] | None = None
        self._ended = self._answered = False

    @property
    def numbers(self) -> np.ndarray:
        """Atomic numbers `[n_atoms]`, in the order that positions must have."""
        return self._atoms.numbers

    def evaluate(self, positions) -> tuple[float, np.ndarray]:
        """Returns energy (eV) and forces `[n_atoms, 3]` (eV/Angstrom); the same geometry twice in a row costs one call.

        Args:
          positions: `[n_atoms, 3]` Angstrom.

        Raises:
          RunEnded: this was the last evaluation of the run, or the run has ended before.
          EvaluationFailed: the calculator raised an error.
        """
        positions = np.array(positions, float)
        if positions.shape != self._atoms.positions.shape:
            raise ValueError(f"positions have shape {positions.shape}, the run's are {self._atoms.positions.shape}")
        if self._ended:
            raise RunEnded
        if self._last is None or not np.array_equal(positions, self._last[0]):
            try:
                self._last = (positions, *self._calculate(positions))
            except Exception as error:
                self._record(positions, np.inf)
                if not self._answered:
                    raise  # what fails at the start fails for another reason than the geometry
                raise EvaluationFailed(f"at evaluation {self.n_evaluations}: {error}") from error
            self._record(positions, self._last[1])
        return self._last[1], self._last[2].copy()

    def _calculate(self, positions: np.ndarray) -> tuple[float, np.ndarray]:
        self._atoms.positions = positions
        changes = all_changes if self.n_evaluations == 0 else ["positions"]
        begin = time.perf_counter()
        self._calculator.calculate(self._atoms, ["energy", "forces"], changes)
        self.calculator_seconds += time.perf_counter() - begin
        results = self._calculator.results
        return float(results["energy"]), np.array(results["forces"], float)

    def _record(self, positions: np.ndarray, energy: float) -> None:
        self.n_evaluations += 1
        self._answered |= bool(np.isfinite(energy))
        done = self._judge(positions, energy) or self.n_evaluations >= self.budget
        self.out_of_time = not done and self._is_late()
        self._ended = done or self.out_of_time
        if self._ended:
            raise RunEnded

    def _judge(self, positions: np.ndarray, energy: float) -> bool:
        """Keeps an energy that is the best and counts; returns whether it ends the run."""
        if not np.isfinite(energy) or energy >= self.best_energy:
            return False
        verdict = FINE
        if self._referee is not None:
            if not self._referee.is_sane(positions):
                self.fused += 1
                return False
            verdict = self._referee.judge(positions, energy)
        elif self.target is not None and energy <= self.target:
            verdict = HIT
        if verdict == WRONG:
            return False
        self.best_energy, self.best_positions = energy, positions.copy()
        self.trace.append((self.n_evaluations, energy))
        if verdict == HIT:
            self.hit_at = self.n_evaluations
        return verdict != FINE

    def _is_late(self) -> bool:
        """Whether the time is over; what the referee takes of it does not count."""
        if self._deadline is None:
            return False
        return time.perf_counter() - (0.0 if self._referee is None else self._referee.seconds) > self._deadline


class CountingCalculator(Calculator):
    """Puts an `Evaluator` behind the interface of an ASE calculator, for rivals that take atoms.

    Raises `StuckError` when one geometry has been asked for `PATIENCE` times in a row.
    """

    implemented_properties = ["energy", "free_energy", "forces"]  # noqa: RUF012  ASE's own form
    PATIENCE = 1000

    def __init__(self, evaluator: Evaluator):
        super().__init__()
        self.evaluator = evaluator
        self._repeats = 0

    def check_state(self, atoms: Atoms, tol: float = 0.0) -> list[str]:  # noqa: ARG002  ASE's own form
        """Returns what has changed since the last calculation: everything if positions or elements have."""
        known = self.atoms
        same = (
            known is not None
            and np.array_equal(known.positions, atoms.positions)
            and np.array_equal(known.numbers, atoms.numbers)
        )
        self._repeats = self._repeats + 1 if same else 0
        if self._repeats > self.PATIENCE:
            raise StuckError(f"the geometry of evaluation {self.evaluator.n_evaluations} was asked for again and again")
        return [] if same else list(all_changes)

    def calculate(self, atoms: Atoms | None = None, properties: Any = None, system_changes: Any = all_changes) -> None:
        """Evaluates the positions of `atoms`, whatever is asked for.

        Raises:
          ValueError: the elements are not those of the run, in its order.
          RunEnded: see `Evaluator.evaluate`.
        """
        super().calculate(atoms, properties or ["energy"], system_changes)
        assert self.atoms is not None
        if not np.array_equal(self.atoms.numbers, self.evaluator.numbers):
            raise ValueError(f"the run is for {self.evaluator.numbers}, these atoms are {self.atoms.numbers}")
        energy, forces = self.evaluator.evaluate(self.atoms.positions)
        self.results = {"energy": energy, "free_energy": energy, "forces": forces}
