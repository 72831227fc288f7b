"""Evaluations per success of LearnedHop, the ASE class with an ASE calculator, on Lennard-Jones clusters.

    python benchmarks/ase_class.py --atoms 38 --seeds 40

The same starts and the same count as benchmarks/warm_start.py, in float64 and one evaluation at a time.
"""

import argparse
import time

import numpy as np
from ase.calculators.lj import LennardJones

from ase_learnedopt import LearnedHop
from ase_learnedopt.bench.problems import Problem, get_problem
from ase_learnedopt.bench.statistics import Runs, cost_per_success
from ase_learnedopt.potentials import lennard_jones_scales


def search(problem: Problem, seed: int, budget: int) -> tuple[int, bool]:
    """Returns evaluations spent, and whether the lowest known energy was evaluated within the budget."""
    assert problem.reference is not None
    atoms, scales = problem.start(seed), lennard_jones_scales()
    # A cutoff of 1000 sigma shifts each pair by 4e-18 epsilon: no matter.
    atoms.calc = LennardJones(sigma=1.0, epsilon=1.0, rc=1e3)
    opt = LearnedHop(
        atoms,
        logfile=None,
        seed=seed,
        patience=None,
        length_scale=scales.length_scale,
        energy_scale=scales.energy_scale,
    )
    target = problem.reference + problem.tolerance
    for _ in opt.irun(fmax=1e-3, steps=budget - 1):
        if opt.best_energy <= target:
            return opt.n_evaluations, True
    return opt.n_evaluations, False


def main() -> None:
    """Prints one line of the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--atoms", type=int, default=38)
    parser.add_argument("--seeds", type=int, default=40)
    parser.add_argument("--first-seed", type=int, default=40_000)
    parser.add_argument("--evaluations", type=int, default=50_000)
    args = parser.parse_args()
    begin, problem = time.perf_counter(), get_problem(f"lj{args.atoms}")
    seeds = range(args.first_seed, args.first_seed + args.seeds)
    found = [search(problem, seed, args.evaluations) for seed in seeds]
    spent, hit = np.array([n for n, _ in found]), np.array([success for _, success in found])
    runs = Runs(spent, np.where(hit, spent, np.inf), np.full(len(found), args.evaluations), ())
    cost = cost_per_success(runs)
    print("| problem | method | successes | evaluations per success | 90 % interval | evaluations/s |")
    print("|---|---|---|---|---|---|")
    print(
        f"| {problem.name} | LearnedHop, ASE's LennardJones | {hit.sum()}/{len(hit)} | {cost.value:,.0f} "
        f"| {cost.low:,.0f} to {cost.high:,.0f} | {cost.total / (time.perf_counter() - begin):,.0f} |"
    )


if __name__ == "__main__":
    main()
