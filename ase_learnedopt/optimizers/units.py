"""What hops move as one: molecules where there are some, else single atoms. Layer 1.

The middles of molecules are a system of their own, of which a hop need not know that its atoms are molecules. Clusters
of rigid molecules are searched like this since Wales & Hodges, Chem. Phys. Lett. 286, 65 (1998).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from ..geometry import has_element, minimum_image
from ..types import Neighbors, System
from .environment import contacts, of_neighbors, ways

BONDED = 1.3
"""Contacts up to which two atoms are of one molecule: bonds have 1.0, hydrogen bonds 1.7 or more."""
GAP = 1.15
"""Length scales that are added to the rms distance of its atoms from its middle, for the radius of a molecule."""
SOFT = 0.2
"""What holds molecules together, in what holds their atoms together."""
SHORTEST, LONGEST = 0.7, 1.2
"""Contacts that bonds of molecules at rest have: a triple bond 0.77, that of H2 1.19."""


class Units(NamedTuple):
    """Says what moves as one."""

    system: System  # of the units: each at the row of its first atom, in the middle of its atoms
    leader: jax.Array  # [n_atoms] int32, the first atom of the unit
    offset: jax.Array  # [n_atoms, 3] Angstrom, from the middle of the unit
    molecular: jax.Array  # [] bool, whether some unit is a molecule


def single_atoms(positions, system: System, neighbors: Neighbors | None = None) -> Units:
    """Returns every atom as a unit of its own, see `find_units`."""
    del neighbors
    leader = jnp.arange(positions.shape[0], dtype=jnp.int32)
    return Units(system._replace(positions=positions), leader, jnp.zeros_like(positions), jnp.zeros((), bool))


def find_units(positions, system: System, neighbors: Neighbors | None = None) -> Units:
    """Finds the molecules: movable atoms joined by bonds, at most half of all, that are not endless in a cell.

    Args:
      positions: `[n_atoms, 3]` Angstrom.
      system: what is searched.
      neighbors: rows of all neighbours within a bond or more; None: all pairs.
    """
    n, dtype = positions.shape[0], positions.dtype
    rows = jnp.arange(n, dtype=jnp.int32)
    ratio, pairs = contacts(positions, system, neighbors)
    bonded = pairs & (ratio < BONDED)
    component = _components(bonded, neighbors)
    away = minimum_image(positions - positions[component], system.cell, system.pbc)
    # Around an endless chain a bond ends at another image than the one that belongs to the molecule.
    apart = [
        of_neighbors(away[:, a], neighbors) - away[:, a][:, None] - way
        for a, way in enumerate(ways(positions, system, neighbors))
    ]
    broken = jnp.any(bonded & (sum(x * x for x in apart) > (0.5 * system.length_scale) ** 2), axis=1)
    size = _total(jnp.ones((n,), dtype), component)
    fixed = _total((broken | ~system.movable).astype(dtype), component) > 0
    n_atoms = jnp.sum(has_element(system).astype(dtype))
    whole = (size > 1) & (2.0 * size <= n_atoms) & ~fixed & has_element(system)
    leader = jnp.where(whole, component, rows)
    away = jnp.where(whole[:, None], away, 0.0)
    size = jnp.where(whole, size, 1.0)
    middle = _total(away, leader) / size[:, None]
    offset = away - jnp.where(whole[:, None], middle[leader], 0.0)
    return Units(_reduced(positions, system, leader, middle, offset, whole, size), leader, offset, jnp.any(whole))


def _reduced(positions, system, leader, middle, offset, whole, size) -> System:
    """Returns the system of the units."""
    dtype = positions.dtype
    leads = leader == jnp.arange(leader.shape[0], dtype=leader.dtype)
    # Numbers whose sums are as good as never the same for two molecules of different atoms.
    kind = (system.species + 3) * (system.species + 11) * 1009 % 65521
    kind = jnp.where(whole, _total(kind, leader), system.species)
    extent = jnp.sqrt(_total(jnp.sum(offset * offset, axis=1), leader) / size)
    radii = jnp.where(whole, extent + GAP * system.length_scale, system.radii)
    counted = (leads & has_element(system)).astype(dtype)
    molecular = jnp.any(whole)
    mean = jnp.sum(counted * radii) / jnp.maximum(jnp.sum(counted), 1.0)
    return system._replace(
        positions=jnp.where((whole & leads)[:, None], positions + middle, positions),
        species=jnp.where(leads, kind, -1),
        movable=system.movable & leads,
        radii=radii,
        length_scale=jnp.where(molecular, 2.0 * mean, system.length_scale),
        energy_scale=system.energy_scale * jnp.where(molecular, SOFT, 1.0).astype(dtype),
    )


def all_molecules(positions, system: System):
    """Returns `[]` bool: whether all atoms are of molecules that are about at rest, as random atoms never are."""
    ratio, pairs = contacts(positions, system, None)
    units = find_units(positions, system)
    size = _total(jnp.ones((positions.shape[0],), positions.dtype), units.leader)
    alone = jnp.any(has_element(system) & (size < 2.0))
    odd = jnp.any(pairs & (ratio < BONDED) & ((ratio < SHORTEST) | (ratio > LONGEST)))
    return units.molecular & ~alone & ~odd


def placed(units: Units, middles, turns):
    """Returns positions of all atoms `[n_atoms, 3]` for units at given places.

    Args:
      units: what moves as one.
      middles: `[n_atoms, 3]` Angstrom, at the row of the first atom of every unit; other rows are not read.
      turns: `[n_atoms, 3]` radians, rotation vectors, likewise.

    By the formula of Rodrigues, J. Math. Pures Appl. 5, 380 (1840).
    """
    turn = turns[units.leader]
    angle = jnp.sqrt(jnp.sum(turn * turn, axis=1, keepdims=True) + 1e-12)
    axis, offset = turn / angle, units.offset
    along = jnp.sum(axis * offset, axis=1, keepdims=True) * axis
    turned = along + jnp.cos(angle) * (offset - along) + jnp.sin(angle) * jnp.cross(axis, offset)
    return middles[units.leader] + turned


def _components(bonded, neighbors):
    """Returns the lowest row `[n_atoms]` int32 that bonds `[n_atoms, n_neighbors]` lead to."""

    def spread(carry):
        _, label = carry
        least = jnp.minimum(label, jnp.min(jnp.where(bonded, of_neighbors(label, neighbors), label[:, None]), axis=1))
        least = least[least]
        return jnp.any(least != label), least

    start = jnp.arange(bonded.shape[0], dtype=jnp.int32)
    return jax.lax.while_loop(lambda carry: carry[0], spread, (jnp.ones((), bool), start))[1]


def _total(values, label):
    """Returns the sums of values `[n_atoms, ...]` over all rows of the same label, at that row."""
    return jnp.zeros_like(values).at[label].add(values)[label]
