"""The records of a folder sorted into cells, one a problem and method, with what is known of each problem. Layer 4."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .records import Record, load_records
from .released import released_records
from .settled import judged
from .statistics import Cost, Runs, cost_per_success, quantiles, runs_of


class Facts(NamedTuple):
    """Holds what a report needs to know of a problem."""

    reference: float | None  # eV, lowest known energy
    tolerance: float | None  # eV
    source: str
    n_atoms: int | None


class Cell(NamedTuple):
    """Holds the runs of one method on one problem."""

    problem: str
    method: str  # label: with its weights where several were run
    is_learned: bool
    records: list[Record]  # by seed
    runs: Runs
    cost: Cost

    @property
    def n_failed(self) -> int:
        """How many of the runs crashed."""
        return sum(record["error"] is not None for record in self.records)

    @property
    def n_late(self) -> int:
        """How many of the runs were given up before their budget was spent, for lack of time."""
        return sum(bool(record.get("out_of_time")) for record in self.records)

    @property
    def unsettled(self) -> list[Record]:
        """Those of the runs that do not hold by the reference of today; they are no successes."""
        return [record for record in self.records if record.get("unsettled")]

    @property
    def budget(self) -> int:
        """Evaluations that the longest run was allowed."""
        return max(record["budget"] for record in self.records)

    @property
    def rank(self) -> tuple[float, float, str]:
        """Sorts the cells of a problem: by cost, those without a success by median energy, then by name."""
        return self.cost.value, float(quantiles(self.energies, (0.5,))[0]), self.method

    @property
    def energies(self) -> np.ndarray:
        """[n_seeds] eV, the best of each run; infinity where there is none."""
        return np.array([np.inf if r["best_energy"] is None else r["best_energy"] for r in self.records])


@dataclass(frozen=True)
class Results:
    """Holds all cells of a folder, problems in natural order, methods from best to worst, learned ones first."""

    directory: Path
    problems: tuple[str, ...]
    methods: tuple[str, ...]
    cells: dict[tuple[str, str], Cell]
    facts: dict[str, Facts]

    def of_problem(self, problem: str) -> list[Cell]:
        """Returns the cells of a problem, best first."""
        return sorted((cell for (p, _), cell in self.cells.items() if p == problem), key=lambda cell: cell.rank)

    def learned(self) -> list[str]:
        """Returns the methods with weights."""
        return [m for m in self.methods if any(c.is_learned for (_, name), c in self.cells.items() if name == m)]

    def costs(self) -> np.ndarray:
        """Returns mean evaluations per success `[n_problems, n_methods]`; nan: not run."""
        table = [[self.cells.get((p, m)) for m in self.methods] for p in self.problems]
        return np.array([[np.nan if cell is None else cell.cost.value for cell in row] for row in table])


def collect(
    directory: str | Path, facts: Callable[[str, Sequence[Record]], Facts] | None = None, *, released: bool = False
) -> Results:
    """Reads a folder of records and judges them by the references of today.

    Records of earlier files of shipped weights are left out with a warning.

    Args:
      directory: holds `*.jsonl`.
      facts: (problem, its records) -> what is known of it; by default from the problem of that name.
      released: whether all weights must be shipped ones.

    Raises:
      ValueError: from `load_records` or `released_records`.
    """
    found = released_records(load_records(directory), only=released)
    names = tuple(sorted({record["problem"] for record in found}, key=_natural))
    known = {p: (facts or facts_of)(p, [r for r in found if r["problem"] == p]) for p in names}
    found = [judged(r, known[r["problem"]].reference, known[r["problem"]].tolerance) for r in found]
    label = _labels(found)
    groups: dict[tuple[str, str], list[Record]] = {}
    for record in found:
        groups.setdefault((record["problem"], label[record["method"], record["weights"]]), []).append(record)
    cells = {}
    for (problem, method), group in groups.items():
        group.sort(key=lambda record: record["seed"])
        runs = runs_of(group)
        is_learned = group[0]["weights"] is not None
        cells[problem, method] = Cell(problem, method, is_learned, group, runs, cost_per_success(runs))
    return Results(Path(directory), names, _ranked(cells, names), cells, known)


def facts_of(problem: str, records: Sequence[Record]) -> Facts:
    """Returns what is known of a problem; of one that this version does not have, only what its records tell."""
    from .problems import get_problem

    n_atoms = next((record["n_atoms"] for record in records if "n_atoms" in record), None)
    try:
        found = get_problem(problem)
        if n_atoms is None:
            n_atoms = len(found.start(records[0]["seed"]))
        return Facts(found.reference, found.tolerance, found.source, n_atoms)
    except (ValueError, ImportError):  # of a later version, or an extra is missing
        return Facts(None, None, "unknown here", n_atoms)


def leading(methods: Sequence[str], learned: Sequence[str], most: int) -> list[str]:
    """Returns the methods that a plot can show: of those sorted best first, one of default and tuned each, and ours.

    Args:
      methods: labels, best first.
      learned: labels of those that are always shown.
      most: how many there may be.
    """
    families: dict[str, str] = {}
    for method in methods:
        families.setdefault(method if method in learned else method.removesuffix("_tuned"), method)
    left = most - sum(method in learned for method in families.values())
    rivals = [method for method in families.values() if method not in learned][: max(left, 0)]
    return [method for method in families.values() if method in learned or method in rivals]


def energy_unit(problem: str) -> str:
    """Returns the unit of a problem's energies in words."""
    return "ε" if re.fullmatch(r"lj\d+", problem) else "eV"


def _labels(records: Sequence[Record]) -> dict[tuple[str, str | None], str]:
    """Returns the name to show for each method with its weights: as short as is distinct."""
    pairs = sorted({(r["method"], r["weights"]) for r in records}, key=lambda pair: (pair[0], pair[1] or ""))
    labels: dict[tuple[str, str | None], str] = {}
    for method, weights in pairs:
        others = [w for m, w in pairs if m == method and w != weights]
        if not others or weights is None:
            labels[method, weights] = method
            continue
        name = weights.split("@")[0]
        clash = any(w is not None and w.split("@")[0] == name for w in others)
        labels[method, weights] = f"{method} ({weights if clash else name})"
    return labels


def _ranked(cells: dict[tuple[str, str], Cell], problems: Sequence[str]) -> tuple[str, ...]:
    """Returns the methods: learned before others, then by their mean rank over the problems they were run on."""
    places: dict[str, list[float]] = {}
    learned = {method for (_, method), cell in cells.items() if cell.is_learned}
    for problem in problems:
        row = sorted((cell for (p, _), cell in cells.items() if p == problem), key=lambda cell: cell.rank)
        for place, cell in enumerate(row):
            places.setdefault(cell.method, []).append((place + 1) / len(row))
    return tuple(sorted(places, key=lambda m: (m not in learned, float(np.mean(places[m])), m)))


def _natural(name: str) -> list[Any]:
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.split(r"(\d+)", name) if part]
