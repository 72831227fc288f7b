"""What a network reads of the atoms around an atom, and where they lie: sums over pairs. Layer 1.

Distances are read in units of contact (`radii[i] + radii[j]`), so that an element never seen is no news. Periodic
systems count the nearest image of every atom, or all images that neighbour rows have.
"""

import jax
import jax.numpy as jnp

from ..geometry import has_element, pair_components
from ..types import Neighbors, System
from .environment import RADII, smooth_count

RADIAL_CENTERS = (0.9, 1.2, 1.41, 1.63)
RADIAL_WIDTH = 0.25
"""Contacts. They tell packings apart: pressed together, behind the first shell, the second shells of fcc and hcp."""
BLOCK = 512
"""Atoms whose pairs are worked out at once: above, memory counts more than time."""
NEIGHBORHOOD = (
    "coordination / 12",
    "count to 1.85 contacts / 18",
    "count to 2.3 contacts / 42",
    "count to 1.6 contacts / 12",
    "unlike fraction",
    "strain of the first shell",
    *(f"radial function at {center:g} contacts" for center in RADIAL_CENTERS),
    "radius / mean radius",
)


def neighborhoods(positions, system: System, neighbors: Neighbors | None = None):
    """Computes what surrounds every atom.

    Args:
      positions: `[n_atoms, 3]` Angstrom.
      system: what is optimised.
      neighbors: rows of all neighbours within `REACH` contacts; None: all pairs, with their nearest images.

    Returns:
      Features `[len(NEIGHBORHOOD), n_atoms]`, and the weighted mean direction to the neighbours `[1, n_atoms, 3]`.
    """
    n, dtype = positions.shape[0], positions.dtype
    atoms = has_element(system)
    if neighbors is not None:
        around, pull = _sums(*_listed_pairs(positions, system, neighbors))
    elif n <= BLOCK:
        around, pull = _sums(*_all_pairs(positions, system, jnp.arange(n)))
    else:
        n_blocks = -(-n // BLOCK)
        rows = jnp.minimum(jnp.arange(n_blocks * BLOCK), n - 1).reshape(n_blocks, BLOCK)
        parts = jax.lax.map(lambda index: _sums(*_all_pairs(positions, system, index)), rows)
        around, pull = (jnp.moveaxis(part, 0, 1).reshape(part.shape[1], -1)[:, :n] for part in parts)
    mean_radius = jnp.sum(jnp.where(atoms, system.radii, 0.0)) / jnp.maximum(jnp.sum(atoms.astype(dtype)), 1.0)
    return jnp.concatenate([around, (system.radii / mean_radius)[None]]), pull.T[None]


def _all_pairs(positions, system: System, index):
    """Returns, for the atoms `index`, three components of the way, its length in contacts, and unlike elements."""
    atoms, n = has_element(system), positions.shape[0]
    here, radii, species = positions[index], system.radii[index], system.species[index]
    pair = (species >= 0)[:, None] & atoms[None, :] & (index[:, None] != jnp.arange(n)[None, :])
    to = pair_components(here, positions, system.cell, system.pbc)
    return to, _ratio(to, pair, radii[:, None] + system.radii[None, :]), system.species[None, :] != species[:, None]


def _listed_pairs(positions, system: System, neighbors: Neighbors):
    """Returns the same for all atoms, from their neighbour rows."""
    atoms, n = has_element(system), positions.shape[0]
    index = jnp.minimum(neighbors.index, n - 1)
    pair = (neighbors.index < n) & atoms[:, None] & atoms[index]
    shift = neighbors.shift.astype(positions.dtype) @ system.cell
    to = [positions[:, a][index] + shift[:, :, a] - positions[:, a][:, None] for a in range(3)]
    contacts = system.radii[:, None] + system.radii[index]
    return to, _ratio(to, pair, contacts), system.species[index] != system.species[:, None]


def _ratio(to, pair, contacts):
    """Returns distances in contacts, infinity where there is no pair."""
    distance = jnp.where(pair, jnp.sqrt(sum(x * x for x in to) + 1e-12), jnp.inf)
    return distance, distance / jnp.where(pair, contacts, 1.0)


def _sums(to, lengths, is_unlike):
    """Returns features `[.., n_rows]` and the pull `[3, n_rows]` of rows of pairs `[n_rows, n_others]`."""
    # Kept, or the compiler works the pairs out again for every sum over them.
    to, (distance, ratio) = jax.lax.optimization_barrier((to, lengths))
    counts = [jnp.sum(smooth_count(ratio, begin, 0.5), axis=1) for begin in RADII]
    near = jax.lax.optimization_barrier(smooth_count(ratio, RADII[0], 0.4))
    coordination = jnp.sum(near, axis=1)
    unlike = jnp.sum(jnp.where(is_unlike, near, 0.0), axis=1)
    strain = jnp.sum(jnp.where(near > 0, near * (ratio - 1.0), 0.0), axis=1)
    weights = smooth_count(ratio, RADII[1], 0.5) / (5.0 * distance)
    share = 1.0 / jnp.maximum(coordination, 1e-3)
    around = [
        coordination / 12.0,
        counts[1] / 18.0,
        counts[2] / 42.0,
        counts[0] / 12.0,
        unlike * share,
        4.0 * strain * share,
        *(jnp.sum(_bump(ratio, center), axis=1) / 6.0 for center in RADIAL_CENTERS),
    ]
    return jnp.stack(around), jnp.stack([jnp.sum(weights * x, axis=1) for x in to])


def _bump(ratio, center):
    """Returns a radial symmetry function of distances in contacts: 1 at its center, smoothly zero beyond its width.

    After Behler & Parrinello, Phys. Rev. Lett. 98, 146401 (2007), with a polynomial in place of their Gaussian.
    """
    t = (ratio - center) / RADIAL_WIDTH
    return jnp.where(jnp.abs(t) < 1.0, (1.0 - t * t) ** 2, 0.0)
