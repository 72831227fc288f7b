"""The neighbours of every atom, in units of the mean distance of its nearest ones. Layer 4, NumPy and SciPy only."""

from typing import Any, NamedTuple

import numpy as np
from scipy.spatial import cKDTree

from ..neighbors import cell_heights, neighbor_rows

REACH = 2.0
"""Of the surroundings, in mean nearest distances: three shells of a close-packed crystal."""
NEAREST = 6
"""Neighbours whose mean distance is the unit: no more, since an atom at the corner of a cluster has no more."""
EDGE = 1.8
"""Where the weight of a neighbour within the reach begins to fall."""
FIRST_SHELL = (1.15, 1.45)
"""Where the weight of a neighbour falls from one to zero: between the second shells of bcc and of fcc."""
_ENOUGH = 18  # neighbours that the middle atom must have, so that the nearest are among them also where it is noisy

_COINCIDE = "atom {} is where another one is: move one of them"


class Surroundings(NamedTuple):
    """Holds padded rows of neighbours, nearest first; all numbers are continuous in the positions."""

    unit: np.ndarray  # [n_atoms, width, 3] directions
    distance: np.ndarray  # [n_atoms, width] in mean nearest distances, infinite where a row has ended
    neighbor: np.ndarray  # [n_atoms, width] its index
    weight: np.ndarray  # [n_atoms, width] of the first shell, from 1 to 0
    within: np.ndarray  # [n_atoms, width] of all within the reach, from 1 to 0

    def mean(self, values: np.ndarray, wide: bool = False) -> np.ndarray:
        """Returns the mean of values `[n_atoms, n]` over each atom and its first shell, or all within the reach."""
        weight = self.within if wide else self.weight
        total = values + np.einsum("ij,ijk->ik", weight, values[self.neighbor])
        return total / (1.0 + weight.sum(axis=1))[:, None]


def surroundings(atoms: Any) -> Surroundings:
    """Finds the neighbours of every atom within `REACH` mean nearest distances.

    Raises:
      ValueError: positions that are not finite or coincide, or periodic cell vectors that span no volume.
    """
    positions, cell, pbc = np.asarray(atoms.positions, float), np.asarray(atoms.cell, float), np.asarray(atoms.pbc)
    finite = np.isfinite(positions).all(axis=1)
    if not finite.all():
        raise ValueError(f"the position of atom {int(np.argmin(finite))} is not finite")
    if len(positions) < 2 and not pbc.any():
        return _empty(len(positions))
    vector, index = _rows(positions, cell, pbc, _reach(positions, cell, pbc))
    unit_of_atom = _nearest(np.linalg.norm(vector, axis=2))
    middle = float(np.median(unit_of_atom))
    limit = REACH * min(1.5 * float(unit_of_atom.max()), 3.0 * middle)  # atoms far from all others see nobody
    vector, index = _rows(positions, cell, pbc, limit)
    distance = np.linalg.norm(vector, axis=2)
    if distance.min(initial=np.inf) < 1e-6 * middle:
        raise ValueError(_COINCIDE.format(int(np.argmin(distance.min(axis=1)))))
    own = _nearest(distance, middle)
    weight = _falling(distance / own[:, None], *FIRST_SHELL)
    scale = (own + np.sum(weight * own[index], axis=1)) / (1.0 + weight.sum(axis=1))
    distance = distance / scale[:, None]
    distance[distance > REACH] = np.inf
    order = np.argsort(distance, axis=1, kind="stable")[:, : max(1, int(np.isfinite(distance).sum(axis=1).max()))]
    vector, index = np.take_along_axis(vector, order[..., None], 1), np.take_along_axis(index, order, 1)
    distance = np.take_along_axis(distance, order, 1)
    with np.errstate(invalid="ignore"):
        unit = np.nan_to_num(vector / np.linalg.norm(vector, axis=2)[..., None])
    return Surroundings(unit, distance, index, _falling(distance, *FIRST_SHELL), _falling(distance, EDGE, REACH))


def _falling(distance: np.ndarray, low: float, high: float) -> np.ndarray:
    """Returns weights, which fall from one to zero like a cosine."""
    return 0.5 + 0.5 * np.cos(np.pi * np.clip((distance - low) / (high - low), 0.0, 1.0))


def _nearest(distance: np.ndarray, otherwise: float = np.inf) -> np.ndarray:
    """Returns the mean distance `[n_atoms]` of the nearest neighbours, of those there are."""
    near = np.sort(distance, axis=1)[:, :NEAREST]
    found = np.isfinite(near)
    total = np.where(found, near, 0.0).sum(axis=1)
    return np.divide(total, found.sum(axis=1), out=np.full(len(near), otherwise), where=found.any(axis=1))


def _reach(positions, cell, pbc) -> float:
    """Returns a radius within which the middle atom has enough neighbours, from distances alone."""
    n = len(positions)
    start = [float(np.min(cell_heights(cell, pbc)))] if pbc.any() else []
    if n > 1:
        nearest = cKDTree(positions).query(positions, 2)[0][:, 1]
        if nearest.min() <= 1e-9 * nearest.max():
            raise ValueError(_COINCIDE.format(int(np.argmin(nearest))))
        start.append(float(np.median(nearest)))
    reach = min(start)
    wanted = _ENOUGH if pbc.any() else min(_ENOUGH, n - 1)
    for _ in range(200):
        counts = np.isfinite(_rows(positions, cell, pbc, reach)[0][..., 0]).sum(axis=1)
        if np.median(counts) >= wanted:
            return reach
        reach *= 1.25
    raise ValueError("atoms have no neighbours at any distance: look at the positions")


def _rows(positions, cell, pbc, cutoff: float) -> tuple[np.ndarray, np.ndarray]:
    """Returns vectors `[n_atoms, width, 3]` to neighbours, infinite beyond the last, and their indices."""
    rows = neighbor_rows(positions, cell, pbc, cutoff)
    there = rows.index < len(positions)
    index = np.where(there, rows.index, 0)
    vectors = positions[index] + rows.shift @ (cell * pbc[:, None]) - positions[:, None]
    vectors[~there] = np.inf
    return vectors, index


def _empty(n: int) -> Surroundings:
    nothing = np.zeros((n, 1))
    return Surroundings(np.zeros((n, 1, 3)), np.full((n, 1), np.inf), nothing.astype(int), nothing, nothing)
