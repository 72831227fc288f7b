"""The plots of a benchmark, as SVG: success and energy against evaluations, performance and data profiles. Layer 4."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from ..plot_style import PALE, SETTINGS, Look, blank, label_curves, looks, to_svg
from .profiles import data_profile, performance_profile, performance_ratios
from .results import Cell, Results, energy_unit, leading
from .statistics import best_energies, horizon, quantiles, wilson
from .tables import zero_of_energy

FE = "evaluations of energy and forces"
CROWD = 10
"""Methods that a plot can show; the tables have all of them."""


def plots_of(results: Results) -> dict[str, Callable[[], str]]:
    """Returns the plots that a report has, by file name; each is drawn, as SVG, when it is called."""
    found: dict[str, Callable[[], str]] = {}
    solved = [p for p in results.problems if any(np.isfinite(c.cost.value) for c in results.of_problem(p))]
    for problem in results.problems:
        if problem in solved:
            found[file_name(problem, "success")] = partial(plot_success, results, problem)
        found[file_name(problem, "energy")] = partial(plot_energy, results, problem)
    if len(solved) > 1:
        found["performance_profile.svg"] = partial(plot_performance_profile, results)
        if any(results.facts[p].n_atoms for p in solved):
            found["data_profile.svg"] = partial(plot_data_profile, results)
    return found


def draw_all(results: Results) -> dict[str, str]:
    """Returns all plots of a report: file name to SVG."""
    from matplotlib import rc_context

    with rc_context(SETTINGS):
        return {name: draw() for name, draw in plots_of(results).items()}


def file_name(problem: str, kind: str) -> str:
    """Returns the name of a problem's plot."""
    return "".join(c if c.isalnum() or c in ".-" else "_" for c in problem) + f"_{kind}.svg"


def plot_success(results: Results, problem: str) -> str:
    """Draws the share of runs that have succeeded against evaluations; Wilson bands of ours and of the best rival."""
    cells = _shown(results, problem)
    solved = [cell for cell in cells if np.isfinite(cell.cost.value)]
    idle = [cell.method for cell in cells if np.isinf(cell.cost.value)]
    look = looks(results.methods, results.learned())
    subtitle = _subtitle(results, cells, "95 % Wilson interval")
    figure, axes = blank(f"{problem}: runs that succeeded", subtitle, FE, "share of runs")
    first = min(float(cell.runs.hit_at.min()) for cell in solved)
    last = max(float(cell.runs.budget.max()) for cell in cells)
    left = max(min(first / 1.6, last / 100), 1.0)
    axes.set_xlim(left, last)
    axes.set_ylim(0.0, 1.02)
    axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
    ends = []
    for cell in reversed(solved):
        n, end = len(cell.records), min(horizon(cell.runs), last)
        hits = np.sort(cell.runs.hit_at[cell.runs.hit_at <= end])
        x = np.concatenate([[left], hits, [end]])
        counts = np.concatenate([np.arange(len(hits) + 1), [len(hits)]])
        if cell in _banded(cells):
            low, high = np.array([wilson(int(k), n) for k in counts[1:]]).T  # from the first success on
            _band(axes, x[1:], low, high, look[cell.method])
        _draw(axes, x, counts / n, look[cell.method], last)
        ends.append((cell.method, look[cell.method], float(counts[-1] / n)))
    label_curves(axes, ends, idle, "no success")
    return to_svg(figure)


def plot_energy(results: Results, problem: str) -> str:
    """Draws the median best energy above the reference against evaluations; quartiles of ours and of the best rival."""
    cells = _shown(results, problem)
    zero, tolerance = zero_of_energy(results, problem)[0], results.facts[problem].tolerance or 0.0
    look = looks(results.methods, results.learned())
    last = max(float(cell.runs.budget.max()) for cell in cells)
    known = results.facts[problem].reference is not None
    y_label = f"best energy above {'lowest known' if known else 'lowest found'} ({energy_unit(problem)})"
    subtitle = _subtitle(results, cells, "quartiles", "median, square-root scale; ")
    figure, axes = blank(f"{problem}: best energy so far", subtitle, FE, y_label)
    left = max(last / 1000, 10.0)
    axes.set_xlim(left, last)
    grid = np.geomspace(left, last, 241)
    curves = {}
    for cell in cells:
        x = grid[grid <= horizon(cell.runs) * (1 + 1e-9)]
        above = quantiles(best_energies(cell.runs, x), (0.25, 0.5, 0.75)) - zero
        curves[cell.method] = x, np.where(above <= tolerance, 0.0, above)
    _energy_axis(axes, [middle for _, (_, middle, _) in curves.values()])
    ends = []
    for cell in cells:
        x, (low, middle, high) = curves[cell.method]
        if not len(x) or not np.isfinite(middle[-1]):
            continue
        if cell in _banded(cells):
            _band(axes, x, low, np.minimum(high, 1e6), look[cell.method])
        _draw(axes, x, middle, look[cell.method], last)
        ends.append((cell.method, look[cell.method], float(middle[-1])))
    label_curves(axes, ends)
    return to_svg(figure)


def plot_performance_profile(results: Results) -> str:
    """Draws the share of problems that a method solves at no more than so many times the lowest cost."""
    costs = results.costs()
    ratios = performance_ratios(costs)
    last = 1.5 * float(np.max(ratios[np.isfinite(ratios)], initial=2.0))
    taus = np.unique(np.concatenate([[1.0], ratios[np.isfinite(ratios)], [last]]))
    shares = performance_profile(costs, taus)
    shown = leading(results.methods, results.learned(), CROWD)
    crowd = _crowd(len(shown), len(results.methods))
    figure, axes = blank(
        "Performance profile",
        f"{crowd}{len(results.problems)} problems; cost: mean evaluations per success",
        "cost, in multiples of the best method's on the same problem",
        "share of problems solved",
    )
    axes.set_xlim(1.0, last)
    _profile(results, axes, {m: (taus, shares[k]) for k, m in enumerate(results.methods) if m in shown}, last)
    return to_svg(figure)


def plot_data_profile(results: Results) -> str:
    """Draws the share of runs that succeed within so many times 3 n_atoms + 1 evaluations."""
    sizes = {p: n for p in results.problems if (n := results.facts[p].n_atoms) is not None}
    shown = leading(results.methods, results.learned(), CROWD)
    cells = {m: [c for p in sizes if (c := results.cells.get((p, m))) is not None] for m in shown}
    everything = [cell for row in cells.values() for cell in row]
    first = min(float(c.runs.hit_at.min()) / (3 * sizes[c.problem] + 1) for c in everything)
    grid = np.geomspace(
        first / 1.6, max(float(c.runs.budget.max()) / (3 * sizes[c.problem] + 1) for c in everything), 301
    )
    curves = {}
    for method, row in cells.items():
        if row:
            share = data_profile([c.runs for c in row], [sizes[c.problem] for c in row], grid)
            curves[method] = grid[~np.isnan(share)], share[~np.isnan(share)]
    last = max(float(x[-1]) for x, _ in curves.values() if len(x))
    figure, axes = blank(
        "Data profile",
        f"{_crowd(len(shown), len(results.methods))}{len(sizes)} problems of equal weight, all seeds",
        f"{FE} / (3 n_atoms + 1)",
        "share of runs that succeeded",
    )
    axes.set_xlim(grid[0], last)
    _profile(results, axes, curves, last)
    return to_svg(figure)


def _profile(results: Results, axes: Any, curves: dict[str, tuple[np.ndarray, np.ndarray]], last: float) -> None:
    """Draws profiles; a method that was not run on all problems says on how many."""
    look = looks(results.methods, results.learned())
    axes.set_ylim(0.0, 1.02)
    axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
    ends, idle = [], []
    for method, (x, share) in reversed(curves.items()):
        n = sum((problem, method) in results.cells for problem in results.problems)
        name = method + (f" (of {n})" if n < len(results.problems) else "")
        if not len(share) or share[-1] == 0:
            idle.append(name)
            continue
        _draw(axes, x, share, look[method], last)
        ends.append((name, look[method], float(share[-1])))
    label_curves(axes, ends, sorted(idle), "none solved")


def _draw(axes: Any, x: np.ndarray, y: np.ndarray, look: Look, last: float) -> None:
    """Draws a curve in steps; beyond what was run, a faint line leads to its name."""
    corner = np.concatenate([[True], y[1:] != y[:-1]])
    corner[-1] = True
    x, y = x[corner], y[corner]
    order = {"zorder": 4 if look.is_learned else 3, "color": look.color}
    axes.step(x, y, where="post", linewidth=look.width, linestyle=look.dashes, solid_joinstyle="miter", **order)
    if x[-1] < last * (1 - 1e-9):
        axes.plot([x[-1], last], [y[-1], y[-1]], linewidth=0.8, linestyle=(0, (1, 3)), **order)


def _band(axes: Any, x: np.ndarray, low: np.ndarray, high: np.ndarray, look: Look) -> None:
    axes.fill_between(x, low, high, step="post", color=look.color, alpha=0.14, linewidth=0, zorder=2)


def _banded(cells: Sequence[Cell]) -> list[Cell]:
    """Returns the cells whose interval is drawn, of those sorted by cost: the best of ours and the best rival."""
    return [
        next(c for c in cells if c.is_learned is kind)
        for kind in (True, False)
        if any(c.is_learned is kind for c in cells)
    ]


def _shown(results: Results, problem: str) -> list[Cell]:
    cells = results.of_problem(problem)
    shown = leading([cell.method for cell in cells], results.learned(), CROWD)
    return [cell for cell in cells if cell.method in shown]


def _crowd(n_shown: int, n_all: int) -> str:
    return f"{n_shown} of {n_all} methods; " if n_shown < n_all else ""


def _subtitle(results: Results, cells: Sequence[Cell], interval: str, before: str = "") -> str:
    before += _crowd(len(cells), len(results.of_problem(cells[0].problem)))
    seeds = sorted({len(cell.records) for cell in cells})
    n = f"{seeds[0]}" if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}"
    return f"{before}{n} seeds; band: {interval} of {' and '.join(cell.method for cell in _banded(cells))}"


def _energy_axis(axes: Any, medians: Sequence[np.ndarray]) -> None:
    """Sets an axis that shows zero and spreads small energies: square roots, up to where most curves begin."""
    starts = [curve[len(curve) // 3] for curve in medians if len(curve) and np.isfinite(curve[len(curve) // 3])]
    top = 1.15 * max([*starts, 1e-3])
    axes.set_yscale("function", functions=(lambda y: np.sqrt(np.maximum(y, 0.0)), np.square))
    axes.set_ylim(0.0, top)
    steps = np.array([1, 2, 5])[:, None] * 10.0 ** np.arange(-4, 7)
    ticks = [0.0]
    for tick in np.sort(steps.ravel()):
        if np.sqrt(tick / top) - np.sqrt(ticks[-1] / top) > 0.09 and tick <= top:
            ticks.append(float(tick))
    axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.axhline(0.0, color=PALE, linewidth=0.8)
