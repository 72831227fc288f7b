"""Random starts made of copies of a few atoms: by an inversion, a reflection, a rotation or translations. Layer 1.

Very low energies are likelier among symmetric structures (Wales, Chem. Phys. Lett. 285, 330, 1998), which searches of
crystals (Pickard & Needs, J. Phys.: Condens. Matter 23, 053201, 2011) and of clusters (Oakley, Johnston & Wales, Phys.
Chem. Chem. Phys. 15, 3965, 2013) make use of. A relaxation keeps the symmetry of its start, and a hop breaks it.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from ..geometry import has_element, random_start
from ..types import System
from .kinds import is_bulk, is_cluster
from .lattice import LATTICE_NOISE, numbers_of_copies, random_translations
from .noise import to_gumbel

OPERATIONS = ("none", "inversion", "reflection", "2-fold axis", "3-fold axis", "4-fold axis", "5-fold axis")
NONE, INVERSION, REFLECTION = range(3)
COPIES = (1, 2, 2, 2, 3, 4, 5)
"""Of an atom in a cluster, itself included."""
PRIOR = (0.2, 0.2, 0.05, 0.1, 0.15, 0.1, 0.2)
"""Probability of each operation before anything was found."""
MOST_BEHIND = 4.0
"""Energy scales above the lowest of all that an operation counts to be at most."""
MOST_ON_AXIS = 7
"""Of an element; beyond what is left over from whole orbits, one orbit may be put there."""
LENGTH_OF_AXIS = 0.8
"""Of what stands on an axis, in that of the cluster."""
START_NOISE = (len(OPERATIONS),), (2,), *LATTICE_NOISE
"""Shapes of the uniforms that `symmetric_start` needs."""


class Operations(NamedTuple):
    """Remembers what the starts of each operation relaxed to."""

    lowest: jax.Array  # [n_operations] eV, infinity where there was none
    last: jax.Array  # [] int32, operation of the last start


def init_operations(dtype) -> Operations:
    """Returns a memory of nothing."""
    return Operations(jnp.full((len(OPERATIONS),), jnp.inf, dtype), jnp.zeros((), jnp.int32))


def relaxed(operations: Operations, energy, when) -> Operations:
    """Credits the last operation with the energy `[]` eV of the minimum next to its start, where `when` `[]` bool."""
    mine = (jnp.arange(len(OPERATIONS), dtype=jnp.int32) == operations.last) & when
    return operations._replace(lowest=jnp.where(mine, jnp.minimum(operations.lowest, energy), operations.lowest))


def symmetric_start(key, noise, operations: Operations, system: System):
    """Draws a fresh start of all movable atoms.

    Isolated clusters: copies by an operation, drawn from its prior, less how far what it relaxed to lies above the
    lowest of all, in energy scales. Cells with nothing fixed: copies by a random lattice of translations, where the
    numbers of atoms allow it. Else, and where the operation is none: see `geometry.random_start`.

    Returns:
      Positions `[n_atoms, 3]`, which may overlap, and the operation `[]` int32 of a cluster.
    """
    for_operation, for_special, *for_lattice = noise
    draws = random_start(key, system)
    behind = jnp.clip((operations.lowest - jnp.min(operations.lowest)) / system.energy_scale, 0.0, MOST_BEHIND)
    behind = jnp.where(jnp.isfinite(operations.lowest), behind, 0.0)
    logits = jnp.log(jnp.asarray(PRIOR, draws.dtype)) - behind
    operation = jnp.argmax(logits + to_gumbel(for_operation)).astype(jnp.int32)
    kinds = _by_element(system)
    shifts, n_copies = random_translations(for_lattice, kinds.counts, system)
    leader, copy, _ = _copies(kinds, n_copies, jnp.zeros_like(kinds.counts))
    in_cell = draws[leader] + shifts[copy]
    placed = jnp.where(is_cluster(system), _cluster(operation, for_special, kinds, draws), draws)
    placed = jnp.where(is_bulk(system), in_cell, placed)
    return jnp.where((has_element(system) & system.movable)[:, None], placed, draws), operation


def can_be_copies(system: System):
    """Returns `[]` bool: whether the atoms of a cell can be copies of a few of them."""
    return jnp.any(numbers_of_copies(_by_element(system).counts, system))


class _Kinds(NamedTuple):
    """Says which atoms are of one element; rows without one count as of another."""

    order: jax.Array  # [n_atoms] atoms by element
    first: jax.Array  # [n_atoms] where in that order the element of an atom begins
    ranks: jax.Array  # [n_atoms] how many atoms of its element come before an atom
    counts: jax.Array  # [n_atoms] atoms of its element


def _by_element(system: System) -> _Kinds:
    order = jnp.argsort(system.species).astype(jnp.int32)
    listed = system.species[order]
    first = jnp.searchsorted(listed, system.species, side="left").astype(jnp.int32)
    counts = jnp.searchsorted(listed, system.species, side="right").astype(jnp.int32) - first
    return _Kinds(order, first, jnp.argsort(order).astype(jnp.int32) - first, counts)


def _copies(kinds: _Kinds, n_copies, n_special):
    """Divides the atoms of every element, but for `n_special` `[n_atoms]` of them, into orbits.

    Returns, each `[n_atoms]`: of which atom it is a copy, by how many operations, and whether it is special.
    """
    special = kinds.ranks < n_special
    copy = jnp.where(special, 0, (kinds.ranks - n_special) % n_copies)
    return kinds.order[kinds.first + kinds.ranks - copy], copy, special


def _cluster(operation, for_special, kinds: _Kinds, draws):
    """Returns copies by an operation about the origin and z; special atoms lie where it leaves them."""
    dtype = draws.dtype
    n_copies = jnp.asarray(COPIES, jnp.int32)[operation]
    turns, mirrors, inverts = operation > REFLECTION, operation == REFLECTION, operation == INVERSION
    odd = kinds.counts % n_copies
    more = odd + n_copies
    on_axis = jnp.where((for_special[0] < 0.5) & (more <= jnp.minimum(MOST_ON_AXIS, kinds.counts)), more, odd)
    in_plane = odd + 2 * jnp.floor(for_special[1] * (kinds.counts // 4 + 1).astype(dtype)).astype(jnp.int32)
    n_special = jnp.where(turns, on_axis, jnp.where(mirrors, in_plane, odd))
    leader, copy, special = _copies(kinds, n_copies, n_special)

    x, y, z = draws[leader].T
    angle = jnp.where(turns, 2.0 * jnp.pi * copy.astype(dtype) / n_copies.astype(dtype), 0.0)
    sign = 1.0 - 2.0 * (copy % 2).astype(dtype)
    across = jnp.where(inverts, sign, 1.0)
    along = jnp.where(inverts | mirrors, sign, 1.0)
    cos, sin = across * jnp.cos(angle), across * jnp.sin(angle)
    general = jnp.stack([cos * x - sin * y, sin * x + cos * y, along * z], axis=1)

    radius = jnp.sqrt(jnp.max(jnp.sum(draws * draws, axis=1)))
    place = (2.0 * kinds.ranks.astype(dtype) + 1.0) / jnp.maximum(n_special, 1).astype(dtype) - 1.0
    height = jnp.where(turns, LENGTH_OF_AXIS * radius * place, 0.0)
    kept = mirrors.astype(dtype)
    fixed = jnp.stack([kept * x, kept * y, height], axis=1)
    return jnp.where(special[:, None], fixed, general)
