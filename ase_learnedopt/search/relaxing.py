"""One relaxation, from a file to a file, that can be stopped and taken up again. Layer 4."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from ase import Atoms
from ase.calculators.calculator import PropertyNotImplementedError, all_properties
from ase.calculators.singlepoint import SinglePointCalculator

from ..adapter import LearnedRelax
from ..adapter.cells import require_volume
from ..adapter.energies import energy_of, without_smearing
from ..stopping import Stop
from .calculators import check_calculator, make_calculator, parse_keywords
from .inputs import file_of, read_structure
from .kept import copy_atoms
from .output_file import OutputFile
from .relaxation_folder import Reached, RelaxationFolder, require_same

SHARE_OF_TIME = 0.1
"""Share of a relaxation that writing its result may take before the end."""
DEFAULTS: dict[str, Any] = {
    "calculator": "emt", "calculator_kwargs": None, "fmax": 0.05, "evaluations": 1000, "maxstep": None, "cell": False,
    "log": "-",
}  # fmt: skip


class Relaxed(NamedTuple):
    """Holds what a relaxation led to."""

    atoms: Atoms  # as written, with what the calculator said of it; where a resumed one got no lower, where it ended
    energy: float  # eV, what the forces belong to
    plain: float | None  # eV, without smearing, of calculators that give both
    fmax: float | None  # eV/Angstrom, with `cell` including the stress as the filter scales it; None: not known
    n_evaluations: int
    converged: bool
    out: str
    stopped_by: int | None  # number of the signal that interrupted it
    lost: list[str]  # what the file cannot hold of the structure, in words


def relax_command(
    given: dict[str, Any],
    out: str | None = None,
    *,
    resume: bool,
    overwrite: bool,
    tell_lost: Callable[[str, list[str]], None] = lambda *_: None,
) -> Relaxed:
    """Relaxes the structure of a file as the command line asks for it, and writes the result as it goes.

    Args:
      given: options given, by their names in `DEFAULTS`, and `input`: a file, or `name@index`; a resumed relaxation has
        the others from its first run.
      out: file of the result, in the format that its name says; by default the name of the input with
        `-relaxed.xyz` in place of its suffix.
      resume: continue the relaxation to that file.
      overwrite: replace it.
      tell_lost: is told, before the relaxation, the file and what it cannot hold of the structure, if anything.

    Raises:
      ValueError: there is no such file, the calculator cannot do the job, the result cannot be written there.
    """
    given_start = _read(given["input"]) if "input" in given else None
    output = OutputFile(_default_name(given["input"]) if out is None else out)
    folder = RelaxationFolder(output.path, output.name)
    with folder.only_writer():
        start, before = folder.read() if resume else (given_start, {})
        assert start is not None
        options = {**DEFAULTS, **before, **given}
        if resume:
            replaced = "input" in given and output.is_same(file_of(given["input"]))
            require_same(start, None if replaced else given_start, before, options)
        else:
            folder.check_free(overwrite)
        opt, atoms = _prepare(start, options, output, folder, resume)
        if output.lost(start):
            tell_lost(output.name, output.lost(start))
        result = _Relaxation(opt, atoms, output, folder).run(options["fmax"], options["evaluations"])
        if result.converged:
            folder.clear(last=folder.options)
    return result


def _read(text: str) -> Atoms:
    structure = read_structure(text)
    if structure.parts is not None:
        raise ValueError(f"relax needs a file, {text} is a formula: use search")
    return structure.atoms


def _default_name(text: str) -> Path:
    name = file_of(text)
    return name.with_name(f"{name.stem}-relaxed.xyz")


def _prepare(
    start: Atoms, options: dict[str, Any], output: OutputFile, folder: RelaxationFolder, resume: bool
) -> tuple[LearnedRelax, Atoms]:
    """Asks everything that can be asked before the relaxation; the dearest question, an evaluation, at last."""
    if options["cell"] and not start.pbc.any():
        raise ValueError(f"{options['input']} has no periodic direction: there is no cell to relax")
    if options["cell"]:
        require_volume(start, "relaxing the cell")
    log = options["log"]
    log = log if log == "-" else str(Path(log).absolute())  # calculators may change the working directory
    _require_log(log)
    output.require_holds(start, folder.path)
    atoms = copy_atoms(start)
    atoms.calc = make_calculator(options["calculator"], parse_keywords(options["calculator_kwargs"]), atoms)
    movable: Any = atoms
    if options["cell"]:
        from ase.filters import FrechetCellFilter

        movable = FrechetCellFilter(atoms)
    LearnedRelax(movable, logfile=None, maxstep=options["maxstep"])  # an impossible setting shows before
    if not resume:
        check_calculator(atoms, options["calculator"])
        folder.begin(start, options)
    return LearnedRelax(movable, folder.restart, log, maxstep=options["maxstep"]), atoms


def _require_log(name: str) -> None:
    if name == "-":
        return
    path = Path(name)
    is_new = not path.exists()
    try:
        path.open("a").close()
    except OSError as error:
        raise ValueError(f"the log cannot be written to {name} ({error}): choose another --log") from error
    if is_new:
        path.unlink()


class _Relaxation:
    """Drives the optimizer from evaluation to evaluation, and writes the lowest structure on the way."""

    def __init__(self, opt: LearnedRelax, atoms: Atoms, output: OutputFile, folder: RelaxationFolder):
        self._opt, self._atoms, self._output, self._folder = opt, atoms, output, folder
        self._reached: tuple[Atoms, float, float] | None = None  # None: nothing lower than before it was resumed
        self._is_saved, self._due = True, 0.0

    def run(self, fmax: float, evaluations: int) -> Relaxed:
        opt, output = self._opt, self._output
        with Stop() as stop:
            try:
                self._loop(fmax, max(evaluations - 1 - opt.nsteps, 0), stop)
                self._reached, self._is_saved = self._present(), False
            except KeyboardInterrupt:
                stop.signal = stop.signal or 2
            except BaseException as problem:  # also where a calculator ends the program
                if stop.signal is None:  # else a calculator that the same signal has killed
                    problem.add_note(f"what was reached is in {output.name}; --resume continues from there")
                    raise
            finally:
                self._save()
        if self._reached is None:
            atoms, known = self._atoms, self._folder.read_reached(opt.best_energy)
        else:
            atoms, known = self._reached[0], _figures(*self._reached)
        lost = output.lost(atoms if self._reached is not None else copy_atoms(atoms))  # or it would be evaluated
        converged = opt.status == "converged"
        return Relaxed(atoms, *known, opt.n_evaluations, converged, output.name, stop.signal, lost)

    def _loop(self, fmax: float, steps: int, stop: Stop) -> None:
        run: Any = self._opt.irun(fmax, steps)  # a generator
        for _ in run:
            if self._opt.best_evaluation == self._opt.n_evaluations:
                self._reached, self._is_saved = self._present(), False
                if time.monotonic() >= self._due:
                    self._save()
            if stop.signal is not None:
                run.throw(KeyboardInterrupt)  # inside the optimizer, which then puts its house in order

    def _present(self) -> tuple[Atoms, float, float]:
        """Returns the structure just evaluated with what the calculator knows of it, its energy and largest force."""
        atoms = self._atoms
        known = {"forces": atoms.get_forces(apply_constraint=False)}
        try:
            known["energy"] = atoms.get_potential_energy(apply_constraint=False)
        except PropertyNotImplementedError:  # it gives free energies only
            known["energy"] = atoms.get_potential_energy(force_consistent=True, apply_constraint=False)
        known |= {name: x for name, x in getattr(atoms.calc, "results", {}).items() if name in all_properties}
        copy = copy_atoms(atoms)
        copy.calc = SinglePointCalculator(copy, **{name: np.copy(x) if np.ndim(x) else x for name, x in known.items()})
        largest = float(np.linalg.norm(self._opt.atoms.get_forces(), axis=1).max())
        return copy, energy_of(atoms), largest

    def _save(self) -> None:
        if self._is_saved or self._reached is None:
            return
        begin = time.monotonic()
        self._output.write(self._reached[0], self._folder.path)
        self._folder.write_reached(_figures(*self._reached))
        end = time.monotonic()
        self._is_saved, self._due = True, end + (end - begin) / SHARE_OF_TIME


def _figures(atoms: Atoms, energy: float, fmax: float) -> Reached:
    return Reached(energy, without_smearing(atoms, energy), fmax)
