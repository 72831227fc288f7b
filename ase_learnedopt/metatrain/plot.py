"""Draws the curves of a training run: losses step by step, success on fresh starts. Layer 2, needs matplotlib."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from .driver import EVALUATION, METRICS

SMOOTHING = 10
"""Visits of a task that the thick line averages over."""


def plot(folder: str | Path) -> Path:
    """Writes `curves.svg` into the folder of a run.

    Returns:
      Its path.

    Raises:
      ValueError: the folder has no metrics, or matplotlib is missing.
    """
    folder = Path(folder)
    steps = _read(folder / METRICS)
    if not steps:
        raise ValueError(f"{folder} has no {METRICS}: it holds no training run, or not a step of one")
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ValueError("plots need matplotlib: pip install matplotlib") from error
    figure = Figure(figsize=(9.4, 6.4), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True)
    for task in sorted({row["task"] for row in steps}):
        rows = [row for row in steps if row["task"] == task]
        x, y = np.array([(row["step"], row["loss"]) for row in rows]).T
        (line,) = upper.plot(x, y, alpha=0.25, linewidth=0.8)
        upper.plot(x, _smooth(y), color=line.get_color(), label=task)
    upper.set_ylabel("loss of the mean, in spreads")
    found = _read(folder / EVALUATION)
    for task in sorted({name for row in found for name in row["tasks"]}):
        points = [(row["step"], row["tasks"][task]["success"]) for row in found if task in row["tasks"]]
        lower.plot(*np.array(points).T, marker="o", markersize=3, label=task)
    lower.set_ylabel("success on fresh starts")
    lower.set_ylim(-0.02, 1.02)
    lower.set_xlabel("outer step")
    for axes in (upper, lower):
        axes.grid(alpha=0.3)
        if axes.lines:
            axes.legend(fontsize=8, ncols=2, frameon=False)
    path = folder / "curves.svg"
    temporary = folder / ".curves.svg.tmp"
    figure.savefig(temporary, format="svg")
    temporary.replace(path)
    return path


def _read(path: Path) -> list[dict[str, Any]]:
    if not path.is_file():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.endswith("}")]


def _smooth(values: np.ndarray) -> np.ndarray:
    """Returns the mean of up to `SMOOTHING` values up to each one."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    first = np.maximum(np.arange(len(values)) + 1 - SMOOTHING, 0)
    last = np.arange(len(values)) + 1
    return (sums[last] - sums[first]) / (last - first)
