"""Which pairs of atoms see each other, and where: the part every potential shares. Layer 1.

A potential is written once, on arrays `[n_neighbors, n_atoms]`: the centre atom is the last axis (sums over the first
axis vectorise, sums over the last do not), every pair appears from both its ends, and forces are gathered, never
scattered. What the neighbour axis holds depends on the geometry: all atoms of a cluster, the nearest image of every
atom, several images of every atom, or the rows of a neighbour list.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ..geometry import dual_vectors
from ..neighbors import n_images
from ..types import Neighbors, System

Images = str | tuple[int, int, int] | None
"""Geometry of a dense potential: None (open), "nearest", or images on each side of that along each cell vector."""


class Pairs(NamedTuple):
    """Holds every centre's neighbours; entries that are not `valid` must not count."""

    components: tuple[jax.Array, jax.Array, jax.Array]  # 3 x [n_neighbors, n_atoms] Angstrom, centre to neighbour
    square: jax.Array  # [n_neighbors, n_atoms] squared distance
    valid: jax.Array  # [n_neighbors, n_atoms] bool
    rows: jax.Array | None  # [n_neighbors, n_atoms] row of the neighbour; None: dense
    n_copies: int  # images of every atom along the neighbour axis of a dense geometry
    trusted: jax.Array  # [] bool, false when the cell needs more images than there are

    def of_neighbor(self, per_atom):
        """Returns values `[n_atoms]` at the neighbours, broadcastable to `[n_neighbors, n_atoms]`."""
        if self.rows is not None:
            return jnp.asarray(per_atom)[self.rows]
        return jnp.tile(per_atom, self.n_copies)[:, None]

    def contract(self, weights):
        """Returns `sum_j weights[j, i] * (x_j - x_i)`, `[n_atoms, 3]`."""
        return jnp.stack([jnp.sum(weights * component, axis=0) for component in self.components], axis=1)

    def checked(self, energy):
        """Returns the energy, or NaN where the geometry cannot be trusted."""
        return jnp.where(self.trusted, energy, jnp.nan)


def find_pairs(positions, system: System, neighbors: Neighbors | None, images: Images, cutoff: float | None) -> Pairs:
    """Builds the pairs of one structure.

    Args:
      positions: `[n_atoms, 3]` Angstrom.
      system: rows without an element are in no pair.
      neighbors: rows to use instead of all pairs, made for at least `cutoff`.
      images: geometry of the dense form.
      cutoff: Angstrom; None only for an open geometry.

    Raises:
      ValueError: if a periodic geometry or neighbour rows come without a cutoff.
    """
    if cutoff is None and (neighbors is not None or images is not None):
        raise ValueError("periodic images and neighbour rows need a finite cutoff; give cutoff=, in Angstrom")
    if neighbors is not None:
        return _row_pairs(positions, system, neighbors)
    if images is None:
        return _open_pairs(positions, system)
    return _image_pairs(positions, system, check_images(images), cutoff)


def of_species(column, species):
    """Returns a parameter `[n_species]` for every atom, the last one where there is no element.

    Made of choices, because gathers are slow under vmap.
    """
    chosen: Any = float(column[-1])
    for k in range(len(column) - 1):
        chosen = jnp.where(species == k, float(column[k]), chosen)
    return chosen


def of_pair(table, pairs: Pairs, species):
    """Returns a parameter `[n_species, n_species]`, by neighbour and centre, of every pair; a number for one."""
    n_species = len(table)
    if n_species == 1:
        return float(table[0, 0])
    neighbor = pairs.of_neighbor(species)
    chosen: Any = None
    for k in range(n_species):
        row = of_species(table[k], species)[None, :]
        chosen = row if chosen is None else jnp.where(neighbor == k, row, chosen)
    return chosen


def check_images(images: Images) -> tuple[int, int, int]:
    """Returns the number of images on each side of the nearest as three integers."""
    if images == "nearest":
        return (0, 0, 0)
    if isinstance(images, tuple) and len(images) == 3 and all(int(n) == n and n >= 0 for n in images):
        return images
    raise ValueError(f'images must be None, "nearest" or three counts like (1, 1, 0), not {images!r}')


def images_for(cell, pbc, cutoff: float | None) -> Images:
    """Returns the geometry a dense potential needs in a concrete cell: None where nothing is periodic.

    Args:
      cell: `[3, 3]` Angstrom.
      pbc: `[3]` bool.
      cutoff: Angstrom.

    Raises:
      ValueError: if the system is periodic and there is no cutoff, or its cell vectors are not independent.
    """
    if not np.any(pbc):
        return None
    if cutoff is None:
        raise ValueError("a periodic system needs a finite cutoff; give cutoff=, in Angstrom")
    return n_images(cell, pbc, cutoff)


def _row_pairs(positions, system, neighbors):
    n = positions.shape[0]
    species = jnp.asarray(system.species)
    listed = jnp.asarray(neighbors.index).T
    index = jnp.minimum(listed, n - 1)
    shift = jnp.asarray(neighbors.shift).astype(positions.dtype)
    components = tuple(
        positions[:, a][index] + (sum(shift[:, :, b] * system.cell[b, a] for b in range(3))).T - positions[None, :, a]
        for a in range(3)
    )
    valid = (listed < n) & (species[index] >= 0) & (species >= 0)[None, :]
    return Pairs(components, _square(components), valid, index, 1, jnp.ones((), bool))


def _open_pairs(positions, system):
    n = positions.shape[0]
    components = tuple(positions[:, a][:, None] - positions[:, a][None, :] for a in range(3))
    atoms = system.species >= 0
    valid = atoms[:, None] & atoms[None, :] & ~np.eye(n, dtype=bool)
    return Pairs(components, _square(components), valid, None, 1, ~jnp.any(system.pbc))


def _image_pairs(positions, system, images, cutoff):
    """Reduces every pair to its nearest image, then adds the images on each side."""
    n = positions.shape[0]
    periodic = system.pbc.astype(positions.dtype)
    vectors = system.cell * periodic[:, None]
    dual = dual_vectors(vectors, periodic)
    fractional = [sum(positions[:, a] * dual[b, a] for a in range(3)) for b in range(3)]
    turns = [jnp.round(f[:, None] - f[None, :]) for f in fractional]
    nearest = [
        positions[:, a][:, None] - positions[:, a][None, :] - sum(turns[b] * vectors[b, a] for b in range(3))
        for a in range(3)
    ]
    atoms = system.species >= 0
    pair = atoms[:, None] & atoms[None, :]
    height = 1.0 / jnp.sqrt(jnp.maximum(jnp.sum(dual * dual, axis=1), 1e-30))
    reach = (jnp.asarray(images, positions.dtype) + 0.5) * height
    trusted = jnp.all(~system.pbc | (cutoff <= reach * (1.0 + 1e-6)))
    if images == (0, 0, 0):
        components = tuple(nearest)
        return Pairs(components, _square(components), pair & ~np.eye(n, dtype=bool), None, 1, trusted)
    steps = np.stack(np.meshgrid(*[np.arange(-k, k + 1) for k in images], indexing="ij"), axis=-1).reshape(-1, 3)
    at_home = np.all(steps == 0, axis=1)
    exists = jnp.all((steps == 0) | system.pbc[None, :], axis=1)
    offsets = jnp.asarray(steps, positions.dtype) @ vectors
    components = tuple((nearest[a][None] + offsets[:, a][:, None, None]).reshape(-1, n) for a in range(3))
    same = at_home[:, None, None] & np.eye(n, dtype=bool)[None]
    valid = (pair[None] & exists[:, None, None] & ~same).reshape(-1, n)
    return Pairs(components, _square(components), valid, None, len(steps), trusted)


def _square(components):
    x, y, z = components
    return x * x + y * y + z * z
