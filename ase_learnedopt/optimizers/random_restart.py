"""Random restarts: one relaxation after another, each from a fresh random start. Layer 1.

The baseline that any search must beat.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ..geometry import random_start
from ..types import RESTART, Optimizer, System
from .base import common_fields, compose
from .lbfgs import lbfgs
from .local import advance_nested, check_local, init_nested


class RandomRestartState(NamedTuple):
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
    local: Any  # state of the relaxation under way, without its system
    n_restarts: jax.Array  # [] int32


def random_restart(local: Optimizer | None = None, *, max_steps=1000) -> Optimizer:
    """Builds random restarts around a local optimizer.

    Args:
      local: what relaxes, `lbfgs()` when None. It may read the system's `positions` in its `init` only.
      max_steps: evaluations after which a relaxation is given up.

    Raises:
      ValueError: `local` hops by itself.
    """
    relaxation = check_local(lbfgs() if local is None else local)

    def init(key, system, budget=jnp.inf):
        key, key_local = jax.random.split(key)
        return RandomRestartState(
            **common_fields(key, system),
            budget=jnp.asarray(budget, system.positions.dtype),
            local=init_nested(relaxation, key_local, system, system.positions, budget),
            n_restarts=jnp.zeros((), jnp.int32),
        )

    def advance(state, energy, forces):
        return advance_nested(relaxation, max_steps, state, energy, forces)

    def hop(state, neighbors=None):
        del neighbors
        key, key_start, key_local = jax.random.split(state.key, 3)
        positions = random_start(key_start, state.system)
        left = state.budget - state.n_evaluations.astype(state.budget.dtype)
        return state._replace(
            positions=positions,
            event=jnp.full((), RESTART, jnp.int32),
            pending=jnp.zeros((), bool),
            key=key,
            local=init_nested(relaxation, key_local, state.system, positions, left),
            n_restarts=state.n_restarts + 1,
        )

    return compose(init, advance, hop)
