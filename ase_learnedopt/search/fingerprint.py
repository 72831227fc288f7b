"""Fingerprints that tell distinct minima apart, whatever their orientation, place, order of atoms or handedness.

Layer 4. A fingerprint is made of sorted interatomic distances. Sorting numbers never moves them further than they
moved themselves, so two structures whose atoms differ by at most d (after the best rotation, translation, reflection
and permutation of like atoms) have fingerprints that differ by at most 2 d in every entry: the tolerance of `same`
is a length with a meaning. Distances alone cannot tell mirror images apart, which is wanted: their energies are equal.
"""

import numpy as np
from ase import Atoms
from ase.data import covalent_radii
from ase.neighborlist import neighbor_list
from scipy.spatial import cKDTree
from scipy.spatial.distance import pdist, squareform

MAX_ALL_PAIRS = 256
"""Clusters of up to this many atoms are compared by all their distances, others by those within `REACH`."""

REACH = 2.0
"""Reach of the fingerprint of large or periodic systems, in typical bonds."""

TOLERANCE = 0.08
"""Default tolerance of `same`, in typical bonds: about 0.2 Angstrom in a metal."""


def typical_bond(atoms: Atoms) -> float:
    """Returns the typical bond of a composition in Angstrom: twice the mean covalent radius."""
    return 2.0 * float(np.mean(covalent_radii[atoms.numbers]))


def fingerprint(atoms: Atoms, bond: float | None = None) -> dict[tuple[int, int], np.ndarray]:
    """Computes the sorted distances of a structure, one array per ordered pair of elements.

    Entry `[i, m]` of an array belongs to the distance from atoms of element A to their m-th nearest neighbour of
    element B; each column is then sorted by itself, so that a row no longer belongs to one atom. Distances beyond the
    reach count as the reach, which keeps the fingerprint continuous. Memory and time are linear in the number of atoms.

    Args:
      bond: Angstrom, typical bond that the reach is measured in; by default from covalent radii.

    Returns:
      `{(A, B): [n_atoms_of_A, n_neighbors]}`, atomic numbers to Angstrom, float32.
    """
    numbers = atoms.numbers
    if len(atoms) <= MAX_ALL_PAIRS and not atoms.pbc.any():
        reach = np.inf
        table = squareform(pdist(atoms.positions)) if len(atoms) > 1 else np.zeros((1, 1))
        first, second = np.nonzero(~np.eye(len(atoms), dtype=bool))
        distance = table[first, second]
    else:
        reach = REACH * (bond or typical_bond(atoms))
        first, second, vectors = neighbors(atoms, reach)
        distance = np.linalg.norm(vectors, axis=1)
    prints = {}
    for a in np.unique(numbers):
        row_of = np.cumsum(numbers == a) - 1
        for b in np.unique(numbers):
            pair = (numbers[first] == a) & (numbers[second] == b)
            rows = _rows(row_of[first[pair]], distance[pair], int(np.sum(numbers == a)), reach)
            prints[int(a), int(b)] = np.sort(rows, axis=0)
    return prints


def neighbors(atoms: Atoms, reach: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns who neighbours whom within `reach` Angstrom and the vector between them: `[n]`, `[n]`, `[n, 3]`."""
    if atoms.pbc.any():
        return neighbor_list("ijD", atoms, reach)
    pairs = cKDTree(atoms.positions).query_pairs(
        reach, output_type="ndarray"
    )  # ASE's list takes minutes without a cell
    first, second = np.concatenate([pairs, pairs[:, ::-1]]).T
    return first, second, atoms.positions[second] - atoms.positions[first]


def difference(first: dict, second: dict, reach: float = np.inf) -> float:
    """Returns the largest difference of two fingerprints in Angstrom, infinity for unlike compositions."""
    largest = 0.0
    for pair in first.keys() | second.keys():
        if pair not in first or pair not in second or len(first[pair]) != len(second[pair]):
            return np.inf
        a, b = _same_width(first[pair], second[pair], reach)
        largest = max(largest, float(np.max(np.abs(a - b), initial=0.0)))
    return largest


def same(first: Atoms, second: Atoms, tolerance: float | None = None, bond: float | None = None) -> bool:
    """Tells whether two structures are one up to rotation, translation, reflection and order of like atoms.

    Args:
      tolerance: Angstrom, largest difference of sorted distances; by default `TOLERANCE` typical bonds.
      bond: Angstrom, the typical bond; by default from covalent radii.
    """
    bond = bond or typical_bond(first)
    limit = TOLERANCE * bond if tolerance is None else tolerance
    return difference(fingerprint(first, bond), fingerprint(second, bond), REACH * bond) <= limit


def _rows(row: np.ndarray, distance: np.ndarray, n_rows: int, fill: float) -> np.ndarray:
    """Arranges distances in rows, ascending, padded with `fill`: `[n_rows, longest row]`."""
    order = np.lexsort((distance, row))
    row, distance = row[order], distance[order]
    counts = np.bincount(row, minlength=n_rows)
    column = np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts)
    rows = np.full((n_rows, int(counts.max(initial=0))), fill, np.float32)
    rows[row, column] = distance
    return rows


def _same_width(a: np.ndarray, b: np.ndarray, fill: float) -> tuple[np.ndarray, np.ndarray]:
    """Pads the narrower of two arrays with `fill`: neighbours it lacks lie beyond the reach."""
    width = max(a.shape[1], b.shape[1])
    return tuple(np.pad(x, ((0, 0), (0, width - x.shape[1])), constant_values=fill) for x in (a, b))  # type: ignore[return-value]
