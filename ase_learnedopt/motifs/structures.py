"""Structures whose atoms have known labels: crystals, stackings, slabs, grains, icosahedra, glasses. Layer 4.

Nearest neighbours of ideal structures are at a distance of 1; `noisy` strains and shakes them.
"""

from collections.abc import Callable

import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.cluster import Decahedron, Icosahedron
from ase.spacegroup import crystal

from .glass import gas, glass, glassy_cluster
from .labels import Structure, quiet_labels
from .surroundings import surroundings

Random = np.random.Generator


def crystal_of(random: Random, lattice: str, n_atoms: int = 110) -> Structure:
    """Builds a periodic crystal, fcc, hcp or bcc."""
    if lattice == "hcp":
        ratio = random.uniform(1.57, 1.69)
        cell = bulk("Cu", "hcp", a=1.0, c=ratio, orthorhombic=True)
    else:
        cell = bulk("Cu", lattice, a={"fcc": 2.0**0.5, "bcc": 2.0 / 3.0**0.5}[lattice], cubic=True)
    atoms = _repeated(cell, n_atoms)
    return Structure(atoms, np.full(len(atoms), lattice, "U11"))


def stacking(random: Random, n_layers: int = 12, p_hcp: float | None = None) -> Structure:
    """Builds a periodic stack of close-packed layers in random order: faults, twins and both crystals."""
    p_hcp = random.uniform(0.1, 0.9) if p_hcp is None else p_hcp
    places = [0, 1]
    while len(places) < n_layers or len({*places[-2:], places[0]}) < 3 or places[-1] == places[0]:
        back, last = places[-2:]
        places.append(back if random.random() < p_hcp else 3 - back - last)
        places = places if len(places) < 2 * n_layers else [0, 1]
    return stacked(places)


def stacked(places: list[int], width: int = 4) -> Structure:
    """Builds a periodic stack of close-packed layers at the places 0, 1 or 2."""
    height = (2.0 / 3.0) ** 0.5
    cell = np.array([[1.0, 0.0, 0.0], [0.5, 0.75**0.5, 0.0], [0.0, 0.0, height * len(places)]])
    positions = [[*(place / 3.0 * (cell[0] + cell[1]))[:2], height * i] for i, place in enumerate(places)]
    atoms = Atoms(f"Cu{len(places)}", positions, cell=cell, pbc=True) * (width, width, 1)
    return Structure(atoms, quiet_labels(atoms, is_crystal=True))


def slab(random: Random, lattice: str) -> Structure:
    """Builds a disc cut from a crystal between two low-index planes."""
    normal = random.permutation([[1, 0, 0], [1, 1, 0], [1, 1, 1]][random.integers(3)]) / 1.0
    half = random.uniform(1.5, 2.3)
    return _cut(random, lattice, lambda at: np.abs(at @ normal) / np.linalg.norm(normal) < half, 3.4)


def grain(random: Random, lattice: str) -> Structure:
    """Builds a free ball cut from a crystal about a random centre."""
    return _cut(random, lattice, lambda at: np.full(len(at), True), random.uniform(1.6, 3.0))


def icosahedron(random: Random, shells: tuple[int, ...] = (2, 3, 4)) -> Structure:
    """Builds a Mackay icosahedron with its outer shell, or some of its atoms, left away."""
    atoms = Icosahedron("Cu", int(random.choice(shells)), latticeconstant=2.0**0.5)
    return _with_lost_atoms(random, atoms)


def decahedron(random: Random, sizes: tuple[tuple[int, int, int], ...]) -> Structure:
    """Builds a Marks decahedron of one of the sizes `(p, q, r)`, some atoms of its surface left away."""
    atoms = Decahedron("Cu", *sizes[random.integers(len(sizes))], latticeconstant=2.0**0.5)
    return _with_lost_atoms(random, atoms)


def frank_kasper(name: str) -> Structure:
    """Builds a crystal with icosahedral sites: A15 (Cr3Si), the Laves phases C15 (MgCu2) or C14 (MgZn2)."""
    if name == "A15":
        cell = crystal("CuCu", [(0, 0, 0), (0.25, 0, 0.5)], spacegroup=223, cellpar=[1.8, 1.8, 1.8, 90, 90, 90])
    elif name == "C15":
        sites = [(0.125, 0.125, 0.125), (0.5, 0.5, 0.5)]
        cell = crystal("CuCu", sites, spacegroup=227, setting=2, cellpar=[2.7, 2.7, 2.7, 90, 90, 90])
    else:
        sites = [(1 / 3, 2 / 3, 0.062), (0, 0, 0), (0.83, 0.66, 0.25)]
        cell = crystal("CuCuCu", sites, spacegroup=194, cellpar=[1.95, 1.95, 3.19, 90, 90, 120])
    atoms = _repeated(cell, 110)
    return Structure(atoms, quiet_labels(atoms))


def noisy(random: Random, structure: Structure, noise: float, strain: float = 0.0, correlated: bool = False) -> Atoms:
    """Returns a structure strained and shaken.

    Args:
      random: generator.
      structure: what to shake.
      noise: standard deviation of each component of each displacement, in distances of nearest neighbours.
      strain: largest component of a random symmetric strain.
      correlated: whether neighbours move together to a random degree, as in a solid.
    """
    atoms = structure.atoms.copy()
    tensor = random.uniform(-strain, strain, (3, 3))
    stretch = np.eye(3) + 0.5 * (tensor + tensor.T)
    atoms.set_cell(np.asarray(atoms.cell) @ stretch)
    moved = random.normal(size=(len(atoms), 3))
    if correlated:
        together = surroundings(structure.atoms).mean(moved)
        share = random.uniform()
        moved = (1.0 - share) * moved + share * together * (moved.std() / together.std())
        moved /= moved.std()
    atoms.positions = atoms.positions @ stretch + noise * moved
    return atoms


FAMILIES: dict[str, Callable[[Random], Structure]] = {
    "fcc": lambda random: crystal_of(random, "fcc"),
    "hcp": lambda random: crystal_of(random, "hcp"),
    "bcc": lambda random: crystal_of(random, "bcc"),
    "stacking": stacking,
    "slab": lambda random: slab(random, random.choice(["fcc", "hcp", "bcc"])),
    "grain": lambda random: grain(random, random.choice(["fcc", "hcp", "bcc"])),
    "icosahedron": icosahedron,
    "decahedron": lambda random: decahedron(random, ((2, 2, 1), (3, 2, 0), (3, 2, 1), (2, 3, 1))),
    "A15": lambda _: frank_kasper("A15"),
    "glass": glass,
    "glassy cluster": glassy_cluster,
}
"""What the shipped classifier is trained on."""
NO_SOLID = {"gas": gas}
"""Also, apart since all its atoms are disordered."""


def _repeated(cell: Atoms, n_atoms: int) -> Atoms:
    """Returns a crystal of at least so many atoms, of roughly equal edges."""
    counts = np.ones(3, int)
    while len(cell) * counts.prod() < n_atoms:
        counts[np.argmin(counts * cell.cell.lengths())] += 1
    return cell * counts.tolist()


def _cut(random: Random, lattice: str, kept: Callable[[np.ndarray], np.ndarray], radius: float) -> Structure:
    """Cuts a ball from a crystal about a random centre, and from the ball what is to be kept."""
    whole = crystal_of(random, lattice, 700).atoms
    at = whole.positions - whole.positions.mean(axis=0) - random.uniform(-0.6, 0.6, 3)
    inside = (np.linalg.norm(at, axis=1) < radius) & kept(at)
    atoms = Atoms(whole.numbers[inside], whole.positions[inside])
    return Structure(atoms, quiet_labels(atoms, is_crystal=True))


def _with_lost_atoms(random: Random, atoms: Atoms) -> Structure:
    atoms = Atoms(atoms.numbers, atoms.positions - atoms.positions.mean(axis=0))
    far = np.linalg.norm(atoms.positions, axis=1) > 0.75 * np.linalg.norm(atoms.positions, axis=1).max()
    if len(atoms) > 60:
        atoms = atoms[~(far & (random.random(len(atoms)) < random.uniform(0.0, 0.3)))]
    return Structure(atoms, quiet_labels(atoms, is_crystal=True))
