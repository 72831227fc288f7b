"""Errors about files that say what was expected where. Layer 2."""

from pathlib import Path


def folder_at(path: str | Path, name: str, holds: str) -> Path:
    """Returns the folder at a path, or the one called `name` in it.

    Raises:
      ValueError: there is none.
    """
    path = Path(path)
    if (path / name).is_dir():
        return path / name
    if not path.is_dir():
        raise ValueError(f"there is no folder {path}; expected is {name}, which holds {holds}")
    return path


def subfolders(folder: Path, holds: str) -> list[Path]:
    """Returns the folders in a folder, sorted by name.

    Raises:
      ValueError: there are none.
    """
    found = sorted(item for item in folder.iterdir() if item.is_dir()) if folder.is_dir() else []
    if not found:
        raise ValueError(f"there are no folders in {folder}; expected are {holds}")
    return found


def content_of(file: Path, holds: str) -> bytes:
    """Returns what a file holds.

    Raises:
      ValueError: there is no such file.
    """
    if not file.is_file():
        raise ValueError(f"there is no file {file}; expected is {holds}")
    return file.read_bytes()


def text_of(file: Path, holds: str) -> str:
    """Returns the text that a file holds.

    Raises:
      ValueError: there is no such file, or it is not UTF-8.
    """
    try:
        return content_of(file, holds).decode()
    except UnicodeDecodeError as error:
        raise ValueError(f"{file} is no UTF-8 text ({error}); expected is {holds}") from error
