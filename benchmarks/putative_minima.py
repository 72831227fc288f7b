"""Searches for the lowest structure of a benchmark problem, says how often it was found, and stores it if it is new.

    python benchmarks/putative_minima.py gupta-Ag7Cu6 --evaluations 20000
    python benchmarks/putative_minima.py gupta-Pd19Pt19 --evaluations 100000 --exchange
    python benchmarks/putative_minima.py emt-Cu38 --seeds 8 --evaluations 5000

One walker of learned_hop a seed, each to the end of its budget; with --exchange the lowest structures of all walkers
then descend through every exchange of two unlike atoms until none lowers the energy. What is lowest is relaxed in
float64 to a root mean square force of 1e-6 eV/Angstrom, or what --rms-force says where a calculator in single precision
gets no further, and written to ase_learnedopt/bench/minima when it is lower than what is there.
"""

import argparse
import itertools
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from ase.calculators.calculator import CalculatorError
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write
from scipy.optimize import minimize

from ase_learnedopt import LearnedHop
from ase_learnedopt.bench import minima
from ase_learnedopt.bench.problems import get_problem
from ase_learnedopt.bench.starts import seed_keys
from ase_learnedopt.optimizers import learned_hop
from ase_learnedopt.rollout import rollout, start

NEVER = -1e9
RMS_FORCE = 1e-6
FAILED = 100.0
"""eV above the last energy that a geometry counts to be where the calculator fails."""


def search_batch(problem, seeds, evaluations: int):
    """Returns the lowest structure of each seed, from one batched rollout."""
    optimizer = learned_hop()
    keys = jnp.stack([seed_keys(seed)[1] for seed in seeds])
    batch = jax.tree.map(lambda *leaves: jnp.stack(leaves), *(problem.system(seed) for seed in seeds))
    state = start(optimizer, keys, batch, evaluations)
    while int(state.n_evaluations.min()) < evaluations:
        state, _ = rollout(optimizer, problem.potential, state, evaluations, NEVER, n_windows=128)
        print(f"  {int(state.n_evaluations.sum()):,} evaluations, {float(state.best_energy.min()):.4f} eV", flush=True)
    found = []
    for seed, positions in zip(seeds, np.asarray(state.best_positions, float), strict=True):
        atoms = problem.start(seed)
        atoms.positions = positions
        found.append(atoms)
    return found


def search_one(problem, seed: int, evaluations: int):
    """Returns the lowest structure of a seed, searched through ASE."""
    atoms = problem.start(seed)
    atoms.calc = problem.calculator()
    optimizer = LearnedHop(atoms, seed=seed, patience=None, logfile=None)
    optimizer.run(fmax=0.01, steps=evaluations)
    print(f"  seed {seed}: {optimizer.best_energy:.4f} eV", flush=True)
    return atoms


def relax(atoms, calculator, tolerance: float):
    """Relaxes to a root mean square force (eV/Angstrom), and returns the energy."""
    last: list = []

    def value(x):
        atoms.positions = x.reshape(-1, 3)
        try:
            energy, forces = (calculator.get_property(name, atoms) for name in ("energy", "forces"))
        except CalculatorError:  # of a step too long: the line search takes a shorter one
            if not last:
                raise
            return last[0] + FAILED, last[1]
        last[:] = energy, -forces.reshape(-1)
        return energy, last[1]

    for _ in range(20):
        options = {"maxcor": 30, "ftol": 0.0, "gtol": 0.3 * tolerance, "maxiter": 1000}
        result = minimize(value, atoms.positions.reshape(-1), jac=True, method="L-BFGS-B", options=options)
        energy, gradient = value(result.x)
        if np.sqrt(np.mean(gradient**2)) <= tolerance:
            return energy
    raise RuntimeError(f"{atoms.symbols} does not relax to {tolerance} eV/Angstrom")


def descend_exchanges(atoms, calculator):
    """Exchanges unlike atoms, the best exchange first, until no exchange of two lowers the energy."""
    energy = relax(atoms, calculator, 1e-3)
    while True:
        best, chosen = energy - 1e-5, None
        numbers = atoms.numbers.copy()
        for i, j in itertools.combinations(range(len(atoms)), 2):
            if numbers[i] != numbers[j]:
                trial = atoms.copy()
                trial.positions[[i, j]] = trial.positions[[j, i]]
                trial_energy = relax(trial, calculator, 1e-2)
                if trial_energy < best:
                    best, chosen = trial_energy, trial
        if chosen is None:
            return atoms, energy
        atoms, energy = chosen, relax(chosen, calculator, 1e-3)


def store(problem, atoms, energy: float, forces, info: dict) -> None:
    """Writes the structure where the problem will look for it, unless that has one as low."""
    known = minima.stored_minimum(problem.name)
    if known is not None and known.get_potential_energy() <= energy + 1e-6:
        print(f"{problem.name}: kept the stored {known.get_potential_energy():.6f} eV")
        return
    atoms = atoms.copy()
    atoms.positions -= atoms.get_positions().mean(axis=0)
    atoms.info = info
    atoms.calc = SinglePointCalculator(atoms, energy=energy)
    write(Path(minima.__file__).parent / f"{problem.name}.xyz", atoms, format="extxyz")
    print(f"{problem.name}: stored, largest force {np.abs(forces).max():.1e} eV/Angstrom")


def main() -> None:
    """Searches one problem."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("problem")
    parser.add_argument("--seeds", type=int, default=64)
    parser.add_argument("--first-seed", type=int, default=50_000)
    parser.add_argument("--evaluations", type=int, default=20_000)
    parser.add_argument("--rms-force", type=float, default=RMS_FORCE, help="eV/Angstrom (default 1e-6; CHGNet: 2e-2)")
    parser.add_argument("--exchange", type=int, default=0, metavar="N", help="descend from the N lowest walkers")
    args = parser.parse_args()
    problem, seeds = get_problem(args.problem), range(args.first_seed, args.first_seed + args.seeds)
    if problem.potential is None:
        found = [search_one(problem, seed, args.evaluations) for seed in seeds]
    else:
        found = search_batch(problem, seeds, args.evaluations)
    calculator, method = problem.calculator(), "learned_hop"
    energies = np.array([relax(atoms, calculator, max(1e-3, args.rms_force)) for atoms in found])
    text = f"walkers of {args.evaluations:,} evaluations"
    if args.exchange:
        method += " and a descent through all exchanges"
        text += f", {args.exchange} of them continued"
        for k in np.argsort(energies)[: args.exchange]:
            found[k], energies[k] = descend_exchanges(found[k], calculator)
    lowest = int(np.argmin(energies))
    energies[lowest] = energy = relax(found[lowest], calculator, args.rms_force)
    n_found = int(np.sum(energies <= energy + 0.5 * problem.tolerance))
    text = f"by {n_found} of {len(seeds)} {text}"
    print(f"{problem.name}: {energy:.6f} eV, {text}; next {np.round(np.sort(energies)[:8], 4).tolist()}")
    info = {"found_by": method, "found": text, "command": " ".join(["python", *sys.argv])}
    store(problem, found[lowest], energy, calculator.get_property("forces", found[lowest]), info)


if __name__ == "__main__":
    main()
