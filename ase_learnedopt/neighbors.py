"""Neighbour lists made on the host, for systems too big for all pairs. Layer 1, NumPy and SciPy only.

Rows cost a time linear in the number of atoms: wrap the atoms into the cell, add the periodic images that lie within
the cutoff of it, and ask a k-d tree (Maneewongvatana & Mount, arXiv:cs/9901013; `scipy.spatial.cKDTree`).
"""

from typing import Any

import numpy as np
from scipy.spatial import cKDTree

from .types import Neighbors


def n_images(cell, pbc, cutoff: float) -> tuple[int, int, int]:
    """Returns how many images, on each side of the nearest, lie within a cutoff along every cell vector.

    The nearest image is the one whose fractional coordinates differ by at most a half, so zeros mean that it suffices:
    the cutoff is at most half of every height of the cell. Open directions need none.

    Args:
      cell: `[3, 3]` Angstrom, rows are the cell vectors; open ones may be zero.
      pbc: `[3]` bool.
      cutoff: Angstrom.

    Raises:
      ValueError: if the periodic cell vectors are not independent.
    """
    heights = cell_heights(cell, pbc)
    needed = [int(np.ceil(cutoff / height - 0.5 - 1e-9)) if np.isfinite(height) else 0 for height in heights]
    return needed[0], needed[1], needed[2]


def cell_heights(cell, pbc) -> np.ndarray:
    """Returns the distance between the faces of the cell `[3]` in Angstrom, infinity along open directions.

    Raises:
      ValueError: if the periodic cell vectors are not independent.
    """
    lengths = np.linalg.norm(_dual_vectors(cell, pbc), axis=0)
    return np.divide(1.0, lengths, out=np.full(3, np.inf), where=lengths > 0)


def neighbor_rows(
    positions, cell, pbc, cutoff: float, *, mask=None, width: int | None = None, multiple: int | None = None
) -> Neighbors:
    """Finds every atom's neighbours, periodic images (its own too) included, in any order.

    Args:
      positions: `[n_atoms, 3]` Angstrom, anywhere, also outside the cell.
      cell: `[3, 3]` Angstrom, of any shape, also smaller than the cutoff; open vectors may be zero.
      pbc: `[3]` bool.
      cutoff: Angstrom, inclusive.
      mask: `[n_atoms]` bool, rows that are atoms; None: all. The others have no neighbours and are nobody's.
      width: length of the rows; None: the largest number of neighbours, rounded up so that few lengths occur.
      multiple: with `width` None, round up to a multiple of this instead of the steps of `bucket`.

    Returns:
      `Neighbors` of NumPy int32 arrays: `index [n_atoms, width]`, equal to `n_atoms` where a row has ended, and
      `shift [n_atoms, width, 3]`; the neighbour sits at `positions[index] + shift @ cell`.

    Raises:
      ValueError: if positions are not finite, the periodic cell vectors not independent, or a row overflows `width`.
    """
    positions, cell, pbc = _checked(positions, cell, pbc)
    n = len(positions)
    rows = np.arange(n) if mask is None else np.flatnonzero(np.asarray(mask))
    if len(rows) == 0:
        return _pack(np.zeros(0, np.intp), np.zeros(0, np.intp), np.zeros((0, 3), np.int32), n, width, multiple)
    place, turns, owner, steps = _with_images(positions[rows], cell, pbc, cutoff)
    found = cKDTree(place[: len(rows)]).sparse_distance_matrix(cKDTree(place), cutoff, output_type="ndarray")
    center, other = found["i"], found["j"]
    different = center != other  # the tree of all points starts with the atoms themselves
    center, other = center[different], other[different]
    neighbor = owner[other]
    shift = steps[other] + turns[center] - turns[neighbor]
    return _pack(rows[center], rows[neighbor], shift, n, width, multiple)


def nearest_pairs(positions, cell, pbc, cutoff: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Finds all pairs within a cutoff, periodic images (an atom's own too) included.

    Args:
      positions: `[n_atoms, 3]` Angstrom, anywhere.
      cell: `[3, 3]` Angstrom, of any shape; open vectors may be zero.
      pbc: `[3]` bool.
      cutoff: Angstrom, inclusive.

    Returns:
      First atoms, second atoms and distances in Angstrom, `[n_pairs]` each; a pair may be listed twice.

    Raises:
      ValueError: if positions are not finite, or the periodic cell vectors not independent.
    """
    positions, cell, pbc = _checked(positions, cell, pbc)
    n = len(positions)
    if n == 0 or not cutoff > 0:
        nothing = np.zeros(0, np.intp)
        return nothing, nothing, np.zeros(0)
    place, _, owner, _ = _with_images(positions, cell, pbc, cutoff)
    first, second = cKDTree(place).query_pairs(cutoff, output_type="ndarray").T
    inside = first < n  # the atoms come first; pairs of two images say nothing new
    first, second = first[inside], second[inside]
    return owner[first], owner[second], np.linalg.norm(place[first] - place[second], axis=1)


def bucket(count: int) -> int:
    """Returns the least of 8, 12, 16, 24, 32, 48, 64, 96 ... that is not less than a count, to limit recompilations."""
    power = 8
    while power < count:
        power *= 2
    return power * 3 // 4 if power > 8 and power * 3 // 4 >= count else power


class NeighborList:
    """Keeps neighbour rows with a skin, made anew only when an atom, an image or the cell has moved too far.

    Rows made for `cutoff + skin` hold all neighbours within `cutoff` while no atom has moved more than `skin / 2` from
    where they were made (Verlet, Phys. Rev. 159, 98 (1967)) and the cell is the same.

    Attributes:
      neighbors: the rows of the last `update`.
      n_builds: how often they were made.
    """

    def __init__(self, cutoff: float, skin: float = 0.5):
        if not (cutoff > 0 and skin >= 0):
            raise ValueError(f"cutoff={cutoff} must be positive and skin={skin} not negative, in Angstrom")
        self.cutoff, self.skin = float(cutoff), float(skin)
        self.n_builds = 0
        self.neighbors: Neighbors | None = None
        self._made_for: tuple[np.ndarray, ...] | None = None

    def is_valid(self, positions, cell, pbc, mask=None) -> bool:
        """Says whether the rows still hold every neighbour within the cutoff."""
        if self._made_for is None:
            return False
        made_positions, *made_others = self._made_for
        mask = np.ones(len(positions), bool) if mask is None else np.asarray(mask)
        others = (np.asarray(cell), np.asarray(pbc), mask)
        if len(positions) != len(made_positions) or any(
            not np.array_equal(a, b) for a, b in zip(made_others, others, strict=True)
        ):
            return False
        moved = (np.asarray(positions) - made_positions)[mask]
        return len(moved) == 0 or float(np.max(np.einsum("ij,ij->i", moved, moved))) <= (0.5 * self.skin) ** 2

    def update(self, positions, cell, pbc, mask=None) -> Neighbors:
        """Returns rows valid for these positions, the old ones where they will do; arguments as `neighbor_rows`."""
        if self.neighbors is None or not self.is_valid(positions, cell, pbc, mask):
            kept = np.ones(len(positions), bool) if mask is None else np.array(mask)
            self.neighbors = neighbor_rows(positions, cell, pbc, self.cutoff + self.skin, mask=kept)
            self._made_for = (np.array(positions, float), np.array(cell), np.array(pbc), kept)
            self.n_builds += 1
        return self.neighbors


def _checked(positions, cell, pbc):
    positions = np.asarray(positions, float)
    if positions.ndim != 2 or positions.shape[1] != 3:
        raise ValueError(f"positions must have shape [n_atoms, 3], not {positions.shape}")
    finite = np.isfinite(positions).all(axis=1)
    if not finite.all():
        raise ValueError(f"the position of atom {int(np.argmin(finite))} is not finite")
    return positions, np.asarray(cell, float), np.asarray(pbc, bool)


def _dual_vectors(cell, pbc) -> np.ndarray:
    """Returns columns `[3, 3]` whose products with a position are its fractional coordinates, zero where open."""
    pbc = np.asarray(pbc, bool)
    vectors = np.asarray(cell, float) * pbc[:, None]
    if np.linalg.matrix_rank(vectors) < pbc.sum():
        raise ValueError(
            f"the periodic vectors of the cell {np.asarray(cell).tolist()}, pbc {pbc.tolist()}, span no volume"
        )
    return np.linalg.pinv(vectors) * pbc  # exactly zero where open: the sign of a rounding error must not count


def _with_images(positions, cell, pbc, cutoff):
    """Wraps atoms into the cell and adds their images within the cutoff of the space the atoms take up.

    Returns:
      Positions `[n_points, 3]` of the atoms and then of the images, turns `[n_atoms, 3]` by which each atom was
      wrapped, and for each point the atom and the cell `[n_points, 3]` it comes from.
    """
    dual = _dual_vectors(cell, pbc)
    heights = cell_heights(cell, pbc)
    fractional = positions @ dual
    turns = np.floor(fractional).astype(np.int32)
    fractional = fractional - turns
    owner, steps = np.arange(len(positions)), np.zeros((len(positions), 3), np.int32)
    for axis in np.flatnonzero(pbc):
        margin = cutoff / heights[axis] * (1.0 + 1e-9) + 1e-9
        low, high = fractional[:, axis].min() - margin, fractional[:, axis].max() + margin
        here = fractional[owner, axis]
        found = [(owner, steps)]
        for k in range(1, int(np.ceil(high - low)) + 1):
            for step in (k, -k):
                inside = (here + step >= low) & (here + step <= high)
                moved = steps[inside]
                moved[:, axis] = step
                found.append((owner[inside], moved))
        owner, steps = (np.concatenate(parts) for parts in zip(*found, strict=True))
    vectors = cell * pbc[:, None]
    place = (positions - turns @ vectors)[owner] + steps @ vectors
    return place, turns, owner, steps


def _pack(center, neighbor, shift, n, width, multiple) -> Neighbors:
    """Sorts pairs into rows of equal length."""
    counts = np.bincount(center, minlength=n)
    most = int(counts.max(initial=0))
    if width is None:
        width = bucket(most) if multiple is None else max(1, -(-most // multiple)) * multiple
    elif most > width:
        raise ValueError(f"atom {int(np.argmax(counts))} has {most} neighbours, more than the width {width} of a row")
    order = np.argsort(center, kind="stable")
    column = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
    slot = center[order] * width + column
    index: Any = np.full(n * width, n, np.int32)
    index[slot] = neighbor[order]
    shifts: Any = np.zeros((n * width, 3), np.int32)
    shifts[slot] = shift[order]
    return Neighbors(index.reshape(n, width), shifts.reshape(n, width, 3))
