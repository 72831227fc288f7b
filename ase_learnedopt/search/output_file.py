"""The file of a result, and whether it can hold the atoms, which is asked before anything is evaluated. Layer 4."""

import os
import re
from pathlib import Path
from tempfile import TemporaryDirectory
from warnings import catch_warnings

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.geometry import find_mic
from ase.io import read, write
from ase.io.formats import UnknownFileTypeError, filetype, get_ioformat

from ..whole_file import PREFIX
from .brought_back import not_brought_back
from .file_fields import for_extxyz
from .kept import copy_atoms

ROUNDING = 0.01
"""Angstrom that positions and cell may lose in a file."""
LONGEST_SUFFIX = 16
WAY_OUT = "choose another name, such as relaxed.xyz or relaxed.traj"


class OutputFile:
    """Writes a structure whole or not at all, in the format that the name of the file says.

    Args:
      name: of the file, which may be a link to another.

    Raises:
      ValueError: its format is unknown or cannot be read again, there is no such folder, or something is in the way.
    """

    def __init__(self, name: str | Path):
        self.name, self.path = str(name), Path(os.path.realpath(name))  # a calculator may change the working directory
        self._format = _format_of(self.name)
        self._lost: list[str] = []  # in the trial
        try:
            self._require_place()
        except OSError as error:  # such as a name that is too long
            raise ValueError(f"{self.name} cannot be written to ({error}): {WAY_OUT}") from error

    def _require_place(self) -> None:
        if not self.path.parent.is_dir():
            raise ValueError(f"there is no folder {self.path.parent} to write {self.path.name} to")
        if self.path.exists() and not self.path.is_file():
            raise ValueError(f"{self.name} is no file: {WAY_OUT}")
        if self.path.exists() and not os.access(self.path, os.W_OK):
            raise ValueError(f"{self.name} may not be written to: {WAY_OUT}")

    def write(self, atoms: Atoms, folder: Path) -> None:
        """Writes a structure by way of a file in a folder of the same file system."""
        temporary = folder / f"result{self._suffix}"
        write(temporary, self._held(atoms), format=self._format)
        temporary.replace(self.path)

    def _held(self, atoms: Atoms) -> Atoms:
        return for_extxyz(atoms).atoms if self._format == "extxyz" else atoms

    def lost(self, atoms: Atoms) -> list[str]:
        """Returns in words what of a structure the file does not hold; but for extended XYZ that of the trial."""
        return for_extxyz(atoms).lost if self._format == "extxyz" else self._lost

    def is_same(self, path: Path) -> bool:
        """Returns whether a path is this file."""
        return Path(os.path.realpath(path)) == self.path

    @property
    def _suffix(self) -> str:
        return self.path.suffix if len(self.path.suffix) < LONGEST_SUFFIX else ""  # it says how to compress

    def require_holds(self, atoms: Atoms, folder: Path) -> None:
        """Writes a structure to a folder for a trial, and reads it again; `lost` then says what did not come back.

        Raises:
          ValueError: that fails, makes several files, or brings back something else.
        """
        trial = copy_atoms(atoms)
        trial.calc = SinglePointCalculator(trial, energy=0.0, forces=np.zeros((len(trial), 3)))
        with TemporaryDirectory(prefix=PREFIX, dir=folder) as place, catch_warnings(action="ignore"):
            path = Path(place) / f"result{self._suffix}"
            try:
                write(path, self._held(trial), format=self._format)
                found = read(path, format=self._format)
            except Exception as error:
                reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
                raise ValueError(f"{self.name} cannot hold these atoms ({reason}): {WAY_OUT}") from error
            if len(list(Path(place).iterdir())) > 1:
                raise ValueError(f"{self.name} would be several files ({self._format}): {WAY_OUT}")
        lost = _lost(atoms, found)
        self._lost = not_brought_back(trial, found) if isinstance(found, Atoms) and not lost else []
        if lost:
            raise ValueError(f"{self.name} does not hold {lost} of these atoms ({self._format}): {WAY_OUT}")


def _format_of(name: str) -> str:
    if re.search(r"\.xyz(\.(gz|bz2|xz))?$", name):  # also POSCAR-relaxed.xyz, which ASE would take for a POSCAR
        return "extxyz"
    try:
        name_of_format = filetype(name, read=False)
        known = get_ioformat(name_of_format)
    except UnknownFileTypeError as error:
        raise ValueError(f"ASE knows no format for the name {name}: {WAY_OUT}") from error
    if not (known.can_write and known.can_read):
        raise ValueError(f"ASE cannot {'read' if known.can_write else 'write'} the format of {name}: {WAY_OUT}")
    return name_of_format


def _lost(atoms: Atoms, found: object) -> str | None:
    """Returns what a structure has lost, None if nothing that a result needs."""
    if not isinstance(found, Atoms) or len(found) != len(atoms) or (found.numbers != atoms.numbers).any():
        return "the elements"
    cell = np.abs(found.cell.array - atoms.cell.array)[atoms.pbc]
    if cell.size and cell.max() > ROUNDING:
        return "the cell"
    lattice = atoms.cell.complete()  # some formats wrap; parallel vectors are told by others
    moved, _ = find_mic(found.positions - atoms.positions, lattice, atoms.cell.any(1) & (lattice.volume > 1e-6))
    return "the positions" if np.abs(moved).max() > ROUNDING else None
