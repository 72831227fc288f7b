"""Proposals that hop out of a minimum: shake, shake a neighbourhood, relocate atoms. Layer 1.

They cost no evaluation. All of them are functions of the noise they are handed.
"""

import jax
import jax.numpy as jnp

from ..geometry import has_element, minimum_image, pair_distances
from ..types import System
from .environment import Environment, smooth_count
from .networks import apply_head
from .noise import to_direction, to_gumbel

N_SITES = 32
"""Candidate sites drawn for a relocated atom."""
MOST_RELOCATED = 4
"""Atoms that one hop relocates at most."""
OWN_SITE = 0.7
"""Contacts from where an atom was, within which a site is its old one."""


def shake(normals, positions, system: System, amplitude):
    """Displaces every movable atom by normals `[n_atoms, 3]` times `amplitude` `[n_atoms]` length scales."""
    moves = has_element(system) & system.movable
    step = normals * (amplitude * system.length_scale)[:, None]
    return jnp.where(moves[:, None], positions + step, positions)


def shake_neighborhood(noise, normals, positions, system: System, amplitude, n_shaken, at_most: int | None = None):
    """Displaces a movable atom, drawn by uniform `noise` `[n_atoms]`, and its nearest movable neighbours together.

    They are `n_shaken` atoms, one or more; where that is an array `[]` int32, it is no more than `at_most`.
    """
    moves = has_element(system) & system.movable
    center = jnp.argmax(jnp.where(moves, noise, -1.0))
    offset = minimum_image(positions - positions[center][None, :], system.cell, system.pbc)
    square = jnp.where(moves, jnp.sum(offset * offset, axis=1), jnp.inf)
    nearest = -jax.lax.top_k(-square, min(at_most or n_shaken, positions.shape[0]))[0]
    limit = nearest[jnp.minimum(n_shaken, len(nearest)) - 1]
    return jnp.where((square <= limit)[:, None], shake(normals, positions, system, amplitude), positions)


def swap(for_first, for_second, positions, system: System):
    """Swaps the positions of two unlike movable atoms, drawn by uniforms `[n_atoms]` each.

    Returns:
      The new positions `[n_atoms, 3]`, and `[]` bool, whether there were two unlike atoms.
    """
    moves = has_element(system) & system.movable
    first = jnp.argmax(jnp.where(moves, for_first, -1.0))
    unlike = moves & (system.species != system.species[first])
    second = jnp.argmax(jnp.where(unlike, for_second, -1.0))
    order = jnp.arange(positions.shape[0]).at[first].set(second).at[second].set(first)
    possible = jnp.any(unlike)
    return jnp.where(possible, positions[order], positions), possible


def relocation_noise(n_atoms: int) -> tuple:
    """Returns the shapes of the uniforms that `relocate` needs."""
    most = min(MOST_RELOCATED, n_atoms)
    return (n_atoms,), (most,), (most, N_SITES), (most, N_SITES, 2), (most, N_SITES)


def relocate(
    noise, head, positions, system: System, surroundings: Environment, more, atom_temperature, site_temperature
):
    """Moves weakly coordinated atoms, one by one, to other, well coordinated sites of the surface.

    Atoms are drawn by minus their coordination over `atom_temperature` (in neighbours) plus the head's score; after
    each of them there is another one with the probability `more`, up to `MOST_RELOCATED`.
    """
    for_atoms, for_more, *for_sites = noise
    moves = has_element(system) & system.movable
    score = apply_head(head, surroundings.features)[:, 0] - surroundings.coordination / atom_temperature
    chosen = jax.lax.top_k(jnp.where(moves, score + to_gumbel(for_atoms), -jnp.inf), for_more.shape[0])[1]
    wanted = moves[chosen] & (jnp.cumprod(for_more < more) > 0).at[0].set(True)

    def one(positions, step):
        atom, is_wanted, *noise = step
        site = _draw_site(noise, atom, positions, system, site_temperature)
        here = (jnp.arange(positions.shape[0], dtype=atom.dtype) == atom) & is_wanted
        return jnp.where(here[:, None], site[None, :], positions), None

    return jax.lax.scan(one, positions, (chosen, wanted, *for_sites))[0]


def _draw_site(noise, moved, positions, system: System, temperature):
    """Draws a place `[3]` for the atom `moved`.

    Sites are where a ray in a random direction from a random atom leaves the union of contact spheres (isolated
    clusters), or a contact of a random atom that overlaps no other (periodic directions); they are drawn by
    coordination over `temperature`, and the site that the atom comes from only if there is no other.
    """
    for_origin, for_direction, for_site = noise
    others = has_element(system) & (jnp.arange(positions.shape[0], dtype=moved.dtype) != moved)
    contact = system.radii + system.radii[moved]

    origin = _draw_index(for_origin, others)
    direction = to_direction(for_direction)
    start = positions[origin]
    reach = _exit(start, direction, positions, contact, others)
    reach = jnp.where(jnp.any(system.pbc), contact[origin], reach)
    sites = start + reach[:, None] * direction

    distance = pair_distances(sites, positions, system.cell, system.pbc)
    ratio = distance / contact[None, :]
    near = jnp.where(others[None, :], smooth_count(ratio, 1.1, 0.4) - 6.0 * smooth_count(ratio, 0.6, 0.3), 0.0)
    logits = jnp.sum(near, axis=1) / temperature + to_gumbel(for_site)
    old = distance[:, moved] < OWN_SITE * contact[moved]
    return sites[jnp.argmax(jnp.where(old, logits - 1e3, logits))]


def _draw_index(uniform, allowed):
    """Draws indices, one for each uniform, evenly among those `allowed` `[n]`."""
    rank = jnp.cumsum(allowed.astype(jnp.int32))
    wanted = jnp.floor(uniform * rank[-1].astype(uniform.dtype)).astype(jnp.int32)
    return jnp.sum((rank[None, :] <= wanted[:, None]).astype(jnp.int32), axis=1)


def _exit(start, direction, positions, contact, others):
    """Returns how far along each ray the last contact sphere is left, `[N_SITES]`.

    The ray meets the sphere of radius `contact` about an atom at the roots of `|offset + t direction|^2 = contact^2`.
    """
    offset = [start[:, a][:, None] - positions[:, a][None, :] for a in range(3)]
    along = sum(offset[a] * direction[:, a][:, None] for a in range(3))
    discriminant = along * along - sum(x * x for x in offset) + (contact * contact)[None, :]
    leaves = -along + jnp.sqrt(jnp.maximum(discriminant, 0.0))
    return jnp.max(jnp.where((discriminant > 0) & others[None, :], leaves, 0.0), axis=1)
