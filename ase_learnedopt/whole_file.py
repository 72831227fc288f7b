"""Files that are there whole or not at all, whatever kills the process. Layer 0."""

import os
import shutil
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PREFIX = ".unfinished-"
"""Begins the names of files and folders that are still being written; a killed process leaves them behind."""


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yields a temporary path beside `path`, which takes its place when the block has ended well.

    The name is short, since names have a longest length that that of `path` may reach. It keeps the ending, from which
    writers tell formats and compression.
    """
    own = f"{zlib.crc32(os.fsencode(path.name)):08x}-{os.getpid()}-{threading.get_ident()}"
    temporary = path.with_name(f"{PREFIX}{own}{path.suffix if len(path.suffix) < 8 else ''}")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def remove_unfinished(folder: Path) -> None:
    """Deletes what killed processes left; only for a folder that no other process writes to."""
    for left in folder.glob(f"{PREFIX}*"):
        if left.is_dir():
            shutil.rmtree(left, ignore_errors=True)
        else:
            left.unlink(missing_ok=True)
