"""Draws the curves of a training run: losses task by task, success on fresh starts. Layer 2, needs matplotlib."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from ..plot_style import OURS, PALE, RIVALS, SETTINGS, to_svg
from ..weights_io import write_whole
from .driver import EVALUATION, METRICS

SMOOTHING = 5
"""Visits of a task that the line averages over."""
COLUMNS = 5


def plot(folder: str | Path) -> Path:
    """Writes `curves.svg` into the folder of a run: a panel for every task.

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
        from matplotlib import rc_context
    except ImportError as error:
        raise ValueError("plots need matplotlib: pip install matplotlib") from error
    path = folder / "curves.svg"
    with rc_context(SETTINGS):
        write_whole(path, to_svg(draw(steps, _read(folder / EVALUATION))).encode())
    return path


def draw(steps: list[dict[str, Any]], evaluations: list[dict[str, Any]]) -> Any:
    """Returns the figure.

    Args:
      steps: metrics of the outer steps.
      evaluations: of the mean, on fresh starts; may be empty.
    """
    from matplotlib.figure import Figure  # no pyplot: that would open a window system and keep global state

    tasks = sorted({row["task"] for row in steps} | {name for row in evaluations for name in row["tasks"]})
    n_rows = -(-len(tasks) // COLUMNS)
    figure = Figure(figsize=(11.0, 0.8 + 1.75 * n_rows), layout="constrained")
    grid = figure.subplots(n_rows, COLUMNS, sharex=True, squeeze=False)
    for axes, task in zip(grid.flat, tasks, strict=False):
        _panel(axes, task, steps, evaluations)
    for axes in grid.flat[len(tasks) :]:
        axes.set_axis_off()
    fresh = "; orange: share of fresh starts that succeed (right)" if evaluations else ""
    figure.suptitle(
        f"Blue: loss of the mean at each visit of a task, in spreads{fresh}", fontsize=10, x=0.01, ha="left"
    )
    figure.supxlabel("outer step", fontsize=10)
    return figure


def _panel(axes: Any, task: str, steps: list[dict[str, Any]], evaluations: list[dict[str, Any]]) -> None:
    axes.set_title(task, fontsize=9)
    axes.tick_params(labelsize=7, length=2)
    points = np.array([(row["step"], row["loss"]) for row in steps if row["task"] == task]).reshape(-1, 2)
    if len(points) > 1:
        points = points[1:]  # at the first visit the lowest energy of a task may not be known yet
    if len(points):
        axes.plot(*points.T, "o", color=RIVALS[0], markersize=2.5, alpha=0.5)
        axes.plot(points[:, 0], _smooth(points[:, 1]), color=RIVALS[0], linewidth=1.4)
    else:
        axes.text(0.03, 0.95, "held out", color=PALE, fontsize=7, va="top", transform=axes.transAxes)
        axes.set_yticks([])
    found = [(row["step"], row["tasks"][task]["success"]) for row in evaluations if task in row["tasks"]]
    if found:
        other = axes.twinx()
        other.plot(*np.array(found).T, color=OURS[0], marker="o", markersize=2.5, linewidth=1.2)
        other.set_ylim(-0.04, 1.04)
        other.grid(False)
        other.tick_params(labelsize=7, length=2, colors=OURS[0])


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
