"""Composition of an optimizer from its cheap and its rare part. Layer 1."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from ..types import STEP, Optimizer


def compose(init: Callable, advance: Callable, hop: Callable | None = None) -> Optimizer:
    """Builds an `Optimizer` whose `update` is `advance`, then `hop` where the state asks for it."""
    if hop is None:
        return Optimizer(init, advance, advance, None)

    def update(state, energy, forces):
        state = advance(state, energy, forces)
        return jax.lax.while_loop(lambda s: s.pending, lambda s: hop(s, None), state)

    return Optimizer(init, update, advance, hop)


def common_fields(key, system) -> dict:
    """Returns the fields every optimizer state starts with."""
    return {
        "system": system,
        "positions": system.positions,
        "best_positions": system.positions,
        "best_energy": jnp.full((), jnp.inf, system.positions.dtype),
        "n_evaluations": jnp.zeros((), jnp.int32),
        "event": jnp.full((), STEP, jnp.int32),
        "pending": jnp.zeros((), bool),
        "key": key,
    }


def record(state, energy):
    """Returns the fields that change with every evaluation: count, lowest energy and where it was seen."""
    better = energy < state.best_energy
    return {
        "n_evaluations": state.n_evaluations + 1,
        "best_energy": jnp.where(better, energy, state.best_energy),
        "best_positions": jnp.where(better, state.positions, state.best_positions),
    }
