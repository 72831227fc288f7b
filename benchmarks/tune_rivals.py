"""Searches the settings of the rivals on tuning problems: a rival may not be weaker than a careful user would make it.

    python benchmarks/tune_rivals.py                                   every rival's grid, hours on one core
    python benchmarks/tune_rivals.py --rival scipy_basinhopping --problems lj26,lj38
    python benchmarks/tune_rivals.py --quick                           one problem, two seeds: does it still run?

Each setting differs from the middle one in one respect. Seeds begin at 500: no benchmark uses them. A figure is the
mean of evaluations per success: all spent over the number of successes; ">" where there was none. The score is
the geometric mean over problems, of figures relative to the middle setting's; its best setting is the one to ship.
"""

import argparse
import contextlib
import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np

from ase_learnedopt.bench.counting import Evaluator, RunEnded
from ase_learnedopt.bench.problems import get_problem
from ase_learnedopt.bench.rivals import RIVALS, TUNED

PROBLEMS = {"lj13": 3_000, "lj19": 10_000, "lj26": 20_000, "gupta-Ag7Cu6": 10_000}
"""Name: evaluations after which a run is given up."""
CHOSEN = {
    "scipy_basinhopping": ("lj19", "lj26", "gupta-Ag7Cu6"),
    "ase_basin_hopping": ("lj19", "gupta-Ag7Cu6"),
    "ase_minima_hopping": ("lj13", "lj19"),
    "ase_ga": ("lj13", "lj19"),
    "pele_basin_hopping": ("lj19", "lj26", "gupta-Ag7Cu6"),
}
"""Problems of each rival's grid: small enough for most runs to succeed, or every setting looks the same."""
FIRST_SEED = 500
GRIDS: dict[str, dict[str, tuple[Any, ...]]] = {
    "scipy_basinhopping": {
        "stepsize": (0.32, 0.36, 0.43, 0.45),
        "kT": (0.4, 1.2),
        "gtol": (1e-1, 1e-3),
        "interval": (None, 10, 20),
        "memory": (5, 20),
    },
    "ase_basin_hopping": {
        "optimizer": ("FIRE", "BFGS", "BFGSLineSearch"),
        "dr": (0.28, 0.32, 0.4, 0.45),
        "kT": (0.4, 1.2),
        "fmax": (0.02, 0.2),
        "maxstep": (0.1, 0.3),
    },
    "ase_minima_hopping": {
        "optimizer": ("LBFGS", "FIRE", "BFGSLineSearch"),
        "fmax": (0.02, 0.2),
        "kT0": (0.1, 0.3, 1.0),
        "Ediff0": (0.3, 3.0),
        "minima_threshold": (0.1, 0.3, 1.0),
        "mdmin": (1, 4),
        "timestep": (0.01, 0.03),
    },
    "ase_ga": {
        "optimizer": ("BFGS", "FIRE", "BFGSLineSearch"),
        "fmax": (0.02, 0.2),
        "maxstep": (0.1, 0.3),
        "steps": (100, 400),
        "population": (5, 20, 40),
        "mutation": (0.1, 0.6),
        "rattle": (0.2, 0.8),
        "rattled": (0.2, 0.8),
        "dE": (0.02, 0.1),
        "stall": (50, 150),
    },
    "pele_basin_hopping": {
        "stepsize": (0.28, 0.32, 0.4, 0.45),
        "kT": (0.4, 1.2),
        "tol": (1e-3, 1e-1),
        "maxstep": (0.2, 1.0),
        "maxErise": (1e-4, 1.0),
        "interval": (None, 10, 50),
        "memory": (4, 10),
    },
}
"""Values to try beside the shipped one, of every setting in turn."""


def variants(rival: str, only: str | None = None):
    """Yields the shipped settings of a rival, then those that differ in one respect, or in `only` this one."""
    yield TUNED[rival]
    for name, values in GRIDS[rival].items():
        if only in (None, name):
            yield from ({**TUNED[rival], name: value} for value in values if value != TUNED[rival][name])


def play(rival: str, problem_name: str, settings: Mapping[str, Any], seed: int, budget: int) -> tuple[int, bool]:
    """Runs one seed; returns the evaluations spent and whether it succeeded."""
    problem = get_problem(problem_name)
    if problem.reference is None:
        raise ValueError(f"{problem_name} has no reference energy to reach: choose another problem")
    atoms = problem.start(seed)
    evaluator = Evaluator(atoms, problem.calculator(), budget, problem.reference + problem.tolerance)
    with contextlib.suppress(RunEnded):
        RIVALS[rival].run(problem, atoms, evaluator, seed, **settings)
    return evaluator.n_evaluations, evaluator.hit_at is not None


def measure(
    rival: str, problems: Mapping[str, int], settings: Mapping[str, Any], n_seeds: int
) -> list[tuple[int, int]]:
    """Returns evaluations spent and successes for every problem."""
    table = []
    for name, budget in problems.items():
        runs = [play(rival, name, settings, FIRST_SEED + k, budget) for k in range(n_seeds)]
        table.append((sum(spent for spent, _ in runs), sum(hit for _, hit in runs)))
    return table


def row(name: str, results: list[tuple[int, int]], reference: list[tuple[int, int]]) -> str:
    """Returns a line of the table: the figures, and the score relative to those of the reference."""
    means = [spent / max(hits, 1) for spent, hits in results]
    figures = [f"{'' if hits else '>'}{mean:,.0f} ({hits})" for mean, (_, hits) in zip(means, results, strict=True)]
    ratios = [mean / (spent / max(hits, 1)) for mean, (spent, hits) in zip(means, reference, strict=True)]
    return " | ".join(["", name, *figures, f"{np.exp(np.mean(np.log(ratios))):.2f}", ""]).strip()


def main() -> None:
    """Prints a Markdown table for each rival."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rival", choices=sorted(TUNED), action="append", help="one or more; all if left out")
    parser.add_argument("--problems", help="comma-separated; those of CHOSEN if left out")
    parser.add_argument("--setting", help="vary only this one")
    parser.add_argument("--seeds", type=int, default=12)
    parser.add_argument("--defaults", action="store_true", help="adds a line for the rival as it comes")
    parser.add_argument("--quick", action="store_true", help="lj13, two seeds, two settings")
    arguments = parser.parse_args()
    n_seeds, n_variants = (2, 2) if arguments.quick else (arguments.seeds, None)
    for rival in arguments.rival or TUNED:
        names = arguments.problems.split(",") if arguments.problems else CHOSEN[rival]
        problems = {"lj13": 500} if arguments.quick else {name: PROBLEMS.get(name, 20_000) for name in names}
        print(f"\n| {rival} | {' | '.join(problems)} | score |\n|{'---|' * (len(problems) + 2)}", flush=True)
        shipped = None
        for settings in itertools.islice(variants(rival, arguments.setting), n_variants):
            results = measure(rival, problems, {"scaled": settings}, n_seeds)
            shipped = shipped or results
            changed = [f"{key} {value}" for key, value in settings.items() if value != TUNED[rival][key]]
            print(row(", ".join(changed) or "shipped", results, shipped), flush=True)
        if arguments.defaults and shipped is not None:
            print(row("as it comes", measure(rival, problems, {}, n_seeds), shipped), flush=True)


if __name__ == "__main__":
    main()
