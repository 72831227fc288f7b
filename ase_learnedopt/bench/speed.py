"""Measures speed: overhead per step, time to first results, evaluations per second, and the roofline. Layer 4."""

import json
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..one_writer import only_writer
from .speed_compile import CASES, measure_first_results
from .speed_machine import describe_machine, describe_software, load
from .speed_overhead import measure_overhead
from .speed_page import speed_page
from .speed_rivals import RIVALS, why_missing
from .speed_roofline import measure_roofline
from .speed_throughput import measure_throughput


@dataclass(frozen=True)
class Sizes:
    """Says how much is measured.

    `overhead_*`: atoms; steps; seconds after which four steps are enough. `first_*`: cases; processes of each.
    `clusters`, `batches`: atoms and walkers of the rollouts; `seconds` each is timed for. `roofline_*`: atoms; walkers.
    """

    overhead_atoms: tuple[int, ...] = (13, 38, 147, 500, 2000, 5000)
    overhead_steps: int = 120
    overhead_limit_s: float = 30.0
    first_cases: tuple[str, ...] = tuple(CASES)
    first_repeats: int = 3
    clusters: tuple[int, ...] = (13, 38, 75, 147)
    batches: tuple[int, ...] = (1, 4, 16, 64, 256, 1024)
    seconds: float = 1.0
    roofline_clusters: tuple[int, ...] = (13, 38, 75, 147)
    roofline_walkers: int = 64


FULL = Sizes()
SHORT = Sizes(
    overhead_atoms=(38, 500, 5000),
    overhead_limit_s=5.0,
    first_cases=tuple(CASES)[:2],
    clusters=(38,),
    batches=(64,),
    roofline_clusters=(38,),
)


def speed(out: str | Path, *, short: bool = False) -> Path:
    """Measures speed on this machine, writes `speed.json` and `speed.md`, and tells each finished row to stderr.

    The files appear together when all is measured; stopped before, nothing is written.

    Args:
      out: folder, made when it is not there.
      short: the figures that matter most, some minutes.

    Returns:
      The path of `speed.md`.

    Raises:
      ValueError: `out` is a file, or another process writes to it.
    """
    folder = Path(out)
    with only_writer(folder.absolute(), "speed.lock", folder):
        command = f"ase-learnedopt bench speed --out {folder.resolve().name}{' --short' if short else ''}"
        data = measure_speed(SHORT if short else FULL, _say)
        return write_speed(folder, {"command": command, **data})


def measure_speed(sizes: Sizes, say: Callable[[str], Any]) -> dict[str, Any]:
    """Returns all measurements, what they were made on and with, made of JSON types; `say` is told of each row."""
    head: dict[str, Any] = {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": describe_machine(),
        "versions": describe_software(),
        "sizes": asdict(sizes),
        "missing": {name: reason for name in RIVALS if (reason := why_missing(name))},
    }
    for name, reason in head["missing"].items():
        say(f"{name} does not run: it {reason}")
    return {
        **head,
        "overhead": measure_overhead(sizes.overhead_atoms, sizes.overhead_steps, sizes.overhead_limit_s, say),
        "first_results": measure_first_results(sizes.first_cases, sizes.first_repeats, say),
        "roofline": measure_roofline(sizes.roofline_clusters, sizes.roofline_walkers, say),
        "throughput": measure_throughput(sizes.clusters, sizes.batches, sizes.seconds, say),
        "load_after": load(),
    }


def write_speed(folder: Path, data: dict[str, Any]) -> Path:
    """Writes both files, whole or not at all, and returns the path of the page."""
    texts = {"speed.json": json.dumps(data, indent=1) + "\n", "speed.md": speed_page(data)}
    temporary = {folder / name: folder / f".{name}.tmp" for name in texts}
    try:
        for path, text in zip(temporary.values(), texts.values(), strict=True):
            path.write_text(text, encoding="utf-8", newline="\n")
        for path, old in temporary.items():
            old.replace(path)
    finally:
        for path in temporary.values():
            path.unlink(missing_ok=True)
    return folder / "speed.md"


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
