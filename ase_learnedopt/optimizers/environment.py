"""What an atom's surroundings look like, from geometry alone: smooth coordination, unlike neighbours, place. Layer 1.

Distances are read in units of contact (`radii[i] + radii[j]`), so that an element never seen is no news.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from ..geometry import has_element, pair_components
from ..types import Neighbors, System

RADII = (1.1, 1.35, 1.8)
"""Where the smooth counts of the features begin to fall, in contact distances; the first is the coordination."""
REACH = RADII[-1] + 0.5
"""Where the last of them has fallen to zero."""
ATOM_FEATURES = (
    "coordination / 12",
    "count to 1.85 contacts / 18",
    "count to 2.3 contacts / 42",
    "unlike fraction",
    "distance from centroid / rms distance",
    "radius / mean radius",
    "strain of the first shell",
)


class Environment(NamedTuple):
    """Describes every atom's surroundings."""

    coordination: jax.Array  # [n_atoms] smooth number of neighbours
    unlike: jax.Array  # [n_atoms] share of them that is another element
    place: jax.Array  # [n_atoms] distance from the centroid over its rms; 1 in periodic systems
    features: jax.Array  # [n_atoms, len(ATOM_FEATURES)]


def smooth_count(ratio, begin, width=0.4, xp=jnp):
    """Returns a weight in [0, 1] for distances in contacts: 1 below `begin`, falling as a smoothstep over `width`."""
    t = xp.clip((ratio - begin) / width, 0.0, 1.0)
    return 1.0 - t * t * (3.0 - 2.0 * t)


def environment(positions, system: System, neighbors: Neighbors | None = None) -> Environment:
    """Computes the surroundings of every atom, from all pairs or, where given, from neighbour rows."""
    atoms = has_element(system)
    ratio, valid = contacts(positions, system, neighbors)
    other = of_neighbors(system.species, neighbors)
    counts = [jnp.sum(jnp.where(valid, smooth_count(ratio, begin, 0.5), 0.0), axis=1) for begin in RADII]
    near = jnp.where(valid, smooth_count(ratio, RADII[0], 0.4), 0.0)
    coordination = jnp.sum(near, axis=1)
    weight = 1.0 / jnp.maximum(coordination, 1e-3)
    unlike = jnp.sum(jnp.where(other != system.species[:, None], near, 0.0), axis=1) * weight
    strain = jnp.sum(jnp.where(near > 0, near * (ratio - 1.0), 0.0), axis=1) * weight
    place = _place(positions, system, atoms)
    mean_radius = jnp.sum(jnp.where(atoms, system.radii, 0.0)) / jnp.maximum(
        jnp.sum(atoms.astype(positions.dtype)), 1.0
    )
    features = jnp.stack(
        [
            coordination / 12.0,
            counts[1] / 18.0,
            counts[2] / 42.0,
            unlike,
            place,
            system.radii / mean_radius,
            4.0 * strain,
        ],
        axis=1,
    )
    return Environment(coordination, unlike, place, features)


def contacts(positions, system: System, neighbors: Neighbors | None):
    """Returns distances in contacts and whether they are of a pair, each `[n_atoms, n_neighbors]`."""
    n, atoms = positions.shape[0], has_element(system)
    distance = jnp.sqrt(sum(x * x for x in ways(positions, system, neighbors)))
    listed = ~jnp.eye(n, dtype=bool) if neighbors is None else neighbors.index < n
    valid = atoms[:, None] & of_neighbors(atoms, neighbors) & listed
    return distance / (system.radii[:, None] + of_neighbors(system.radii, neighbors)), valid


def ways(positions, system: System, neighbors: Neighbors | None):
    """Returns x, y and z from every atom to its neighbours, three arrays `[n_atoms, n_neighbors]` in Angstrom."""
    if neighbors is None:
        return pair_components(positions, positions, system.cell, system.pbc)
    shift = neighbors.shift.astype(positions.dtype) @ system.cell
    return [of_neighbors(positions[:, a], neighbors) + shift[..., a] - positions[:, a][:, None] for a in range(3)]


def of_neighbors(values, neighbors: Neighbors | None):
    """Returns values `[n_atoms]` at the neighbours, broadcastable to `[n_atoms, n_neighbors]`."""
    return values[None, :] if neighbors is None else values[jnp.minimum(neighbors.index, len(values) - 1)]


def _place(positions, system, atoms):
    """Returns each atom's distance from the centroid over the rms of those distances."""
    weight = (atoms.astype(positions.dtype) / jnp.maximum(jnp.sum(atoms.astype(positions.dtype)), 1.0))[:, None]
    offset = positions - jnp.sum(weight * positions, axis=0)[None, :]
    square = jnp.sum(offset * offset, axis=1)
    rms = jnp.sqrt(jnp.maximum(jnp.sum(weight[:, 0] * square), 1e-12))
    return jnp.where(jnp.any(system.pbc), jnp.ones_like(square), jnp.sqrt(square) / rms)
