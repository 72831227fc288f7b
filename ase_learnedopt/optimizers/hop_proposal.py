"""A hop of LearnedHop: which move is made from the accepted minimum, and what comes of it. Layer 1."""

import jax
import jax.numpy as jnp

from ..types import HOP
from .environment import environment
from .exchange import exchange
from .kinds import is_cluster, is_compound
from .moves import relocate, shake, shake_neighborhood
from .networks import apply_head
from .noise import to_gumbel, to_normal
from .portfolio import FRESH, RELOCATE, SHAKE, STEERED, move_logits
from .units import Units, placed

ANY_TURN = 10.0
"""Radians, each component of a rotation vector that turns a molecule into any direction."""


def propose(config, params, state, noise, outputs, neighbors, start, units: Units):
    """Returns the state after a hop of the units from the accepted minimum; its positions are their middles.

    Args:
      config, params: constants and heads.
      state: whose minimum has been judged.
      noise: uniforms, see `learned_hop`.
      outputs: `[len(HOP_OUTPUTS)]` of the head of the hops.
      neighbors: rows of all neighbours of atoms, or None; of molecules they leave out those further apart.
      start: `[n_atoms, 3]` Angstrom, the middles of a fresh start.
      units: what moves as one.
    """
    system, positions = units.system, units.system.positions
    for_move, for_wall, for_center, for_shake = noise[:4]
    for_relocation, for_exchange = noise[4:9], noise[9:]
    surroundings = environment(positions, system, neighbors)
    logits = move_logits(state.system, units, config.fresh).at[: len(STEERED)].add(outputs[-len(STEERED) :])
    move = jnp.argmax(logits + to_gumbel(for_move)).astype(jnp.int32)
    normals = to_normal(for_shake)
    deformed = (state.deformation.strength > 0) & is_cluster(system) & ~units.molecular
    steering = jnp.exp(outputs[2] + apply_head(params["shake"], surroundings.features)[:, 0])
    shaken = shake(normals, positions, system, steering * jnp.where(deformed, config.shake, config.plain_shake))
    n_shaken = jnp.where(units.molecular, config.molecules_shaken, config.neighborhood).astype(jnp.int32)
    local = shake_neighborhood(
        for_center, normals, positions, system, steering * config.local_shake, n_shaken, config.neighborhood
    )
    temperatures = config.atom_temperature * jnp.exp(outputs[5]), config.site_temperature * jnp.exp(outputs[6])
    more = jnp.where(is_compound(system), 0.0, config.more)
    moved = relocate(for_relocation, params["relocate"], positions, system, surroundings, more, *temperatures)
    swapped, pair = exchange(
        for_exchange, params["exchange"], state.exchange, positions, system, surroundings, config.exchange_temperature
    )
    odds = jax.scipy.special.logit(jnp.asarray(config.wall, positions.dtype)) + outputs[4]
    wall = for_wall < jax.nn.sigmoid(odds)
    proposals = jnp.stack([shaken, local, moved, swapped, start])
    wall = wall & (move != FRESH)
    return state._replace(
        positions=proposals[move],
        event=jnp.full((), HOP, jnp.int32),
        n_hops=state.n_hops + 1,
        move=move,
        pair_features=pair,
        deforming=((move == SHAKE) | (move == FRESH)) & deformed,
        strength_factor=jnp.exp(outputs[3]) * jnp.where(wall, config.wall_strength, 1.0),
        exponent_factor=jnp.where(wall, config.wall_exponent, 1.0).astype(positions.dtype),
    )


def turned(config, state, noise, units: Units, begun):
    """Returns the positions `[n_atoms, 3]` of all atoms for the middles that a state has; what moved is turned as well.

    Args:
      config: says how far.
      state: after a hop or a fresh start.
      noise: uniforms `[n_atoms, 3]`.
      units: what moved as one.
      begun: `[]` bool, whether it is a fresh start.
    """
    middles = state.positions
    moved = jnp.any(middles != units.system.positions, axis=1, keepdims=True)
    anyhow = begun | (state.move == RELOCATE)
    angle = jnp.where(moved, jnp.where(anyhow, ANY_TURN, config.turn), 0.0)
    return placed(units, middles, to_normal(noise) * angle)
