"""Runs a population of parameters on one task: members times starts, all with the same random numbers. Layer 2.

Common random numbers: every member gets the same starts and the same random streams, so that their losses differ by
what they do and as little as possible by luck.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ..rollout import Trace, rollout
from ..types import Optimizer, PotentialFn, System
from .meta_loss import LARGEST, Goal, Outcome, checkpoints, evaluate
from .sharding import gather, keep_sharded, shard_members

WINDOW = 8
SEGMENT = 4
"""Windows of one compiled call: budgets of any length run the same program, and end when the walkers have. In a longer
one the whole batch runs for its last walkers, a shorter one waits for the answer more often."""
SLACK = 1.4
"""Windows in excess of budget / `WINDOW`: what walkers lose while they wait for their hop."""
SPENT = 0.98
"""Share of all evaluations after which the last stragglers are not waited for: the whole batch would run for them."""

PRECISION = "highest"
"""Of products of matrices in training: the default of GPUs, a mantissa of ten bits, is too coarse for positions."""

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

    return keep_sharded(jax.vmap(of_member)(population))


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
        # The potentials of tasks have no holes, and looking for fused atoms costs a part of every step.
        return rollout(
            build(params), potential, states, until, target, n_windows=SEGMENT, window=WINDOW, min_distance=0.0
        )

    return keep_sharded(jax.vmap(of_member)(population, states))


@partial(jax.jit, static_argnames=("potential", "kind", "clip"))
def judge(potential: PotentialFn, states, trace: Trace, goal: Goal, span, *, kind: str, clip: float) -> Outcome:
    """Returns what the runs came to, `[n_members, n_walkers]`.

    Args:
      potential: of the task.
      states: `[n_members, n_walkers]`, the last ones.
      trace: `[n_members, n_windows, n_walkers]`, from what was before the first segment on.
      goal: of the task.
      span: `[2]` evaluations before the first segment and after the last.
      kind: of the meta-loss.
      clip: of the meta-loss.
    """
    marks = checkpoints(span[1], span[0])

    def of_member(states, trace):
        last, _ = jax.vmap(potential)(states.positions, states.system)
        return evaluate(kind, trace, last, goal, marks, clip)

    return jax.vmap(of_member)(states, trace)


class Job(NamedTuple):
    """Says what a population is run on: the same for every member."""

    potential: PotentialFn
    keys: jax.Array  # [n_walkers, 2] random streams
    systems: System  # [n_walkers] at their starts
    goal: Goal
    target: jax.Array  # [] eV, a walker stops when it has evaluated an energy this low
    budget: int  # evaluations of a whole run


class Judging(NamedTuple):
    """Says how losses are computed."""

    kind: str = "checkpoints"
    clip: float = LARGEST


def run(
    build: Build, job: Job, population, judging: Judging | None = None, *, micro_batch: int | None = None
) -> Outcome:
    """Runs a population for a whole budget.

    Args:
      build: makes the optimizer of a member.
      job: what to run on.
      population: parameters with a leading axis `[n_members]`.
      judging: how losses are computed.
      micro_batch: members at once, which bounds the memory; None: all.

    Returns:
      The `Outcome`, arrays `[n_members, n_walkers]`.

    Raises:
      ValueError: the members are no multiple of `micro_batch`.
    """
    parts = []
    for part in split_members(population, micro_batch):
        outcome, _ = unroll(build, job, [part], start_runs(build, job, [part]), (0, job.budget), judging)
        parts.append(outcome)
    return jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *parts)


def split_members(population, micro_batch: int | None) -> list[Any]:
    """Returns the population in batches of members, each spread over all devices.

    Raises:
      ValueError: the members are no multiple of `micro_batch`.
    """
    n_members = jax.tree.leaves(population)[0].shape[0]
    size = n_members if micro_batch is None else micro_batch
    if size < 1 or n_members % size:
        raise ValueError(f"micro_batch is {micro_batch}; it must divide the {n_members} members of the population")
    firsts = range(0, n_members, size)
    return [
        shard_members(jax.tree.map(lambda leaf, first=first: leaf[first : first + size], population))
        for first in firsts
    ]


def start_runs(build: Build, job: Job, batches: Sequence[Any]) -> list[Any]:
    """Returns the states of all members before their first evaluation, batch by batch."""
    return [begin(build, members, job.keys, job.systems, jnp.float32(job.budget)) for members in batches]


def unroll(
    build: Build,
    job: Job,
    batches: Sequence[Any],
    runs: Sequence[Any],
    span: tuple[int, int],
    judging: Judging | None = None,
) -> tuple[Outcome, list[Any]]:
    """Rolls runs on by a part of their budget, each member with parameters that may be new.

    Args:
      build: makes the optimizer of a member.
      job: what they run on.
      batches: the population, see `split_members`.
      runs: their states, from `start_runs` or from the unroll before; given up.
      span: evaluations of a run before and after this part.
      judging: how losses are computed, from this part alone.

    Returns:
      The `Outcome`, arrays `[n_members, n_walkers]`, and the states.
    """
    kind, clip = judging or Judging()
    outcomes, after = [], []
    for members, before in zip(batches, runs, strict=True):
        states, trace = _roll(build, job, members, before, span)
        judged = judge(job.potential, states, trace, job.goal, jnp.array(span, jnp.float32), kind=kind, clip=clip)
        outcomes.append(gather(judged))
        after.append(states)
    return jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *outcomes), after


def warm_up(build: Build, job: Job, members, span: int, judging: Judging | None = None) -> None:
    """Compiles what `unroll` calls for parts of `span` evaluations, and throws away what comes of it."""
    kind, clip = judging or Judging()
    (states,) = start_runs(build, job, [members])
    states, _ = advance(build, job.potential, members, states, job.target, jnp.int32(1))
    shape = (*states.best_energy.shape[:1], SEGMENT * n_segments(span) + 1, *states.best_energy.shape[1:])
    trace = gather(Trace(jnp.zeros(shape, jnp.int32), jnp.zeros(shape, jnp.float32)))
    judge(job.potential, states, trace, job.goal, jnp.array((0, span), jnp.float32), kind=kind, clip=clip)


def _roll(build, job: Job, members, states, span: tuple[int, int]):
    """Returns the last states and the trace of all segments; what is left when all have ended is not run."""
    traces = [gather(Trace(states.n_evaluations[:, None], states.best_energy[:, None]))]
    until, n = jnp.int32(span[1]), n_segments(span[1] - span[0])
    for _ in range(n):
        states, trace = advance(build, job.potential, members, states, job.target, until)
        traces.append(gather(trace))
        best, spent = traces[-1].best_energy[:, -1], traces[-1].n_evaluations[:, -1]
        left = np.where(best <= np.asarray(job.target), 0, span[1] - spent)
        if np.mean(left) <= (1.0 - SPENT) * (span[1] - span[0]):
            break
    # As long as if no run had ended early, so that what judges is compiled once.
    last = jax.tree.map(lambda leaf: np.repeat(leaf[:, -1:], SEGMENT, axis=1), traces[-1])
    traces += [last] * (n + 1 - len(traces))
    return states, jax.tree.map(lambda *leaves: np.concatenate(leaves, axis=1), *traces)
