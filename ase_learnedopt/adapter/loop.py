"""ASE's loop around the two stages: steps, log, convergence, and how a run begins and ends. Layer 3."""

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
from ase.optimize.optimize import DEFAULT_MAX_STEPS, Optimizer
from ase.parallel import broadcast

from ..precision import require_jax
from . import checks
from .cells import require_cell
from .evaluating import Evaluating
from .placing import place
from .same_surface import SameSurface
from .stages import SEARCH, Room


class TwoStageRun(Optimizer, SameSurface, Evaluating):
    """Runs a search, then a relaxation, one evaluation a step. `LearnedOptimizer` gives it all it needs."""

    seed: int
    status: str | None
    _running: bool
    _finished: bool
    _watched: bool
    _limits: checks.Limits

    fmax: Any

    def _datafy(self, nsteps: int) -> dict:
        """Returns all that a restart needs."""
        raise NotImplementedError

    def __getstate__(self) -> dict:
        """Returns what a pickle holds; of a run that is under way, what goes on with its budget as a restart does."""
        state = dict(vars(self))
        if self._running:
            x = self.optimizable.get_x()
            evaluated = self._evaluated and np.array_equal(x, self._awaiting)
            state |= {"_running": False, "_resumed": True, "_left_at": x, "_awaiting": x, "_evaluated": evaluated}
        return state

    def run(self, fmax: float = 0.05, steps: int = DEFAULT_MAX_STEPS) -> bool:  # type: ignore[override]
        """Runs until the search has ended and the forces are below `fmax`, at most `steps` further evaluations.

        Returns:
          Whether all forces are below `fmax`.

        Raises:
          ValueError: no calculator, atoms on top of each other, an evaluation that is not finite, no device for jax.
          RuntimeError: this process was forked from one that had used jax.
        """
        checks.require_run(fmax, steps)
        self.fmax = fmax
        converged = False
        for evaluated in self._iterate(steps, watched=False):
            converged = evaluated
        return bool(converged) and self.calculator_error is None

    def irun(self, fmax: float = 0.05, steps: int = DEFAULT_MAX_STEPS) -> Iterator[bool]:  # type: ignore[override]
        """Runs as a generator that yields, after each evaluation, whether the run has converged."""
        checks.require_run(fmax, steps)
        self.fmax = fmax
        return self._iterate(steps, watched=True)

    def _iterate(self, steps: int, watched: bool) -> Iterator[bool]:
        """Runs; `watched`: someone else may change the atoms between two steps."""
        self._begin(steps)
        self._watched = watched
        converged = False
        try:
            for converged in self._loop():
                yield converged and not self._check_is_due()
        except GeneratorExit:  # the caller has seen enough
            self._left_at = self.optimizable.get_x()
            raise
        except KeyboardInterrupt:
            self._end("interrupted", restore=True)
            raise
        except BaseException:  # also where a calculator ends the program
            self._end(None, restore=True)
            raise
        finally:
            self._running = False
        self._finish(converged)
        for _ in self._check_best():
            yield converged and self.calculator_error is None

    def _loop(self) -> Iterator[bool]:
        """Does what ASE's `Dynamics.irun` does, but asks for a gradient twice only where it may have changed."""
        gradient = self._evaluate()
        if gradient is not None and self.nsteps == 0:
            self.log(gradient)
            if self.trajectory is None or self._traj_is_empty():
                self.call_observers()
        converged = gradient is not None and self.gradient_converged(gradient)
        yield converged
        while not (converged or self._has_ended()):
            self.step()
            self.nsteps += 1
            gradient = self._evaluate()
            if gradient is None:  # there is nothing that observers could see
                yield False
                continue
            self.log(gradient)
            self.call_observers()
            if self.observers:
                gradient = self.optimizable.get_gradient()
            converged = self.gradient_converged(gradient)
            yield converged

    def _begin(self, steps: int) -> None:
        """Checks the input, and takes the atoms to where the last run or the restart file wants them."""
        require_jax()
        require_cell(self.atoms)
        x = self.optimizable.get_x()
        checks.require_ready(self._rows, x)
        if not self._resumed:
            self._run_start = self.nsteps
        self._begin_anew_if_changed()
        x = self.optimizable.get_x()
        self.max_steps = self.nsteps + steps
        self._recall_end(steps)
        self._unbounded = steps >= DEFAULT_MAX_STEPS
        self._search_until = self.max_steps - reserve(self.max_steps - self._run_start)
        wanted = self._stages.back_to_search(x) if not self._resumed and steps > 0 else None
        if wanted is not None:
            self._move_to(wanted)
        elif self._awaiting is not None:
            self._move_back(self._awaiting)
        else:
            self._awaiting, self._evaluated = x, False
            if self._stages.searches and self._stages.best_x is None and self._limits.max_hops != 0:
                self._bring_back()
        self._started, self._start_step, self._n_failures = time.monotonic(), self.nsteps, 0
        self.status, self._running, self._resumed, self._finished = None, True, False, False
        self.calculator_error = None

    def step(self) -> None:
        """Absorbs the evaluation of the present geometry and moves to the next one."""
        x = self.optimizable.get_x()
        if not (self._evaluated and np.array_equal(x, self._awaiting)):
            self._awaiting, self._evaluated = x, False
            self._take(self.optimizable.get_gradient())
        elif (self._watched or self.observers) and not self._n_failures:
            self._energy, self._gradient = float(self.optimizable.get_value()), self.optimizable.get_gradient()
        if self._restart_file.due:
            self._restart_file.write(self._datafy(self.nsteps))
        room = Room(np.inf, np.inf, self._time_is_up(0.9))
        if not self._unbounded:
            room = room._replace(search=self._search_until - self.nsteps, total=self.max_steps - self.nsteps)
        before = self._stages.scales
        self._move_to(self._stages.propose(x, self._energy, self._gradient, self.seed, room))
        while self._stages.refuses():
            self._move_to(self._stages.propose_instead(self._awaiting))
        self._stages.count_hop()
        if self._stages.scales != before:
            self._note_scales(before)

    def gradient_converged(self, gradient: np.ndarray) -> bool:
        """Returns whether all forces are below `fmax`; False while a search runs."""
        if self._running:
            self._take(gradient)
            if self._stages.stage == SEARCH:
                return False
        return super().gradient_converged(gradient)

    def log(self, gradient: np.ndarray) -> None:
        """Writes ASE's line, with the stage, the hops and the best energy at its end when there is a search."""
        energy, fmax = self.optimizable.get_value(), self.optimizable.gradient_norm(gradient)
        if self._running:
            self._take(gradient, energy)
        name, clock = type(self).__name__, time.strftime("%H:%M:%S")
        searches, stages = self._stages.searches, self._stages
        if self.nsteps == 0:
            extra = f"  {'stage':>6} {'hops':>5} {'best':>15}" if searches else ""
            self.logfile.write(
                f"{' ' * len(name)}  {'Step':>4} {'Time':>8} {'Energy':>15}  {'fmax':>12}{extra}"
                f"  (until fmax < {self.fmax:g} eV/A; {self._settings()})\n"
            )
        line = f"{name}:  {self.nsteps:3d} {clock} {energy:15.6f} {fmax:15.6f}"
        if searches:
            line += (
                f"  {'check' if not self._running else stages.stage:>6} {stages.n_hops:5d} {stages.best_energy:15.6f}"
            )
        self.logfile.write(line + "\n")

    def _settings(self) -> str:
        length, energy = self._stages.scales
        return f"seed {self.seed}, length scale {length:.4g} A, energy scale {energy:.4g} eV"

    def _note_scales(self, before: tuple[float, float]) -> None:
        length, energy = self._stages.scales
        self.logfile.write(
            f"{type(self).__name__}:  scales from the forces: length {length:.4g} A (was {before[0]:.4g}), "
            f"energy {energy:.4g} eV (was {before[1]:.4g})\n"
        )

    def _has_ended(self) -> bool:
        """Whether steps or time are used up, or the one step left is kept for a return to where the atoms are."""
        left = self.max_steps - self.nsteps - self._kept_for_check()
        returning = self._stages.searches and self._stages.stage != SEARCH and self._start_step < self.nsteps
        there = self._evaluated and self._energy <= self._stages.best_energy
        return self._end_before is not None or left <= 0 or (left == 1 and returning and there) or self._time_is_up(1.0)

    def _time_is_up(self, share: float) -> bool:
        """Whether another step would go beyond this share of the wall time."""
        if self._limits.walltime is None:
            return False
        elapsed = time.monotonic() - self._started
        per_step = elapsed / max(self.nsteps - self._start_step + 1, 1)
        ahead = (1 + self._kept_for_check()) * per_step
        return bool(broadcast(elapsed + ahead > share * self._limits.walltime, 0, self.comm))

    def _finish(self, converged: bool) -> None:
        """Says what ended the run."""
        status = "walltime" if self._time_is_up(1.0) else "budget"
        if converged:
            search_end = self._stages.search_end
            status = "converged" if search_end in (None, "max_hops") else search_end
        status = self._note_end(status)
        if converged and self._rows.has_objective:
            self._stages.found(self._awaiting, self._energy, again=False)
        self._run_start, self._finished = self.nsteps, True
        self._end(status, restore=self._stages.searches and not converged)

    def _end(self, status: str | None, restore: bool) -> None:
        """Leaves everything in order; `restore` takes the atoms to the best structure."""
        self.status, self._running = status, False
        in_vain = self._n_failures and status in (None, "interrupted")  # the calculator is broken, or was killed too
        if not (self._finished and self._check_is_due()):  # else the check writes it
            self._restart_file.write(self._before_failures if in_vain else self._datafy(self.nsteps))
        best = self._stages.best_x
        there = self._evaluated and self._energy <= self._stages.best_energy
        if restore and self._rows.has_objective and best is not None and not there:
            place(self._rows, self.optimizable, best)
        self._left_at = self.optimizable.get_x()


def reserve(budget: int) -> int:
    """Returns the evaluations kept for the relaxation at the end, of which the last is for a return to the best."""
    if budget < 2:
        return 0
    return min(max(20, min(budget // 20, 100)), budget // 2)
