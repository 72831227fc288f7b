"""Tunes the local optimizers of random restarts: evaluations per success for a grid of settings.

    python benchmarks/tune_restarts.py                       all five, some minutes on one core
    python benchmarks/tune_restarts.py --local adam --seeds 32

Seeds from 500 on, which no benchmark uses. The winner has the least geometric mean over the problems; it goes into
`bench/methods.py` if it beats the defaults.
"""

import argparse
import itertools

import numpy as np

from ase_learnedopt.bench.batched import run_batched
from ase_learnedopt.bench.problems import get_problem
from ase_learnedopt.optimizers import OPTIMIZERS, random_restart

PROBLEMS = {"lj13": 30_000, "lj19": 100_000, "gupta-Ag7Cu6": 60_000}
"""Name: evaluations after which a run is given up."""
GRIDS: dict[str, dict[str, tuple]] = {
    "gradient_descent": {"learning_rate": (0.001, 0.002, 0.004, 0.008), "maxstep": (0.05, 0.1, 0.2)},
    "momentum": {"learning_rate": (0.001, 0.002, 0.004), "decay": (0.8, 0.9, 0.95), "maxstep": (0.1, 0.2)},
    "adam": {"learning_rate": (0.01, 0.02, 0.04, 0.08), "b1": (0.8, 0.9), "b2": (0.9, 0.99, 0.999)},
    "fire": {"dt_max": (0.05, 0.1, 0.15, 0.2), "n_min": (2, 5), "maxstep": (0.1, 0.2)},
    "lbfgs": {"maxstep": (0.1, 0.15, 0.25, 0.4), "tolerance": (0.01, 0.05)},
}


def cost(local: str, settings: dict, problem: str, seeds: range) -> float:
    """Returns evaluations per success; if there is none, twice all evaluations."""
    target = get_problem(problem)
    assert target.reference is not None
    optimizer = random_restart(OPTIMIZERS[local](**settings))
    runs = list(run_batched(target, optimizer, seeds, PROBLEMS[problem], target.reference + target.tolerance))
    spent, hits = sum(run.evaluations for run in runs), sum(run.hit for run in runs)
    return spent / hits if hits else 2.0 * spent


def main() -> None:
    """Prints a table for each local optimizer."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--local", default=",".join(GRIDS))
    parser.add_argument("--seeds", type=int, default=64)
    args = parser.parse_args()
    seeds = range(500, 500 + args.seeds)
    for local in args.local.split(","):
        names = list(GRIDS[local])
        print(f"\n| {local}: {', '.join(names)} | {' | '.join(PROBLEMS)} | geometric mean |")
        print("|---|" + "---|" * (len(PROBLEMS) + 1), flush=True)
        for settings in [
            {},
            *(dict(zip(names, row, strict=True)) for row in itertools.product(*GRIDS[local].values())),
        ]:
            costs = [cost(local, settings, problem, seeds) for problem in PROBLEMS]
            cells = [f"{value:,.0f}" for value in (*costs, float(np.exp(np.mean(np.log(costs)))))]
            shown = ", ".join(str(value) for value in settings.values()) or "defaults"
            print(f"| {shown} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
