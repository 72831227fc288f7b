"""Looks for the lowest structure of Cu38 (EMT) from a random start and lists the minima met."""

import numpy as np
from ase import Atoms
from ase.calculators.emt import EMT

from ase_learnedopt import LearnedHop


def random_cluster(symbol="Cu", n_atoms=38, radius=5.8, seed=0):
    """Returns atoms at random places in a sphere of `radius` Angstrom, none too close to another."""
    rng = np.random.default_rng(seed)
    positions = np.empty((0, 3))
    while len(positions) < n_atoms:
        place = rng.uniform(-radius, radius, 3)
        if np.linalg.norm(place) < radius and np.all(np.linalg.norm(positions - place, axis=1) > 1.6):
            positions = np.vstack([positions, place])
    return Atoms(f"{symbol}{n_atoms}", positions)


def main(n_steps=5000):
    """Returns the optimizer after at most `n_steps` evaluations."""
    atoms = random_cluster()
    atoms.calc = EMT()
    optimizer = LearnedHop(atoms, seed=0, logfile=None)
    optimizer.run(fmax=0.05, steps=n_steps)
    print(f"{optimizer.status} after {optimizer.n_evaluations} evaluations and {optimizer.n_hops} hops")
    for minimum in optimizer.minima[:5]:
        print(f"{minimum.energy:12.6f} eV, seen {minimum.times_seen} times, first at {minimum.first_seen}")
    return optimizer


if __name__ == "__main__":
    main()
