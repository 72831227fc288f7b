"""Runs a population of parameters on one task: members times starts, all with the same random numbers. Layer 2.

Common random numbers: every member gets the same starts and the same random streams, so that their losses differ by
what they do and as little as possible by luck.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from ..rollout import rollout
from ..types import Optimizer, PotentialFn, System
from .meta_loss import LARGEST, Goal, Outcome, evaluate

WINDOW = 8
SLACK = 1.15
"""Windows in excess of budget / `WINDOW`: what walkers lose while they wait for their hop."""

Build = Callable[[Any], Optimizer]
"""params -> optimizer; one object for a run, because what is compiled is kept by it."""


def n_windows(budget: int) -> int:
    """Returns the windows in which nearly every walker spends its budget."""
    return max(1, -(-int(SLACK * budget) // WINDOW))


@partial(jax.jit, static_argnames=("build",))
def begin(build: Build, population, keys, systems: System, budget):
    """Returns the states `[n_members, n_walkers]` before the first evaluation.

    Args:
      build: makes the optimizer of a member.
      population: parameters with a leading axis `[n_members]`.
      keys: `[n_walkers, 2]` random streams, the same for every member.
      systems: `[n_walkers]`, at their starts.
      budget: `[]` evaluations of a whole run.
    """

    def of_member(params):
        init = build(params).init
        return jax.vmap(lambda key, system: init(key, system, budget))(keys, systems)

    return jax.vmap(of_member)(population)


@partial(jax.jit, static_argnames=("build", "potential", "n_windows", "budget", "kind", "clip"))
def advance(
    build: Build,
    potential: PotentialFn,
    population,
    states,
    goal: Goal,
    target,
    until,
    *,
    n_windows: int,
    budget: int,
    kind: str = "checkpoints",
    clip: float = LARGEST,
):
    """Rolls all members on, a whole run or a part of it.

    Args:
      build: makes the optimizer of a member.
      potential: of the task.
      population: parameters with a leading axis `[n_members]`.
      states: `[n_members, n_walkers]`, from `begin` or from the call before.
      goal: of the task.
      target: `[]` eV, a walker stops when it has evaluated an energy this low.
      until: `[]` int32, evaluations of each walker after this call.
      n_windows: of the rollout.
      budget: evaluations of a whole run, whose checkpoints the loss is taken at.
      kind: of the meta-loss.
      clip: of the meta-loss.

    Returns:
      The states, and the `Outcome` `[n_members, n_walkers]`.
    """

    def of_member(params, states):
        optimizer = build(params)
        states, trace = rollout(optimizer, potential, states, until, target, n_windows=n_windows, window=WINDOW)
        last, _ = jax.vmap(potential)(states.positions, states.system)
        return states, evaluate(kind, trace, last, goal, budget, clip)

    return jax.vmap(of_member)(population, states)


def run(
    build: Build,
    potential: PotentialFn,
    population,
    keys,
    systems: System,
    goal: Goal,
    target,
    *,
    budget: int,
    kind: str = "checkpoints",
    clip: float = LARGEST,
    micro_batch: int | None = None,
) -> Outcome:
    """Runs a population on the same starts for a whole budget.

    Args:
      micro_batch: members at once, which bounds the memory; None: all.

    Returns:
      The `Outcome`, arrays `[n_members, n_walkers]`.

    Raises:
      ValueError: the members are no multiple of `micro_batch`.
    """
    n_members = jax.tree.leaves(population)[0].shape[0]
    size = n_members if micro_batch is None else micro_batch
    if size < 1 or n_members % size:
        raise ValueError(f"micro_batch is {micro_batch}; it must divide the {n_members} members of the population")
    parts = []
    for first in range(0, n_members, size):
        members = jax.tree.map(lambda leaf, first=first: leaf[first : first + size], population)
        states = begin(build, members, keys, systems, jnp.float32(budget))
        how = {"n_windows": n_windows(budget), "budget": budget, "kind": kind, "clip": clip}
        _, outcome = advance(build, potential, members, states, goal, target, jnp.int32(budget), **how)
        parts.append(outcome)
    return jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *parts)
