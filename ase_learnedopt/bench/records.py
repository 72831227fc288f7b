"""The results of a benchmark on disk: one file a problem and method, one JSON line a finished seed. Layer 4.

A line is appended whole and flushed to the disk before `append` returns, so a killed run leaves at most one torn line,
the last; readers drop it with a warning and the next `append` removes it.
"""

import contextlib
import json
import os
import warnings
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import IO, Any

import numpy as np

from ..released_weights import released_label

Record = dict[str, Any]
RESOLUTION, DIGITS = 0.02, 6
"""Of a trace: share of the evaluations that may lie between two entries, decimals of the energies."""
PLACES = 5
"""Decimals of positions in Angstrom: an energy is off by the square of it."""
WALL_TIMES = ("calculator", "method", "compile", "total")


def append(path: str | Path, record: Record) -> None:
    """Appends a record as one line.

    Args:
      path: file; made with its folder when it is not there.
      record: fields as in `check`; NumPy numbers are fine, energies that are not finite become null.

    Raises:
      ValueError: the record lacks a field or contradicts itself.
    """
    path, record = Path(path), _plain(record)
    check(record, f"{path}: the record to append")
    line = json.dumps(record, separators=(",", ":"), allow_nan=False).encode() + b"\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b") as file, _locked(file):
        file.write(_mend(file) + line)
        file.flush()
        os.fsync(file.fileno())


def read(path: str | Path) -> list[Record]:
    """Returns the records of a file by seed; a later record of a seed replaces an earlier one.

    Raises:
      ValueError: a line is not a record; the message names file and line.
    """
    path = Path(path)
    lines = path.read_bytes().split(b"\n")
    found: dict[int, Record] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        where = f"{path}, line {number}"
        try:
            record = json.loads(line)
        except ValueError as error:  # of JSON or of UTF-8
            if number == len(lines):  # no line feed behind it
                warnings.warn(f"{where}: dropped a line that a killed run left unfinished", stacklevel=2)
                continue
            raise ValueError(f"{where}: not JSON ({error}); repair or delete the line") from error
        check(record, where)
        found[record["seed"]] = record
    return [found[seed] for seed in sorted(found)]


def finished_seeds(path: str | Path) -> set[int]:
    """Returns the seeds that have a record, failures included; none where there is no file."""
    return {record["seed"] for record in read(path)} if Path(path).exists() else set()


def load_records(directory: str | Path) -> list[Record]:
    """Returns the records of all `*.jsonl` files of a folder, by file name and seed.

    Raises:
      ValueError: no record at all, a line that is not one, or two files with the same seed of the same method.
    """
    found: list[Record] = []
    holder: dict[tuple[Any, ...], Path] = {}
    for path in sorted(Path(directory).glob("*.jsonl")):
        for record in read(path):
            weights = record["weights"] and released_label(record["weights"])
            key = record["problem"], record["method"], weights, record["seed"]
            if key in holder:
                what = f"seed {key[3]} of {key[1]} on {key[0]}"
                raise ValueError(f"{holder[key]} and {path} both hold {what}: move one of the files away")
            holder[key] = path
            found.append(record)
    if not found:
        raise ValueError(
            f"no records (*.jsonl) in {directory}: make some with `ase-learnedopt bench run ... --out {directory}`"
        )
    return found


def thin(trace: Sequence[tuple[int, float]]) -> list[tuple[int, float]]:
    """Returns a trace to `RESOLUTION` of the evaluations: of improvements so close together only the last is kept.

    A relaxation improves the energy at nearly every evaluation, and nobody can tell them apart later.
    """
    kept: list[tuple[int, float]] = []
    opened = 0
    for count, energy in trace:
        # A new bin opens when the last one is full; the improvements within it replace one another.
        if kept and count < opened * (1.0 + RESOLUTION):
            kept[-1] = count, round(energy, DIGITS)
        else:
            opened = count
            kept.append((count, round(energy, DIGITS)))
    return kept


def as_rows(positions: np.ndarray | None) -> list[list[float]] | None:
    """Returns positions `[n_atoms, 3]` (Angstrom) as a record holds them, None if there are none."""
    return None if positions is None else np.round(np.asarray(positions, float), PLACES).tolist()


def check(record: Any, where: str) -> None:
    """Checks the fields of a record.

    `problem`, `method`: names; `weights`: label or null; `seed`, `budget`, `evaluations`: whole numbers; `hit`: whether
    the run succeeded, at evaluation `hit_at`; `best_energy`: eV or null; `trace`: pairs of evaluation and best energy,
    one an improvement; `wall_s`: seconds of `WALL_TIMES`; `error`: null or what a crash said; `versions`: names to
    versions. Records of earlier versions lack `reference` and `tolerance`: eV, what the run was judged by, or null;
    `best_positions`: Angstrom, where `best_energy` was evaluated; `lower`: null, or `energy`, `positions` and `fmax`
    of what was found below the reference, relaxed; `fused` and `calculator_failures`: energies that did not count
    because atoms were fused, or because a fresh calculator did not find them again. Further fields are kept, such as
    `date`, `n_atoms`, `settings` and `out_of_time`: whether the run was given up before its budget was spent.

    Raises:
      ValueError: the first thing that is wrong, after `where`.
    """
    if not isinstance(record, dict):
        raise ValueError(f"{where}: {type(record).__name__} instead of an object; delete the line")
    for name, (good, meaning) in _FIELDS.items():
        if name not in record:
            raise ValueError(f"{where}: no field {name!r}; delete the line, and the seed will be run again")
        if not good(record[name]):
            raise ValueError(f"{where}: {name} is {str(record[name])[:80]!r}, not {meaning}")
    for name, (good, meaning) in _LATER.items():
        if name in record and not good(record[name]):
            raise ValueError(f"{where}: {name} is {str(record[name])[:80]!r}, not {meaning}")
    for contradiction, found in _CONTRADICTIONS.items():
        if found(record):
            raise ValueError(f"{where}: {contradiction}; delete the line, and the seed will be run again")


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and bool(np.isfinite(value))


def _is_trace(value: Any) -> bool:
    if not isinstance(value, list) or not all(isinstance(row, list) and len(row) == 2 for row in value):
        return False
    if not all(_is_int(count) and _is_number(energy) for count, energy in value):
        return False
    return all(a[0] < b[0] and a[1] >= b[1] for a, b in pairwise(value))


def _are_positions(value: Any) -> bool:
    rows = isinstance(value, list) and all(isinstance(row, list) and len(row) == 3 for row in value)
    return rows and bool(value) and all(_is_number(x) for row in value for x in row)


def _is_lower(value: Any) -> bool:
    if not isinstance(value, dict) or not value.keys() >= {"energy", "positions", "fmax"}:
        return False
    return _is_number(value["energy"]) and _is_number(value["fmax"]) and _are_positions(value["positions"])


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


_FIELDS: dict[str, tuple[Any, str]] = {
    "problem": (_is_text, "a name"),
    "method": (_is_text, "a name"),
    "weights": (lambda v: v is None or _is_text(v), "a label or null"),
    "seed": (_is_int, "a whole number"),
    "budget": (lambda v: _is_int(v) and v > 0, "a whole number above zero"),
    "evaluations": (_is_int, "a whole number"),
    "hit": (lambda v: isinstance(v, bool), "true or false"),
    "hit_at": (lambda v: v is None or _is_int(v), "a whole number or null"),
    "best_energy": (lambda v: v is None or _is_number(v), "a finite number or null"),
    "trace": (_is_trace, "pairs (evaluation, energy) that go up in evaluations and down in energy"),
    "wall_s": (
        lambda v: isinstance(v, dict) and all(name in v and _is_number(v[name]) for name in WALL_TIMES),
        f"seconds of {', '.join(WALL_TIMES)}",
    ),
    "error": (lambda v: v is None or isinstance(v, str), "text or null"),
    "versions": (lambda v: isinstance(v, dict), "names and versions"),
}

_LATER: dict[str, tuple[Any, str]] = {
    "reference": (lambda v: v is None or _is_number(v), "a finite number or null"),
    "tolerance": (lambda v: v is None or (_is_number(v) and v > 0), "a number above zero or null"),
    "best_positions": (lambda v: v is None or _are_positions(v), "rows of three finite numbers or null"),
    "lower": (lambda v: v is None or _is_lower(v), "null or an object of energy, positions and fmax"),
    "fused": (_is_int, "a whole number"),
    "calculator_failures": (_is_int, "a whole number"),
}
"""Fields that records of earlier versions lack."""

_CONTRADICTIONS: dict[str, Any] = {
    "hit_at must be given exactly where hit is true": lambda r: r["hit"] != (r["hit_at"] is not None),
    "hit_at exceeds evaluations": lambda r: r["hit"] and r["hit_at"] > r["evaluations"],
    "evaluations exceed budget": lambda r: r["evaluations"] > r["budget"],
    "a run that ended below the reference is no hit": lambda r: r["hit"] and r.get("lower") is not None,
    "the trace goes on after the last evaluation": lambda r: r["trace"] and r["trace"][-1][0] > r["evaluations"],
}


@contextlib.contextmanager
def _locked(file: IO[bytes]) -> Iterator[None]:
    """Keeps other processes from appending at the same time, where the system has such locks."""
    try:
        import fcntl
    except ImportError:
        yield
        return
    fcntl.flock(file, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.flock(file, fcntl.LOCK_UN)


def _mend(file: IO[bytes]) -> bytes:
    """Cuts off a torn last line; returns the line feed that a whole one lacks."""
    file.seek(0)
    head, feed, tail = file.read().rpartition(b"\n")
    if not tail.strip():
        return b""
    try:
        json.loads(tail)
    except ValueError:
        file.truncate(len(head) + len(feed))
        return b""
    return b"\n"


def _plain(value: Any) -> Any:
    """Returns a value made of JSON types."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not np.isfinite(value) else value
