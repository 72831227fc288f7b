"""Relaxes a rattled copper cluster, as any ASE optimizer would: one evaluation a step."""

from ase.calculators.emt import EMT
from ase.cluster import Octahedron

from ase_learnedopt import LearnedRelax


def main(n_steps=200):
    """Returns the optimizer after at most `n_steps` evaluations."""
    atoms = Octahedron("Cu", 4, cutoff=1)
    atoms.rattle(0.2, seed=0)
    atoms.calc = EMT()
    optimizer = LearnedRelax(atoms)
    optimizer.run(fmax=0.02, steps=n_steps)
    return optimizer


if __name__ == "__main__":
    main()
