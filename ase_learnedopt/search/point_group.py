"""Finds the point group of a cluster or molecule from the operations that map it onto itself.

Layer 4. Every operation is fixed by where it takes two atoms, so all candidates come from pairs of like atoms at equal
distances from the centroid; the group follows from the axes and mirrors found (Schoenflies notation).
"""

from itertools import product

import numpy as np
from ase import Atoms
from scipy.spatial import cKDTree

MAX_ATOMS = 400
"""Larger clusters get no point group: the search for it grows with the square of the shells."""


def point_group(atoms: Atoms, tolerance: float | None = None) -> str:
    """Returns the Schoenflies symbol of a cluster, '' for periodic systems and clusters of over `MAX_ATOMS` atoms.

    Args:
      tolerance: Angstrom that an atom may miss its image by; by default a tenth of the median nearest distance.
    """
    if atoms.pbc.any() or len(atoms) > MAX_ATOMS or len(atoms) == 0:
        return ""
    if len(atoms) == 1:
        return "Kh"
    tolerance = 0.1 * _nearest(atoms.positions) if tolerance is None else tolerance
    positions = atoms.positions - atoms.positions.mean(axis=0)
    values = np.linalg.svd(positions, compute_uv=False)
    if len(values) < 2 or values[1] < tolerance:
        order = np.argsort(positions @ np.linalg.svd(positions)[2][0])
        like = (atoms.numbers[order] == atoms.numbers[order[::-1]]).all()
        return "Dooh" if like and np.abs(positions[order] + positions[order[::-1]]).max() < tolerance else "Coov"
    return _name(_operations(positions, atoms.numbers, tolerance))


def _nearest(positions) -> float:
    """Returns the median distance of an atom to its nearest neighbour, Angstrom."""
    return float(np.median(cKDTree(positions).query(positions, k=2)[0][:, 1]))


def _refined(operation, positions, numbers, tolerance) -> np.ndarray | None:
    """Returns the orthogonal matrix nearest to `operation` that takes every atom onto a like atom, if there is one."""
    moved = positions @ operation.T
    cost = np.linalg.norm(moved[:, None] - positions[None], axis=2)
    image = np.argmin(np.where(numbers[:, None] == numbers[None], cost, np.inf), axis=1)
    if len(np.unique(image)) < len(image):
        return None
    # Kabsch's fit (Acta Cryst. A 32, 922, 1976), handedness kept: two noisy atoms made a first guess only.
    u, _, vt = np.linalg.svd(positions[image].T @ positions)
    refined = u @ np.diag([1.0, 1.0, np.linalg.det(operation) * np.linalg.det(u @ vt)]) @ vt
    miss = np.linalg.norm(positions @ refined.T - positions[image], axis=1).max()
    return refined if miss <= tolerance else None


def _operations(positions, numbers, tolerance) -> list[np.ndarray]:
    """Returns all orthogonal matrices `[3, 3]` that map a cluster onto itself."""
    radius = np.linalg.norm(positions, axis=1)
    first, firsts, second, seconds = _reference_pair(positions, numbers, radius, tolerance)
    frame = _frame(positions[first], positions[second])
    apart = np.linalg.norm(positions[first] - positions[second])
    found: list[np.ndarray] = []
    for i, j in product(firsts, seconds):
        if i == j or abs(np.linalg.norm(positions[i] - positions[j]) - apart) > 2.0 * tolerance:
            continue
        image = _frame(positions[i], positions[j])
        for handedness in (1.0, -1.0):
            guess = image @ np.diag([1.0, 1.0, handedness]) @ frame.T
            operation = _refined(guess, positions, numbers, tolerance)
            if operation is not None and not any(np.abs(operation - known).max() < 0.1 for known in found):
                found.append(operation)
    return found


def _reference_pair(positions, numbers, radius, tolerance):
    """Returns two atoms that span a plane with the centroid, each with the atoms it may be taken to."""

    def shell(i):
        return np.flatnonzero((numbers == numbers[i]) & (np.abs(radius - radius[i]) < 2.0 * tolerance))

    off_centre = [i for i in range(len(radius)) if radius[i] > 0.3 * radius.max()]
    sizes = {i: len(shell(i)) for i in off_centre}
    first = min(off_centre, key=lambda i: (sizes[i], -radius[i]))
    sine = np.linalg.norm(np.cross(positions, positions[first]), axis=1) / (radius * radius[first] + 1e-12)
    aside = [i for i in off_centre if sine[i] > 0.3] or [int(np.argmax(sine * radius))]
    second = min(aside, key=lambda i: (sizes.get(i, 0), -radius[i]))
    return first, shell(first), second, shell(second)


def _frame(a, b) -> np.ndarray:
    """Returns the orthonormal frame `[3, 3]` (columns) of two vectors."""
    x = a / np.linalg.norm(a)
    z = np.cross(a, b)
    z = z / max(float(np.linalg.norm(z)), 1e-12)
    return np.stack([x, np.cross(z, x), z], axis=1)


def _name(operations: list[np.ndarray]) -> str:
    """Returns the Schoenflies symbol of a finite group of operations."""
    proper = [o for o in operations if np.linalg.det(o) > 0]
    improper = [o for o in operations if np.linalg.det(o) < 0]
    inversion = any(np.trace(o) < -2.7 for o in improper)
    mirrors = [_axis(-o) for o in improper if np.trace(o) > 0.7]
    order = len(proper)
    turns = {
        n: [_axis(o) for o in proper if abs(np.trace(o) - 1.0 - 2.0 * np.cos(2.0 * np.pi / n)) < 0.15]
        for n in (2, 3, 4, 5)
    }
    if order == 60:
        return "Ih" if improper else "I"
    if order == 24 and len(turns[4]) == 6:
        return "Oh" if improper else "O"
    if order == 12 and len(turns[3]) == 8:
        return "T" if not improper else ("Th" if inversion else "Td")
    if order == 1:
        return "C1" if not improper else ("Ci" if inversion else "Cs")
    return _axial_name(proper, improper, mirrors, order)


def _axial_name(proper, improper, mirrors, order) -> str:
    """Returns the symbol of a group with one main axis."""
    main, fold = _main_axis(proper, mirrors)
    dihedral = order == 2 * fold
    horizontal = any(abs(m @ main) > 0.9 for m in mirrors)
    vertical = any(abs(m @ main) < 0.2 for m in mirrors)
    if dihedral:
        return f"D{fold}" + ("h" if horizontal else "d" if vertical else "")
    if horizontal:
        return f"C{fold}h"
    if vertical:
        return f"C{fold}v"
    return f"S{2 * fold}" if improper else f"C{fold}"


def _main_axis(proper, mirrors) -> tuple[np.ndarray, int]:
    """Returns the direction of the axis with the most rotations about it, and how many these are."""
    axes = [_axis(o) for o in proper if np.trace(o) < 2.9]
    counts = [1 + sum(abs(a @ b) > 0.95 for b in axes) for a in axes]
    # Of the three twofold axes of D2d, the main one lies in the mirrors.
    best = max(range(len(axes)), key=lambda k: (counts[k], sum(abs(axes[k] @ m) < 0.2 for m in mirrors)))
    return axes[best], counts[best]


def _axis(rotation: np.ndarray) -> np.ndarray:
    """Returns the unit vector that a rotation leaves alone."""
    values, vectors = np.linalg.eig(rotation)
    return np.real(vectors[:, int(np.argmin(np.abs(values - 1.0)))])
