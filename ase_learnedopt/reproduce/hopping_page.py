"""The page on hopping: how many minima a run visits, when it jumps, and what one run looks like. Layer 4."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..bench.methods import load, optimizer
from ..bench.problems import Problem, get_problem
from ..bench.report import write_text
from ..bench.results import energy_unit
from ..markup import Entry, Table, to_markdown
from ..plot_style import PALE, SETTINGS, looks, to_svg
from .experiments import FIRST_SEED
from .hopping import Runs, distinct, jumps, sample, settled

METHODS = ("learn2hop", "adam", "fire", "learned_hop")
BINS = 10


class Measured(NamedTuple):
    """Holds the runs of one method, and how it is called."""

    method: str
    runs: Runs


def run_hopping(
    problem_name: str, out: str | Path, *, weights: str, n_runs: int = 20, evaluations: int = 5_000, quiet: bool = False
) -> Path:
    """Samples runs of Learn2Hop, Adam, FIRE and LearnedHop and writes the page with its plots.

    Args:
      problem_name: of a problem with a potential of ours.
      out: folder.
      weights: of Learn2Hop.
      n_runs: of each method.
      evaluations: of each run.
      quiet: whether to say nothing.

    Returns:
      The page.

    Raises:
      ValueError: no such problem or weights, or a problem whose energy is not one of ours.
    """
    problem, out = get_problem(problem_name), Path(out)
    if problem.potential is None:
        raise ValueError(f"{problem_name} has no potential of ours, so its runs cannot be quenched in batches")
    seeds, measured = range(FIRST_SEED, FIRST_SEED + n_runs), []
    for method in METHODS:
        chosen = optimizer(method, weights if method == "learn2hop" else None)
        measured.append(Measured(method, sample(problem, chosen, seeds, evaluations)))
        if not quiet:
            print(f"{problem_name} {method}: {n_runs} runs quenched", flush=True)
    scale = float(problem.system(FIRST_SEED).energy_scale)  # type: ignore[misc]
    return _write(problem, measured, scale, out, weights)


def hop_table(problem: Problem, measured: list[Measured], scale: float) -> Table:
    """Returns the minima that runs visit and the jumps they make."""
    counts = measured[0].runs.evaluations
    total = counts[-1] - counts[0] + counts[1] - counts[0]
    rows = []
    for method, runs in measured:
        first = settled(runs, scale)
        entered = [distinct(energies, scale) for energies in runs.entered]
        basins = [distinct(row[k:], scale) for row, k in zip(runs.inherent, first, strict=True)]
        hops = jumps(runs, scale).sum(axis=1)
        best = runs.energies.min(axis=1)
        numbers = [_quartiles(values) for values in (entered, basins, hops)]
        low = f"{best.mean():.3f} ± {best.std(ddof=1) / np.sqrt(len(best)):.3f}" if len(best) > 1 else f"{best[0]:.3f}"
        rows.append((Entry(method, is_ours=method in ("learn2hop", "learned_hop")), *map(Entry, (*numbers, low))))
    header = ("method", "minima entered", "basins visited", "jumps", f"best energy ({energy_unit(problem.name)})")
    note = (
        f"Median (quartiles) over {len(measured[0].runs.energies)} runs of {total:,} "
        "evaluations. Minima entered: distinct energies at which the rms gradient fell below 0.01. Basins: distinct "
        "inherent structures of every tenth geometry, and jumps: changes from one to another, both after the run has "
        "settled for the first time. Best energy of these geometries: mean ± standard error."
    )
    return Table(header, rows, (note,))


def plot_one_run(problem: Problem, measured: list[Measured], scale: float, k: int = 0) -> str:
    """Draws energy and inherent energy of one run of each method, one below the other."""
    from matplotlib.figure import Figure

    look = looks([m.method for m in measured], ["learn2hop", "learned_hop"])
    zero = min(float(m.runs.inherent[k].min()) for m in measured)
    figure = Figure(figsize=(9.4, 1.9 * len(measured) + 0.9))
    axes = figure.subplots(len(measured), 1, sharex=True, sharey=True)
    # By the inherent structures, which would be a flat line under collisions a hundred times as high.
    top = 1.6 * max(float(np.quantile(m.runs.inherent[k] - zero, 0.98)) for m in measured) + 0.5 * scale
    for ax, (method, runs) in zip(axes, measured, strict=True):
        ax.plot(runs.evaluations, runs.energies[k] - zero, color=PALE, linewidth=0.7)
        ax.step(runs.evaluations, runs.inherent[k] - zero, where="post", color=look[method].color, linewidth=1.5)
        ax.set_ylim(-0.04 * top, top)
        ax.set_title(method, loc="left", fontsize=10, color=look[method].color, fontweight="bold")
    axes[-1].set_xlabel("evaluations of energy and forces")
    figure.supylabel(f"energy above the lowest here ({energy_unit(problem.name)})", fontsize=10)
    figure.suptitle(f"{problem.name}: one run of each; grey: energy, colour: of its inherent structure", fontsize=11)
    figure.tight_layout()
    return to_svg(figure)


def plot_rates(problem: Problem, measured: list[Measured], scale: float) -> str:
    """Draws jumps per 100 evaluations against the share of the budget used and against the inherent energy."""
    from matplotlib.figure import Figure

    look = looks([m.method for m in measured], ["learn2hop", "learned_hop"])
    zero = problem.reference if problem.reference is not None else min(float(m.runs.inherent.min()) for m in measured)
    figure = Figure(figsize=(9.4, 3.9))
    left, right = figure.subplots(1, 2, sharey=True)
    for method, runs in measured:
        happened, n_frames = jumps(runs, scale), runs.inherent.shape[1]
        every = runs.evaluations[1] - runs.evaluations[0]
        after = np.arange(n_frames - 1)[None, :] >= settled(runs, scale)[:, None]
        used = np.broadcast_to(np.arange(n_frames - 1) / n_frames, happened.shape)
        height = (runs.inherent[:, :-1] - zero) / scale
        style = {"color": look[method].color, "linewidth": look[method].width, "marker": "o", "markersize": 3}
        for ax, x, edges in (
            (left, used, np.linspace(0, 1, BINS + 1)),
            (right, height, np.linspace(0, max(float(np.quantile(height[after], 0.98)) if after.any() else 1, 1), 11)),
        ):
            centres, rates = _binned(x[after], happened[after], edges, 100 / every)
            ax.plot(centres, rates, label=method, **style)
    left.set_xlabel("share of the budget used")
    right.set_xlabel("inherent energy above lowest known (energy scales)")
    left.set_ylabel("jumps per 100 evaluations")
    right.legend(frameon=False)
    figure.suptitle(f"{problem.name}: how often runs change basin", fontsize=11)
    figure.tight_layout()
    return to_svg(figure)


def plot_structures(problem: Problem, runs: Runs, scale: float, k: int = 0, n: int = 6) -> str:
    """Draws structures evenly spaced along one run, from where it has settled on."""
    from ase.visualize.plot import plot_atoms
    from matplotlib.figure import Figure

    last = len(runs.evaluations) - 1
    frames = np.linspace(min(settled(runs, scale)[k], last), last, n).round().astype(int)
    figure = Figure(figsize=(9.4, 2.2))
    atoms = problem.start(FIRST_SEED + k)
    for ax, frame in zip(figure.subplots(1, n), frames, strict=True):
        atoms.positions = runs.positions[k, frame][: len(atoms)]
        plot_atoms(atoms, ax, rotation="10x,20y", radii=0.45)
        ax.set_axis_off()
        ax.set_title(f"{runs.evaluations[frame]:,}\n{runs.energies[k, frame]:.2f}", fontsize=8)
    return to_svg(figure)


def _write(problem: Problem, measured: list[Measured], scale: float, out: Path, weights: str) -> Path:
    from matplotlib import rc_context

    with rc_context(SETTINGS):
        plots = {
            "one_run.svg": plot_one_run(problem, measured, scale),
            "rates.svg": plot_rates(problem, measured, scale),
            "structures.svg": plot_structures(problem, measured[0].runs, scale),
        }
    for name, svg in plots.items():
        write_text(out / "plots" / name, svg)
    numbers: dict[str, Any] = {
        m.method: {
            "entered": [distinct(e, scale) for e in m.runs.entered],
            "jumps": jumps(m.runs, scale).sum(axis=1).tolist(),
        }
        for m in measured
    }
    write_text(out / "hopping.json", json.dumps(numbers, indent=1) + "\n")
    table = to_markdown(hop_table(problem, measured, scale))
    label = load("learn2hop", weights)[2]
    page = (
        f"# Hopping on {problem.name}\n\nWeights {label}.\n\n{table}\n![One run of each method](plots/one_run.svg)\n\n"
        "![How often runs change basin](plots/rates.svg)\n\n"
        "![Structures along one run of learn2hop: evaluations and energy](plots/structures.svg)\n"
    )
    return write_text(out / "report.md", page)


def _quartiles(values) -> str:
    low, middle, high = np.quantile(values, (0.25, 0.5, 0.75))
    return f"{middle:g} ({low:g} to {high:g})"


def _binned(x, happened, edges, scale: float):
    """Returns the centres of the bins that hold enough, and the rate in each."""
    place = np.digitize(x, edges) - 1
    kept = [b for b in range(len(edges) - 1) if np.sum(place == b) >= 20]
    centres = (edges[:-1] + edges[1:]) / 2
    return centres[kept], [scale * happened[place == b].mean() for b in kept]
