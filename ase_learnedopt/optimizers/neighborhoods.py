"""What a network reads of the atoms around an atom, and where they lie: sums over all pairs. Layer 1.

Distances are read in units of contact (`radii[i] + radii[j]`), so that an element never seen is no news. Periodic
systems count the nearest image of every atom.
"""

import jax
import jax.numpy as jnp

from ..geometry import has_element, pair_components
from ..types import System
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


def neighborhoods(positions, system: System):
    """Computes what surrounds every atom.

    Args:
      positions: `[n_atoms, 3]` Angstrom.
      system: what is optimised.

    Returns:
      Features `[len(NEIGHBORHOOD), n_atoms]`, and the weighted mean direction to the neighbours `[1, n_atoms, 3]`.
    """
    n, dtype = positions.shape[0], positions.dtype
    atoms = has_element(system)
    if n <= BLOCK:
        around, pull = _of_rows(positions, system, positions, system.radii, system.species, jnp.arange(n))
    else:
        n_blocks = -(-n // BLOCK)
        rows = jnp.minimum(jnp.arange(n_blocks * BLOCK), n - 1).reshape(n_blocks, BLOCK)

        def of_block(index):
            return _of_rows(positions, system, positions[index], system.radii[index], system.species[index], index)

        around, pull = (
            jnp.moveaxis(part, 0, 1).reshape(part.shape[1], -1)[:, :n] for part in jax.lax.map(of_block, rows)
        )
    mean_radius = jnp.sum(jnp.where(atoms, system.radii, 0.0)) / jnp.maximum(jnp.sum(atoms.astype(dtype)), 1.0)
    return jnp.concatenate([around, (system.radii / mean_radius)[None]]), pull.T[None]


def _of_rows(positions, system: System, here, radii, species, index):
    """Returns the features `[.., n_rows]` and the pull `[3, n_rows]` of some rows, those of number `index`."""
    atoms, n = has_element(system), positions.shape[0]
    pair = (species >= 0)[:, None] & atoms[None, :] & (index[:, None] != jnp.arange(n)[None, :])
    to = pair_components(here, positions, system.cell, system.pbc)
    distance = jnp.where(pair, jnp.sqrt(sum(x * x for x in to) + 1e-12), jnp.inf)
    ratio = distance / jnp.where(pair, radii[:, None] + system.radii[None, :], 1.0)
    # Kept, or the compiler works the pairs out again for every sum over them.
    to, distance, ratio = jax.lax.optimization_barrier((to, distance, ratio))
    counts = [jnp.sum(smooth_count(ratio, begin, 0.5), axis=1) for begin in RADII]
    near = jax.lax.optimization_barrier(smooth_count(ratio, RADII[0], 0.4))
    coordination = jnp.sum(near, axis=1)
    unlike = jnp.sum(jnp.where(system.species[None, :] != species[:, None], near, 0.0), axis=1)
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
