"""Names the atoms of a structure with the shipped classifier. Layer 4, NumPy only: nothing is compiled."""

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from ..weights_io import load_weights
from .features import FEATURES, motif_features
from .labels import LABELS

ARCHITECTURE = "atom motifs"
SHIPPED = "atom_motifs"
WHOLE = 12
"""Neighbours of a whole shell: in a free cluster of no more atoms every one is at the surface."""


def atom_motif_probabilities(atoms: Any, weights: str | Path = SHIPPED) -> np.ndarray:
    """Returns how probable every label of `LABELS` is for every atom, `[n_atoms, n_labels]`.

    They are calibrated for labels in equal numbers, on shaken structures that were not trained on.

    Args:
      atoms: an `ase.Atoms`, periodic or not; species are ignored.
      weights: a shipped name or a path, as `train_motif_classifier` writes.

    Raises:
      ValueError: impossible positions or cell, or weights that are damaged or not of this classifier.
    """
    logits = motif_features(atoms)
    if len(atoms) <= WHOLE and not np.any(atoms.pbc):
        return np.tile(np.array(LABELS) == "surface", (len(atoms), 1)).astype(float)
    layers = _layers(str(weights))
    for i, layer in enumerate(layers):
        logits = (np.maximum(logits, 0.0) if i else logits) @ layer["weights"] + layer["bias"]
    share = np.exp(logits - logits.max(axis=1, keepdims=True))
    return share / share.sum(axis=1, keepdims=True)


def atom_motifs(atoms: Any, weights: str | Path = SHIPPED) -> np.ndarray:
    """Names every atom fcc, hcp, bcc, icosahedral, fivefold, surface or disordered, by its surroundings.

    Meant for hot structures: see the documentation for where common neighbour analysis is as good.

    Args:
      atoms: an `ase.Atoms`, periodic or not; species are ignored.
      weights: a shipped name or a path, as `train_motif_classifier` writes.

    Returns:
      `[n_atoms]` words of `LABELS`.

    Raises:
      ValueError: impossible positions or cell, or weights that are damaged or not of this classifier.
    """
    return np.array(LABELS)[atom_motif_probabilities(atoms, weights).argmax(axis=1)]


@lru_cache(maxsize=4)
def _layers(weights: str) -> list[dict[str, np.ndarray]]:
    expected = {"architecture": ARCHITECTURE, "features": {"atom": FEATURES}}
    params, card = load_weights(weights, expect=expected)
    if card["config"]["labels"] != list(LABELS):
        raise ValueError(f"weights {weights} have the labels {card['config']['labels']}, needed are {list(LABELS)}")
    return [params[f"layer_{i}"] for i in range(len(params))]
