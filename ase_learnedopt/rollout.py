"""Runs many walkers of one optimizer on a JAX potential at once. Layer 1.

Hops are rare and dear, ordinary steps frequent and cheap, and under `vmap` a branch costs what both its sides cost. So
a rollout goes in windows: `window` evaluations for every walker, then the hops of those that asked for one, for an
eighth of all walkers at a time. A walker that waits for its hop evaluates nothing, so what it does and what it counts
is the same as alone.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from .types import Optimizer, PotentialFn, System


class Trace(NamedTuple):
    """Records the walkers after each window, `[n_windows, n_walkers]`."""

    n_evaluations: jax.Array
    best_energy: jax.Array


@partial(jax.jit, static_argnames=("optimizer",))
def start(optimizer: Optimizer, keys, systems: System, budget=jnp.inf):
    """Returns the batched state of walkers with `keys` `[n_walkers, 2]` and systems whose arrays have a leading axis.

    budget: `[]` evaluations that each walker may use, infinity if unknown.
    """
    return jax.vmap(lambda key, system: optimizer.init(key, system, budget))(keys, systems)


@partial(jax.jit, static_argnames=("optimizer", "potential", "n_windows", "window"))
def rollout(optimizer: Optimizer, potential: PotentialFn, state, budget, target, *, n_windows: int, window: int = 8):
    """Advances walkers by at most `n_windows * window` evaluations each.

    Args:
      optimizer: what proposes; hashed by identity, so build it once.
      potential: energy and forces of one structure.
      state: batched state, see `start`.
      budget: `[]` int32, a walker stops when it has evaluated this often.
      target: `[]` or `[n_walkers]` eV, a walker stops when it has evaluated an energy this low.
      n_windows: number of windows.
      window: evaluations between two rounds of hops.

    Returns:
      The state and the `Trace`.
    """
    target = jnp.broadcast_to(target, state.best_energy.shape)

    def evaluate(state, target):
        energy, forces = potential(state.positions, state.system)
        new = optimizer.advance(state, energy, forces)
        goes = ~state.pending & (state.n_evaluations < budget) & (state.best_energy > target)
        return _where(goes, new, state)

    def one_window(state, _):
        state = jax.lax.fori_loop(0, window, lambda _, s: jax.vmap(evaluate)(s, target), state)
        if optimizer.hop is not None:
            state = hop_all(optimizer.hop, state)
        return state, Trace(state.n_evaluations, state.best_energy)

    return jax.lax.scan(one_window, state, None, length=n_windows)


def hop_all(hop, state):
    """Calls `hop` on an eighth of the walkers, those that wait for it first, until none does."""
    n_hops = -(-state.pending.shape[0] // 8)
    return jax.lax.while_loop(lambda s: jnp.any(s.pending), lambda s: _hop_some(hop, s, n_hops), state)


def _hop_some(hop, state, n_hops: int):
    _, chosen = jax.lax.top_k(state.pending.astype(jnp.int32), n_hops)

    def hop_if_pending(state):
        return _where(state.pending, hop(state, None), state)

    hopped = jax.vmap(hop_if_pending)(jax.tree.map(lambda leaf: leaf[chosen], state))
    back = jax.tree.map(
        lambda leaf, new: leaf.at[chosen].set(new, unique_indices=True),
        state._replace(system=None),
        hopped._replace(system=None),
    )
    return back._replace(system=state.system)


def _where(condition, new, old):
    """Selects between two states; what both share (the system) is left alone."""
    system = old.system
    chosen = jax.tree.map(lambda a, b: jnp.where(condition, a, b), new._replace(system=None), old._replace(system=None))
    return chosen._replace(system=system)
