"""What a search leaves for people and for repeating it: the table of minima and `run.json`. Layer 4."""

import json
import platform
import re
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from .minima import Minimum
from .motif import motif
from .point_group import point_group
from .trace import replace_text

PACKAGES = ("ase-learnedopt", "ase", "jax", "jaxlib", "numpy", "scipy")


def describe_structure(atoms: Atoms) -> str:
    """Returns motif and point group in words, such as `fcc Oh`; `-` where neither can be told."""
    return " ".join(word for word in (motif(atoms), point_group(atoms)) if word) or "-"


def table(minima: list[Minimum], n_rows: int = 10) -> str:
    """Returns the lowest distinct minima as a table, lowest first."""
    if not minima:
        return "No local minimum was reached."
    lowest = minima[0].energy
    lines = [f"{'':>3} {'energy/eV':>14} {'above best/eV':>14} {'first seen':>11} {'times':>6}  motif"]
    for rank, m in enumerate(minima[:n_rows], 1):
        numbers = f"{rank:3d} {m.energy:14.5f} {m.energy - lowest:14.5f} {m.evaluation:11d} {m.times_seen:6d}"
        lines.append(f"{numbers}  {describe_structure(m.atoms)}")
    if len(minima) > n_rows:
        lines.append(f"    ... and {len(minima) - n_rows} more in minima.db")
    return "\n".join(lines)


def versions(packages: Sequence[str] = PACKAGES) -> dict[str, str]:
    """Returns the versions of Python and of the packages that a result depends on."""
    found = {"python": platform.python_version(), "platform": platform.platform()}
    for name in packages:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def describe_weights(weights: str | Path | None) -> dict[str, Any]:
    """Returns name and digest of weights, the name with the version that a plain one stands for."""
    if weights is None or str(weights) == "none":
        return {"name": "none", "sha256": None, "meaning": "the untrained, classical policy"}
    from ..released_weights import versioned_name
    from ..weights_io import read_card

    return {"name": versioned_name(weights), "sha256": read_card(weights)["sha256"]}


def describe_calculator(calculator: Any) -> dict[str, Any]:
    """Returns class and parameters of a calculator."""
    kind = type(calculator)
    return {
        "class": f"{kind.__module__}:{kind.__qualname__}",
        "parameters": plain(dict(getattr(calculator, "parameters", None) or {})),
    }


def write_json(path: Path, data: dict[str, Any]) -> None:
    """Writes a JSON file in one move."""
    replace_text(path, json.dumps(plain(data), indent=2) + "\n")


def read_json(path: Path) -> dict[str, Any]:
    """Reads a JSON file.

    Raises:
      ValueError: it cannot be read.
    """
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} cannot be read ({error}): without it there is no search to resume") from error


def plain(value: Any) -> Any:
    """Returns a value made of JSON types, the same in every process.

    What is none becomes its text, without the place in memory; numbers that are not finite become null.
    """
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, set | frozenset):
        value = sorted(value, key=str)  # else in another order in every process
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float):
        return value if np.isfinite(value) else None
    if value is None or isinstance(value, str | int | bool):
        return value
    return re.sub(r" at 0x[0-9a-fA-F]+", "", str(value))
