"""Measures what meta-training costs beside the rollouts it consists of: evaluations per second on LJ38.

    taskset -c 0 python benchmarks/training_speed.py        one core
    python benchmarks/training_speed.py                     all of them, or a GPU where jax sees one

Three figures for each optimizer, on equally many walkers: `potential`, energy and forces alone; `rollout`, the
optimizer with one set of parameters on them; `training`, whole outer steps of a population, with a set of its own for
each member, strategy, losses and all. Measured in turn, after a round that compiles, so that a machine that slows down
slows all three; medians of the rounds.
"""

import argparse
import os
import time
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from ase_learnedopt.metatrain.config_file import parse_config
from ase_learnedopt.metatrain.sharding import shard_members, use_cores
from ase_learnedopt.metatrain.tasks import FAMILIES, draw_batch
from ase_learnedopt.metatrain.trainer import Trainer
from ase_learnedopt.optimizers.learned import LEARNED
from ase_learnedopt.rollout import rollout, start


def main() -> None:
    """Prints a row for each optimizer."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", default="lj38", help="a Lennard-Jones cluster (default lj38)")
    parser.add_argument("--members", type=int, default=48, help="of the population (default 48)")
    parser.add_argument("--starts", type=int, default=16, help="of each member (default 16)")
    parser.add_argument("--budget", type=int, default=512, help="evaluations of a run (default 512)")
    parser.add_argument("--repeats", type=int, default=4, help="rounds (default 4)")
    arguments = parser.parse_args()
    use_cores(arguments.members)
    device = jax.devices()[0].device_kind
    print(
        f"{arguments.task}, {arguments.members} x {arguments.starts} walkers, {device}, "
        f"{_n_cores()} cores, jax {jax.__version__}"
    )
    print(f"{'optimizer':<14}{'potential':>12}{'rollout':>12}{'training':>12}  FE/s, overhead of training over rollout")
    for name in LEARNED:
        measured = _potential(arguments), _rollout(name, arguments), _training(name, arguments)
        rates = np.array([[_rate(once) for once in measured] for _ in range(arguments.repeats + 1)][1:])
        bare, rolled, trained = np.median(rates, axis=0)
        overhead = 100 * (rates[:, 1] / rates[:, 2] - 1)
        print(
            f"{name:<14}{bare:12,.0f}{rolled:12,.0f}{trained:12,.0f}  {np.median(overhead):+.0f} % "
            f"({overhead.min():+.0f} to {overhead.max():+.0f})",
            flush=True,
        )


def _n_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _task(arguments):
    (task,) = FAMILIES["lennard_jones"](sizes=[int(arguments.task.removeprefix("lj"))])
    return task, draw_batch(task, jax.random.split(jax.random.PRNGKey(0), arguments.members * arguments.starts))


def _as_members(tree, arguments):
    """Returns arrays `[n_members, n_starts, ..]`, the members spread over all devices."""
    shape = arguments.members, arguments.starts
    return shard_members(jax.tree.map(lambda leaf: leaf.reshape(*shape, *leaf.shape[1:]), tree))


def _rate(once: Callable[[], int]) -> float:
    """Returns the evaluations per second of a call that returns how many it made."""
    begin = time.perf_counter()
    return once() / (time.perf_counter() - begin)


def _potential(arguments) -> Callable[[], int]:
    task, systems = _task(arguments)
    steps, systems = arguments.budget, _as_members(systems, arguments)

    @jax.jit
    def descend(systems):
        def step(_, positions):
            _, forces = jax.vmap(jax.vmap(task.potential))(positions, systems)
            return positions + 1e-6 * jnp.clip(forces, -1.0, 1.0)

        return jax.lax.fori_loop(0, steps, step, systems.positions)

    def once():
        jax.block_until_ready(descend(systems))
        return steps * arguments.members * arguments.starts

    return once


def _rollout(name: str, arguments) -> Callable[[], int]:
    task, systems = _task(arguments)
    entry = LEARNED[name]
    config = entry.config()
    optimizer = entry.build(next(iter(entry.starts.values()))(config, 0), config)
    keys = jax.random.split(jax.random.PRNGKey(1), len(systems.positions))
    keys, systems = _as_members((keys, systems), arguments)

    @jax.jit
    def roll(keys, systems):
        def of_member(keys, systems):
            state = start(optimizer, keys, systems, jnp.float32(arguments.budget))
            n_windows = arguments.budget // 8
            return rollout(optimizer, task.potential, state, jnp.int32(2**30), -np.inf, n_windows=n_windows)[0]

        return jax.vmap(of_member)(keys, systems).n_evaluations

    def once():
        return int(jnp.sum(roll(keys, systems)))

    return once


def _training(name: str, arguments) -> Callable[[], int]:
    config = parse_config(
        {
            "optimizer": {"name": name},
            "rollout": {"budget": arguments.budget, "starts": arguments.starts},
            "strategy": {"members": arguments.members, "perturbation": 1e-3, "learning_rate": 1e-6},
            "families": [{"family": "lennard_jones", "sizes": [int(arguments.task.removeprefix("lj"))]}],
        }
    )
    trainer = Trainer(config)
    state = trainer.begin()

    def once():
        nonlocal state
        before = state.evaluations
        state, _ = trainer.step(state)
        jax.block_until_ready(state.strategy)
        return state.evaluations - before

    return once


if __name__ == "__main__":
    main()
