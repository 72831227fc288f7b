"""A folder that one process at a time writes to, made when needed and taken away where it stays empty. Layer 4."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..one_writer import only_writer
from ..whole_file import remove_unfinished


class OwnFolder:
    """Knows where the folder is, wherever the working directory moves.

    Args:
      path: of the folder.
      name: what messages call it, or what it is for.
      lock: name of the file that says who writes to it.
    """

    def __init__(self, path: str | Path, name: str, lock: str):
        self.path = Path(path).absolute()  # a calculator may change the working directory
        self.name = name
        self.lock = self.path / lock

    @property
    def files(self) -> list[Path]:
        """Returns every file that it may hold for longer than its lock."""
        return [
            value for value in vars(self).values() if isinstance(value, Path) and value not in (self.path, self.lock)
        ]

    @contextmanager
    def only_writer(self) -> Iterator[None]:
        """Makes the folder and keeps others from writing to it; takes it away again if it stays empty.

        Raises:
          ValueError: another process writes to it, or it cannot be written to.
        """
        with only_writer(self.path, self.lock.name, self.name):
            remove_unfinished(self.path)
            yield

    def clear(self, last: Path) -> None:
        """Deletes its files, the one that says what they are at last: a kill leaves what can be replaced again."""
        for file in sorted(self.files, key=lambda file: file == last):
            file.unlink(missing_ok=True)
