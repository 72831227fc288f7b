"""Structures to judge with, of kinds, sizes, strains or potentials that the classifier was not trained on. Layer 4."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from ase import Atoms, units
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.md.langevin import Langevin
from ase.optimize import FIRE

from .glass import glass
from .labels import Structure, quiet_labels
from .structures import FAMILIES, crystal_of, decahedron, frank_kasper, icosahedron, stacked
from .surroundings import NEAREST, surroundings

TWIN = [0, 1, 2, 0, 1, 2, 0, 2, 1, 0, 2, 1]
FAULT = [0, 1, 2, 0, 1, 2, 1, 2, 0, 1, 2]
DOUBLE_HCP = [0, 1, 0, 2] * 3
STRAIN = 0.03
"""Largest component, drawn anew: with twice that a bcc crystal may be on its way to fcc."""

HELD_OUT = {
    "fcc": lambda random: crystal_of(random, "fcc", 160),
    "hcp": lambda random: crystal_of(random, "hcp", 160),
    "bcc": lambda random: crystal_of(random, "bcc", 160),
    "twins, faults, double hcp": lambda random: stacked([TWIN, FAULT, DOUBLE_HCP][random.integers(3)]),
    "grains": FAMILIES["grain"],
    "icosahedra of 309 and 561": lambda random: icosahedron(random, (5, 6)),
    "decahedra": lambda random: decahedron(random, ((3, 3, 1), (4, 2, 1), (2, 4, 1))),
    "Laves phases": lambda random: frank_kasper(random.choice(["C14", "C15"])),
    "glass": glass,
}


class Snapshot(NamedTuple):
    """Holds a structure from molecular dynamics, named by the minimum it belongs to."""

    atoms: Atoms
    labels: np.ndarray  # [n_atoms] of the minimum
    nearest: float  # Angstrom, in the minimum
    name: str
    noise: float  # rms displacement from the minimum per component, in nearest distances


def nearest_distance(structure: Structure) -> float:
    """Returns the distance of nearest neighbours of a structure without noise, in its unit of length."""
    around = surroundings(structure.atoms)
    pair = structure.atoms.get_distance(0, int(around.neighbor[0, 0]), mic=bool(structure.atoms.pbc.any()))
    lengths = np.sort(around.distance, axis=1)[:, :NEAREST] * pair / around.distance[0, 0]
    return float(np.median(lengths[np.isfinite(lengths)]))


def snapshots(seed: int, elements=("Cu", "Al"), temperatures=(600, 1000), steps: int = 200) -> Iterator[Snapshot]:
    """Runs molecular dynamics by EMT of a crystal, a stacking fault and a liquid, and quenches the last geometry.

    Args:
      seed: of velocities and noise.
      elements: that EMT knows.
      temperatures: Kelvin, of crystal and fault; the liquid is at 2500 and then at 1500.
      steps: of 5 fs.
    """
    random = np.random.RandomState(seed)
    for element in elements:
        lattice = float(np.linalg.norm(bulk(element).cell[0]))
        cubic = bulk(element, cubic=True) * (4, 3, 3)
        fault = stacked(FAULT).atoms
        fault.set_cell(fault.cell * lattice, scale_atoms=True)
        starts: list[tuple[str, Atoms, tuple[int, ...]]] = [
            (f"{element} {kind} {t} K", a, (t,)) for t in temperatures for kind, a in (("fcc", cubic), ("fault", fault))
        ]
        starts.append((f"{element} liquid", cubic, (2500, 1500)))
        for name, ideal, schedule in starts:
            atoms = Atoms(np.full(len(ideal), bulk(element).numbers[0]), ideal.positions, cell=ideal.cell, pbc=True)
            atoms.set_cell(atoms.cell * (1.06 if len(schedule) > 1 else 1.0 + 2e-5 * schedule[0]), scale_atoms=True)
            atoms.calc = EMT()
            for temperature in schedule:
                motion = Langevin(
                    atoms, 5 * units.fs, temperature_K=temperature, friction=0.05 / units.fs, rng=random, fixcm=False
                )
                motion.run(steps)
            yield _quenched(atoms, name)


def _quenched(atoms: Atoms, name: str) -> Snapshot:
    quiet = atoms.copy()
    quiet.calc = EMT()
    FIRE(quiet, logfile=None).run(fmax=0.05, steps=300)
    labels = quiet_labels(quiet)
    nearest = nearest_distance(Structure(quiet, labels))
    moved = atoms.positions - quiet.positions
    return Snapshot(atoms, labels, nearest, name, float(np.std(moved - moved.mean(axis=0)) / nearest))
