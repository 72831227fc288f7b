"""The motif of a whole cluster or crystal, from the labels of its atoms. Layer 4, NumPy only."""

from pathlib import Path
from typing import Any

import numpy as np

from .classifier import SHIPPED, atom_motif_probabilities
from .labels import LABELS

MIN_ORDER = 0.7
"""Share of the inner atoms that must be in order; below it a structure is called disordered. At noise of 0.12 it is at
least 0.8 in icosahedra, and half in quenched drops, whose atoms then look fivefold."""
MIN_FIVEFOLD = 0.06
"""Share of the inner atoms on fivefold axes in icosahedra and decahedra: 0.12 and 0.1 of some five hundred atoms."""


def cluster_motif(atoms: Any, weights: str | Path = SHIPPED) -> str:
    """Names the motif of a cluster or crystal, also of a hot one, from how probable the labels of its atoms are.

    Counts are sums of probabilities, so that atoms that could be this or that count as parts of both. Disordered is
    what has too few inner atoms in order; icosahedral what has fivefold axes and an atom where they meet, decahedral
    what has them and no such atom; else the most frequent of fcc, hcp and bcc.

    Args:
      atoms: an `ase.Atoms`; species are ignored.
      weights: of the classifier of atoms.

    Returns:
      `icosahedral`, `decahedral`, `fcc`, `hcp`, `bcc`, `disordered`, or '' where no atom has a whole shell.

    Raises:
      ValueError: as `atom_motifs`.
    """
    return motif_of_counts(atom_motif_probabilities(atoms, weights))


def motif_of_counts(probabilities: np.ndarray) -> str:
    """Names the motif of probabilities `[n_atoms, n_labels]`, as `cluster_motif` does."""
    count = dict(zip(LABELS, probabilities.sum(axis=0).tolist(), strict=True))
    most = dict(zip(LABELS, probabilities.max(axis=0, initial=0.0).tolist(), strict=True))
    inner = len(probabilities) - count["surface"]
    if inner < 0.5:
        return ""
    if inner - count["disordered"] < MIN_ORDER * inner:
        return "disordered"
    if count["fivefold"] + count["icosahedral"] > max(MIN_FIVEFOLD * inner, 0.5):
        return "icosahedral" if most["icosahedral"] > 0.5 else "decahedral"
    return max(("fcc", "hcp", "bcc"), key=lambda word: count[word])
