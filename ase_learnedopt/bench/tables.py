"""The tables of a benchmark: rivals and ours in the same rows, the best in bold. Layer 4."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..markup import Entry, Table, mark_best
from .formats import format_cost, format_count, format_energy, format_rate, format_ratio, format_seconds, significant
from .provenance import provenance
from .results import Cell, Results, energy_unit
from .statistics import MARKS, energy_quartiles, speed_ratio, success_rate

Column = list[tuple[str, float | None]]  # text, and the value to compare by


def overview_table(results: Results) -> Table:
    """Returns mean evaluations per success, methods by problems."""
    columns: list[Column] = []
    for problem in results.problems:
        most = max(len(cell.records) for cell in results.of_problem(problem))
        columns.append([_overview_entry(results.cells.get((problem, m)), most) for m in results.methods])
    entries = mark_best(columns, lowest=[True] * len(columns))
    learned = set(results.learned())
    rows = [
        (Entry(method, is_ours=method in learned), *(column[k] for column in entries))
        for k, method in enumerate(results.methods)
    ]
    note = (
        "Mean evaluations of energy and forces per success: all that were spent over the number of successes, runs "
        "without success included. “>”: no success in as many. “†”: fewer seeds than others on that problem. "
        "Empty: not run."
    )
    return Table(("method", *results.problems), rows, (note, *provenance(results, list(results.cells.values()))))


def success_table(results: Results, problem: str) -> Table:
    """Returns success rates at the marks and mean evaluations per success."""
    cells = results.of_problem(problem)
    most = max(len(cell.records) for cell in cells)
    columns: list[Column] = [[(_seeds(cell, most), None) for cell in cells]]
    columns += [[(format_count(cell.budget), None) for cell in cells]]
    header, lowest = ["seeds", "budget"], [True, True]
    for mark in _marks(cells):
        rates = [success_rate(cell.runs, mark) for cell in cells]
        if any(rates):
            columns.append([("", None) if r is None else (format_rate(r), r.value) for r in rates])
            header.append(f"at {format_count(mark)}")
            lowest.append(False)
    columns.append([(format_cost(cell.cost), cell.cost.value) for cell in cells])
    note = (
        f"Share of runs that had evaluated an energy {_target(results, problem)}, with 95 % Wilson interval; empty "
        "where the budget does not reach so far. Mean evaluations per success with 90 % bootstrap interval over seeds."
    )
    rows = _rows(cells, mark_best(columns, lowest=[*lowest, True]))
    return Table(("method", *header, "mean FE per success"), rows, (note, *provenance(results, cells)))


def energy_table(results: Results, problem: str) -> Table:
    """Returns the median best energy with quartiles at the marks, above the reference."""
    cells = results.of_problem(problem)
    zero, name = zero_of_energy(results, problem)
    tolerance = results.facts[problem].tolerance or 0.0
    header, columns = [], []
    for mark in _marks(cells):
        found = [energy_quartiles(cell.runs, mark) for cell in cells]
        if any(found):
            columns.append([_energies(quartiles, zero, tolerance) for quartiles in found])
            header.append(f"at {format_count(mark)}")
    note = (
        f"Median (quartiles) of the best energy found, in {energy_unit(problem)} above {name}; 0: within "
        "tolerance. Empty where the budget does not reach so far."
    )
    rows = _rows(cells, mark_best(columns, lowest=[True] * len(columns)))
    return Table(("method", *header), rows, (note, *provenance(results, cells)))


def _marks(cells) -> list[int]:
    """Returns the evaluations at which runs are looked at: up to the largest budget, from a hundredth of it on."""
    most = max(cell.budget for cell in cells)
    return [mark for mark in MARKS if mark <= most <= 100 * mark]


def speed_table(results: Results) -> Table | None:
    """Returns how many times fewer evaluations each learned method needs than the best rival; None without any."""
    columns: list[tuple[Any, ...]] = []
    for problem in results.problems:
        cells = results.of_problem(problem)
        rivals = [cell for cell in cells if not cell.is_learned]
        columns += [_duel(ours, rivals) for ours in cells if ours.is_learned and rivals]
    if not columns:
        return None
    note = (
        "Best rival: lowest mean evaluations per success among all methods without learned weights; where none of them "
        "succeeded, the one that was given most. Ratio: its mean over ours, with 90 % bootstrap interval; bold where "
        "the whole interval is on our side of 1."
    )
    header = ("problem", "ours", "mean FE per success", "best rival", "its mean FE per success", "ratio")
    return Table(header, columns, (note, *provenance(results, list(results.cells.values()))))


def wall_time_table(results: Results, problem: str) -> Table:
    """Returns where the seconds of a run went."""
    cells = results.of_problem(problem)
    columns: list[Column] = [
        [format_seconds(_mean_seconds(cell, part)) for cell in cells]
        for part in ("total", "calculator", "method", "compile")
    ]
    columns[1:] = [[(text, None) for text, _ in column] for column in columns[1:]]  # no merit of their own
    columns.append([format_seconds(_per_evaluation(cell), 1e3) for cell in cells])
    header = ("method", "run (s)", "calculator (s)", "method (s)", "compile (s)", "method per FE (ms)")
    note = (
        "Mean wall time of a run and its parts; what a batch or a process shares is divided over its seeds. Seconds "
        "depend on the machine and on what else it did."
    )
    return Table(header, _rows(cells, mark_best(columns, lowest=[True] * 5)), (note, *provenance(results, cells)))


def failure_table(results: Results) -> Table | None:
    """Returns the runs that crashed; None where none did."""
    rows = []
    failed = [cell for p in results.problems for cell in results.of_problem(p) if cell.n_failed]
    for cell in failed:
        for record in cell.records:
            if record["error"] is not None:
                said = (record["error"].strip().splitlines() or ["no message"])[-1]
                texts = (
                    cell.problem,
                    cell.method,
                    str(record["seed"]),
                    format_count(record["evaluations"]),
                    said[:160],
                )
                rows.append(tuple(Entry(text) for text in texts))
    note = "A crashed run counts as one without success; what it had spent counts too. `--retry-failed` runs it again."
    header = ("problem", "method", "seed", "evaluations", "error")
    return Table(header, rows, (note, *provenance(results, failed))) if rows else None


def methods_table(results: Results) -> Table:
    """Returns what each method was run with; empty: its defaults."""
    rows: list[tuple[Entry, ...]] = []
    for method in sorted(results.methods):
        cell = next(cell for (_, name), cell in results.cells.items() if name == method)
        rows.append((Entry(method, is_ours=cell.is_learned), Entry(_settings(cell.records[-1].get("settings") or {}))))
    note = (
        "Tuned settings are in natural units where they are lengths or energies: the bond length and the bond energy "
        "of the system. How they were found: `benchmarks/tune_restarts.py` and `benchmarks/tune_rivals.py`, with what "
        "they printed in `benchmarks/tuning`."
    )
    return Table(("method", "settings"), rows, (note,))


def _settings(settings: dict[str, Any]) -> str:
    """Returns settings in one line; the one key `scaled` of rivals is left out."""
    inner = settings.get("scaled", settings)
    return ", ".join(f"{name} {value}" for name, value in inner.items())


def zero_of_energy(results: Results, problem: str) -> tuple[float, str]:
    """Returns the energy that others are measured from, and what it is in words."""
    reference = results.facts[problem].reference
    if reference is not None:
        return reference, f"the lowest known energy, {reference:.6f}"
    lowest = min(float(cell.energies.min()) for cell in results.of_problem(problem))
    lowest = lowest if np.isfinite(lowest) else 0.0
    return lowest, f"the lowest energy of all runs here, {lowest:.6f}"


def _overview_entry(cell: Cell | None, most: int) -> tuple[str, float | None]:
    if cell is None:
        return "", None
    text = f"> {significant(cell.cost.total)}" if np.isinf(cell.cost.value) else significant(cell.cost.value)
    return text + (" †" if len(cell.records) < most else ""), cell.cost.value


def _duel(ours: Cell, rivals: Sequence[Cell]) -> tuple[Entry, ...]:
    """Returns the row of one of ours against the best of the rivals, which come cheapest first."""
    solved = [cell for cell in rivals if np.isfinite(cell.cost.value)]
    rival = solved[0] if solved else max(rivals, key=lambda cell: cell.cost.total)
    ratio = speed_ratio(ours.runs, rival.runs)
    return (
        Entry(ours.problem),
        Entry(ours.method),
        Entry(format_cost(ours.cost)),
        Entry(rival.method),
        Entry(format_cost(rival.cost)),
        Entry(format_ratio(ratio), ratio is not None and ratio.low > 1),
    )


def _rows(cells: Sequence[Cell], columns: Sequence[Sequence[Entry]]) -> list[tuple[Entry, ...]]:
    return [
        (Entry(cell.method, is_ours=cell.is_learned), *(column[k] for column in columns))
        for k, cell in enumerate(cells)
    ]


def _seeds(cell: Cell, most: int) -> str:
    text = str(len(cell.records)) + (f" of {most}" if len(cell.records) < most else "")
    text += f", {cell.n_failed} failed" if cell.n_failed else ""
    text += f", {len(cell.unsettled)} unsettled" if cell.unsettled else ""
    return text + (f", {cell.n_late} out of time" if cell.n_late else "")


def _target(results: Results, problem: str) -> str:
    reference, tolerance = results.facts[problem][:2]
    if reference is None or tolerance is None:
        return "at its target"
    return f"within {tolerance:g} {energy_unit(problem)} of the lowest known, {reference:.6f}"


def _energies(quartiles: tuple[float, float, float] | None, zero: float, tolerance: float) -> tuple[str, float | None]:
    if quartiles is None:
        return "", None
    above = [0.0 if energy - zero <= tolerance else energy - zero for energy in quartiles]
    low, middle, high = map(format_energy, above)
    return f"{middle} ({low} to {high})", round(above[1], 3)


def _mean_seconds(cell: Cell, part: str) -> float:
    return float(np.mean([record["wall_s"][part] for record in cell.records]))


def _per_evaluation(cell: Cell) -> float | None:
    spent = int(cell.runs.evaluations.sum())
    return _mean_seconds(cell, "method") * len(cell.records) / spent if spent else None


TABLES: dict[str, Callable[[Results, str], Table]] = {
    "Success": success_table,
    "Best energy": energy_table,
    "Wall time": wall_time_table,
}
"""Of each problem, in the order of the report."""
