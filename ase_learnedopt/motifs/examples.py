"""Examples to train and to judge with: features and labels of atoms of shaken structures. Layer 4, NumPy only."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from .features import motif_features
from .labels import Structure
from .structures import FAMILIES, noisy

MAX_NOISE = 0.18
"""Of the training: per component, in distances of nearest neighbours."""


class AtomExamples(NamedTuple):
    """Holds atoms with known labels."""

    features: np.ndarray  # [n, n_features]
    labels: np.ndarray  # [n] words
    noise: np.ndarray  # [n]


def atom_examples(
    seed: int,
    n_structures: int = 60,
    copies: int = 6,
    families: Mapping[str, Callable[[np.random.Generator], Structure]] = FAMILIES,
    max_noise: float = MAX_NOISE,
    strain: float = 0.04,
) -> AtomExamples:
    """Builds structures of every family, each shaken several times with noise drawn evenly from zero to the largest.

    Args:
      seed: of everything random; other seeds are other examples.
      n_structures: of each family.
      copies: of every structure.
      families: functions that build a structure.
      max_noise: per component, in distances of nearest neighbours.
      strain: largest component.
    """
    random = np.random.default_rng(seed)
    found = []
    for build in families.values():
        for _ in range(n_structures):
            structure = build(random)
            for copy in range(copies):
                noise = random.uniform(0.0, max_noise)
                atoms = noisy(random, structure, noise, strain, correlated=bool(copy % 2))
                found.append((motif_features(atoms), structure.labels, np.full(len(atoms), noise)))
    return AtomExamples(*(np.concatenate(parts) for parts in zip(*found, strict=True)))


def joined(*parts: AtomExamples) -> AtomExamples:
    """Returns all examples as one."""
    return AtomExamples(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def balanced(examples: AtomExamples, most: int, seed: int) -> AtomExamples:
    """Returns at most so many examples of every label, drawn at random."""
    random = np.random.default_rng(seed)
    order = random.permutation(len(examples.labels))
    rows = np.concatenate([order[examples.labels[order] == word][:most] for word in np.unique(examples.labels)])
    rows = random.permutation(rows)
    return AtomExamples(*(column[rows] for column in examples))
