"""Features of atoms: what may not change them, what they are in crystals, and what they refuse."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, fcc111
from ase.cluster import Icosahedron
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from ase_learnedopt.motifs import FEATURES, motif_features
from ase_learnedopt.motifs.harmonics import bond_harmonics, second_order, third_order

STRUCTURES = {
    "crystal": bulk("Cu", cubic=True) * (2, 2, 2),
    "small cell": bulk("Mg"),
    "slab": fcc111("Al", (2, 2, 3), vacuum=6.0),
    "cluster": Icosahedron("Cu", 3),
    "mixed": Atoms("CuAu2O2", np.random.default_rng(3).uniform(0.0, 4.0, (5, 3))),
    "dimer": Atoms("Cu2", [[0, 0, 0], [0, 0, 2.2]]),
}


@pytest.mark.parametrize("name", STRUCTURES)
@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), scale=st.floats(0.2, 8.0), mirrored=st.booleans())
def test_invariance(name, seed, scale, mirrored):
    random = np.random.default_rng(seed)
    atoms = STRUCTURES[name].copy()
    atoms.positions += random.normal(0.0, 0.1, atoms.positions.shape)
    turn = Rotation.random(random_state=int(seed)).as_matrix() * (-1.0 if mirrored else 1.0)
    order = random.permutation(len(atoms))
    other = Atoms(atoms[order])
    other.set_cell(scale * np.asarray(atoms.cell) @ turn)
    other.positions = scale * (atoms.positions[order] @ turn + random.normal(size=3))
    np.testing.assert_allclose(motif_features(other), motif_features(atoms)[order], rtol=0, atol=2e-4)


def test_species_are_ignored():
    atoms = bulk("Cu", cubic=True) * (2, 2, 2)
    other = atoms.copy()
    other.numbers[::3] = 79
    np.testing.assert_array_equal(motif_features(atoms), motif_features(other))


def test_a_supercell_has_the_features_of_its_cell():
    cell = bulk("Mg")
    np.testing.assert_allclose(
        motif_features(cell * (2, 3, 1))[::2], motif_features(cell)[0] + np.zeros((6, 1)), atol=1e-5
    )


def test_shape_dtype_and_names():
    x = motif_features(Icosahedron("Cu", 3))
    assert x.shape == (55, len(FEATURES)) == (55, len(set(FEATURES)))
    assert x.dtype == np.float32
    assert np.isfinite(x).all()


@pytest.mark.parametrize("atoms", [Atoms(), Atoms("Cu"), Atoms("Cu2", [[0, 0, 0], [0, 0, 2.0]]), bulk("Fe")])
def test_few_atoms(atoms):
    x = motif_features(atoms)
    assert x.shape == (len(atoms), len(FEATURES))
    assert np.isfinite(x).all()


def test_an_atom_far_away_is_no_hindrance():
    atoms = Icosahedron("Cu", 3)
    lonely = atoms + Atoms("Cu", [[60.0, 0.0, 0.0]])
    np.testing.assert_allclose(motif_features(lonely)[:-1], motif_features(atoms), atol=1e-5)


@pytest.mark.parametrize(
    ("lattice", "expected"),
    [("fcc", (0.19094, 0.57452, -0.15932, -0.01316)), ("hcp", (0.09722, 0.48476, 0.13410, -0.01244))],
)
def test_bond_order_of_crystals(lattice, expected):
    """Of twelve neighbours (Steinhardt et al.; Lechner & Dellago); the second shell of fcc has a weight of 0.03."""
    atoms = bulk("Cu", lattice, a=2.0, **({"c": 2.0 * (8 / 3) ** 0.5} if lattice == "hcp" else {}))
    x = dict(zip(FEATURES, motif_features(atoms)[0], strict=True))
    np.testing.assert_allclose([x["q4"], x["q6"], x["w4"], x["w6"]], expected, atol=0.03)


def test_harmonics_against_scipy():
    special = pytest.importorskip("scipy.special")
    if not hasattr(special, "sph_harm_y"):
        pytest.skip("SciPy before 1.15 has another name for it")
    unit = np.random.default_rng(0).normal(size=(2, 5, 3))
    unit /= np.linalg.norm(unit, axis=2, keepdims=True)
    theta, phi = np.arccos(unit[..., 2]), np.arctan2(unit[..., 1], unit[..., 0])
    for degree, q in bond_harmonics(unit, np.ones((2, 5)), (2, 5, 12)).items():
        orders = range(degree + 1)
        wanted = np.stack([special.sph_harm_y(degree, m, theta, phi).mean(axis=1) for m in orders], axis=1)
        np.testing.assert_allclose(q, wanted, atol=1e-12)


def test_no_bonds_have_no_order():
    q = bond_harmonics(np.zeros((1, 1, 3)), np.zeros((1, 1)), (4,))[4]
    assert second_order(q) == third_order(q) == 0.0


@pytest.mark.parametrize(
    ("atoms", "message"),
    [
        (Atoms("Cu2", [[0, 0, 0], [0, 0, np.nan]]), "atom 1 is not finite"),
        (Atoms("Cu3", [[0, 0, 0], [0, 0, 2], [0, 0, 2]]), "where another one is"),
        (Atoms("Cu", pbc=True), "span no volume"),
    ],
)
def test_impossible_structures(atoms, message):
    with pytest.raises(ValueError, match=message):
        motif_features(atoms)
