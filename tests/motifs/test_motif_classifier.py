"""The shipped classifier of atoms and clusters: what it says of known structures, and what it needs."""

import subprocess
import sys

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.cluster import Decahedron, Icosahedron, Octahedron

from ase_learnedopt.motifs import LABELS, atom_motif_probabilities, atom_motifs, cluster_motif
from ase_learnedopt.motifs.glass import gas, glass
from ase_learnedopt.motifs.labels import quiet_labels
from ase_learnedopt.weights_io import load_weights, save_weights

CRYSTALS = {
    "fcc": bulk("Cu", cubic=True) * (4, 4, 4),
    "hcp": bulk("Mg") * (5, 5, 3),
    "bcc": bulk("Fe", cubic=True) * (4, 4, 4),
}


def shaken(atoms, noise, seed=7):
    atoms = Atoms(atoms)
    nearest = np.sort(atoms.get_all_distances(mic=True), axis=1)[:, 1].min()
    atoms.rattle(noise * nearest, seed=seed)
    return atoms


@pytest.mark.parametrize(("noise", "least"), [(0.0, 1.0), (0.06, 0.97), (0.1, 0.85)])
@pytest.mark.parametrize("word", CRYSTALS)
def test_crystals(word, noise, least):
    assert np.mean(atom_motifs(shaken(CRYSTALS[word], noise)) == word) >= least


@pytest.mark.parametrize("noise", [0.0, 0.06])
@pytest.mark.parametrize(
    ("atoms", "word"),
    [
        (Icosahedron("Cu", 2), "icosahedral"),
        (Icosahedron("Cu", 4), "icosahedral"),
        (Octahedron("Cu", 4, 1), "fcc"),
        (Octahedron("Cu", 7, 2), "fcc"),
        (Decahedron("Cu", 2, 2, 1), "decahedral"),
        (CRYSTALS["bcc"], "bcc"),
        (CRYSTALS["hcp"], "hcp"),
    ],
)
def test_motifs(atoms, word, noise):
    assert cluster_motif(shaken(atoms, noise)) == word


def test_no_inner_atoms_have_no_motif():
    assert cluster_motif(Atoms("Cu2", [[0, 0, 0], [0, 0, 2.2]])) == ""
    assert cluster_motif(Atoms()) == ""


@pytest.mark.parametrize("build", [gas, glass])
def test_disorder(build):
    structure = build(np.random.default_rng(77))
    assert cluster_motif(structure.atoms) == "disordered"
    assert np.mean(atom_motifs(structure.atoms) == "disordered") > 0.8


def test_quiet_labels_of_an_icosahedron():
    words, counts = np.unique(quiet_labels(Icosahedron("Cu", 4), is_crystal=True), return_counts=True)
    found = dict(zip(words.tolist(), counts.tolist(), strict=True))
    assert found == {"fivefold": 24, "hcp": 30, "icosahedral": 1, "surface": 92}


def test_probabilities():
    found = atom_motif_probabilities(Icosahedron("Cu", 3))
    assert found.shape == (55, len(LABELS))
    np.testing.assert_allclose(found.sum(axis=1), 1.0, atol=1e-5)


def test_prediction_works_with_the_core_alone():
    code = """
import sys
from ase.build import bulk
from ase_learnedopt.motifs import atom_motifs
atom_motifs(bulk("Cu"))
print([name for name in ("sklearn", "ovito", "matplotlib") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr


def test_weights_of_something_else_are_refused(tmp_path):
    params, card = load_weights("atom_motifs")
    with pytest.raises(ValueError, match="architecture"):
        atom_motifs(bulk("Cu"), "learned_hop")
    config = {**card["config"], "labels": ["fcc"]}
    path = save_weights(tmp_path / "few", params, {**card, "config": config})
    with pytest.raises(ValueError, match="labels"):
        atom_motifs(bulk("Cu"), path)
