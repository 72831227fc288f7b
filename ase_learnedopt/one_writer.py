"""One process at a time writes to a folder or file: a lock file that says who. Layer 0.

The file appears with all its content in one step (a hard link, which is atomic over NFS, too), so no two processes make
it. A process that was killed leaves it behind; the next one on the same host sees that, and takes its place.
"""

import json
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .whole_file import PREFIX, whole_file

TRIES = 100
"""Locks that may come and go before this process gives up."""
SUFFIX = ".lock"


class TakenError(ValueError):
    """Says that another process writes there."""


@contextmanager
def only_writer(folder: Path, lock: str, name: str | Path) -> Iterator[None]:
    """Makes a folder and holds a lock in it for the length of the block; a new folder that stays empty is taken away.

    Args:
      folder: absolute path.
      lock: name of the lock file.
      name: what is written to, for messages.

    Raises:
      TakenError: another process holds the lock, or one of another host, which may be alive or not.
      ValueError: the folder is a file, or cannot be written to.
    """
    made: list[Path] = []
    try:
        with ExitStack() as stack:
            try:
                if folder.exists() and not folder.is_dir():
                    raise ValueError(f"{folder} is a file and has to be a folder: choose another --out")
                made += [each for each in (folder, *folder.parents) if not each.exists()]
                folder.mkdir(parents=True, exist_ok=True)
                stack.enter_context(one_writer(folder / lock, name))
            except OSError as error:
                raise ValueError(f"{name} cannot be written to ({error}): choose another --out") from error
            yield
    finally:
        for each in made:
            with suppress(OSError):
                each.rmdir()


@contextmanager
def only_writer_of_file(path: str | Path) -> Iterator[None]:
    """Holds a lock beside a file, as `only_writer` does, for the length of the block.

    Raises:
      TakenError: another process holds the lock, or one of another host, which may be alive or not.
      ValueError: it cannot be written to.
    """
    absolute = Path(path).absolute()
    with only_writer(absolute.parent, absolute.name + SUFFIX, path):
        yield


@contextmanager
def one_writer(path: Path, what: str | Path) -> Iterator[None]:
    """Holds the lock file `path` for the length of the block.

    Args:
      path: absolute path of the lock file, which is deleted at the end.
      what: what is written to, for messages.

    Raises:
      TakenError: another process holds it, or one of another host, which may be alive or not.
    """
    own = json.dumps(_this_process()).encode()
    for _ in range(TRIES):
        if _make(path, own) or _take_over(path, own, what):
            break
    else:
        raise TakenError(f"other processes take turns at {what}: try again when they are done")
    pid = os.getpid()
    try:
        yield
    finally:
        with suppress(OSError):  # also where someone has deleted the whole folder
            if pid == os.getpid() and path.read_bytes() == own:
                path.unlink()


def _this_process() -> dict[str, Any]:
    now = datetime.now(UTC).isoformat(timespec="microseconds")
    pid = os.getpid()
    return {"host": socket.gethostname(), "numbering": _numbering(), "pid": pid, "began": _began(pid), "since": now}


def _make(path: Path, content: bytes) -> bool:
    """Makes the file, unless there is one; returns whether it did."""
    temporary = path.with_name(f"{PREFIX}lock-{os.getpid()}-{threading.get_ident()}")
    temporary.write_bytes(content)
    try:
        os.link(temporary, path)
        return True
    except FileExistsError:
        return False
    except OSError:  # a file system without hard links
        with suppress(FileExistsError), path.open("xb") as file:
            file.write(content)
            return True
        return False
    finally:
        temporary.unlink(missing_ok=True)


def _take_over(path: Path, content: bytes, what: str | Path) -> bool:
    """Replaces the lock of a process that is dead; returns whether it did, False where the lock is another by now."""
    with suppress(FileNotFoundError):
        found = path.read_bytes()
        if _may_be_alive(found):
            raise TakenError(_refusal(found, path, what))
        return _replace(path, found, content, what)
    return False


def _replace(path: Path, found: bytes, content: bytes, what: str | Path) -> bool:
    import fcntl  # not everywhere; there no process is known to be dead

    with path.open("rb+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX)  # of those who see the same dead process, one after the other
        except OSError as error:
            raise TakenError(_refusal(found, path, what)) from error
        if path.read_bytes() == found:
            with whole_file(path) as temporary:
                temporary.write_bytes(content)
            return True
    return False


def _may_be_alive(found: bytes) -> bool:
    """Returns False where a lock is surely of a process that has ended."""
    try:
        lock = json.loads(found)
        host, pid, began = lock["host"], int(lock["pid"]), lock["began"]
    except (ValueError, KeyError, TypeError):
        return True
    here = _this_process()
    if os.name != "posix" or (host, lock.get("numbering")) != (here["host"], here["numbering"]):
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # it is another user's
        pass
    now = _began(pid)
    return None in (began, now) or began == now  # else the number is another process's by now


def _began(pid: int) -> str | None:
    """Returns when a process began, in ticks of the system's clock; "ended" of one that is dead, None if unknown."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return "ended" if fields[0] in "ZX" else fields[19]


def _numbering() -> str | None:
    """Returns what tells apart containers of one host name, in which numbers of processes mean other processes."""
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return None


def _refusal(found: bytes, path: Path, what: str | Path) -> str:
    try:
        lock = json.loads(found)
        who = f"process {lock['pid']} on {lock['host']}, since {lock['since'][:19]} UTC"
    except (ValueError, KeyError, TypeError):
        who = "a process that has not signed its lock"
    return (
        f"{what} is being written to by {who}: wait for its end, or stop it; "
        f"if you are certain that it is gone, delete {path}"
    )
