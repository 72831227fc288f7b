"""A file of trainings that are done, so that what was stopped goes on from it. Layer 2."""

import hashlib
import json
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np

from ..one_writer import only_writer_of_file
from ..weights_io import write_whole


class Kept:
    """Keeps what came of trainings by what they were, in a file that is written whole every time.

    Args:
      path: the file; None: keep in memory only.
      about: what all the trainings share, as plain values: a file about something else is refused.

    Raises:
      ValueError: the file is damaged, or holds other trainings.
    """

    def __init__(self, path: str | Path | None, about: dict[str, Any]):
        self._path, self._about = None if path is None else Path(path), json.loads(json.dumps(about))
        self._found: dict[str, dict[str, Any]] = {}
        if self._path is not None and self._path.exists():
            self._found = self._read(self._path)

    def __len__(self) -> int:
        return len(self._found)

    def get(self, key: tuple[Any, ...]) -> dict[str, Any] | None:
        """Returns what is kept under a key, None if nothing is."""
        return self._found.get(json.dumps(key))

    def add(self, found: dict[tuple[Any, ...], dict[str, Any]]) -> None:
        """Keeps more, and writes the file."""
        self._found |= {json.dumps(key): value for key, value in found.items()}
        if self._path is not None:
            content = {"about": self._about, "trainings": self._found}
            write_whole(self._path, (json.dumps(content, indent=0, allow_nan=False) + "\n").encode())

    def _read(self, path: Path) -> dict[str, dict[str, Any]]:
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            about, found = content["about"], content["trainings"]
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{path} is no file of trainings ({error}): delete it, or give another") from error
        differing = sorted(k for k in {*about, *self._about} if about.get(k) != self._about.get(k))
        if differing:
            pairs = "; ".join(f"{k}: {about.get(k)} there, {self._about.get(k)} now" for k in differing)
            raise ValueError(f"{path} holds other trainings ({pairs}): delete it, or give another")
        return found


def only_keeper(path: str | Path | None) -> AbstractContextManager[None]:
    """Keeps other processes from a file of trainings: each would drop what the other has added; None: does nothing.

    Raises:
      ValueError: another process writes to it.
    """
    return nullcontext() if path is None else only_writer_of_file(path)


def digest(*arrays: np.ndarray) -> str:
    """Returns a short name for the content of arrays."""
    found = hashlib.sha256()
    for array in arrays:
        found.update(f"{array.shape}{array.dtype}".encode())
        found.update(np.ascontiguousarray(array).tobytes())
    return found.hexdigest()[:16]
