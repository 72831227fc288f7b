"""Keeps the finished parts of long work in a folder, so that work that was stopped goes on. Layer 2."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from ..weights_io import pack, write_whole

SETTINGS = "settings.json"


class KeptParts:
    """Holds arrays by the name of the part that made them; every part is written in one move.

    Args:
      folder: of the parts.
      settings: JSON types that decide what the parts are.

    Raises:
      ValueError: the folder has parts of work with other settings.
    """

    def __init__(self, folder: Path, settings: dict[str, Any]):
        self._folder, file = folder, folder / SETTINGS
        if not file.exists():
            write_whole(file, json.dumps(settings, indent=2).encode())
        elif (found := json.loads(file.read_text())) != settings:
            raise ValueError(f"{folder} is of work with other settings, {found}: delete it, or give another --out")

    def load(self, part: str) -> dict[str, np.ndarray] | None:
        """Reads the arrays of a part, None if it is not finished."""
        file = self._folder / f"{part}.npz"
        if not file.exists():
            return None
        with np.load(file, allow_pickle=False) as arrays:
            return dict(arrays)

    def save(self, part: str, **arrays: np.ndarray) -> None:
        """Writes the arrays of a part."""
        write_whole(self._folder / f"{part}.npz", pack(arrays))

    def delete(self) -> None:
        """Deletes the folder."""
        shutil.rmtree(self._folder, ignore_errors=True)
