"""Evaluations per success from random starts: learned_hop at its warm start beside basin hopping, in one run.

    python benchmarks/warm_start.py                      the whole table, some minutes on one core
    python benchmarks/warm_start.py --problems lj38 --methods learned_hop --seeds 40
    python benchmarks/warm_start.py --write-weights untrained

A short form of `ase-learnedopt bench run`, and what makes the card of the untrained weights.
"""

import argparse
import dataclasses
import time

import jax
import numpy as np

from ase_learnedopt.bench.batched import run_batched
from ase_learnedopt.bench.problems import get_problem
from ase_learnedopt.bench.statistics import Runs, cost_per_success
from ase_learnedopt.optimizers import OPTIMIZERS
from ase_learnedopt.optimizers.hop_state import LearnedHopConfig
from ase_learnedopt.optimizers.policy import FEATURES, warm_start
from ase_learnedopt.weights_io import save_weights

PROBLEMS = {
    "lj26": 50_000,
    "lj31": 150_000,
    "lj38": 50_000,
    "lj55": 50_000,
    "gupta-Ag7Cu6": 30_000,
    "gupta-Ag32Cu6": 300_000,
}
"""Name: evaluations after which a run that has not succeeded is given up."""


def measure(name: str, method: str, seeds: range, budget: int) -> Runs:
    """Runs one walker a seed until success or `budget`."""
    problem = get_problem(name)
    assert problem.reference is not None
    target = problem.reference + problem.tolerance
    runs = list(run_batched(problem, OPTIMIZERS[method](), seeds, budget, target))
    spent, hit = np.array([run.evaluations for run in runs]), np.array([run.hit for run in runs])
    return Runs(spent, np.where(hit, spent, np.inf), np.full(len(runs), budget), ())


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problems", default=",".join(PROBLEMS))
    parser.add_argument("--methods", default="learned_hop,basin_hopping")
    parser.add_argument("--seeds", type=int, default=40)
    parser.add_argument("--first-seed", type=int, default=40_000)
    parser.add_argument("--write-weights", metavar="PATH", help="writes the untrained heads, this table on their card")
    parser.add_argument("--evaluations", type=int, help="instead of the budget of each problem")
    args = parser.parse_args()
    seeds = range(args.first_seed, args.first_seed + args.seeds)
    print("| problem | method | successes | evaluations per success | 90 % interval | evaluations/s |")
    print("|---|---|---|---|---|---|")
    result = {}
    for name in args.problems.split(","):
        for method in args.methods.split(","):
            begin = time.perf_counter()
            runs = measure(name, method, seeds, args.evaluations or PROBLEMS.get(name, 100_000))
            cost, hits = cost_per_success(runs), int(np.isfinite(runs.hit_at).sum())
            mean = f"{cost.value:,.0f}" if hits else f"> {cost.total:,.0f}"
            interval, rate = f"{cost.low:,.0f} to {cost.high:,.0f}", cost.total / (time.perf_counter() - begin)
            print(f"| {name} | {method} | {hits}/{len(seeds)} | {mean} | {interval} | {rate:,.0f} |", flush=True)
            if method == "learned_hop":
                result[name] = f"{mean} evaluations per success ({interval}), {hits}/{len(seeds)} seeds"
    if args.write_weights:
        write_untrained(args.write_weights, result, args.first_seed, args.seeds)


def write_untrained(path: str, result: dict[str, str], first_seed: int, n_seeds: int) -> None:
    """Writes the untrained heads with a card."""
    command = "python benchmarks/warm_start.py --write-weights untrained"
    config = dataclasses.asdict(LearnedHopConfig())
    del config["unrolled"]  # how to compile, not what
    card = {
        "architecture": "learned_hop",
        "features": {name: list(features) for name, features in FEATURES.items()},
        "config": config,
        "tasks": [],
        "seeds": [],
        "budget": "not trained: the last layer of every head is zero, which makes it the classical policy",
        "command": f"{command} --first-seed {first_seed} --seeds {n_seeds}",
        "result": result,
    }
    save_weights(path, jax.tree.map(np.asarray, warm_start()), card)


if __name__ == "__main__":
    main()
