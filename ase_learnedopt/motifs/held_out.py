"""Structures to judge with, of kinds, sizes, strains or potentials that the classifier was not trained on. Layer 4."""

from collections.abc import Iterator
from typing import Any, NamedTuple

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

LIQUID = 1.26
"""Density of the liquid in atoms per cube of the distance of nearest neighbours; 1.41 is that of the crystal."""


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
      seed: of velocities, noise and the liquid's start.
      elements: that EMT knows.
      temperatures: Kelvin, of crystal and fault; the liquid, from a glass, is at 1.5 times the last.
      steps: of 5 fs.
    """
    melt = glass(np.random.default_rng(seed), 144).atoms
    melt.set_cell(melt.cell * (144 / melt.get_volume() / LIQUID) ** (1.0 / 3.0), scale_atoms=True)
    cubic, fault = bulk("Cu", cubic=True, a=2.0**0.5) * (4, 3, 3), stacked(FAULT).atoms
    for element in elements:
        starts: list[tuple[str, Atoms, float]] = [
            (f"{element} {kind} {temperature} K", ideal, temperature)
            for temperature in temperatures
            for kind, ideal in (("fcc", cubic), ("fault", fault))
        ]
        starts.append((f"{element} liquid", melt, 1.5 * temperatures[-1]))
        for i, (name, ideal, temperature) in enumerate(starts):
            atoms = ideal.copy()
            atoms.numbers[:] = bulk(element).numbers[0]
            lattice = float(np.linalg.norm(bulk(element).cell[0])) * (
                1.0 if ideal is melt else 1.0 + 2e-5 * temperature
            )
            atoms.set_cell(atoms.cell * lattice, scale_atoms=True)
            atoms.calc = EMT()
            random = np.random.RandomState([seed, i])
            motion: dict[str, Any] = {
                "temperature_K": temperature,
                "friction": 0.05 / units.fs,
                "rng": random,
                "fixcm": False,
            }
            Langevin(atoms, 5 * units.fs, **motion).run(steps)
            yield _quenched(atoms, name)


def _quenched(atoms: Atoms, name: str) -> Snapshot:
    quiet = atoms.copy()
    quiet.calc = EMT()
    FIRE(quiet, logfile=None).run(fmax=0.05, steps=300)
    labels = quiet_labels(quiet)
    nearest = nearest_distance(Structure(quiet, labels))
    moved = atoms.positions - quiet.positions
    return Snapshot(atoms, labels, nearest, name, float(np.std(moved - moved.mean(axis=0)) / nearest))
