"""Geometry that hops, features and potentials share: minimum image, contact, random starts. Layer 1."""

import jax
import jax.numpy as jnp

from .types import System

APART = 0.8
"""Contacts that atoms of a fresh start are pushed apart to."""
PASSES = 12


def dual_vectors(vectors, periodic, xp=jnp):
    """Returns rows `[3, 3]` whose products with a position are its fractional coordinates along periodic directions.

    The pseudo-inverse of the periodic cell vectors: open directions, whatever the cell says there, give zero rows.

    Args:
      vectors: `[3, 3]` cell vectors with open directions zeroed.
      periodic: `[3]` 1 where periodic, else 0, in the dtype of the vectors.
      xp: jax.numpy, or numpy for what is computed once and not worth compiling; likewise below.
    """
    overlap = [[sum(vectors[a, c] * vectors[b, c] for c in range(3)) for b in range(3)] for a in range(3)]
    for a in range(3):
        overlap[a][a] = overlap[a][a] + (1.0 - periodic[a])
    cofactor = [
        [
            overlap[(b + 1) % 3][(a + 1) % 3] * overlap[(b + 2) % 3][(a + 2) % 3]
            - overlap[(b + 1) % 3][(a + 2) % 3] * overlap[(b + 2) % 3][(a + 1) % 3]
            for b in range(3)
        ]
        for a in range(3)
    ]
    determinant = sum(overlap[0][b] * cofactor[b][0] for b in range(3))
    return (
        xp.stack(
            [xp.stack([sum(cofactor[a][b] * vectors[b, c] for b in range(3)) for c in range(3)]) for a in range(3)]
        )
        / determinant
    )


def minimum_image(displacements, cell, pbc, xp=jnp):
    """Returns displacements `[..., 3]` reduced to the nearest periodic image by rounding fractional coordinates.

    Exact for distances up to half the smallest cell height; open directions are left alone.
    """
    vectors, dual = _periodic_vectors(cell, pbc, xp)
    return displacements - xp.round(displacements @ dual.T) @ vectors


def pair_distances(here, there, cell, pbc):
    """Returns nearest-image distances `[n_here, n_there]` between two lists of positions."""
    return jnp.sqrt(sum(x * x for x in pair_components(here, there, cell, pbc)))


def pair_components(here, there, cell, pbc, xp=jnp):
    """Returns x, y and z of the nearest-image vectors from here to there, three arrays `[n_here, n_there]`.

    Written so that the long axes stay innermost: an `[n, n, 3]` array costs ten times as much.
    """
    vectors, dual = _periodic_vectors(cell, pbc, xp)
    components = [there[:, a][None, :] - here[:, a][:, None] for a in range(3)]
    turns = [xp.round(sum(components[b] * dual[a, b] for b in range(3))) for a in range(3)]
    return [components[a] - sum(turns[b] * vectors[b, a] for b in range(3)) for a in range(3)]


def _periodic_vectors(cell, pbc, xp=jnp):
    """Returns the cell vectors with open directions zeroed, and their duals, each `[3, 3]`."""
    periodic = pbc.astype(cell.dtype)
    vectors = cell * periodic[:, None]
    return vectors, dual_vectors(vectors, periodic, xp)


def has_element(system: System):
    """Returns `[n_atoms]` bool: rows that are atoms, not padding and not rows of a cell filter."""
    return system.species >= 0


def free_part(system: System, rows, xp=jnp):
    """Returns rows `[..., n_atoms, 3]` without what may not move: zero on fixed atoms and along held directions."""
    rows = xp.where(system.movable[:, None], rows, 0.0)
    if system.held is None:
        return rows
    flat = rows.reshape(*rows.shape[:-2], -1)
    return (flat - (flat @ system.held) @ system.held.T).reshape(rows.shape)


def is_pinned(system: System, xp=jnp):
    """Returns `[]` bool: an atom is fixed, or directions are held so that the whole cannot move as one."""
    atoms = system.species >= 0
    pinned = xp.any(atoms & ~system.movable)
    if system.held is None:
        return pinned
    one = atoms.astype(system.held.dtype)
    along = xp.einsum("a,adh->dh", one, system.held.reshape(len(one), 3, -1))
    share = xp.sum(along**2, axis=1) / xp.maximum(xp.sum(one), 1.0)
    return pinned | xp.any((share > 1e-6) & (share < 1.0 - 1e-6))


def container_radius(system: System):
    """Returns the radius `[]` of a sphere of twice the close-packed volume of the atoms, which touch at their radii."""
    dtype = system.positions.dtype
    diameters = jnp.where(has_element(system), 2.0 * system.radii, 0.0)
    volume = jnp.sum(diameters**3) / jnp.sqrt(jnp.asarray(2.0, dtype))
    return (2.0 * volume * 3.0 / (4.0 * jnp.pi)) ** (1.0 / 3.0)


def pushed_apart(positions, system: System, contacts=APART):
    """Returns positions `[n_atoms, 3]` with the movable atoms that overlap moved apart, for no evaluation.

    In `PASSES` passes every pair nearer than so many `contacts` shares out what it lacks, the movable atom of a pair
    with a fixed one all of it. At the density of a random start few pairs are left much nearer than that. In overlaps
    forces say nothing, and many calculators fail.
    """
    atoms = has_element(system)
    moves = (atoms & system.movable).astype(positions.dtype)
    wanted = contacts * (system.radii[:, None] + system.radii[None, :])
    pairs = atoms[:, None] & atoms[None, :] & ~jnp.eye(positions.shape[0], dtype=bool)
    share = 1.0 / jnp.maximum(moves[:, None] + moves[None, :], 1.0)

    def one_pass(_, positions):
        away = pair_components(positions, positions, system.cell, system.pbc)
        distance = jnp.sqrt(sum(x * x for x in away) + (1e-6 * system.length_scale) ** 2)
        push = jnp.where(pairs, share * jnp.maximum(wanted / distance - 1.0, 0.0), 0.0)
        return positions - moves[:, None] * jnp.stack([jnp.sum(push * x, axis=1) for x in away], axis=1)

    return jax.lax.fori_loop(0, PASSES, one_pass, positions)


def random_start(key, system: System):
    """Draws positions `[n_atoms, 3]` for the movable atoms of a system, the others stay.

    Without periodicity and where the whole is free to move: uniform in a sphere of twice the close-packed volume of
    atoms touching at `radii[i] + radii[j]`. Periodic in all directions: uniform in the cell. Else (slabs, held atoms):
    the start, with the movable atoms displaced by a normal of 0.7 length scales.
    """
    n = system.positions.shape[0]
    dtype = system.positions.dtype
    atoms = has_element(system)
    draw = jax.random.uniform(key, (n, 4), dtype)
    normal = jax.scipy.special.ndtri(jnp.clip(draw[:, :3], 1e-6, 1.0 - 1e-6))
    direction = normal / jnp.linalg.norm(normal, axis=1, keepdims=True)
    sphere = direction * (container_radius(system) * draw[:, 3:] ** (1.0 / 3.0))
    fixed = is_pinned(system)
    periodic = jnp.all(system.pbc)
    displaced = system.positions + 0.7 * system.length_scale * normal
    place = jnp.where(jnp.any(system.pbc) | fixed, displaced, sphere)
    place = jnp.where(periodic & ~fixed, draw[:, :3] @ system.cell, place)
    return jnp.where((atoms & system.movable)[:, None], place, system.positions)
