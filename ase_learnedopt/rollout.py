"""Runs many walkers of one optimizer on a JAX potential at once. Layer 1.

Hops are rare and dear, ordinary steps frequent and cheap, and under `vmap` a branch costs what both its sides cost. So
a rollout goes in windows: `window` evaluations for every walker, then the hops of those that asked for one, for an
eighth of all walkers at a time. A walker that waits for its hop evaluates nothing, so what it does and what it counts
is the same as alone.

Many potentials fall where atoms overlap, and random starts overlap. So the best geometry of a walker is sane (see
`sanity`) once it has evaluated a sane one: that one replaces whatever came before, and from then on an energy below the
best one of a geometry that is not sane is passed on as infinity, which is how a calculator fails. Before, and above the
best energy, every energy is passed on as it is: where overlaps cost energy nothing changes.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from .forked import require_not_forked
from .sanity import MIN_DISTANCE, nearest_contact
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


class Contacts(NamedTuple):
    """Records what the walkers came too near to after each window, `[n_windows, n_walkers]`."""

    is_sane: jax.Array  # bool, whether `best_energy` is that of a sane geometry
    n_fused: jax.Array  # int32, energies of others that would have been the best ones, within the window


def rollout(
    optimizer: Optimizer,
    potential: PotentialFn,
    state,
    budget,
    target,
    *,
    n_windows: int,
    window: int = 8,
    min_distance: float = MIN_DISTANCE,
):
    """Advances walkers by at most `n_windows * window` evaluations each.

    Args:
      optimizer: what proposes; hashed by identity, so build it once.
      potential: energy and forces of one structure.
      state: batched state, see `start`.
      budget: `[]` int32, a walker stops when it has evaluated this often.
      target: `[]` or `[n_walkers]` eV, a walker stops when it has evaluated a sane geometry with an energy this low.
      n_windows: number of windows.
      window: evaluations between two rounds of hops.
      min_distance: contacts, the nearest that two atoms of a sane geometry can be; 0: every geometry counts.

    Returns:
      The state and the `Trace`.

    Raises:
      RuntimeError: this process was forked from one that had used jax.
    """
    require_not_forked()
    limits = {"n_windows": n_windows, "window": window, "min_distance": min_distance}
    return counted_rollout(optimizer, potential, state, budget, target, **limits)[:2]


@partial(jax.jit, static_argnames=("optimizer", "potential", "n_windows", "window", "min_distance"))
def counted_rollout(
    optimizer: Optimizer, potential: PotentialFn, state, budget, target, *, n_windows: int, window: int, min_distance
):
    """Returns state and `Trace` of a `rollout` with its arguments, and its `Contacts`."""
    target = jnp.broadcast_to(target, state.best_energy.shape)

    def evaluate(_, carried):
        state, seen = carried
        energy, forces = jax.vmap(lambda s: potential(s.positions, s.system))(state)
        known, energy, is_sane = _judge(state, seen.is_sane, energy, min_distance)
        new = jax.vmap(optimizer.advance)(known, energy, forces)
        done = (state.best_energy <= target) & seen.is_sane
        goes = ~state.pending & (state.n_evaluations < budget) & ~done
        improved = new.best_energy < known.best_energy
        after = Contacts(jnp.where(improved, is_sane, seen.is_sane), seen.n_fused + (~is_sane).astype(jnp.int32))
        return jax.vmap(_where)(goes, new, state), jax.tree.map(partial(jnp.where, goes), after, seen)

    def one_window(carried, _):
        state, is_sane = carried
        seen = Contacts(is_sane, jnp.zeros(is_sane.shape, jnp.int32))
        state, seen = jax.lax.fori_loop(0, window, evaluate, (state, seen))
        if optimizer.hop is not None:
            state = hop_all(optimizer.hop, state)
        return (state, seen.is_sane), (Trace(state.n_evaluations, state.best_energy), seen)

    is_sane = jnp.isfinite(state.best_energy) & _are_sane(state.best_positions, state.system, min_distance)
    (state, _), (trace, contacts) = jax.lax.scan(one_window, (state, is_sane), None, length=n_windows)
    return state, trace, contacts


def _judge(state, best_is_sane, energy, min_distance: float):
    """Returns what the optimizers are given of an evaluation: states and energies; and whether geometries count.

    Which geometries are sane is found out where it matters, for what would be a best energy and until one is sane.
    """
    if min_distance <= 0:
        return state, energy, jnp.ones(energy.shape, bool)
    matters = jnp.isfinite(energy) & (~best_is_sane | (energy < state.best_energy))
    is_sane = jax.lax.cond(
        jnp.any(matters),
        lambda: ~matters | _are_sane(state.positions, state.system, min_distance),
        lambda: jnp.ones(energy.shape, bool),
    )
    best = jnp.where(matters & is_sane & ~best_is_sane, jnp.inf, state.best_energy)
    return state._replace(best_energy=best), jnp.where(best_is_sane & ~is_sane, jnp.inf, energy), is_sane


def _are_sane(positions, systems: System, min_distance: float):
    """Returns `[n_walkers]` bool, whether no two atoms of a walker are nearer than so many contacts."""
    if min_distance <= 0:
        return jnp.ones(positions.shape[0], bool)
    return jax.vmap(nearest_contact)(positions, systems) >= min_distance


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
