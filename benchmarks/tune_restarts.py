"""Tunes random restarts of local optimizers, and two-phase basin hopping: evaluations per success for a grid.

    python benchmarks/tune_restarts.py                       all, an hour on one core
    python benchmarks/tune_restarts.py --local adam --seeds 32

Seeds from 500 on, which no benchmark uses. The winner has the least geometric mean over the problems; it goes into
`bench/methods.py` if it beats the defaults.
"""

import argparse
import itertools

import numpy as np

from ase_learnedopt.bench.batched import run_batched
from ase_learnedopt.bench.methods import two_phase_basin_hopping
from ase_learnedopt.bench.problems import get_problem
from ase_learnedopt.optimizers import OPTIMIZERS, random_restart
from ase_learnedopt.types import Optimizer

PROBLEMS = {"lj13": 10_000, "lj19": 30_000, "gupta-Ag7Cu6": 30_000}
"""Name: evaluations after which a run is given up."""
HARDER = {"lj26": 20_000, "lj38": 60_000, "gupta-Ag7Cu6": 20_000}
"""For the two-phase relaxation, which solves the others at once."""
ALLOYS = {"gupta-Ag7Cu6": 20_000, "gupta-Ag32Cu6": 60_000}
GRIDS: dict[str, dict[str, tuple]] = {
    "gradient_descent": {"learning_rate": (0.0015, 0.002, 0.0025, 0.003), "maxstep": (0.1, 0.2, 0.4)},
    "momentum": {"learning_rate": (0.001, 0.002, 0.004), "decay": (0.8, 0.9, 0.95), "maxstep": (0.05, 0.1, 0.2)},
    "adam": {"learning_rate": (0.02, 0.05, 0.1), "half_life": (50, 100, 200), "b2": (0.9, 0.95, 0.99), "clip": (30.0,)},
    "fire": {"dt_max": (0.1, 0.15, 0.2), "n_min": (2, 5), "maxstep": (0.05, 0.1, 0.2)},
    "lbfgs": {"maxstep": (0.1, 0.15, 0.25, 0.4), "tolerance": (0.01, 0.05)},
    "swap": {"compression": (0.0, 1.0, 5.0), "swaps": (0.5, 0.8), "kT": (0.4, 0.8)},
    "two_phase": {"compression": (0.5, 1.0, 2.0, 3.0, 5.0, 8.0), "kT": (0.4, 0.8, 1.2), "shake": (0.4,)},
}
"""Of the local optimizer; `two_phase` and `swap` are basin hopping, without compression where that is 0."""


def build(local: str, settings: dict) -> Optimizer:
    """Returns the search around a local optimizer."""
    if local not in ("two_phase", "swap"):
        return random_restart(OPTIMIZERS[local](**settings))
    return two_phase_basin_hopping(**settings)


def cost(local: str, settings: dict, problem: str, budget: int, seeds: range) -> float:
    """Returns evaluations per success; if there is none, twice all evaluations."""
    target = get_problem(problem)
    assert target.reference is not None
    optimizer = build(local, settings)
    runs = list(run_batched(target, optimizer, seeds, budget, target.reference + target.tolerance))
    spent, hits = sum(run.evaluations for run in runs), sum(run.hit for run in runs)
    return spent / hits if hits else 2.0 * spent


def main() -> None:
    """Prints a table for each local optimizer."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--local", default=",".join(GRIDS))
    parser.add_argument("--seeds", type=int, default=32)
    args = parser.parse_args()
    seeds = range(500, 500 + args.seeds)
    for local in args.local.split(","):
        problems = {"two_phase": HARDER, "swap": ALLOYS}.get(local, PROBLEMS)
        names = list(GRIDS[local])
        print(f"\n| {local}: {', '.join(names)} | {' | '.join(problems)} | geometric mean |")
        print("|---|" + "---|" * (len(problems) + 1), flush=True)
        for settings in [
            {},
            *(dict(zip(names, row, strict=True)) for row in itertools.product(*GRIDS[local].values())),
        ]:
            costs = [cost(local, settings, problem, budget, seeds) for problem, budget in problems.items()]
            cells = [f"{value:,.0f}" for value in (*costs, float(np.exp(np.mean(np.log(costs)))))]
            shown = ", ".join(str(value) for value in settings.values()) or "defaults"
            print(f"| {shown} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
