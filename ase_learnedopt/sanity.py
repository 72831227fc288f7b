"""Whether a geometry can be a structure at all: no two atoms fused. Layer 1.

Many potentials fall without bound, or into deep holes, where atoms overlap: learned ones where no training data lay,
those with a Coulomb or dispersion term below their repulsion. An energy found there is that of no structure.
"""

import jax.numpy as jnp
import numpy as np

from .geometry import has_element, pair_distances
from .neighbors import nearest_pairs
from .types import System

MIN_DISTANCE = 0.5
"""Contacts, the distance below which two atoms count as fused; a hydrogen molecule, the tightest bond, has 1.2."""


def contacts(positions, radii, cell, pbc, cutoff: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns the pairs of atoms within a cutoff, as first atoms, second atoms and distances in contacts, `[n_pairs]`.

    Periodic images are included, and a pair may be listed twice; the arguments are those of `closest_contact`.
    """
    radii = np.asarray(radii, float)
    first, second, distance = nearest_pairs(positions, cell, pbc, cutoff * 2.0 * float(radii.max(initial=0.0)))
    ratio = distance / (radii[first] + radii[second])
    inside = ratio <= cutoff
    return first[inside], second[inside], ratio[inside]


def closest_contact(positions, radii, cell, pbc, cutoff: float = MIN_DISTANCE) -> float:
    """Returns the shortest distance between two atoms, periodic images included, in contacts.

    Args:
      positions: `[n_atoms, 3]` Angstrom.
      radii: `[n_atoms]` Angstrom, atoms i and j touch at `radii[i] + radii[j]`.
      cell: `[3, 3]` Angstrom, rows are the cell vectors; open ones may be zero.
      pbc: `[3]` bool.
      cutoff: contacts beyond which nothing is looked for.

    Returns:
      Contacts, infinity where no two atoms are within the cutoff.
    """
    return float(contacts(positions, radii, cell, pbc, cutoff)[2].min(initial=np.inf))


def is_sane(positions, radii, cell, pbc, min_distance: float = MIN_DISTANCE) -> bool:
    """Says whether no two atoms are nearer than `min_distance` contacts; the arguments are those of `closest_contact`.

    A geometry that is not finite is not sane; with a `min_distance` of 0 every other one is.
    """
    if not np.all(np.isfinite(positions)):
        return False
    return min_distance <= 0 or closest_contact(positions, radii, cell, pbc, min_distance) >= min_distance


def nearest_contact(positions, system: System):
    """Returns the shortest nearest-image distance `[]` between two atoms in contacts, as `closest_contact` for jax."""
    atoms = has_element(system)
    pairs = atoms[:, None] & atoms[None, :] & ~jnp.eye(positions.shape[0], dtype=bool)
    distance = pair_distances(positions, positions, system.cell, system.pbc)
    return jnp.min(jnp.where(pairs, distance / (system.radii[:, None] + system.radii[None, :]), jnp.inf))
