"""Learn2Hop: a small network for every atom says where it goes next; hops between minima are learned. Layer 1.

After Merchant, Metz, Schoenholz & Cubuk, "Learn2Hop: Learned Optimization on Rough Landscapes", ICML 2021,
arXiv:2107.09661. The network is the same for every atom and reads nothing of their number or order, so it carries over
to any size. To the move that the paper's network writes come three outputs that a hop can be made of: a kick, a press
that draws the quasi-Newton step to round structures, and a return to the best geometry. An untrained network uses none
of them: whether, when and on which atoms is learned. Two variants of one architecture: `equivariant` reads numbers that
no rotation changes and writes factors on vectors that turn with the structure; `cartesian`, the paper's kind, reads and
writes components, in a frame drawn at random for each run.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from ..types import HOP, MINIMUM, STEP, Optimizer, System
from .base import common_fields, compose, record
from .learn2hop_features import (
    LARGEST_GRADIENT,
    Draws,
    Moments,
    Progress,
    draw,
    init_moments,
    pull,
    read,
    update_moments,
)
from .learn2hop_network import KICK, Learn2HopConfig, random, silent, think
from .local import TOLERANCE, cap_rows, energy_gradient, rms_gradient
from .noise import to_normal, uniforms
from .relax import RelaxState, follow, forget, relax_init

LONGEST_PAIR = 0.3
"""Length scales: a longer move leads elsewhere, and the quasi-Newton step begins anew."""
ASIDE = 0.03
"""Length scales: how far from the best geometry a run goes on where the calculator has failed."""
INVERSE_CURVATURE = 0.01
"""Of the first quasi-Newton step, in length scales squared per energy scale; a Lennard-Jones bond has 1/72."""


class Learn2HopState(NamedTuple):
    """Carries a run; the first eight fields are those of every optimizer."""

    system: System
    positions: jax.Array  # [n_atoms, 3]
    best_positions: jax.Array  # [n_atoms, 3]
    best_energy: jax.Array  # []
    n_evaluations: jax.Array  # [] int32
    event: jax.Array  # [] int32
    pending: jax.Array  # [] bool
    key: jax.Array
    budget: jax.Array  # [] evaluations, infinity if unknown
    moments: Moments
    newton: RelaxState  # the geometries so far, for the quasi-Newton step
    last_energy: jax.Array  # [] eV
    since_best: jax.Array  # [] int32, evaluations
    since_hop: jax.Array  # [] int32, evaluations since the last minimum or long move
    draws: Draws
    press: jax.Array  # [n_atoms] how strongly the next quasi-Newton step is drawn to the centroid
    arrived: jax.Array  # [] bool, the last evaluation was at a local minimum
    frame: jax.Array  # [3, 3] rotation in which the cartesian network sees the structure


def learn2hop(params: dict | None = None, config: Learn2HopConfig | None = None) -> Optimizer:
    """Builds the optimizer from the parameters of its network (None: untrained, which takes quasi-Newton steps)."""
    config = config or Learn2HopConfig()
    if params is None:
        params = silent(config) if config.variant == "equivariant" else random(config)

    def init(key, system, budget=jnp.inf):
        dtype = system.positions.dtype
        key, key_frame = jax.random.split(key)
        return Learn2HopState(
            **common_fields(key, system),
            budget=jnp.asarray(budget, dtype),
            moments=init_moments(system.positions),
            newton=relax_init(
                system.positions, INVERSE_CURVATURE * system.length_scale**2 / system.energy_scale, config.memory
            ),
            last_energy=jnp.full((), jnp.inf, dtype),
            since_best=jnp.zeros((), jnp.int32),
            since_hop=jnp.zeros((), jnp.int32),
            draws=Draws(jnp.zeros(system.positions.shape[0], dtype), jnp.zeros((), dtype)),
            press=jnp.zeros(system.positions.shape[0], dtype),
            arrived=jnp.zeros((), bool),
            frame=_random_rotation(key_frame, dtype) if config.variant == "cartesian" else jnp.eye(3, dtype=dtype),
        )

    def advance(state, energy, forces, neighbors=None):
        known = _advance(state, energy, forces, neighbors)
        return jax.tree.map(partial(jnp.where, jnp.isfinite(energy)), known, _lost(state))

    def _advance(state, energy, forces, neighbors):
        system = state.system
        gradient = energy_gradient(system, forces)
        slope = cap_rows(gradient * system.length_scale / system.energy_scale, LARGEST_GRADIENT)
        progress = _progress(state, energy)
        moments = update_moments(state.moments, slope)
        moved = jnp.max(jnp.sum((state.positions - state.newton.positions) ** 2, axis=-1)) ** 0.5
        jumped = moved > LONGEST_PAIR * system.length_scale
        bent = gradient + state.press[:, None] * pull(state.positions, system)
        newton, step = follow(forget(state.newton, jumped), state.positions, bent)
        seen = record(state, energy)
        back = seen["best_positions"] - state.positions
        ways = jnp.stack([step, back]) / system.length_scale
        noise, normals, draws = draw(jax.random.fold_in(state.key, state.n_evaluations), system)
        low = rms_gradient(system, gradient) < TOLERANCE
        fresh = low | jumped | (state.n_evaluations == 0)
        draws = jax.tree.map(partial(jnp.where, fresh), draws, state.draws)
        # Without the barrier the compiler works out the neighbourhoods again for every output of the first layer.
        inputs = jax.lax.optimization_barrier(
            read(noise, draws, state.positions, system, slope, ways, moments, progress, neighbors)
        )
        move, press, kick, home = think(params, config, state.frame, *inputs)
        move = cap_rows(config.step * move + KICK * kick * normals, config.maxstep) * system.length_scale
        move = jnp.where(system.movable[:, None], move, 0.0)
        proposed = home * back + move
        far = jnp.max(jnp.sum(proposed**2, axis=-1)) ** 0.5 > LONGEST_PAIR * system.length_scale
        leaps = far & (jnp.any(kick > 0.0) | jnp.any(home > 0.0))
        event = jnp.where(low & ~state.arrived, MINIMUM, jnp.where(leaps | (state.arrived & ~low), HOP, STEP))
        return state._replace(
            **seen,
            newton=newton,
            press=press,
            positions=state.positions + proposed,
            event=event.astype(jnp.int32),
            moments=moments._replace(last_move=move / system.length_scale),
            last_energy=energy,
            since_best=progress.since_best.astype(jnp.int32),
            since_hop=jnp.where(fresh, 0, state.since_hop + 1),
            draws=draws,
            arrived=low,
        )

    return compose(init, advance)


def _lost(state: Learn2HopState) -> Learn2HopState:
    """Returns the state after an evaluation without an energy: near the best geometry, so as to go another way."""
    system = state.system
    (noise,) = uniforms(
        jax.random.fold_in(state.key, state.n_evaluations), state.positions.dtype, state.positions.shape
    )
    aside = jnp.where(system.movable[:, None], ASIDE * system.length_scale * to_normal(noise), 0.0)
    return state._replace(
        positions=state.best_positions + aside,
        n_evaluations=state.n_evaluations + 1,
        event=jnp.full((), HOP, jnp.int32),
        arrived=jnp.zeros((), bool),
    )


def _progress(state: Learn2HopState, energy) -> Progress:
    dtype, scale = energy.dtype, state.system.energy_scale
    first = state.n_evaluations == 0
    better = energy < state.best_energy
    steps = (state.n_evaluations + 1).astype(dtype)
    return Progress(
        used=steps / state.budget,
        n_evaluations=steps,
        above_best=jnp.where(first, 0.0, (energy - jnp.minimum(state.best_energy, energy)) / scale),
        change=jnp.where(first, 0.0, (energy - state.last_energy) / scale),
        since_best=jnp.where(better, 0, state.since_best + 1).astype(dtype),
        since_hop=state.since_hop.astype(dtype),
    )


def rotation_rows(normals) -> list[list]:
    """Returns the rows of a rotation matrix, uniform over all of them, from four normals: those of a quaternion."""
    w, x, y, z = normals / (normals * normals).sum() ** 0.5
    return [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]


def _random_rotation(key, dtype):
    """Returns a rotation matrix `[3, 3]`."""
    (noise,) = uniforms(key, dtype, (4,))
    return jnp.stack([jnp.stack(row) for row in rotation_rows(to_normal(noise))])
