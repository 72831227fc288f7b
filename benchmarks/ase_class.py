"""Evaluations per success of LearnedHop, the ASE class with an ASE calculator, on Lennard-Jones clusters.

    python benchmarks/ase_class.py --atoms 38 --seeds 40

The same starts and the same count as benchmarks/warm_start.py, in float64 and one evaluation at a time.
"""

import argparse
import time

import jax
import numpy as np
from ase import Atoms
from ase.calculators.lj import LennardJones
from warm_start import interval

from ase_learnedopt import LearnedHop
from ase_learnedopt.potentials import cluster_system, lennard_jones_scales, reference_minimum


def search(n_atoms: int, seed: int, budget: int) -> tuple[int, bool]:
    """Returns evaluations spent, and whether the lowest known energy was evaluated within the budget."""
    key = jax.random.split(jax.random.PRNGKey(seed))[0]
    _, system = cluster_system(f"lj{n_atoms}", key)
    atoms = Atoms(["Ar"] * n_atoms, np.array(system.positions, float))
    atoms.calc = LennardJones(sigma=1.0, epsilon=1.0, rc=1e3)
    scales = lennard_jones_scales()
    opt = LearnedHop(
        atoms,
        logfile=None,
        seed=seed,
        patience=None,
        length_scale=scales.length_scale,
        energy_scale=scales.energy_scale,
    )
    # A cutoff of 1000 sigma shifts each pair by 4e-18 epsilon: no matter.
    target = reference_minimum(f"lj{n_atoms}") + 1e-3
    for _ in opt.irun(fmax=1e-3, steps=budget - 1):
        if opt.best_energy <= target:
            return opt.n_evaluations, True
    return opt.n_evaluations, False


def main() -> None:
    """Prints one line of the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--atoms", type=int, default=38)
    parser.add_argument("--seeds", type=int, default=40)
    parser.add_argument("--first-seed", type=int, default=10_000)
    parser.add_argument("--evaluations", type=int, default=50_000)
    args = parser.parse_args()
    begin = time.perf_counter()
    seeds = range(args.first_seed, args.first_seed + args.seeds)
    runs = [search(args.atoms, seed, args.evaluations) for seed in seeds]
    spent, hit = np.array([n for n, _ in runs]), np.array([found for _, found in runs])
    low, high = interval(spent, hit)
    rate = spent.sum() / (time.perf_counter() - begin)
    print("| system | method | successes | evaluations per success | 90 % interval | evaluations/s |")
    print("|---|---|---|---|---|---|")
    mean = spent.sum() / max(hit.sum(), 1)
    print(
        f"| lj{args.atoms} | LearnedHop, ASE's LennardJones | {hit.sum()}/{len(hit)} | {mean:,.0f} "
        f"| {low:,.0f} to {high:,.0f} | {rate:,.0f} |"
    )


if __name__ == "__main__":
    main()
