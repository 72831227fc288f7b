"""The course of a search: one line of `trace.csv` per evaluation, and the picture of it. Layer 4."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..whole_file import whole_file

HEADER = "evaluation,energy_eV,fmax_eV_per_A,n_hops\n"


class Trace(NamedTuple):
    """Holds the course of a search."""

    evaluation: np.ndarray  # [n] int, from 1
    energy: np.ndarray  # [n] eV, infinity where the calculator failed
    fmax: np.ndarray  # [n] eV/Angstrom
    n_hops: np.ndarray  # [n] int, hops made before the evaluation


class TraceFile:
    """Appends to a trace file line by line; what a kill left beyond a given evaluation is cut off first."""

    def __init__(self, path: Path, keep: int = 0):
        if keep and path.exists():
            trace = read_trace(path)
            kept = trace.evaluation <= keep
            rows = zip(*(column[kept] for column in trace), strict=True)
            text = HEADER + "".join(_line(int(n), e, f, int(h)) for n, e, f, h in rows)
        else:
            text = HEADER
        replace_text(path, text)
        self._file = path.open("a", buffering=1)

    def add(self, evaluation: int, energy: float, fmax: float, n_hops: int) -> None:
        """Writes a line."""
        self._file.write(_line(evaluation, energy, fmax, n_hops))

    def close(self) -> None:
        """Closes the file."""
        self._file.close()


def read_trace(path: Path) -> Trace:
    """Reads a trace file; a last line that a kill cut short is left out."""
    rows = []
    for line in path.read_text().splitlines(keepends=True)[1:]:
        fields = line.split(",")
        if len(fields) == 4 and line.endswith("\n"):
            rows.append([float(field) for field in fields])
    table = np.array(rows).reshape(-1, 4)
    return Trace(table[:, 0].astype(int), table[:, 1], table[:, 2], table[:, 3].astype(int))


def plot_trace(trace: Trace, title: str, path: Path, first_met: int | None = None) -> None:
    """Draws energy against evaluations: every evaluation, the minima that hops started from, the best so far.

    The star is at evaluation `first_met`, where the minimum of the best structure was first met; None: at the lowest.

    High energies right after hops are cut off: what matters is near the bottom.
    """
    from matplotlib.figure import Figure  # no pyplot: that would open a window system and keep global state

    best = np.minimum.accumulate(trace.energy)
    before_hop = np.flatnonzero(np.diff(trace.n_hops) > 0)
    record = marked(trace, first_met)
    figure = Figure(figsize=(9.0, 5.0), layout="constrained")
    axes = figure.add_subplot()
    axes.plot(trace.evaluation, trace.energy, color="#b8c4d0", linewidth=0.6, label="every evaluation", zorder=1)
    axes.plot(
        trace.evaluation[before_hop], trace.energy[before_hop], "o", color="#2f6f9f", markersize=3.6, alpha=0.8,
        markeredgewidth=0, label=f"minimum, then a hop ({len(before_hop)})", zorder=3,
    )  # fmt: skip
    axes.step(trace.evaluation, best, where="post", color="#c8442c", linewidth=1.6, label="best so far", zorder=2)
    axes.plot(
        trace.evaluation[record], trace.energy[record], "*", color="#c8442c", markersize=13, markeredgecolor="white",
        label=f"lowest minimum, first met at evaluation {trace.evaluation[record]}", zorder=4,
    )  # fmt: skip
    axes.set_ylim(*_energy_range(trace.energy, trace.energy[before_hop]))
    axes.set_xlim(0, max(int(trace.evaluation[-1]), 2))
    axes.set_xlabel("evaluations of energy and forces")
    axes.set_ylabel("energy (eV)")
    axes.set_title(title, loc="left", fontsize=11)
    axes.ticklabel_format(axis="y", useOffset=False)
    axes.grid(color="#e6e6e6", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside lower center", ncols=4, frameon=False, fontsize=9)
    with whole_file(path) as temporary:
        figure.savefig(temporary, dpi=150, format="png")


def marked(trace: Trace, first_met: int | None) -> int:
    """Returns the row of evaluation `first_met`, that of the lowest energy where there is none."""
    rows = np.flatnonzero(trace.evaluation == first_met)
    return int(rows[0]) if len(rows) else int(np.argmin(trace.energy))


def replace_text(path: Path, text: str) -> None:
    """Writes a file in one move, so that it is never half-written."""
    with whole_file(path) as temporary:
        temporary.write_text(text)


def _line(evaluation: int, energy: float, fmax: float, n_hops: int) -> str:
    return f"{evaluation},{float(energy)!r},{fmax:.6g},{n_hops}\n"


def _energy_range(energy: np.ndarray, minima: np.ndarray) -> tuple[float, float]:
    """Returns the energies to show: from below the best to above nearly all minima."""
    energy, minima = energy[np.isfinite(energy)], minima[np.isfinite(minima)]
    low = float(energy.min())
    high = float(np.percentile(minima, 95)) if len(minima) > 3 else float(np.percentile(energy, 75))
    span = max(high - low, 1e-3)
    return low - 0.08 * span, high + 0.6 * span
