"""Basin hopping: a Monte Carlo walk on local minima, every proposal relaxed before it is judged. Layer 1.

Wales & Doye, J. Phys. Chem. A 101, 5111 (1997). The step length follows the acceptance, as there.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ..geometry import container_radius, has_element
from ..types import HOP, Optimizer, System
from .base import common_fields, compose
from .kinds import is_cluster
from .lbfgs import lbfgs
from .local import advance_nested, check_local, init_nested
from .moves import shake as shake_all
from .moves import shake_neighborhood
from .moves import swap as swap_two
from .noise import uniforms


class BasinHoppingState(NamedTuple):
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
    current_positions: jax.Array  # [n_atoms, 3] the accepted minimum
    current_energy: jax.Array  # [] eV, infinity before the first minimum
    shake: jax.Array  # [] length scales, largest displacement of a coordinate
    n_hops: jax.Array  # [] int32
    n_accepted: jax.Array  # [] int32


def basin_hopping(
    local: Optimizer | None = None,
    *,
    kT=0.8,
    shake=0.4,
    target_acceptance: float | None = 0.5,
    adaption=0.05,
    neighborhood: int | None = None,
    swaps=0.0,
    max_relax_steps=500,
) -> Optimizer:
    """Builds basin hopping.

    Args:
      local: what relaxes, `lbfgs(maxstep=0.15, tolerance=0.02)` when None: long steps leave the basin a hop fell in. It
        may read the system's `positions` in its `init` only.
      kT: thermal energy of the Metropolis rule, in energy scales.
      shake: each coordinate of the shaken atoms is displaced evenly within plus or minus this many length scales.
      target_acceptance: share of accepted hops that `shake` is steered to; None keeps it fixed.
      adaption: gain of that control, on the logarithm of `shake`, for each hop.
      neighborhood: atoms shaken together around a random one; None shakes all.
      swaps: share of the hops that swap two unlike atoms, where there are any, in place of shaking.
      max_relax_steps: evaluations after which a relaxation is judged by the lowest point it has seen.

    Raises:
      ValueError: `local` hops by itself, `neighborhood` is less than one, or `swaps` is no share.
    """
    relaxation = check_local(lbfgs(maxstep=0.15, tolerance=0.02) if local is None else local)
    if neighborhood is not None and neighborhood < 1:
        raise ValueError(f"neighborhood is {neighborhood}; give at least 1 atom, or None to shake all of them")

    if not 0.0 <= swaps <= 1.0:
        raise ValueError(f"swaps is {swaps}; give a share from 0 to 1")

    def init(key, system, budget=jnp.inf):
        key, key_local = jax.random.split(key)
        dtype = system.positions.dtype
        return BasinHoppingState(
            **common_fields(key, system),
            budget=jnp.asarray(budget, dtype),
            local=init_nested(relaxation, key_local, system, system.positions, budget),
            current_positions=system.positions,
            current_energy=jnp.full((), jnp.inf, dtype),
            shake=jnp.full((), shake, dtype),
            n_hops=jnp.zeros((), jnp.int32),
            n_accepted=jnp.zeros((), jnp.int32),
        )

    def advance(state, energy, forces):
        return advance_nested(relaxation, max_relax_steps, state, energy, forces)

    def judge(state, noise):
        """Accepts the relaxed structure, or keeps the current one, by the Metropolis rule."""
        found, energy = state.local.best_positions, state.local.best_energy
        accepted = energy <= state.current_energy - kT * state.system.energy_scale * jnp.log(noise)
        steered = state.shake
        if target_acceptance is not None:
            steered = steered * jnp.exp(adaption * (accepted.astype(steered.dtype) - target_acceptance))
        return state._replace(
            current_positions=jnp.where(accepted, found, state.current_positions),
            current_energy=jnp.where(accepted, energy, state.current_energy),
            shake=steered,
            n_accepted=state.n_accepted + accepted.astype(jnp.int32),
        )

    def hop(state, neighbors=None):
        del neighbors
        key, key_noise, key_local = jax.random.split(state.key, 3)
        n, dtype = state.positions.shape[0], state.positions.dtype
        for_accept, for_center, for_shake = uniforms(key_noise, dtype, (), (n,), (n, 3))
        state = judge(state, for_accept)
        system = state.system
        start = _contain(state.current_positions, system)
        amplitude = jnp.broadcast_to(state.shake, (n,))
        if neighborhood is None:
            positions = shake_all(2.0 * for_shake - 1.0, start, system, amplitude)
        else:
            positions = shake_neighborhood(for_center, 2.0 * for_shake - 1.0, start, system, amplitude, neighborhood)
        if swaps > 0:
            for_kind, for_first, for_second = uniforms(jax.random.fold_in(key_noise, 1), dtype, (), (n,), (n,))
            swapped, possible = swap_two(for_first, for_second, start, system)
            positions = jnp.where(possible & (for_kind < swaps), swapped, positions)
        left = state.budget - state.n_evaluations.astype(dtype)
        return state._replace(
            positions=positions,
            event=jnp.full((), HOP, jnp.int32),
            pending=jnp.zeros((), bool),
            key=key,
            local=init_nested(relaxation, key_local, system, positions, left),
            n_hops=state.n_hops + 1,
        )

    return compose(init, advance, hop)


def _contain(positions, system: System):
    """Returns the positions of a cluster with evaporated atoms brought back to its container, as Wales & Doye do.

    The container is the sphere of twice the close-packed volume about the centroid; what is not a cluster has none.
    """
    moves = has_element(system) & system.movable
    weight = moves.astype(positions.dtype)[:, None] / jnp.maximum(jnp.sum(moves.astype(positions.dtype)), 1.0)
    offset = positions - jnp.sum(weight * positions, axis=0)[None, :]
    distance = jnp.sqrt(jnp.sum(offset * offset, axis=1, keepdims=True))
    excess = offset * jnp.maximum(1.0 - container_radius(system) / jnp.maximum(distance, 1e-12), 0.0)
    return jnp.where(moves[:, None] & is_cluster(system), positions - excess, positions)
