"""What an atom can be called, and how atoms of a structure without noise are called. Layer 4."""

from typing import Any, NamedTuple

import numpy as np

from .common_neighbors import body_centred, close_packed
from .surroundings import Surroundings, surroundings

LABELS = ("bcc", "disordered", "fcc", "fivefold", "hcp", "icosahedral", "surface")
"""In alphabetical order. `icosahedral` is the centre of twelve neighbours with fivefold bonds, `fivefold` an atom on
an axis where five twins meet, `surface` one without a whole shell, `disordered` none of all these."""

_ONE_SIDED = 0.15  # of the mean direction to neighbours: 0.27 for an atom of fcc (111), 0.35 of fcc (100)


class Structure(NamedTuple):
    """Holds a structure and the labels of its atoms."""

    atoms: Any  # ase.Atoms
    labels: np.ndarray  # [n_atoms] words


def quiet_labels(atoms: Any, is_crystal: bool = False) -> np.ndarray:
    """Names the atoms of a relaxed or ideal structure by adaptive common neighbour analysis.

    Args:
      atoms: an `ase.Atoms`.
      is_crystal: whether atoms that are not in order can only be atoms near a surface.

    Returns:
      `[n_atoms]` words of `LABELS`.
    """
    around = surroundings(atoms)
    one_sided = np.linalg.norm(np.sum(around.weight[..., None] * around.unit, axis=1), axis=1)
    at_surface = one_sided > _ONE_SIDED * around.weight.sum(axis=1)
    found = np.where(at_surface | bool(is_crystal), "surface", "disordered").astype("U11")
    shells = close_packed(_vectors(around, 12)) | {"bcc": body_centred(_vectors(around, 14))}
    whole = around.weight.sum(axis=1) > 11.0
    for word, belongs in shells.items():
        found[belongs & whole] = word
    return found


def _vectors(around: Surroundings, n: int) -> np.ndarray:
    """Returns vectors `[n_atoms, n, 3]` to the nearest neighbours, infinite where there are fewer."""
    length = around.distance[:, :n, None]
    vectors = np.where(np.isfinite(length), np.where(np.isfinite(length), length, 0.0) * around.unit[:, :n], np.inf)
    return np.pad(vectors, ((0, 0), (0, n - vectors.shape[1]), (0, 0)), constant_values=np.inf)
