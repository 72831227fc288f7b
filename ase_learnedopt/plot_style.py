"""How the plots look: colours that everybody can tell apart, ours in front, names beside the curves. Layer 2."""

import textwrap
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

INK, PALE, GRID = "#22262b", "#737b84", "#e3e6ea"
OURS = ("#d1490c", "#b8860b", "#b02a7a")
"""Colours of learned methods, in front and thick."""
RIVALS = ("#0b6fb8", "#1f9e78", "#7a52c7", "#5aa9e0", "#8a8d0f", "#c2669c", "#14746f")
"""Colours of the others; after the last one they start again with dashes."""
DARK = {
    INK: "#dfe3e8", PALE: "#949ca6", GRID: "#31373e",
    "#d1490c": "#ff7f45", "#b8860b": "#e8b84a", "#b02a7a": "#f07cc0",
    "#0b6fb8": "#58aef2", "#1f9e78": "#43c99d", "#7a52c7": "#b196f0", "#5aa9e0": "#8fd0ff", "#8a8d0f": "#c3c64a",
    "#c2669c": "#e79ac6", "#14746f": "#4fb3ad",
}  # fmt: skip
"""The same colours on a dark page."""
SETTINGS: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "xtick.color": INK,
    "ytick.color": INK,
    "svg.fonttype": "path",  # the same on every machine
    "svg.hashsalt": "ase-learnedopt",  # the same in every run
    "path.simplify": True,
}
LONGEST_NAME = 33
"""Letters that fit beside the axes at full size; longer names are written smaller."""
LABEL_GAP = 0.052
"""Height of a line of labels, in heights of the axes."""


class Look(NamedTuple):
    """Holds how the curves of a method are drawn."""

    color: str
    dashes: Any
    width: float
    is_learned: bool


def looks(methods: Sequence[str], learned: Sequence[str]) -> dict[str, Look]:
    """Returns the look of each method, the same in all plots of a report."""
    found, n_ours, n_rivals = {}, 0, 0
    patterns: tuple[Any, ...] = ("solid", (0, (5, 1.6)), (0, (1.4, 1.3)))
    for method in methods:
        if method in learned:
            found[method] = Look(OURS[n_ours % len(OURS)], patterns[n_ours // len(OURS) % 3], 2.6, True)
            n_ours += 1
        else:
            found[method] = Look(RIVALS[n_rivals % len(RIVALS)], patterns[n_rivals // len(RIVALS) % 3], 1.4, False)
            n_rivals += 1
    return found


def blank(title: str, subtitle: str, x_label: str, y_label: str) -> tuple[Any, Any]:
    """Returns a figure and its axes, with room for names on the right."""
    from matplotlib.figure import Figure  # no pyplot: that would open a window system and keep global state

    figure = Figure(figsize=(9.4, 4.9))
    axes = figure.add_axes((0.09, 0.115, 0.57, 0.755))
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(lambda value, _: short(value))
    axes.xaxis.set_minor_formatter("")
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    figure.text(0.012, 0.945, title, fontsize=12.5, fontweight="bold")
    figure.text(0.012, 0.9, subtitle, fontsize=9, color=PALE)
    axes.tick_params(length=3)
    axes.tick_params(which="minor", length=0)
    return figure, axes


def short(number: float) -> str:
    """Returns a number of evaluations as on an axis: 300, 10k, 1M."""
    for unit, letter in ((1e6, "M"), (1e3, "k")):
        if number >= unit:
            return f"{number / unit:g}{letter}"
    return f"{number:g}"


def label_curves(axes: Any, ends: Sequence[tuple[str, Look, float]], idle: Sequence[str] = (), why: str = "") -> None:
    """Writes names to the right of the axes, each level with the end of its curve as far as there is room.

    Args:
      axes: limits must be final.
      ends: name, look and last value of each curve.
      idle: names without a curve worth drawing, put together after `why` where there is more room, above or below.
    """
    lines = textwrap.wrap(f"{why}: {', '.join(idle)}", 40) if idle else []
    ends = sorted(ends, key=lambda end: end[2])
    to_axes = axes.transData + axes.transAxes.inverted()
    heights = [min(to_axes.transform((axes.get_xlim()[1], y))[1], 1.0) for *_, y in ends]
    above = bool(heights) and float(np.mean(heights)) < 0.4
    taken = (len(lines) * 0.8 + 0.8) * LABEL_GAP if idle else 0.0
    places = spread(heights, LABEL_GAP, 0.0 if above else taken, 1.0 - taken if above else 1.0)
    for (name, look, _), height, place in zip(ends, heights, places, strict=True):
        line = {"color": look.color, "transform": axes.transAxes, "clip_on": False}
        axes.plot([1.005, 1.03, 1.045], [height, place, place], linewidth=0.7, **line)
        axes.plot([1.045, 1.085], [place, place], linewidth=max(look.width, 1.6), linestyle=look.dashes, **line)
        weight = "bold" if look.is_learned else "normal"
        size = min(9.0, 9.0 * LONGEST_NAME / len(name))
        axes.text(
            1.1, place, name, color=look.color, fontweight=weight, fontsize=size, va="center", transform=axes.transAxes
        )
    if lines:
        side = {"y": 1.0, "va": "top"} if above else {"y": 0.0, "va": "bottom"}
        text = "\n".join(lines)
        axes.text(1.045, s=text, color=PALE, fontsize=8, linespacing=1.25, transform=axes.transAxes, **side)


def spread(heights: Sequence[float], gap: float, low: float, high: float) -> np.ndarray:
    """Returns places for labels as near to their heights as a gap between neighbours allows.

    Args:
      heights: ascending.
      gap: least distance of neighbours.
      low, high: bounds; when there are too many labels the gap shrinks.
    """
    n = len(heights)
    if n < 2:
        return np.clip(np.asarray(heights, float), low, high)
    gap = min(gap, (high - low) / (n - 1))
    offset = gap * np.arange(n)
    # With the gaps taken out the order must only not fall: isotonic regression by pooling neighbours.
    pools: list[list[float]] = []
    for value in np.asarray(heights, float) - offset:
        pools.append([float(value), 1.0])
        while len(pools) > 1 and pools[-2][0] >= pools[-1][0]:
            (a, m), (b, k) = pools[-2], pools[-1]
            pools[-2:] = [[(a * m + b * k) / (m + k), m + k]]
    level = np.concatenate([np.full(int(k), value) for value, k in pools])
    return np.clip(level, low, high - offset[-1]) + offset


def to_svg(figure: Any) -> str:
    """Returns a figure as an SVG element, the same for the same records."""
    import io

    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]
