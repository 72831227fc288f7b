"""Structures with known labels, examples from them, and a training in small from examples to weights."""

import numpy as np
import pytest

from ase_learnedopt.motifs import LABELS, atom_motif_probabilities, motif_features, train_motif_classifier
from ase_learnedopt.motifs import training as module
from ase_learnedopt.motifs.examples import AtomExamples, atom_examples, balanced
from ase_learnedopt.motifs.held_out import HELD_OUT, nearest_distance
from ase_learnedopt.motifs.labels import quiet_labels
from ase_learnedopt.motifs.structures import FAMILIES, crystal_of, noisy, stacked
from ase_learnedopt.weights_io import read_card

QUICK = {name: FAMILIES[name] for name in ("fcc", "bcc", "decahedron")}


@pytest.mark.parametrize("name", [*FAMILIES, *HELD_OUT])
def test_families(name):
    structure = (FAMILIES | HELD_OUT)[name](np.random.default_rng(0))
    assert len(structure.labels) == len(structure.atoms)
    assert set(structure.labels) <= set(LABELS)
    assert 0.85 < nearest_distance(structure) < 1.15


@pytest.mark.parametrize("lattice", ["fcc", "hcp", "bcc"])
def test_ideal_crystals_are_what_they_are_called(lattice):
    atoms, labels = crystal_of(np.random.default_rng(1), lattice)
    np.testing.assert_array_equal(quiet_labels(atoms), labels)


def test_stacks():
    _, labels = stacked([0, 1, 2, 0, 1, 2, 1, 2, 0, 1, 2])
    assert np.sum(labels == "hcp") == 2 * 16  # an intrinsic fault: two layers of hcp
    assert np.sum(labels == "fcc") == 9 * 16


@pytest.mark.parametrize("correlated", [False, True])
def test_noise_is_of_the_size_asked_for(correlated):
    structure = crystal_of(np.random.default_rng(0), "fcc", 300)
    moved = noisy(np.random.default_rng(1), structure, 0.1, correlated=correlated).positions - structure.atoms.positions
    assert np.std(moved) == pytest.approx(0.1, rel=0.05)


def test_examples_are_repeatable_and_balanced():
    first, again, other = (atom_examples(seed, 1, 2, QUICK) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first.features, again.features)
    assert first.features.shape != other.features.shape or not np.array_equal(first.features, other.features)
    few = balanced(first, 20, 0)
    assert max(np.unique(few.labels, return_counts=True)[1]) == 20


@pytest.mark.slow
def test_training_in_small(monkeypatch, tmp_path):
    pytest.importorskip("sklearn")
    structure = crystal_of(np.random.default_rng(0), "fcc", 60)
    random = np.random.default_rng(1)

    def examples(*_):  # every label, each with numbers of its own
        x = np.concatenate([motif_features(structure.atoms)[:60] + 0.5 * i for i in range(len(LABELS))])
        x += 0.1 * random.normal(size=x.shape).astype(np.float32)
        return AtomExamples(x, np.repeat(LABELS, len(x) // len(LABELS)), np.zeros(len(x)))

    monkeypatch.setattr(module, "atom_examples", examples)
    monkeypatch.setattr(module, "BETAS", (0.3, 1.0))
    path = train_motif_classifier(tmp_path / "toy", most=60, steps=400, sweep_steps=400)
    assert atom_motif_probabilities(structure.atoms, path)[:, LABELS.index("bcc")].min() > 0.5
    assert read_card(path)["config"]["labels"] == list(LABELS)
    assert "beta" in (tmp_path / "toy_sweep.md").read_text()
