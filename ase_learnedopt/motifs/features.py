"""Numbers that describe the surroundings of an atom, whatever its orientation, size and order. Layer 4, NumPy only."""

from typing import Any

import numpy as np

from .harmonics import bond_harmonics, second_order, third_order
from .surroundings import REACH, Surroundings, surroundings

N_SORTED = 16
DEGREES = (2, 3, 4, 5, 6, 7, 8, 9, 10, 12)
CUBED = (4, 6, 8)
LIKE = (4, 6)
RADII = np.linspace(0.75, 1.95, 16)
_ORDERS = (*(f"q{degree}" for degree in DEGREES), *(f"w{degree}" for degree in CUBED))
_OWN = ("neighbours", "asymmetry", *(f"neighbours at {r:.2f}" for r in RADII), *_ORDERS)
_LIKENESS = (*(f"likeness {degree}" for degree in LIKE), *(f"spread of likeness {degree}" for degree in LIKE))
FEATURES = (
    *(f"sorted distance {i}" for i in range(N_SORTED)),
    *_OWN,
    *(f"mean of {name}" for name in _OWN),
    *(f"wide mean of {name}" for name in _OWN),
    *(f"{name} of mean" for name in _ORDERS),
    *(f"{name} of wide mean" for name in _ORDERS),
    *_LIKENESS,
    *(f"{name} of mean" for name in _LIKENESS),
)
"""Names of the numbers, in order. A `mean` is over an atom and its first shell, a wide one over all within reach."""


def motif_features(atoms: Any) -> np.ndarray:
    """Computes numbers that describe the surroundings of every atom; species are ignored.

    Lengths are in mean distances of nearest neighbours, so that rotations, translations, permutations, mirror images
    and a change of all lengths leave the numbers as they are. They are the sorted distances of neighbours; how many
    there are, how one-sided they lie, at what distances; the bond order parameters q and w (Steinhardt, Nelson &
    Ronchetti, Phys. Rev. B 28, 784 (1983)), the same of q_lm averaged over neighbours (Lechner & Dellago, J. Chem.
    Phys. 129, 114707 (2008), equations 5 to 7), and how alike the q_lm of neighbours are (ten Wolde, Ruiz-Montero &
    Frenkel, J. Chem. Phys. 104, 9932 (1996)).

    Args:
      atoms: an `ase.Atoms`, periodic or not.

    Returns:
      `[n_atoms, n_features]` float32, in the order of `FEATURES`.

    Raises:
      ValueError: positions that are not finite or coincide, or periodic cell vectors that span no volume.
    """
    around = surroundings(atoms)
    if not len(around.neighbor):
        return np.zeros((0, len(FEATURES)), np.float32)
    q = bond_harmonics(around.unit, around.weight, DEGREES)
    mean, wide = ({degree: around.mean(q[degree], is_wide) for degree in DEGREES} for is_wide in (False, True))
    own = np.column_stack([_shell(around), _radial(around), _orders(q)])
    parts = [
        _sorted_distances(around),
        own,
        around.mean(own),
        around.mean(own, wide=True),
        _orders(mean),
        _orders(wide),
    ]
    return np.column_stack([*parts, _likeness(around, q), _likeness(around, mean)]).astype(np.float32)


def _sorted_distances(around: Surroundings) -> np.ndarray:
    near = np.minimum(around.distance[:, :N_SORTED], REACH)
    return np.pad(near, ((0, 0), (0, N_SORTED - near.shape[1])), constant_values=REACH)


def _shell(around: Surroundings) -> np.ndarray:
    """Returns how many neighbours there are in the first shell, in dozens, and how one-sided they lie."""
    number = around.weight.sum(axis=1)
    side = np.linalg.norm(np.sum(around.weight[..., None] * around.unit, axis=1), axis=1)
    return np.column_stack([number / 12.0, side / np.maximum(number, 1e-12)])


def _radial(around: Surroundings) -> np.ndarray:
    """Returns how many neighbours there are at some distances, in dozens, smeared."""
    width = 0.6 * (RADII[1] - RADII[0])
    there = np.minimum(around.distance, 9.0)
    return (
        np.stack([np.sum(around.within * np.exp(-0.5 * ((there - r) / width) ** 2), axis=1) for r in RADII], 1) / 12.0
    )


def _orders(q: dict[int, np.ndarray]) -> np.ndarray:
    return np.column_stack(
        [*(second_order(q[degree]) for degree in DEGREES), *(third_order(q[degree]) for degree in CUBED)]
    )


def _likeness(around: Surroundings, q: dict[int, np.ndarray]) -> np.ndarray:
    """Returns mean and spread, over the first shell, of the cosine between the `q_lm` of an atom and a neighbour."""
    total = np.maximum(around.weight.sum(axis=1), 1e-12)
    means, spreads = [], []
    for degree in LIKE:
        whole, half = q[degree][:, :1].real, np.sqrt(2.0) * q[degree][:, 1:]  # orders of both signs
        numbers = np.concatenate([whole, half.real, half.imag], axis=1)
        numbers /= np.maximum(np.linalg.norm(numbers, axis=1), 1e-12)[:, None]
        cosine = np.einsum("im,ijm->ij", numbers, numbers[around.neighbor])
        means.append(np.sum(around.weight * cosine, axis=1) / total)
        square = np.sum(around.weight * (cosine - means[-1][:, None]) ** 2, axis=1) / total
        spreads.append(np.sqrt(square))
    return np.column_stack([*means, *spreads])
