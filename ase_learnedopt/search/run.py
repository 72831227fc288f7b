"""One search, from a structure to a folder of results. Layer 4.

The folder is whole at every moment: files are appended line by line or frame by frame, or replaced in one move.
"""

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.parallel import world

from ..adapter import LearnedHop
from ..adapter.checks import require_run, resolve_seed
from ..adapter.energies import without_smearing
from ..precision import require_devices
from ..sanity import MIN_DISTANCE
from ..stopping import Stop
from .calculators import check_calculator
from .file_fields import what_is_lost
from .folder import Folder, compare_settings, same_structure
from .kept import copy_atoms
from .minima import Minimum
from .progress import progress_bar
from .recorder import Recorder
from .report import describe_calculator, describe_weights, plain, versions, write_json
from .trace import plot_trace, read_trace


@dataclass(frozen=True)
class SearchResult:
    """Holds what a search found."""

    best: Atoms  # lowest structure, with its energy and forces
    best_energy: float  # eV, what the forces belong to: the free energy of calculators that give two
    fmax: float  # eV/Angstrom, largest force on an atom of it
    minima: list[Minimum]  # distinct local minima, lowest first
    status: str  # target, patience, walltime, budget, interrupted
    n_evaluations: int
    n_hops: int
    seconds: float  # of this run
    calculator_error: str | None  # what the check of the best energy found wrong at the end
    out: Path
    stopped_by: int | None = None  # number of the signal that interrupted it
    not_kept: str | None = None  # what the files cannot hold of the atoms; `best` and `minima` have it
    first_met: int = 0  # evaluation at which the minimum of the best structure was first met


def search(atoms: Atoms, *, evaluations: int, out: str | Path, seed: int | None = 0, **settings: Any) -> SearchResult:
    """Searches for the lowest-energy structure and leaves everything in a folder.

    Args:
      atoms: the start, with its calculator; not changed.
      evaluations: of energy and forces, in all, those of a resumed search included.
      out: folder for `best.xyz`, `minima.db`, `trajectory.traj`, `trace.csv`, `trace.png`, `run.json`, `search.log`.
      seed: of the random stream; None draws one, which is in `run.json`.
      **settings: see `run_search`.

    Returns:
      What was found.

    Raises:
      ValueError: the folder is taken, the calculator cannot do the job, or a setting is impossible.
      KeyboardInterrupt: after Ctrl-C or SIGTERM, when everything has been saved.

    Example:
      >>> result = search(atoms, evaluations=5000, seed=0, out="cu38")
      >>> result.best_energy, len(result.minima)
    """
    result = run_search(atoms, evaluations=evaluations, out=out, seed=seed, **settings)
    if result.status == "interrupted":
        raise KeyboardInterrupt
    return result


def run_search(
    atoms: Atoms,
    *,
    evaluations: int,
    out: str | Path,
    seed: int | None = 0,
    weights: str | Path | None = "learned_hop",
    fmax: float = 0.05,
    target_energy: float | None = None,
    patience: int | None = None,
    walltime: float | None = None,
    length_scale: float | None = None,
    energy_scale: float | None = None,
    maxstep: float | None = None,
    min_distance: float = MIN_DISTANCE,
    fresh_calculator: Callable[[], Any] | None = None,
    trajectory: bool = True,
    resume: bool = False,
    overwrite: bool = False,
    show_progress: bool = True,
    calculator_name: str = "",
    arguments: dict[str, Any] | None = None,
) -> SearchResult:
    """Does what `search` does, but returns after an interruption, too.

    Args:
      atoms: the start, with its calculator; not changed.
      evaluations: of energy and forces, in all.
      out: folder of the results.
      seed: of the random stream; None draws one, which is in `run.json`.
      weights: of `LearnedHop`.
      fmax: eV/Angstrom, of the best structure at the end.
      target_energy: eV, energy that ends the search, of the kind that forces belong to.
      patience: hops without a new best that end the search; None: the evaluations end it.
      walltime: seconds that this run may take.
      length_scale: Angstrom, typical bond length.
      energy_scale: eV, typical bond energy.
      maxstep: Angstrom, longest move of an atom in a relaxation.
      min_distance: share of the contact distance below which two atoms count as fused; 0: no such limit.
      fresh_calculator: makes a new calculator, which checks the best energy at the end; None: that of `atoms` is reset.
      trajectory: whether to write every evaluated structure to `trajectory.traj`.
      resume: continue the search in the folder; what it repeats of a killed one, it repeats exactly.
      overwrite: replace the search in the folder.
      show_progress: whether to draw a progress bar on standard error.
      calculator_name: for messages.
      arguments: what to note in `run.json` beside the settings, such as the command line.
    """
    evaluations = _whole_number(evaluations)
    require_run(fmax, evaluations)
    if atoms.calc is None:
        raise ValueError("the atoms have no calculator: set atoms.calc first")
    folder, start = Folder(out), atoms
    if seed is None:  # drawn here, so that run.json says which
        seed = folder.check_resumable()["settings"]["seed"] if resume else resolve_seed(None, world)
    weights = None if weights is None else str(weights)
    settings = {
        "seed": seed, "weights": weights, "fmax": fmax,
        "target_energy": target_energy, "patience": patience, "walltime": walltime, "length_scale": length_scale,
        "energy_scale": energy_scale, "maxstep": maxstep, "min_distance": min_distance,
        "evaluations": evaluations, "trajectory": trajectory,
        "calculator": describe_calculator(atoms.calc),
    }  # fmt: skip
    keywords: dict[str, Any] = {
        name: settings[name]
        for name in (
            "seed", "weights", "target_energy", "patience", "walltime", "length_scale", "energy_scale", "maxstep",
            "min_distance",
        )
    }  # fmt: skip
    if resume:
        folder.check_resumable()  # before a folder is made
    with folder.only_writer():
        before = folder.check_resumable() if resume else {}
        if resume:
            compare_settings(before["settings"], plain(settings))
            atoms = _start_of(folder, atoms)
        else:
            folder.check_free(overwrite)
            atoms = copy_atoms(atoms, atoms.calc)
            require_devices()
            LearnedHop(atoms, logfile=None, **keywords)  # impossible settings show before anything is replaced
            check_calculator(atoms, calculator_name or type(atoms.calc).__name__)
            folder.clear(last=folder.run)
            # First of all, since nothing is resumed or replaced without it.
            write_json(folder.run, {"arguments": arguments or {}, "settings": settings, "status": "running"})
        if not folder.start.exists():
            folder.write_start(start)
        opt = LearnedHop(atoms, restart=folder.restart, logfile=folder.log, **keywords)
        opt.fresh_calculator = fresh_calculator
        if resume and opt.nsteps < evaluations - 1:
            _require_same_energies(opt, folder)
        not_kept, nowhere = what_is_lost(atoms)
        if nowhere:
            warnings.warn(f"{not_kept}; `best` and `minima` of the result do", RuntimeWarning, stacklevel=3)
        about = {
            "arguments": arguments or {},
            "settings": settings,
            "weights": describe_weights(weights),
            "versions": versions(),
            "formula": atoms.get_chemical_formula(),
            "begun": datetime.now(UTC).isoformat(timespec="seconds"),
            "before": before.get("status"),  # how the search ended that this one continues
            "not_kept": not_kept,
        }
        if not_kept is not None:
            opt.logfile.write(f"LearnedHop:  {not_kept}\n")
        write_json(folder.run, {**about, "status": "running"})
        return _Search(opt, atoms, folder, about).run(fmax, evaluations, trajectory, show_progress)


class _Search:
    """Drives the optimizer from evaluation to evaluation."""

    def __init__(self, opt: LearnedHop, atoms: Atoms, folder: Folder, about: dict[str, Any]):
        self._opt, self._atoms, self._folder, self._about = opt, atoms, folder, about
        self._begin = time.monotonic()

    def run(self, fmax: float, evaluations: int, trajectory: bool, show_progress: bool) -> SearchResult:
        steps = self._steps_left(evaluations)
        recorder = Recorder(self._opt, self._atoms, self._folder, trajectory, goes_on=steps >= 0)
        bar = progress_bar(evaluations, show_progress)
        try:
            with Stop(quiet=not show_progress) as stop:
                return self._until_the_end(fmax, steps, recorder, bar, stop)
        except BaseException as problem:  # also where a calculator ends the program, or the disk is full
            problem.add_note(f"what was found before is in {self._folder.name}; --resume continues from there")
            raise

    def _until_the_end(self, fmax, steps, recorder, bar, stop) -> SearchResult:
        error = None
        try:
            if steps >= 0:
                self._loop(fmax, steps, recorder, bar, stop)
        except KeyboardInterrupt:
            stop.signal = stop.signal or 2
        except BaseException as problem:
            if stop.signal is None:  # else a calculator that the same signal has killed
                error = problem
                raise
        finally:
            bar.close()
            result = self._save(recorder, stop.signal, error)
        return result

    def _steps_left(self, evaluations: int) -> int:
        """Returns how many steps are left, none of a search that used its budget or was killed when it had ended."""
        if self._about["before"] in ("running", "budget") and self._opt.has_ended(evaluations - 1):
            return 0
        return evaluations - 1 - self._opt.nsteps

    def _loop(self, fmax, steps, recorder, bar, stop) -> None:
        run: Any = self._opt.irun(fmax, steps)  # a generator
        for _ in run:
            recorder.take()
            bar.update(self._opt.n_evaluations, recorder.best_energy, self._opt.n_hops, len(recorder.minima))
            if stop.signal is not None:
                run.throw(KeyboardInterrupt)  # inside the optimizer, which then puts its house in order

    def _save(self, recorder: Recorder, stopped_by: int | None, error: BaseException | None) -> SearchResult:
        """Writes everything that is written at the end, whatever the end was."""
        opt, folder = self._opt, self._folder
        recorder.close()
        status = "interrupted" if stopped_by is not None else opt.status or self._about["before"]
        best, fmax = recorder.best, recorder.best_fmax
        seconds, first_met = time.monotonic() - self._begin, recorder.first_met
        figures = {
            "best_energy_eV": recorder.best_energy,
            "best_energy_without_smearing_eV": without_smearing(best, recorder.best_energy),
            "fmax_of_best_eV_per_A": fmax,
            "evaluation_of_best": recorder.best_evaluation,
            "minimum_first_met": first_met,
            "n_evaluations": recorder.n_evaluations,
            "n_hops": opt.n_hops,
            "n_minima": len(recorder.minima),
            "seconds": round(seconds, 3),
            "length_scale_A": opt.length_scale,
            "energy_scale_eV": opt.energy_scale,
            "calculator_error": opt.calculator_error,
        }
        ended = datetime.now(UTC).isoformat(timespec="seconds")
        state = {"status": "error" if error else status, "ended": ended, "figures": figures}
        if error:
            state["error"] = f"{type(error).__name__}: {error}"
        write_json(folder.run, {**self._about, **state})
        trace = read_trace(folder.trace)
        if len(trace.evaluation):
            formula = self._atoms.get_chemical_formula(empirical=False)
            title = (
                f"{formula}: {recorder.best_energy:.4f} eV, {recorder.n_evaluations} evaluations, {opt.n_hops} hops, "
            )
            plot_trace(trace, title + f"{len(recorder.minima)} distinct minima", folder.picture, first_met)
        return SearchResult(
            best=best, best_energy=recorder.best_energy, fmax=fmax, minima=recorder.minima.sorted(), status=status,
            n_evaluations=recorder.n_evaluations, n_hops=opt.n_hops, seconds=seconds,
            calculator_error=opt.calculator_error, out=folder.path, stopped_by=stopped_by,
            first_met=first_met, not_kept=self._about["not_kept"],
        )  # fmt: skip


def _whole_number(evaluations: Any) -> int:
    if isinstance(evaluations, bool | np.bool_) or not isinstance(evaluations, Integral) or evaluations < 1:
        raise ValueError(f"evaluations must be a whole number of 1 or more, not {evaluations!r}")
    return int(evaluations)


def _require_same_energies(opt: LearnedHop, folder: Folder) -> None:
    """Raises ValueError where the search to be continued was one of other energies."""
    changed = opt.changed_energy()
    if changed is not None:
        raise ValueError(
            f"--resume continues the same search, but {changed}. Begin another search, perhaps from {folder.best}, "
            "with another --out"
        )


def _start_of(folder: Folder, atoms: Atoms) -> Atoms:
    """Returns the start of a search to be continued, with the calculator of `atoms`."""
    if not folder.start.exists():  # it was killed before it did anything
        return copy_atoms(atoms, atoms.calc)
    start = folder.read_start()
    if not same_structure(start, atoms):
        raise ValueError(f"--resume continues the same search, but {folder.name} began with another structure")
    start.info = {**atoms.info, **start.info}  # what a file cannot hold is still in the atoms given
    start.arrays = {**{name: array.copy() for name, array in atoms.arrays.items()}, **start.arrays}
    if len(start.constraints) < len(atoms.constraints):
        start.set_constraint(copy_atoms(atoms).constraints)
    start.calc = atoms.calc
    return start
