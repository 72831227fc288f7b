"""The folder of a search: what lies in it, who may write to it, and what a killed search left there. Layer 4."""

from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.io import read, write
from ase.io.trajectory import Trajectory

from ..whole_file import whole_file
from .file_fields import for_ase_files, join
from .kept import copy_atoms
from .own_folder import OwnFolder
from .report import read_json

SAME_ON_RESUME = ("seed", "weights", "calculator", "length_scale", "energy_scale", "maxstep", "min_distance", "fmax")
"""Settings that a resumed search must share with the one it continues."""
FIELDS = "ase_learnedopt"
"""Key in the `info` of `start.traj` under which stands what a trajectory has no place for."""


class Folder(OwnFolder):
    """Names the files of a search.

    Args:
      path: the folder.
    """

    def __init__(self, path: str | Path):
        super().__init__(path, str(Path(path)), "search.lock")
        self.best = self.path / "best.xyz"
        self.minima = self.path / "minima.db"
        self.trajectory = self.path / "trajectory.traj"
        self.trace = self.path / "trace.csv"
        self.picture = self.path / "trace.png"
        self.run = self.path / "run.json"
        self.log = self.path / "search.log"
        self.start = self.path / "start.traj"
        self.restart = self.path / "restart.json"
        self.journal = self.path / "minima.db-journal"  # of a killed search: SQLite would undo the next one by it

    def check_free(self, overwrite: bool) -> None:
        """Makes sure that a new search may begin here.

        Raises:
          ValueError: something is there and may not be replaced.
        """
        found = [file for file in self.path.iterdir() if file != self.lock]
        if found and not overwrite:
            raise ValueError(
                f"the folder {self.name} is not empty: choose another --out, continue the search in it with "
                "--resume, or replace it with --overwrite"
            )
        if found and not self.run.exists():
            raise ValueError(f"{self.name} holds other files and no search (no run.json): nothing was overwritten")

    def check_resumable(self) -> dict[str, Any]:
        """Returns the `run.json` of the search to continue.

        Raises:
          ValueError: there is none.
        """
        if not self.run.exists():
            raise ValueError(f"there is no search in {self.name} to resume (no run.json): leave out --resume")
        return read_json(self.run)

    def read_start(self) -> Atoms:
        """Returns the structure that the search began with, without a calculator."""
        try:
            atoms = read(self.start)
        except Exception as error:
            raise ValueError(f"{self.start} cannot be read ({error}): the search cannot be resumed") from error
        assert isinstance(atoms, Atoms)
        atoms.calc = None
        join(atoms, atoms.info.get(FIELDS, ""))
        return atoms

    def write_start(self, atoms: Atoms) -> None:
        """Writes the structure that the search begins with, with all that the file can hold of it."""
        start, rest, _ = for_ase_files(copy_atoms(atoms))
        if rest:
            start.info[FIELDS] = rest
        write_structure(self.start, start)


def compare_settings(before: dict[str, Any], now: dict[str, Any]) -> None:
    """Makes sure that a resumed search is the same search.

    Raises:
      ValueError: a setting differs, with both values.
    """
    for name in SAME_ON_RESUME:
        if before.get(name) != now.get(name):
            raise ValueError(
                f"--resume continues the same search, but {name} was {before.get(name)!r} and is now {now.get(name)!r}"
            )


def open_trajectory(path: Path, keep: int) -> Any:
    """Opens a trajectory for appending after its first `keep` frames; 0 begins a new one."""
    if keep == 0 or not path.exists():
        return Trajectory(path, "w")
    with Trajectory(path) as old:
        n_frames = len(old)
    if n_frames > keep:
        with whole_file(path) as temporary, Trajectory(path) as old, Trajectory(temporary, "w") as new:
            for k in range(keep):
                new.write(old[k])
    return Trajectory(path, "a")


def write_structure(path: Path, atoms: Atoms) -> None:
    """Writes a structure in one move."""
    with whole_file(path) as temporary:
        write(temporary, atoms, format="traj" if path.suffix == ".traj" else "extxyz")


def same_structure(a: Atoms, b: Atoms) -> bool:
    """Tells whether two structures agree to the last digit that matters."""
    return (
        len(a) == len(b)
        and bool((a.numbers == b.numbers).all())
        and np.allclose(a.positions, b.positions, atol=1e-6)
        and np.allclose(a.cell.array, b.cell.array, atol=1e-6)
        and bool((a.pbc == b.pbc).all())
    )
