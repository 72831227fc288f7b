"""What lies beside the result of a relaxation until it has converged, so that it can go on. Layer 4."""

import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from ase import Atoms
from ase.io.jsonio import decode, encode

from .folder import same_structure
from .own_folder import OwnFolder
from .report import read_json, write_json
from .trace import replace_text

SUFFIX = ".relaxing"
LONGEST_NAME = 255 - len(SUFFIX)
"""Bytes that file systems allow."""
SAME_ON_RESUME = ("calculator", "calculator_kwargs", "maxstep", "cell")


class Reached(NamedTuple):
    """Holds the figures of the lowest structure so far."""

    energy: float  # eV, what the forces belong to
    plain: float | None  # eV, without smearing, of calculators that give both
    fmax: float | None  # eV/Angstrom, None if it is not known


class RelaxationFolder(OwnFolder):
    """Names and reads the files that a relaxation goes on from; they are deleted when it has converged."""

    def __init__(self, target: Path, name: str):
        short = (
            target.name if len(os.fsencode(target.name)) <= LONGEST_NAME else f"{zlib.crc32(target.name.encode()):08x}"
        )
        super().__init__(target.with_name(short + SUFFIX), name, "relax.lock")
        self.start = self.path / "start.json"
        self.restart = self.path / "restart.json"
        self.options = self.path / "options.json"
        self.reached = self.path / "reached.json"

    @contextmanager
    def only_writer(self) -> Iterator[None]:
        """Makes the folder and keeps others from writing to it and to the result; takes it away where it is empty.

        Raises:
          ValueError: another process writes to it, or it cannot be written to.
        """
        with super().only_writer():
            yield
        with suppress(OSError):
            self.path.rmdir()

    def check_free(self, overwrite: bool) -> None:
        """Makes sure that a new relaxation may begin.

        Raises:
          ValueError: one has not ended, and may not be replaced.
        """
        if self.options.exists() and not overwrite:
            raise ValueError(
                f"a relaxation to {self.name} has not converged yet: choose another --out, continue it with --resume, "
                "or replace it with --overwrite"
            )

    def begin(self, start: Atoms, options: dict[str, Any]) -> None:
        """Notes the start and the options of a new relaxation."""
        self.clear(last=self.options)
        replace_text(self.start, encode(start.todict()))
        write_json(self.options, options)

    def write_reached(self, figures: Reached) -> None:
        """Notes what the result that was just written came to: not every format holds it."""
        write_json(self.reached, figures._asdict())

    def read_reached(self, energy: float) -> Reached:
        """Returns what was noted of the structure of this energy; the energy alone if the note is of another."""
        figures = Reached(**read_json(self.reached)) if self.reached.exists() else None
        return figures if figures is not None and figures.energy == energy else Reached(energy, energy, None)

    def read(self) -> tuple[Atoms, dict[str, Any]]:
        """Returns the start and the options of the relaxation to continue.

        Raises:
          ValueError: there is none, or it cannot be read.
        """
        if not self.options.exists():
            raise ValueError(f"there is no unfinished relaxation to {self.name} ({self.path}): leave out --resume")
        options = read_json(self.options)
        try:
            return Atoms.fromdict(decode(self.start.read_text())), options
        except Exception as error:
            raise ValueError(f"{self.start} cannot be read ({error}): the relaxation cannot be resumed") from error


def require_same(start: Atoms, given: Atoms | None, before: dict[str, Any], now: dict[str, Any]) -> None:
    """Makes sure that a resumed relaxation is the same one.

    Raises:
      ValueError: another structure or setting is given.
    """
    if given is not None and not same_structure(start, given):
        raise ValueError("--resume continues the same relaxation, but it began with another structure")
    for name in SAME_ON_RESUME:
        if before[name] != now[name]:
            raise ValueError(
                f"--resume continues the same relaxation, but {name} was {before[name]!r} and is now {now[name]!r}"
            )
