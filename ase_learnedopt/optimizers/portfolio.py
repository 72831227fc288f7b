"""A portfolio of ways to hop, and the bandit that chooses among them at every restart by what they found. Layer 1."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from ..geometry import has_element
from ..types import System
from .deform import Deformation, ellipsoid
from .kinds import is_bulk, is_cluster, is_compound, is_mixed
from .noise import to_gumbel, to_normal
from .symmetry import can_be_copies
from .units import Units

ARMS = ("compact", "plain", "ellipsoid")
STRENGTH = (2.2, 0.0, 2.2)
EXPONENT = (4.0, 4.0, 4.0)
SPREAD = (0.0, 0.0, 0.3)
"""Deformation of each arm: strength in energy scales, exponent, spread of the log axes of a random ellipsoid."""
STRENGTH_SPREAD = 0.4
"""Spread of the log strength from restart to restart: LJ31 wants less than LJ38."""
MOST_BEHIND = 4.0
"""Energy scales above the lowest of all that an arm counts to be at most."""
PRIOR_ONE_ELEMENT = (0.8, 0.08, 0.12)
PRIOR_MIXED = (0.15, 0.25, 0.6)
PRIOR_COMPOUND = (0.05, 0.9, 0.05)
"""Probability of each arm before anything was found: round pulls suit clusters of one element, core-shell ones less,
networks and molecules not at all.
"""

SHAKE, LOCAL, RELOCATE, EXCHANGE, FRESH = range(5)
STEERED = ("shake", "local", "relocate", "exchange")
"""Moves that the heads know."""
MOVES = (*STEERED, "fresh")
MOVE_WEIGHTS = {
    "cluster": (0.15, 0.0, 0.85, 0.0, 0.2),
    "mixed cluster": (0.15, 0.0, 0.35, 0.5, 0.0),
    "compound cluster": (0.4, 0.2, 0.2, 0.2, 0.0),
    "bulk": (0.0, 1.0, 0.0, 0.0, 0.5),
    "mixed bulk": (0.0, 0.6, 0.0, 0.4, 0.1),
    "compound bulk": (0.0, 0.8, 0.0, 0.2, 0.25),
    "surface": (0.1, 0.4, 0.5, 0.0, 0.0),
    "mixed surface": (0.1, 0.3, 0.4, 0.2, 0.0),
    "compound surface": (0.2, 0.4, 0.2, 0.2, 0.0),
    "molecules": (0.1, 0.2, 0.7, 0.0, 0.2),
    "mixed molecules": (0.1, 0.2, 0.5, 0.2, 0.0),
    "compound molecules": (0.1, 0.2, 0.5, 0.2, 0.0),
}
"""Weight of each move (shake, local, relocate, exchange, fresh); those of a cell are for where its atoms can be copies.

`surface`: with fixed atoms, or open in some directions. `mixed`: unlike atoms, all of similar size. `compound`: some of
sizes too different to change places; exchanges only where others are similar. `molecules`: clusters of them, where all
this is said of whole molecules.
"""
OFTEN_FRESH = 75.0
"""Atoms of a cluster from which on the weight of a fresh start is that of the table; below, it falls with their square,
since hops alone find the minimum of a small cluster sooner.
"""


class Portfolio(NamedTuple):
    """Remembers the lowest energy each arm found."""

    lowest: jax.Array  # [n_arms] eV, infinity where the arm was never played
    arm: jax.Array  # [] int32, the one being played


def init_portfolio(dtype) -> Portfolio:
    """Returns a portfolio that has played nothing."""
    return Portfolio(jnp.full((len(ARMS),), jnp.inf, dtype), jnp.zeros((), jnp.int32))


def move_logits(system: System, units: Units, fresh=1.0):
    """Returns the log weights `[len(MOVES)]` of the moves for this kind of system, fresh starts by a factor."""
    dtype = system.positions.dtype
    bulk, cluster = is_bulk(system), is_cluster(system)
    kind = jnp.where(cluster, jnp.where(units.molecular, 9, 0), jnp.where(bulk, 3, 6)).astype(jnp.int32)
    exchanging = jax.tree.map(lambda a, b: jnp.where(cluster, a, b), units.system, system)  # no molecule with a surface
    mixed = is_mixed(exchanging)
    row = kind + jnp.where(is_compound(exchanging), 2, mixed.astype(jnp.int32)).astype(jnp.int32)
    weights = jnp.asarray(list(MOVE_WEIGHTS.values()), dtype)[row].at[EXCHANGE].multiply(mixed.astype(dtype))
    n_units = jnp.sum(has_element(units.system).astype(dtype))
    copies = can_be_copies(units.system) & ~units.molecular  # which are turned at random
    often = jnp.where(bulk, copies.astype(dtype), jnp.minimum((n_units / OFTEN_FRESH) ** 2, 1.0))
    weights = weights.at[FRESH].multiply(fresh * often)
    return jnp.log(jnp.maximum(weights / jnp.sum(weights), 1e-9))


PLAY_NOISE = (len(ARMS),), (10,)
"""Shapes of the uniforms that `play` needs."""


def play(noise, portfolio: Portfolio, system: System, correction, explore: bool) -> tuple[Portfolio, Deformation]:
    """Chooses an arm and draws its deformation.

    An arm is drawn from its prior, less how far its lowest energy lies above the lowest of all (in energy scales, at
    most `MOST_BEHIND`), plus `correction[:n_arms]`; the rest of `correction` scales strength, exponent and spread by
    its `exp`. Where not `explore` (the first play of a run), the most likely arm is taken.
    """
    dtype = system.positions.dtype
    for_arm, for_shape = noise
    alike = jnp.where(is_mixed(system), jnp.asarray(PRIOR_MIXED, dtype), jnp.asarray(PRIOR_ONE_ELEMENT, dtype))
    prior = jnp.where(is_compound(system), jnp.asarray(PRIOR_COMPOUND, dtype), alike)
    lowest = jnp.min(portfolio.lowest)
    behind = jnp.where(jnp.isfinite(portfolio.lowest), (portfolio.lowest - lowest) / system.energy_scale, 0.0)
    behind = jnp.where(portfolio.lowest == _in_vain(dtype), MOST_BEHIND, jnp.clip(behind, 0.0, MOST_BEHIND))
    logits = jnp.log(prior) - behind + correction[: len(ARMS)]
    arm = jnp.argmax(logits + to_gumbel(for_arm) if explore else logits).astype(jnp.int32)
    scale = jnp.exp(correction[len(ARMS) :])
    normals = to_normal(for_shape)
    luck = jnp.exp(STRENGTH_SPREAD * normals[9]) if explore else 1.0
    strength = jnp.asarray(STRENGTH, dtype)[arm] * scale[0] * luck * is_cluster(system).astype(dtype)
    shape = ellipsoid(normals[:9], jnp.asarray(SPREAD, dtype)[arm] * scale[2])
    deformation = Deformation(strength, jnp.asarray(EXPONENT, dtype)[arm] * scale[1], shape)
    return portfolio._replace(arm=arm), deformation


def found(portfolio: Portfolio, energy, in_vain) -> Portfolio:
    """Credits the arm being played with a minimum of `energy` `[]` eV.

    `in_vain` `[]` bool: with a fresh start that the calculator could not follow, which counts as far behind all others.
    """
    mine = jnp.arange(len(ARMS), dtype=jnp.int32) == portfolio.arm
    energy = jnp.where(in_vain, _in_vain(portfolio.lowest.dtype), energy)
    return portfolio._replace(lowest=jnp.where(mine, jnp.minimum(portfolio.lowest, energy), portfolio.lowest))


def _in_vain(dtype):
    """Returns what stands for an energy where an arm was played and none came of it."""
    return jnp.finfo(dtype).max
