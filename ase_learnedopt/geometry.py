"""Geometry that hops, features and potentials share: minimum image, contact, random starts. Layer 1."""

import jax
import jax.numpy as jnp

from .types import System


def minimum_image(displacements, cell, pbc):
    """Returns displacements `[..., 3]` reduced to the nearest periodic image by rounding fractional coordinates.

    Exact for distances up to half the smallest cell height; open directions are left alone.
    """
    safe_cell = jnp.where(pbc[:, None], cell, jnp.eye(3, dtype=cell.dtype))
    fractional = displacements @ jnp.linalg.inv(safe_cell)
    return displacements - (jnp.round(fractional) * pbc) @ safe_cell


def pair_distances(here, there, cell, pbc):
    """Returns nearest-image distances `[n_here, n_there]` between two lists of positions, component by component.

    Written so that the long axes stay innermost: an `[n, n, 3]` array costs several times as much.
    """
    safe_cell = jnp.where(pbc[:, None], cell, jnp.eye(3, dtype=cell.dtype))
    inverse = jnp.linalg.inv(safe_cell)
    components = [there[:, a][None, :] - here[:, a][:, None] for a in range(3)]
    turns = [jnp.round(sum(components[b] * inverse[b, a] for b in range(3))) * pbc[a] for a in range(3)]
    nearest = [components[a] - sum(turns[b] * safe_cell[b, a] for b in range(3)) for a in range(3)]
    return jnp.sqrt(sum(x * x for x in nearest))


def has_element(system: System):
    """Returns `[n_atoms]` bool: rows that are atoms, not padding and not rows of a cell filter."""
    return system.species >= 0


def random_start(key, system: System):
    """Draws positions `[n_atoms, 3]` for the movable atoms of a system, the others stay.

    Without periodicity and fixed atoms: uniform in a sphere of twice the close-packed volume of atoms touching at
    `radii[i] + radii[j]`. Periodic in all directions: uniform in the cell. Else (slabs, fixed atoms): the start,
    with the movable atoms displaced by a normal of 0.7 length scales.
    """
    n = system.positions.shape[0]
    dtype = system.positions.dtype
    atoms = has_element(system)
    draw = jax.random.uniform(key, (n, 4), dtype)
    volume = jnp.sum(jnp.where(atoms, (2.0 * system.radii) ** 3, 0.0)) / jnp.sqrt(jnp.asarray(2.0, dtype))
    radius = (2.0 * volume * 3.0 / (4.0 * jnp.pi)) ** (1.0 / 3.0)
    normal = jax.scipy.special.ndtri(jnp.clip(draw[:, :3], 1e-6, 1.0 - 1e-6))
    direction = normal / jnp.linalg.norm(normal, axis=1, keepdims=True)
    sphere = direction * (radius * draw[:, 3:] ** (1.0 / 3.0))
    fixed = jnp.any(atoms & ~system.movable)
    periodic = jnp.all(system.pbc)
    displaced = system.positions + 0.7 * system.length_scale * normal
    place = jnp.where(jnp.any(system.pbc) | fixed, displaced, sphere)
    place = jnp.where(periodic & ~fixed, draw[:, :3] @ system.cell, place)
    return jnp.where((atoms & system.movable)[:, None], place, system.positions)
