"""Runs an experiment: every method from the same starts with the same evaluations; table and plots. Layer 4."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ..bench.formats import format_count, significant
from ..bench.page import Block, Figure, Heading, markdown_page
from ..bench.progress import show
from ..bench.provenance import provenance
from ..bench.report import write_text
from ..bench.results import Cell, Results, collect, energy_unit
from ..bench.runner import Job, run_benchmark
from ..bench.statistics import best_energies
from ..bench.tables import zero_of_energy
from ..markup import Entry, Table, mark_best
from ..plot_style import SETTINGS, blank, label_curves, looks, to_svg
from ..weights_io import read_card
from .experiments import EXPERIMENTS, FIRST_SEED, Experiment

RIVAL = "basin_hopping"
"""Whose energy at the end the evaluations to reach it are compared by."""
N_RESAMPLES = 2_000
PAGES, PLOTS = "learn2hop", "_static/learn2hop"
"""Where pages and plots lie in the documentation."""


def run_experiment(
    name: str,
    out: str | Path,
    *,
    problems: Sequence[str] = (),
    seeds: int | None = None,
    workers: int = 1,
    quiet: bool = False,
    docs: str | Path | None = None,
) -> Path:
    """Runs what has no record in the folder yet, and writes the page with its plots.

    Args:
      name: of the experiment.
      out: folder.
      problems: some of the experiment; none: all of it. The page has all that there are records of.
      seeds: starts of every problem; None: as many as the experiment has.
      workers: processes.
      quiet: whether to show no progress.
      docs: folder of the documentation, where page and plots are put too.

    Returns:
      The page.

    Raises:
      ValueError: there is no such experiment, or problem in it.
    """
    if name not in EXPERIMENTS:
        raise ValueError(f"there is no experiment {name!r}; there are {', '.join(EXPERIMENTS)}")
    experiment = EXPERIMENTS[name]
    unknown = [problem for problem in problems if problem not in experiment.problems]
    if unknown:
        raise ValueError(f"{name} has no problem {', '.join(unknown)}; there are {', '.join(experiment.problems)}")
    chosen = range(FIRST_SEED, FIRST_SEED + (seeds or experiment.seeds))
    for problem in problems or experiment.problems:
        ours = [("learn2hop", weights) for weights in experiment.weights]
        for method, weights in [*ours, *((method, None) for method in experiment.methods)]:
            job = Job(problem, method, experiment.evaluations, weights, width=len(chosen) if workers == 1 else 75)
            show(job, chosen, out, run_benchmark(job, chosen, out, workers=workers), quiet=quiet)
    blocks, plots = make_page(experiment, collect(out, released=docs is not None))
    if docs is not None:
        _write(Path(docs) / PAGES / f"{name}.md", Path(docs) / PLOTS, experiment.title, blocks, plots)
    return _write(Path(out) / "report.md", Path(out) / "plots", experiment.title, blocks, plots)


def make_page(experiment: Experiment, results: Results) -> tuple[list[Block], dict[str, str]]:
    """Returns the blocks of the page, and its plots by file name."""
    from matplotlib import rc_context

    blocks: list[Block] = []
    plots: dict[str, str] = {}
    with rc_context(SETTINGS):
        for problem in results.problems:
            seen = "trained on" if is_trained_on(problem, experiment.weights) else "never trained on"
            table = energy_table(results, problem, experiment.marks, per_atom=experiment.per_atom)
            blocks += [Heading(f"{problem} ({seen})"), table]
            file = f"{problem}_mean_energy.svg"
            plots[file] = plot_energy(results, problem)
            blocks.append(Figure(file, f"Mean best energy on {problem}"))
    return blocks, plots


def _write(page: Path, folder: Path, title: str, blocks: Sequence[Block], plots: Mapping[str, str]) -> Path:
    for file, svg in plots.items():
        write_text(folder / file, svg)
    return write_text(page, markdown_page(title, blocks, os.path.relpath(folder, page.parent)))


def is_trained_on(problem: str, weights: Sequence[str]) -> bool:
    """Whether a problem is among the tasks on the card of any of the weights."""
    task = problem.removeprefix("gupta-").removeprefix("sw-")  # as families of training call it
    return any(task in read_card(name)["tasks"] for name in weights if name != "none")


def energy_table(results: Results, problem: str, marks: Sequence[int], *, per_atom: bool = False) -> Table:
    """Returns mean and lowest best energy at the marks, and the evaluations to the rival's mean at the end."""
    share = results.facts[problem].n_atoms or 1 if per_atom else 1
    digits = 4 if per_atom else 3
    zero, name = zero_of_energy(results, problem)
    cells = sorted(results.of_problem(problem), key=lambda cell: mean_energy(cell, [marks[-1]])[0][0])
    columns: list[list[tuple[str, float | None]]] = []
    for mark in marks:
        found = [mean_energy(cell, [mark]) for cell in cells]
        above = [((mean[0] - zero) / share, error[0] / share) for mean, error in found]
        columns.append([(_with_error(*pair, digits), float(pair[0])) for pair in above])
    lowest = [(float(cell.energies.min()) - zero) / share for cell in cells]
    columns.append([(f"{value:.{digits}f}", round(value, digits)) for value in lowest])
    rates = [float(np.isfinite(cell.runs.hit_at).mean()) for cell in cells]
    columns.append([(f"{100 * rate:.0f} %", rate) for rate in rates])
    gains = [gain(cell, results.cells.get((problem, RIVAL)), marks[-1]) for cell in cells]
    columns.append([(_gain(found), None if found is None else found[0]) for found in gains])
    entries = mark_best(columns, lowest=[True] * (len(marks) + 1) + [False, False])
    rows = [
        (Entry(cell.method, is_ours=cell.is_learned), *(column[k] for column in entries))
        for k, cell in enumerate(cells)
    ]
    header = ("method", *(f"at {format_count(mark)}" for mark in marks), "lowest", "success", "gain over basin hopping")
    note = (
        f"Mean over {len(cells[0].records)} starts (± standard error) of the best energy, in {energy_unit(problem)} "
        f"{'per atom ' if per_atom else ''}above {name}; the lowest of all; share of runs that reached it; and gain: "
        f"{format_count(marks[-1])} evaluations over those "
        "after which the mean is as low as that of basin hopping at the end, with 90 % bootstrap interval over starts."
    )
    return Table(header, rows, (note, *provenance(results, cells)))


def plot_energy(results: Results, problem: str) -> str:
    """Draws the mean best energy above the lowest known against evaluations, with its standard error."""
    cells = results.of_problem(problem)
    zero, name = zero_of_energy(results, problem)
    look = looks(results.methods, results.learned())
    last = max(cell.budget for cell in cells)
    figure, axes = blank(
        f"{problem}: mean best energy so far",
        f"{len(cells[0].records)} starts; band: standard error of the mean",
        "evaluations of energy and forces",
        f"above {name} ({energy_unit(problem)})",
    )
    grid = np.geomspace(last / 100, last, 81)
    axes.set_xlim(grid[0], last)
    axes.set_yscale("log")
    ends = []
    for cell in cells:
        mean, error = mean_energy(cell, grid)
        above = np.where(np.isfinite(mean), mean - zero, np.nan)
        style = look[cell.method]
        axes.plot(grid, above, color=style.color, linewidth=style.width, linestyle=style.dashes)
        axes.fill_between(grid, above - error, above + error, color=style.color, alpha=0.14, linewidth=0)
        ends.append((cell.method, style, max(float(above[-1]), 1e-3)))
    values = np.array([end for *_, end in ends])
    axes.set_ylim(values.min() / 2, 30 * values.max())
    label_curves(axes, ends)
    return to_svg(figure)


def mean_energy(cell: Cell, marks: Sequence[float] | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns mean and standard error `[n_marks]` over the runs of a cell, eV; infinite where one has nothing yet."""
    energies = best_energies(cell.runs, marks)
    with np.errstate(invalid="ignore"):
        return energies.mean(axis=0), energies.std(axis=0, ddof=1) / np.sqrt(len(energies))


def gain(cell: Cell, rival: Cell | None, budget: int) -> tuple[float, float, float] | None:
    """Returns how many times fewer evaluations a method needs for the rival's mean energy at the end.

    Returns:
      The ratio with the 90 % bootstrap interval over runs, which count as pairs: start by start; 0 where the method
      does not get so low. None without a rival.
    """
    if rival is None or cell is rival or len(cell.records) != len(rival.records):
        return None
    grid = np.unique(np.geomspace(1, budget, 400).round())
    ours, theirs = best_energies(cell.runs, grid), best_energies(rival.runs, [budget])[:, 0]

    def ratio(rows) -> float:
        reached = np.flatnonzero(ours[rows].mean(axis=0) <= theirs[rows].mean())
        return float(budget / grid[reached[0]]) if len(reached) else 0.0

    stream, n = np.random.default_rng(0), len(theirs)
    resampled = [ratio(stream.integers(n, size=n)) for _ in range(N_RESAMPLES)]
    low, high = np.quantile(resampled, (0.05, 0.95))
    return ratio(np.arange(n)), float(low), float(high)


def _with_error(value: float, error: float, digits: int) -> str:
    return f"{value:.{digits}f} ± {error:.{digits}f}" if np.isfinite(value) else "∞"


def _gain(found: tuple[float, float, float] | None) -> str:
    if found is None:
        return ""
    value, low, high = (significant(x, 2) if x else "< 1" for x in found)
    return f"{value} ({low} to {high})"
