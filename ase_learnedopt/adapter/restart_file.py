"""Writes restart files so that a killed job never leaves half of one. Layer 3."""

import os
import time
from pathlib import Path
from typing import Any

from ase.io.jsonio import decode, encode
from ase.optimize.optimize import RestartError

from ..whole_file import whole_file

SHARE_OF_TIME = 0.1
"""Share of a run that writing restart files may take; a resumed run repeats what came after the last one, exactly."""


class RestartFile:
    """Writes one file, as often as its share of time allows, wherever the working directory moves."""

    def __init__(self, path: str | Path | None, master: bool):
        self._path = Path(path).absolute() if path is not None and master else None
        self._next = 0.0

    def __getstate__(self) -> dict:
        """Returns all but the time of the next writing: elsewhere the clock is another one."""
        return {**vars(self), "_next": 0.0}

    @property
    def due(self) -> bool:
        """Whether it is time to write."""
        return self._path is not None and time.monotonic() >= self._next

    def write(self, data: dict) -> None:
        """Replaces the file in one move by `data` as JSON."""
        if self._path is None:
            return
        begin = time.monotonic()
        with whole_file(self._path) as temporary, temporary.open("w") as file:
            file.write(encode(data))
            file.flush()
            os.fsync(file.fileno())
        end = time.monotonic()
        self._next = end + (end - begin) / SHARE_OF_TIME


def read_restart(path: str | Path) -> Any:
    """Returns what was written.

    Raises:
      RestartError: it is not JSON.
    """
    try:
        return decode(Path(path).read_text(), always_array=False)
    except ValueError as error:
        raise RestartError(f"{path} is damaged ({error}): delete or rename it to start afresh") from error
