"""Writes down every evaluation of a search: trace, trajectory, best structure, minima. Layer 4."""

import sys
import time
from contextlib import ExitStack

import numpy as np
from ase import Atoms
from ase.io import read

from ..adapter import LearnedHop
from ..adapter.energies import differ, energy_of, without_smearing
from .file_fields import for_ase_files, for_extxyz, is_whole
from .folder import Folder, open_trajectory, write_structure
from .kept import copy_atoms, remember, without_springs
from .minima import MinimaDatabase
from .trace import TraceFile, read_trace

ENERGY_WINDOW = 0.01
"""Energy difference up to which two minima may be the same, in energy scales."""

SAVE_INTERVAL = 2.0
"""Seconds between two writes of what a resumed search could make up for."""


class Recorder:
    """Takes notes of an optimizer after each of its evaluations.

    Args:
      opt: the optimizer, perhaps taken up from a restart file.
      atoms: what it moves.
      folder: where the notes go.
      trajectory: whether to write one.
      goes_on: whether there will be further evaluations; notes of those that will be repeated are cut off then.

    Attributes:
      n_evaluations: number of the last evaluation noted.
      minima: the distinct minima so far.
      best_energy: eV, lowest energy of all evaluations; as everywhere that which the forces belong to.
      best_evaluation: evaluation that gave it.
    """

    def __init__(self, opt: LearnedHop, atoms: Atoms, folder: Folder, trajectory: bool, goes_on: bool):
        self._opt, self._atoms, self._folder = opt, atoms, folder
        self._is_whole: bool | None = None  # whether the trajectory takes the atoms as they are; None: not yet asked
        done = opt.n_evaluations if goes_on else sys.maxsize
        self.n_evaluations = opt.n_evaluations
        self._trace = TraceFile(folder.trace, keep=done)
        self._trajectory = open_trajectory(folder.trajectory, keep=done) if trajectory else None
        self.minima = MinimaDatabase(
            folder.minima, energy_window=ENERGY_WINDOW * opt.energy_scale, bond=opt.length_scale
        )
        self._written: dict[int, tuple[int, float]] = {}
        self._n_hops, self._saved, self._best_is_saved = opt.n_hops, time.monotonic(), True
        self.best_energy, self.best_evaluation = np.inf, 0
        self.best_fmax = np.inf
        self._best: Atoms | None = None
        if opt.n_evaluations:
            self._take_up()
        self._sync(everything=True)

    def take(self) -> None:
        """Notes the evaluation of the present geometry."""
        if self._opt.n_evaluations == self.n_evaluations:
            return
        self.n_evaluations = self._opt.n_evaluations
        if self._opt.has_failed:
            self._note(np.inf, np.inf, self._atoms.copy())
            return
        energy, forces = energy_of(self._atoms), self._atoms.get_forces()
        plain = without_smearing(self._atoms, energy)
        if self.n_evaluations == 1 and differ(energy, plain):
            self._opt.logfile.write(
                f"LearnedHop:  energies are free energies, which the forces belong to; without smearing the first is "
                f"{plain:.6f} eV\n"
            )
        if self._is_whole is None:
            self._is_whole = is_whole(self._atoms)
        fmax = float(f"{np.linalg.norm(forces, axis=1).max():.6g}")  # as in the trace, which a resumed search reads
        self._note(energy, fmax, self._atoms)
        if self._opt.best_evaluation == self.n_evaluations:
            self.best_energy, self.best_fmax, self.best_evaluation = energy, fmax, self.n_evaluations
            bare = self._atoms.get_forces(apply_constraint=False)
            self._keep_best(energy, bare, plain)
        if self._opt.n_hops != self._n_hops:
            self._n_hops = self._opt.n_hops
            self._sync(everything=self._due())
        if self._due() and not self._best_is_saved:
            self._save_best()

    def _note(self, energy: float, fmax: float, atoms: Atoms) -> None:
        """Writes a line of the trace, and a frame, so that both have one for every evaluation."""
        self._trace.add(self.n_evaluations, energy, fmax, self._opt.n_hops)
        if self._trajectory is not None:
            # ASE would lose all constraints where one cannot be written, and fail at odd calculators.
            self._trajectory.write(atoms if self._is_whole else for_ase_files(atoms).atoms)

    def close(self) -> None:
        """Writes what is left to write and closes the files; the optimizer has left the atoms at the best structure."""
        with ExitStack() as files:  # closed on a full disk, too
            files.callback(self._trace.close)
            if self._trajectory is not None:
                files.callback(self._trajectory.close)
            self._write_the_rest()

    def _write_the_rest(self) -> None:
        self._drop_wrong()
        self._sync(everything=True)
        if self._best is None and self._opt.n_evaluations:
            energy = self._opt.best_energy
            plain = next((record.without_smearing for record in self._opt.minima if record.energy == energy), None)
            self._keep_best(energy, self._forces_here(), plain)
        if not self._best_is_saved:
            self._save_best()

    def _forces_here(self) -> np.ndarray | None:
        """Returns the forces that the calculator has of the present geometry; None if it would have to calculate."""
        calculator = self._atoms.calc
        try:
            if not calculator.calculation_required(self._atoms, ["energy", "forces"]):
                return self._atoms.get_forces(apply_constraint=False)
        except Exception:  # noqa: BLE001 calculators need not know that question
            return None
        return None

    @property
    def best(self) -> Atoms:
        """Returns the lowest structure, with its energy and forces; the start before the first evaluation."""
        return self._atoms if self._best is None else self._best

    @property
    def first_met(self) -> int:
        """Returns the evaluation at which the minimum of the best structure was first met, or that of the structure.

        A later visit, or the relaxation at the end, may be lower by what a relaxation leaves.
        """
        minimum = self.minima.find(self.best, self.best_energy) if np.isfinite(self.best_energy) else None
        return self.best_evaluation if minimum is None else min(minimum.evaluation, self.best_evaluation)

    def _keep_best(self, energy: float, forces: np.ndarray | None, plain: float | None) -> None:
        """Copies the present geometry; see `remember`."""
        self._best, self._best_is_saved = copy_atoms(self._atoms), False
        remember(self._best, energy, forces, plain)

    def _due(self) -> bool:
        return time.monotonic() - self._saved > SAVE_INTERVAL

    def _save_best(self) -> None:
        write_structure(self._folder.best, for_extxyz(self.best).atoms)
        self._best_is_saved, self._saved = True, time.monotonic()

    def _sync(self, everything: bool) -> None:
        """Hands the minima that the optimizer met to the database; times seen alone can wait, they are not lost."""
        for record in self._opt.minima:
            old = self._written.get(record.first_seen)
            new = (record.times_seen, record.energy)
            if old is None or new[1] < old[1] or (everything and new != old):
                structure = copy_atoms(self._atoms)
                structure.set_positions(record.positions, apply_constraint=False)
                label = f"seed {self._opt.seed}"
                self.minima.add(
                    structure, record.energy, record.first_seen, record.times_seen, label, record.without_smearing
                )
                self._written[record.first_seen] = new

    def _drop_wrong(self) -> None:
        """Takes minima out of the database whose energy did not hold when the calculator was asked afresh."""
        if self._opt.calculator_error is None:
            return
        right = {record.first_seen: record.energy for record in self._opt.minima}
        for first_seen, (_, energy) in list(self._written.items()):
            if first_seen not in right or right[first_seen] > energy:
                self.minima.drop(f"seed {self._opt.seed}", first_seen)
                del self._written[first_seen]

    def _take_up(self) -> None:
        """Recovers the best structure of the search that is continued."""
        trace = read_trace(self._folder.trace)
        if len(trace.energy):
            k = int(np.argmin(np.abs(np.asarray(trace.evaluation) - self._opt.best_evaluation)))
            self.best_energy, self.best_fmax = float(trace.energy[k]), float(trace.fmax[k])
            self.best_evaluation, self.n_evaluations = int(trace.evaluation[k]), int(trace.evaluation[-1])
            self._recover(k)

    def _recover(self, row: int) -> None:
        """Takes the best structure from its file, or from the trajectory if that file is of another moment.

        Where neither has it, `close` will mend it.
        """
        files = {self._folder.best: 0, self._folder.trajectory: row}
        for file, frame in files.items():
            try:
                best = read(file, index=frame)
                assert isinstance(best, Atoms)
                energy = energy_of(best)
            except Exception:  # noqa: BLE001, S112 not there, or too short
                continue
            if abs(energy - self.best_energy) < 1e-6:
                self._best = copy_atoms(self._atoms)
                self._best.set_positions(best.positions, apply_constraint=False)
                if len(best.constraints) == len(self._best.constraints):
                    forces = best.get_forces(apply_constraint=False)
                else:  # the file has them with what the constraints that it lacks do to them
                    forces = without_springs(self._best, best.get_forces())
                remember(self._best, energy, forces, without_smearing(best, energy))
                self._best_is_saved = file == self._folder.best
                return
