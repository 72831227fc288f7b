"""Best energy per atom of Stillinger-Weber silicon against evaluations, from random starts in a periodic cell.

    python benchmarks/silicon.py

Sixty-four atoms at the density of the crystal, uniform starts, one walker a seed; median, quartiles and lowest of the
best energies. The local basin hopping shakes eight neighbours at a time; its kT and shake are the best of a small grid
on other seeds (--tune prints it).
"""

import argparse
import itertools

import jax
import jax.numpy as jnp
import numpy as np

from ase_learnedopt.optimizers import basin_hopping, learned_hop, random_restart
from ase_learnedopt.potentials import cluster_system
from ase_learnedopt.rollout import rollout, start

MARKS = (3_000, 10_000, 30_000)
METHODS = {
    "learned_hop": learned_hop,
    "local basin hopping": lambda: basin_hopping(kT=0.05, shake=0.45, target_acceptance=None, neighborhood=8),
    "random restart L-BFGS": random_restart,
}
NEVER = -1e9


def energies(optimizer, seeds: range, marks=MARKS, name: str = "sw-si64"):
    """Returns the best energies per atom `[n_marks, n_seeds]` eV after so many evaluations."""
    keys = jnp.stack([jax.random.PRNGKey(seed) for seed in seeds])
    starts, keys = jax.vmap(jax.random.split, out_axes=1)(keys)
    systems = [cluster_system(name, key) for key in starts]
    batch = jax.tree.map(lambda *leaves: jnp.stack(leaves), *(system for _, system in systems))
    state = start(optimizer, keys, batch, marks[-1])
    best = []
    for mark in marks:
        while int(state.n_evaluations.min()) < mark:
            state, _ = rollout(optimizer, systems[0][0], state, mark, NEVER, n_windows=64)
        best.append(np.asarray(state.best_energy) / state.positions.shape[1])
    return np.array(best)


def row(name: str, best) -> str:
    """Returns one line of the table."""
    quartiles = np.percentile(best, [50, 25, 75], axis=1).T
    cells = [f"{m:.4f} ({a:.4f} to {b:.4f}), {low:.4f}" for (m, a, b), low in zip(quartiles, best.min(1), strict=True)]
    return f"| {name} | " + " | ".join(cells) + " |"


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--methods", default=",".join(METHODS))
    parser.add_argument("--seeds", type=int, default=24)
    parser.add_argument("--first-seed", type=int, default=20_000)
    parser.add_argument("--tune", action="store_true")
    args = parser.parse_args()
    seeds = range(args.first_seed, args.first_seed + args.seeds)
    print("| eV/atom: median (quartiles), lowest | " + " | ".join(f"{mark:,} evaluations" for mark in MARKS) + " |")
    print("|---|" + "---|" * len(MARKS), flush=True)
    if args.tune:
        for kT, shake in itertools.product((0.02, 0.05, 0.1), (0.3, 0.45, 0.6)):
            rival = basin_hopping(kT=kT, shake=shake, target_acceptance=None, neighborhood=8)
            print(
                row(f"local basin hopping, kT {kT}, shake {shake}", energies(rival, range(16), MARKS[:2])), flush=True
            )
        return
    for name in args.methods.split(","):
        print(row(name, energies(METHODS[name](), seeds)), flush=True)


if __name__ == "__main__":
    main()
