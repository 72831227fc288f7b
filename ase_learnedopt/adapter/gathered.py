"""Fragments too far away to feel the others are brought back before a search begins. Layer 3.

Nothing pulls them: every geometry of theirs would be a minimum, and a search would spend its evaluations on the gap.
"""

import numpy as np
from ase import Atoms
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from ..geometry import minimum_image
from ..sanity import contacts
from .held import fixed_atoms
from .scales import contact_radii

FAR, NEAR = 8.0, 1.8
"""Contacts of the largest atoms without a neighbour that make a fragment, and contacts to which it is brought back."""
TOUCHING = 2.0
"""Contacts within which everything commonly hangs together, so that nothing farther need be looked for."""


def gathered(atoms: Atoms, length_scale: float) -> tuple[np.ndarray, np.ndarray] | None:
    """Returns positions `[n_atoms, 3]` Angstrom with far fragments brought back, and the indices of their atoms.

    The largest fragment stays, and so do all that have a fixed atom. None where there is nothing to bring back.
    """
    radii = contact_radii(atoms.numbers, length_scale)
    if len(_fragments(atoms, radii, TOUCHING)) == 1:
        return None
    fragments = _fragments(atoms, np.full(len(atoms), radii.max()), FAR)
    fixed = set(fixed_atoms(atoms).tolist())
    stays = [bool(fixed.intersection(fragment.tolist())) for fragment in fragments]
    if not any(stays):
        stays[int(np.argmax([len(fragment) for fragment in fragments]))] = True
    if all(stays):
        return None
    positions = atoms.positions.copy()
    home = np.concatenate([fragment for fragment, stay in zip(fragments, stays, strict=True) if stay])
    moved = [fragment for fragment, stay in zip(fragments, stays, strict=True) if not stay]
    for fragment in moved:
        away = positions[fragment][:, None] - positions[home][None]
        away = minimum_image(away.reshape(-1, 3), atoms.cell.array, atoms.pbc, np)
        distance = np.linalg.norm(away, axis=1)
        gap = distance - NEAR * (radii[fragment][:, None] + radii[home][None, :]).reshape(-1)
        nearest = int(np.argmin(gap))
        positions[fragment] -= away[nearest] * (gap[nearest] / distance[nearest])
        home = np.concatenate([home, fragment])
    return positions, np.sort(np.concatenate(moved))


def _fragments(atoms: Atoms, radii: np.ndarray, cutoff: float) -> list[np.ndarray]:
    """Returns the indices of the atoms of each fragment: those joined by distances of at most so many contacts."""
    first, second, _ = contacts(atoms.positions, radii, atoms.cell.array, atoms.pbc, cutoff)
    n = len(atoms)
    label = connected_components(coo_array((np.ones(len(first)), (first, second)), shape=(n, n)), directed=False)[1]
    return [np.flatnonzero(label == k) for k in range(label.max() + 1)]
