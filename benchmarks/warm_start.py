"""Evaluations per success from random starts: learned_hop at its warm start beside basin hopping, in one run.

    python benchmarks/warm_start.py                      the whole table, some minutes on one core
    python benchmarks/warm_start.py --systems lj38 --methods learned_hop --seeds 40
    python benchmarks/warm_start.py --write-weights weights/learned_hop

A success is an evaluated energy within the tolerance of the lowest known one; mean evaluations per success are all
evaluations spent over the number of successes, unfinished runs included. The interval is a bootstrap over seeds.
"""

import argparse
import dataclasses
import time

import jax
import jax.numpy as jnp
import numpy as np

from ase_learnedopt.optimizers import basin_hopping, learned_hop
from ase_learnedopt.optimizers.hop_state import LearnedHopConfig
from ase_learnedopt.optimizers.policy import FEATURES, warm_start
from ase_learnedopt.potentials import cluster_system, reference_minimum
from ase_learnedopt.rollout import rollout, start
from ase_learnedopt.weights_io import save_weights

SYSTEMS = {"lj26": 50_000, "lj31": 150_000, "lj38": 50_000, "lj55": 50_000, "Ag7Cu6": 30_000, "Ag32Cu6": 300_000}
"""Name: evaluations after which a run that has not succeeded is given up."""
METHODS = {"learned_hop": learned_hop, "basin_hopping": basin_hopping}
N_WINDOWS = 128


def tolerance(name: str) -> float:
    """Returns how close to the lowest known energy counts: 1e-3 epsilon, or 2e-3 eV for metals (float32)."""
    return 1e-3 if name.startswith("lj") else 2e-3


def measure(name: str, optimizer, seeds: range, budget: int, window: int = 8):
    """Runs one walker a seed until success or `budget`.

    Returns:
      Evaluations spent `[n_seeds]`, successes `[n_seeds]` bool, and evaluations per second after the first window.
    """
    parameter_set = None if name.startswith("lj") else "rossi-unverified"
    keys = jnp.stack([jax.random.PRNGKey(seed) for seed in seeds])
    starts, keys = jax.vmap(jax.random.split, out_axes=1)(keys)
    systems = [cluster_system(name, key, parameter_set=parameter_set) for key in starts]
    potential = systems[0][0]
    batch = jax.tree.map(lambda *leaves: jnp.stack(leaves), *(system for _, system in systems))
    target = reference_minimum(name) + tolerance(name)
    state = start(optimizer, keys, batch, budget)
    spent_at_first, clock = 0, 0.0
    while True:
        state, _ = rollout(optimizer, potential, state, budget, target, n_windows=N_WINDOWS, window=window)
        spent, hit = np.asarray(state.n_evaluations), np.asarray(state.best_energy <= target)
        if not spent_at_first:
            spent_at_first, clock = int(spent.sum()), time.perf_counter()
        if np.all(hit | (spent >= budget)):
            rate = (spent.sum() - spent_at_first) / max(time.perf_counter() - clock, 1e-9)
            return spent, hit, rate


def interval(spent, hit, n_resamples: int = 2000):
    """Returns the 90 % bootstrap interval of mean evaluations per success."""
    rng = np.random.default_rng(0)
    rows = rng.integers(len(spent), size=(n_resamples, len(spent)))
    return np.percentile(spent[rows].sum(axis=1) / np.maximum(hit[rows].sum(axis=1), 1), [5, 95])


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--systems", default=",".join(SYSTEMS))
    parser.add_argument("--methods", default=",".join(METHODS))
    parser.add_argument("--seeds", type=int, default=40)
    parser.add_argument("--first-seed", type=int, default=10_000)
    parser.add_argument("--write-weights", metavar="PATH", help="writes the untrained heads, this table on their card")
    parser.add_argument("--evaluations", type=int, help="instead of the budget of each system")
    args = parser.parse_args()
    seeds = range(args.first_seed, args.first_seed + args.seeds)
    print("| system | method | successes | evaluations per success | 90 % interval | evaluations/s |")
    print("|---|---|---|---|---|---|")
    result = {}
    for name in args.systems.split(","):
        for method in args.methods.split(","):
            budget = args.evaluations or SYSTEMS.get(name, 100_000)
            spent, hit, rate = measure(name, METHODS[method](), seeds, budget)
            low, high = interval(spent, hit)
            mean = f"{spent.sum() / hit.sum():,.0f}" if hit.any() else f"> {spent.sum():,.0f}"
            row = f"| {name} | {method} | {hit.sum()}/{len(hit)} | {mean} | {low:,.0f} to {high:,.0f} | {rate:,.0f} |"
            print(row, flush=True)
            if method == "learned_hop":
                result[name] = (
                    f"{mean} evaluations per success ({low:,.0f} to {high:,.0f}), {hit.sum()}/{len(hit)} seeds"
                )
    if args.write_weights:
        card = {
            "architecture": "learned_hop",
            "features": {name: list(features) for name, features in FEATURES.items()},
            "config": dataclasses.asdict(LearnedHopConfig()),
            "tasks": [],
            "seeds": [],
            "budget": "not trained: the last layer of every head is zero, which makes it the classical policy",
            "command": "python benchmarks/warm_start.py --write-weights weights/learned_hop",
            "result": result,
        }
        params = jax.tree.map(np.asarray, warm_start())
        save_weights(args.write_weights, params, card)


if __name__ == "__main__":
    main()
