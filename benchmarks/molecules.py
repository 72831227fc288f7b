"""Compares hops of whole molecules with hops of atoms, on water clusters of a simple model.

    python benchmarks/molecules.py

The model is q-SPC/Fw (Paesani, Zhang, Case, Cheatham & Voth, J. Chem. Phys. 125, 184507, 2006): point charges, a
Lennard-Jones term between oxygens, harmonic bonds and angles; a soft wall keeps charges apart in overlaps. The lowest
energy is that of all runs here, success an energy within 8 meV of it.
"""

import argparse

import jax
import jax.numpy as jnp
import numpy as np
from ase import units

from ase_learnedopt.bench.starts import element_system
from ase_learnedopt.optimizers.hop_state import LearnedHopConfig
from ase_learnedopt.optimizers.learned import load_policy
from ase_learnedopt.optimizers.learned_hop import learned_hop
from ase_learnedopt.rollout import rollout, start

KCAL = units.kcal / units.mol
COULOMB = 14.399645  # eV Angstrom
CHARGES = (-0.84, 0.42, 0.42)
EPSILON, SIGMA = 0.1554252 * KCAL, 3.165492
BOND, BOND_STIFFNESS = 1.0, 1059.162 * KCAL
ANGLE, ANGLE_STIFFNESS = np.deg2rad(112.0), 75.90 * KCAL
CLOSEST = 0.6
"""Angstrom, below which charges are as at that distance."""
NEVER = -1e9
WITHIN = 8e-3


def water(n_molecules: int):
    """Returns energy and forces of molecules whose atoms are in the order O, H, H."""
    n = 3 * n_molecules
    molecule, is_oxygen = np.arange(n) // 3, np.arange(n) % 3 == 0
    pairs = np.triu(molecule[:, None] != molecule[None, :])
    charges = np.tile(CHARGES, n_molecules).astype(np.float32)
    products = jnp.asarray(COULOMB * charges[:, None] * charges[None, :])
    oxygens = jnp.asarray(pairs & is_oxygen[:, None] & is_oxygen[None, :])
    unlike = jnp.asarray(pairs & (is_oxygen[:, None] != is_oxygen[None, :]))
    pairs = jnp.asarray(pairs)

    def energy(positions):
        square = jnp.sum((positions[:, None] - positions[None, :]) ** 2, axis=-1)
        distance = jnp.sqrt(jnp.maximum(jnp.where(pairs, square, 1.0), CLOSEST**2))
        sixth = (SIGMA**2 / jnp.maximum(jnp.where(oxygens, square, 1e4), 1.5**2)) ** 3
        between = jnp.where(pairs, products / distance, 0.0) + 4.0 * EPSILON * jnp.where(oxygens, sixth**2 - sixth, 0.0)
        between = between + jnp.where(unlike, 5.0 * jnp.exp((1.0 - distance) / 0.15), 0.0)
        first, second = positions[1::3] - positions[::3], positions[2::3] - positions[::3]
        lengths = [jnp.sqrt(jnp.sum(bond**2, axis=1) + 1e-12) for bond in (first, second)]
        cosine = jnp.clip(jnp.sum(first * second, axis=1) / (lengths[0] * lengths[1]), -0.9999, 0.9999)
        within = BOND_STIFFNESS * sum((length - BOND) ** 2 for length in lengths)
        return jnp.sum(between) + 0.5 * jnp.sum(within + ANGLE_STIFFNESS * (jnp.arccos(cosine) - ANGLE) ** 2)

    def potential(positions, system, neighbors=None):
        del system, neighbors
        value, gradient = jax.value_and_grad(energy)(positions)
        return value, -gradient

    return potential


def search(config: LearnedHopConfig, n_molecules: int, seeds, evaluations: int):
    """Returns evaluations and lowest energies, eV, in the course of every run, `[n_runs, n_windows]` each."""
    optimizer = learned_hop(load_policy("learned_hop", "learned_hop")[0], config)
    systems = [element_system(f"(H2O){n_molecules}", ("H", "O"), seed) for seed in seeds]
    batch = jax.tree.map(lambda *leaves: jnp.stack(leaves), *systems)
    state = start(optimizer, jnp.stack([jax.random.PRNGKey(seed) for seed in seeds]), batch, evaluations)
    potential, traces = water(n_molecules), []
    while int(state.n_evaluations.min()) < evaluations:
        state, trace = rollout(optimizer, potential, state, evaluations, NEVER, n_windows=64)
        traces.append(trace)
    trace = jax.tree.map(lambda *leaves: np.concatenate(leaves).T, *traces)
    return trace.n_evaluations, trace.best_energy.astype(float)


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[7, 8], help="molecules (default 7 8)")
    parser.add_argument("--first-seed", type=int, default=74000, help="(default 74000)")
    parser.add_argument("--seeds", type=int, default=128, help="(default 128)")
    parser.add_argument("--evaluations", type=int, default=3000, help="of a run (default 3000)")
    arguments = parser.parse_args()
    seeds = range(arguments.first_seed, arguments.first_seed + arguments.seeds)
    print("| cluster | hops of | successes | evaluations per success |\n|---|---|---:|---:|")
    for size in arguments.sizes:
        found = {
            name: search(LearnedHopConfig(molecules=whole), size, seeds, arguments.evaluations)
            for name, whole in (("molecules", True), ("atoms", False))
        }
        lowest = min(energies.min() for _, energies in found.values())
        for name, (counts, energies) in found.items():
            hit = energies <= lowest + WITHIN
            spent = np.where(hit.any(axis=1), counts[np.arange(len(counts)), hit.argmax(axis=1)], counts[:, -1])
            n_hits = int(hit.any(axis=1).sum())
            cost = f"{spent.sum() / n_hits:,.0f} ± {spent.sum() / n_hits**1.5:,.0f}" if n_hits else f"> {spent.sum():,}"
            print(f"| (H2O){size} | {name} | {n_hits} of {len(counts)} | {cost} |", flush=True)


if __name__ == "__main__":
    main()
