"""Runs a population of parameters on one task: members times starts, all with the same random numbers. Layer 2.

Common random numbers: every member gets the same starts and the same random streams, so that their losses differ by
what they do and as little as possible by luck.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from ..rollout import Trace, rollout
from ..types import Optimizer, PotentialFn, System
from .meta_loss import LARGEST, Goal, Outcome, evaluate
from .sharding import gather, shard_members

WINDOW = 8
SEGMENT = 32
"""Windows of one compiled call: budgets of any length run the same program, and end when all walkers have."""
SLACK = 1.15
"""Windows in excess of budget / `WINDOW`: what walkers lose while they wait for their hop."""

Build = Callable[[Any], Optimizer]
"""params -> optimizer; one object for a run, because what is compiled is kept by it."""


def n_segments(budget: int) -> int:
    """Returns the segments in which nearly every walker spends its budget."""
    return max(1, math.ceil(SLACK * budget / (WINDOW * SEGMENT)))


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


@partial(jax.jit, static_argnames=("build", "potential"), donate_argnames=("states",))
def advance(build: Build, potential: PotentialFn, population, states, target, until):
    """Rolls all members on by a segment.

    Args:
      build: makes the optimizer of a member.
      potential: of the task.
      population: parameters with a leading axis `[n_members]`.
      states: `[n_members, n_walkers]`, from `begin` or from the call before; given up.
      target: `[]` eV, a walker stops when it has evaluated an energy this low.
      until: `[]` int32, a walker stops when it has evaluated this often.

    Returns:
      The states, and the `Trace` `[n_members, SEGMENT, n_walkers]`.
    """

    def of_member(params, states):
        return rollout(build(params), potential, states, until, target, n_windows=SEGMENT, window=WINDOW)

    return jax.vmap(of_member)(population, states)


@partial(jax.jit, static_argnames=("potential", "kind", "clip"))
def judge(potential: PotentialFn, states, trace: Trace, goal: Goal, budget, *, kind: str, clip: float) -> Outcome:
    """Returns what the runs came to, `[n_members, n_walkers]`.

    Args:
      potential: of the task.
      states: `[n_members, n_walkers]`, the last ones.
      trace: `[n_members, n_windows, n_walkers]`, of all segments.
      goal: of the task.
      budget: `[]` evaluations of a whole run.
      kind: of the meta-loss.
      clip: of the meta-loss.
    """

    def of_member(states, trace):
        last, _ = jax.vmap(potential)(states.positions, states.system)
        return evaluate(kind, trace, last, goal, budget, clip)

    return jax.vmap(of_member)(states, trace)


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
    """Runs a population on the same starts for a whole budget, see `begin`, `advance` and `judge`.

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
        states, trace = _run_members(build, potential, shard_members(members), keys, systems, target, budget)
        parts.append(gather(judge(potential, states, trace, goal, jnp.float32(budget), kind=kind, clip=clip)))
    return jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *parts)


def _run_members(build, potential, members, keys, systems, target, budget: int):
    """Returns the last states and the whole trace; what is left of the budget when all have ended is not run."""
    states, traces = begin(build, members, keys, systems, jnp.float32(budget)), []
    for _ in range(n_segments(budget)):
        states, trace = advance(build, potential, members, states, target, jnp.int32(budget))
        traces.append(trace)
        if bool(jnp.all((trace.n_evaluations[:, -1] >= budget) | (trace.best_energy[:, -1] <= target))):
            break
    return states, jax.tree.map(lambda *leaves: jnp.concatenate(leaves, axis=1), *traces)
