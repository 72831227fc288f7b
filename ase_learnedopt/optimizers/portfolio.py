"""A portfolio of ways to hop, and the bandit that chooses among them at every restart by what they found so far. Layer 1."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from ..geometry import has_element
from ..types import System
from .deform import Deformation, ellipsoid
from .noise import to_gumbel, to_normal

ARMS = ("compact", "plain", "ellipsoid")
STRENGTH = (3.2, 0.0, 3.2)
EXPONENT = (4.0, 4.0, 4.0)
SPREAD = (0.0, 0.0, 0.3)
"""Deformation of each arm: strength in energy scales, exponent, spread of the log axes of a random ellipsoid."""
PRIOR_ONE_ELEMENT = (0.75, 0.125, 0.125)
PRIOR_MIXED = (0.1, 0.8, 0.1)
"""Probability of each arm before anything was found. Compact deformation finds LJ38 ten times sooner and core-shell
mixed clusters two to four times later, hence two rows."""

SHAKE, LOCAL, RELOCATE, EXCHANGE = range(4)
MOVES = ("shake", "local", "relocate", "exchange")
MOVE_WEIGHTS = {
    "cluster": (0.3, 0.0, 0.7, 0.0),
    "mixed cluster": (0.2, 0.0, 0.4, 0.4),
    "bulk": (0.0, 1.0, 0.0, 0.0),
    "mixed bulk": (0.0, 0.6, 0.0, 0.4),
    "surface": (0.1, 0.4, 0.5, 0.0),
    "mixed surface": (0.1, 0.3, 0.4, 0.2),
}
"""Share of each move (shake, local, relocate, exchange); `surface` is anything with fixed atoms or some open direction."""


class Portfolio(NamedTuple):
    """Remembers the lowest energy each arm found."""

    lowest: jax.Array  # [n_arms] eV, infinity where the arm was never played
    arm: jax.Array  # [] int32, the one being played


def init_portfolio(dtype) -> Portfolio:
    """Returns a portfolio that has played nothing."""
    return Portfolio(jnp.full((len(ARMS),), jnp.inf, dtype), jnp.zeros((), jnp.int32))


def is_mixed(system: System):
    """Returns `[]` bool: whether the movable atoms are of more than one element."""
    moves = has_element(system) & system.movable
    low = jnp.min(jnp.where(moves, system.species, jnp.iinfo(jnp.int32).max))
    return jnp.max(jnp.where(moves, system.species, -1)) > low


def is_cluster(system: System):
    """Returns `[]` bool: no periodic direction and no fixed atom."""
    return ~jnp.any(system.pbc) & ~jnp.any(has_element(system) & ~system.movable)


def move_logits(system: System):
    """Returns the log weights `[len(MOVES)]` of the moves for this kind of system."""
    dtype = system.positions.dtype
    bulk = jnp.all(system.pbc) & ~jnp.any(has_element(system) & ~system.movable)
    row = jnp.where(is_cluster(system), 0, jnp.where(bulk, 2, 4)) + is_mixed(system).astype(jnp.int32)
    weights = jnp.asarray(list(MOVE_WEIGHTS.values()), dtype)[row]
    return jnp.log(jnp.maximum(weights, 1e-9))


PLAY_NOISE = (len(ARMS),), (9,)
"""Shapes of the uniforms that `play` needs."""


def play(noise, portfolio: Portfolio, system: System, correction) -> tuple[Portfolio, Deformation]:
    """Chooses an arm and draws its deformation.

    An arm is drawn from its prior, less how far its lowest energy lies above the lowest of all (in energy scales, at
    most 4), plus `correction[:n_arms]`; the rest of `correction` scales strength, exponent and spread by its `exp`.
    """
    dtype = system.positions.dtype
    for_arm, for_shape = noise
    prior = jnp.where(is_mixed(system), jnp.asarray(PRIOR_MIXED, dtype), jnp.asarray(PRIOR_ONE_ELEMENT, dtype))
    lowest = jnp.min(portfolio.lowest)
    behind = jnp.where(jnp.isfinite(portfolio.lowest), (portfolio.lowest - lowest) / system.energy_scale, 0.0)
    logits = jnp.log(prior) - jnp.clip(behind, 0.0, 4.0) + correction[: len(ARMS)]
    arm = jnp.argmax(logits + to_gumbel(for_arm)).astype(jnp.int32)
    scale = jnp.exp(correction[len(ARMS) :])
    strength = jnp.asarray(STRENGTH, dtype)[arm] * scale[0] * is_cluster(system).astype(dtype)
    shape = ellipsoid(to_normal(for_shape), jnp.asarray(SPREAD, dtype)[arm] * scale[2])
    deformation = Deformation(strength, jnp.asarray(EXPONENT, dtype)[arm] * scale[1], shape)
    return portfolio._replace(arm=arm), deformation


def found(portfolio: Portfolio, energy) -> Portfolio:
    """Credits the arm being played with a minimum of `energy` `[]` eV."""
    mine = jnp.arange(len(ARMS)) == portfolio.arm
    return portfolio._replace(lowest=jnp.where(mine, jnp.minimum(portfolio.lowest, energy), portfolio.lowest))
