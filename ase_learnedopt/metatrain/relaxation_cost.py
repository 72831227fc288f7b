"""What relaxations cost, in evaluations until the largest force is small, for many parameters at once. Layer 2."""

import math
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from ..optimizers.learned_relax import (
    LearnedRelaxConfig,
    LearnedRelaxState,
    controlled_step,
    learned_relax,
    untrained_relaxation,
)
from ..optimizers.local import rms_gradient
from ..optimizers.model_hessian import inverse_model_hessian
from ..types import PotentialFn, System
from .tasks import Task, draw_batch

TOLERANCES = (0.05, 0.005)
"""eV/Angstrom: largest forces at which a relaxation is over."""
RATTLED = 0.06
"""Length scales: of every component of the displacement from a minimum."""
FAR = 5.0
"""Energy scales per length scale: starts with a larger rms gradient are far from a minimum."""


class Relaxation(NamedTuple):
    """Names relaxations of one kind."""

    name: str
    potential: PotentialFn
    systems: System  # [n_starts], at their starts


def relaxations(tasks: list[Task], n_starts: int, budget: int, key) -> list[Relaxation]:
    """Draws starts of every task, and others near the minima that the untrained relaxation finds."""
    found = []
    for task, task_key in zip(tasks, jax.random.split(key, len(tasks)), strict=True):
        for_starts, for_rattle = jax.random.split(task_key)
        systems = draw_batch(task, jax.random.split(for_starts, n_starts))
        found.append(Relaxation(task.name, task.potential, systems))
        _, forces = jax.vmap(task.potential)(systems.positions, systems)
        if bool(jnp.any(jax.vmap(rms_gradient)(systems, forces) > FAR)):
            ends = _relaxed(task.potential, LearnedRelaxConfig(), budget, untrained_relaxation(), systems)
            noise = RATTLED * systems.length_scale[:, None, None] * jax.random.normal(for_rattle, ends.shape)
            near = ends + jnp.where(systems.movable[:, :, None], noise, 0.0)
            found.append(Relaxation(f"{task.name}, near", task.potential, systems._replace(positions=near)))
    return found


@partial(jax.jit, static_argnames=("potential", "config", "budget"))
def costs(potential: PotentialFn, config: LearnedRelaxConfig, budget: int, population, systems: System):
    """Returns the log evaluations of relaxations, `[n_members, len(TOLERANCES), n_starts]`.

    Between the evaluations before and after a tolerance is met, the logarithm of the largest force is taken as
    linear, so that small gains are seen; a relaxation that does not meet it counts as the whole budget.

    Args:
      potential: energy and forces.
      config: of the relaxation.
      budget: evaluations of a relaxation, a multiple of `config.refresh`.
      population: parameters with a leading axis `[n_members]`.
      systems: `[n_starts]`, at their starts.
    """

    def of_member(params):
        return _cost(_run(potential, config, budget, params, systems)[1], budget)

    return jax.vmap(of_member)(population)


@partial(jax.jit, static_argnames=("potential", "config", "budget"))
def _relaxed(potential, config, budget, params, systems):
    return _run(potential, config, budget, params, systems)[0].relax.positions


def _run(potential, config, budget, params, systems) -> tuple[LearnedRelaxState, jax.Array]:
    """Returns the last states and the largest forces `[budget, n_starts]`; the model of all is made anew together."""
    keys = jnp.zeros((systems.positions.shape[0], 2), jnp.uint32)
    states = jax.vmap(learned_relax(params, config).init)(keys, systems)
    forces = jnp.full((budget, systems.positions.shape[0]), jnp.inf, systems.positions.dtype)

    def one(state, metric):
        energy, force = potential(state.positions, state.system)
        gradient = jnp.where(state.system.movable[:, None], -force, 0.0)
        relax, proposal = controlled_step(params, config, state, energy, gradient, metric)
        largest = jnp.sqrt(jnp.max(jnp.sum(gradient * gradient, axis=1)))
        return state._replace(relax=relax, positions=proposal), largest

    def block(carry):
        first, states, forces = carry
        metrics = jax.vmap(inverse_model_hessian, (None, 0, 0))(params["springs"], states.positions, systems)
        states, largest = jax.lax.scan(
            lambda states, _: jax.vmap(one)(states, metrics), states, None, length=config.refresh
        )
        return first + config.refresh, states, jax.lax.dynamic_update_slice(forces, largest, (first, 0))

    def unfinished(carry):
        first, _, forces = carry
        return (first < budget) & jnp.any(jnp.min(forces, axis=0) >= min(TOLERANCES))

    _, states, forces = jax.lax.while_loop(unfinished, block, (jnp.int32(0), states, forces))
    return states, forces


def _cost(forces, budget: int):
    """Returns log evaluations `[len(TOLERANCES), n_starts]` from largest forces `[budget, n_starts]`."""
    logs = jnp.log(jnp.where(jnp.isfinite(forces), forces, 1e3))
    found = []
    for tolerance in TOLERANCES:
        met = forces < tolerance
        k = jnp.argmax(met, axis=0)
        before = jnp.take_along_axis(logs, jnp.maximum(k - 1, 0)[None], axis=0)[0]
        after = jnp.take_along_axis(logs, k[None], axis=0)[0]
        share = jnp.clip((before - math.log(tolerance)) / jnp.maximum(before - after, 1e-6), 0.0, 1.0)
        number = jnp.where(k > 0, k.astype(share.dtype) + share, 1.0)
        found.append(jnp.log(jnp.where(jnp.any(met, axis=0), number, float(budget))))
    return jnp.stack(found)
