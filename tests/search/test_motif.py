"""Motif words and point groups of structures with a name."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.cluster import Decahedron, Icosahedron, Octahedron
from scipy.spatial.transform import Rotation

from ase_learnedopt.search.motif import motif
from ase_learnedopt.search.point_group import MAX_ATOMS, point_group

CLUSTERS = [
    (Icosahedron("Cu", 2), "icosahedral", "Ih"),
    (Icosahedron("Cu", 4), "icosahedral", "Ih"),
    (Octahedron("Cu", 4, 1), "fcc", "Oh"),
    (Octahedron("Cu", 5, 0), "fcc", "Oh"),
    (Decahedron("Cu", 3, 2, 0), "decahedral", "D5h"),
    (Decahedron("Cu", 2, 2, 1), "decahedral", "D5h"),
    (Decahedron("Cu", 2, 1, 0), "", "D5h"),
]
MOLECULES = {
    "H2O": "C2v", "CH4": "Td", "C6H6": "D6h", "NH3": "C3v", "CO2": "Dooh", "CO": "Coov", "C2H6": "D3d", "C2H4": "D2h",
    "CH3OH": "Cs", "N2H4": "C2", "C3H4_D2d": "D2d", "C60": "Ih",
}  # fmt: skip
CRYSTALS = [
    (bulk("Cu", cubic=True) * (3, 3, 3), "fcc"),
    (bulk("Mg") * (4, 4, 3), "hcp"),
    (bulk("Fe", cubic=True) * (3, 3, 3), "bcc"),
    (bulk("Si", cubic=True) * (2, 2, 2), "diamond"),
]


def turned(structure, rattle: float) -> Atoms:
    atoms = Atoms(structure)
    if not atoms.pbc.any():
        atoms.positions = atoms.positions @ Rotation.from_rotvec([0.3, 1.0, -0.4]).as_matrix()
    atoms.rattle(rattle, seed=1)
    return atoms


@pytest.mark.parametrize(("structure", "word", "group"), CLUSTERS)
def test_clusters(structure, word, group):
    atoms = turned(structure, 0.02)
    assert (motif(atoms), point_group(atoms)) == (word, group)


@pytest.mark.parametrize(("name", "group"), MOLECULES.items())
def test_molecules(name, group):
    assert point_group(turned(molecule(name), 0.003)) == group


@pytest.mark.parametrize(("structure", "word"), CRYSTALS)
def test_crystals(structure, word):
    assert motif(turned(structure, 0.03)) == word
    assert point_group(structure) == ""


def test_disorder_has_a_word_and_no_symmetry():
    atoms = Atoms("Cu60", np.random.default_rng(0).normal(0.0, 4.0, (60, 3)))
    assert motif(atoms) == "disordered"
    assert point_group(atoms) == "C1"


def test_a_lower_symmetry_is_seen():
    atoms = Atoms(Octahedron("Cu", 4, 1))
    atoms.numbers[0] = 47
    assert point_group(atoms) not in {"Oh", "C1"}


def test_large_and_tiny():
    assert point_group(Atoms("Cu")) == "Kh"
    assert motif(Atoms("Cu2", [[0, 0, 0], [0, 0, 2.2]])) == ""
    assert point_group(Atoms(f"Cu{MAX_ATOMS + 1}", np.random.default_rng(0).normal(size=(MAX_ATOMS + 1, 3)))) == ""
