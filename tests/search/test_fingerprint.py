"""Fingerprints: what must count as the same structure, and what must not."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import add_adsorbate, bulk, fcc111, molecule
from ase.cluster import Decahedron, Icosahedron, Octahedron
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from ase_learnedopt.search.fingerprint import REACH, difference, fingerprint, same, typical_bond


def alloy() -> Atoms:
    atoms = Octahedron("Ag", 4, 1)
    atoms.numbers[[0, 5, 9, 20]] = 29
    return Atoms(atoms)


def slab(site: str = "fcc") -> Atoms:
    atoms = fcc111("Cu", (3, 3, 2), vacuum=6.0)
    add_adsorbate(atoms, "O", 1.2, site)
    return atoms


STRUCTURES = {
    "cluster": lambda: Atoms(Octahedron("Cu", 4, 1)),
    "alloy": alloy,
    "molecule": lambda: molecule("CH3CH2OH"),
    "large": lambda: Atoms(Icosahedron("Cu", 5)),
    "slab": slab,
    "bulk": lambda: bulk("Cu", cubic=True) * (2, 2, 2),
}


@pytest.mark.parametrize("name", STRUCTURES)
@settings(max_examples=5, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**32 - 1))
def test_invariant_and_continuous(name, seed):
    atoms, rng = STRUCTURES[name](), np.random.default_rng(seed)
    atoms.rattle(0.05, seed=3)
    moved = atoms[rng.permutation(len(atoms))]
    turn = Rotation.from_quat(rng.normal(size=4)).as_matrix()
    moved.positions = (moved.positions * [1.0, 1.0, -1.0]) @ turn + rng.normal(size=3)
    moved.set_cell((moved.cell.array * [1.0, 1.0, -1.0]) @ turn)
    moved.wrap()
    prints = fingerprint(atoms), fingerprint(moved)
    assert difference(*prints, REACH * typical_bond(atoms)) < 1e-4
    displacement = rng.normal(size=atoms.positions.shape)
    displacement *= 0.04 / np.linalg.norm(displacement, axis=1).max()
    moved.positions += displacement @ turn
    assert difference(prints[0], fingerprint(moved), REACH * typical_bond(atoms)) <= 2 * 0.04 + 1e-4
    assert same(atoms, moved)


def swapped() -> Atoms:
    atoms = alloy()
    atoms.numbers[[0, 1]] = atoms.numbers[[1, 0]]
    return atoms


OTHERS = [
    (alloy, swapped),
    (lambda: slab("fcc"), lambda: slab("hcp")),
    (lambda: slab("fcc"), lambda: slab("ontop")),
    (lambda: Atoms(Icosahedron("Cu", 2)), lambda: Atoms(Octahedron("Cu", 3, 1))),
    (lambda: Atoms(Decahedron("Cu", 2, 2, 1)), lambda: Atoms(Decahedron("Cu", 2, 2, 1))[:-1]),
    (lambda: Atoms("Cu2", [[0, 0, 0], [0, 0, 2]]), lambda: Atoms("CuAg", [[0, 0, 0], [0, 0, 2]])),
]


@pytest.mark.parametrize("pair", OTHERS)
def test_other_structures_differ(pair):
    first, second = pair[0](), pair[1]()
    assert same(first, first)
    assert not same(first, second)
    assert not same(second, first)


def test_memory_is_linear_in_the_number_of_atoms():
    entries = [sum(array.size for array in fingerprint(bulk("Cu", cubic=True) * k).values()) for k in (4, 8)]
    assert entries[1] == 8 * entries[0]


def test_one_atom():
    assert same(Atoms("Cu"), Atoms("Cu", [[1.0, 2.0, 3.0]]))
