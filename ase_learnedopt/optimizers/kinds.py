"""What kind of system is searched: whether a free cluster, and which of its atoms can change places. Layer 1."""

import jax.numpy as jnp

from ..geometry import has_element, is_pinned
from ..types import System

SIMILAR = 1.5
"""Ratio of radii up to which unlike atoms change places, as those of an alloy do and anions and cations do not.

Wider than the 15 % of Hume-Rothery's rule for solid solutions (J. Inst. Met. 35, 295, 1926), since atoms at a surface
have room. An exchange of what is less similar costs several bonds, and the relaxation after it finds its way nowhere.
"""


def is_mixed(system: System):
    """Returns `[]` bool: whether there are two movable unlike atoms of similar size, which can change places."""
    moves = has_element(system) & system.movable
    order = jnp.argsort(jnp.where(moves, system.radii, jnp.inf))
    # Those nearest in size are neighbours in this order.
    radii, species, moves = system.radii[order], system.species[order], moves[order]
    return jnp.any((species[1:] != species[:-1]) & moves[1:] & (radii[1:] <= SIMILAR * radii[:-1]))


def is_compound(system: System):
    """Returns `[]` bool: whether the sizes of movable atoms are too different for all of them to change places."""
    moves = has_element(system) & system.movable
    largest = jnp.max(jnp.where(moves, system.radii, 0.0))
    return largest > SIMILAR * jnp.min(jnp.where(moves, system.radii, jnp.inf))


def is_cluster(system: System):
    """Returns `[]` bool: no periodic direction, and nothing holds it where it is."""
    return ~jnp.any(system.pbc) & ~is_pinned(system)


def is_bulk(system: System):
    """Returns `[]` bool: periodic in all directions, and nothing holds it where it is."""
    return jnp.all(system.pbc) & ~is_pinned(system)
