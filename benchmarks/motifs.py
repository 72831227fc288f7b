"""Makes the figures of docs/motifs.md: atoms against OVITO's methods, clusters against the words of `search`.

pip install -e ".[motif]"
python benchmarks/motifs.py --out motifs
"""

import argparse
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.cluster import Decahedron, Icosahedron, Octahedron
from ase.optimize import FIRE

from ase_learnedopt.motifs import cluster_motif, compare_motifs
from ase_learnedopt.motifs.examples import atom_examples, balanced
from ase_learnedopt.motifs.glass import glassy_cluster
from ase_learnedopt.search.motif import motif

KNOWN = {
    "icosahedra of 13, 55, 147, 309": ([Icosahedron("Cu", n) for n in (2, 3, 4, 5)], "icosahedral"),
    "octahedra of 38, 79, 201": ([Octahedron("Cu", *n) for n in ((4, 1), (5, 1), (7, 2))], "fcc"),
    "decahedra of 75, 101, 146": ([Decahedron("Cu", *n) for n in ((2, 2, 1), (2, 3, 1), (3, 2, 1))], "decahedral"),
    "fcc cells": ([bulk("Cu", cubic=True) * (3, 3, 3)], "fcc"),
    "hcp cells": ([bulk("Mg") * (4, 4, 3)], "hcp"),
    "bcc cells": ([bulk("Fe", cubic=True) * (3, 3, 3)], "bcc"),
}
DROPS = "quenched drops of 50 atoms or more"
NOISE = (0.0, 0.03, 0.06, 0.09, 0.12)
SEEDS = range(200, 210)
EXAMPLES_SEED = 300


def relaxed(atoms: Atoms) -> Atoms:
    """Returns a relaxed copy of a cluster, a crystal as it is."""
    atoms = Atoms(atoms)
    if not atoms.pbc.any():
        atoms.calc = EMT()
        FIRE(atoms, logfile=None).run(fmax=0.01, steps=300)
        atoms.calc = None
    return atoms


def clusters() -> str:
    """Returns the share of shaken structures whose motif is named right, ours / of `search`."""
    lines = ["| relaxed by EMT, then noise | " + " | ".join(f"{noise:g}" for noise in NOISE) + " |"]
    lines.append("|---" * (len(NOISE) + 1) + "|")
    cases = {name: ([relaxed(atoms) for atoms in ideal], word) for name, (ideal, word) in KNOWN.items()}
    for name, (structures, word) in {**cases, DROPS: (drops(), "disordered")}.items():
        cells = []
        for noise in NOISE:
            right = [[says(shaken(a, noise, seed)) == word for says in (cluster_motif, motif)]
                     for a in structures for seed in (SEEDS if noise else SEEDS[:1])]  # fmt: skip
            cells.append(" / ".join(f"{share:.2f}" for share in np.mean(right, axis=0)))
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def drops(n: int = 8) -> list[Atoms]:
    """Returns clusters quenched from random positions that the words of `search` call disordered."""
    random, found = np.random.default_rng(900), []
    while len(found) < n:
        atoms = glassy_cluster(random).atoms
        atoms.positions *= 2.55
        if len(atoms) >= 50 and motif(atoms) == "disordered":
            found.append(atoms)
    return found


def shaken(atoms: Atoms, noise: float, seed: int) -> Atoms:
    """Returns a copy with noise in distances of nearest neighbours."""
    nearest = np.median(np.sort(atoms.get_all_distances(mic=True), axis=1)[:, 1])
    other = atoms.copy()
    if noise:
        other.rattle(noise * nearest, seed=seed)
    return other


def main() -> None:
    """Runs both comparisons."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("motifs"), help="folder for reports and the plot")
    parser.add_argument("--examples", type=Path, metavar="FILE", help="only write examples of atoms, .npz with X and y")
    parser.add_argument("--clusters-only", action="store_true", help="leave the atoms, which take minutes")
    arguments = parser.parse_args()
    if arguments.examples:
        found = balanced(atom_examples(EXAMPLES_SEED, 12, 3), 600, 0)
        np.savez_compressed(arguments.examples, X=found.features.astype(np.float32), y=found.labels)
        return
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "clusters.md").write_text(clusters())
    if not arguments.clusters_only:
        compare_motifs(arguments.out, show=print)


if __name__ == "__main__":
    main()
