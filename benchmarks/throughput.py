r"""Evaluations per second of batched rollouts on one core, and where the time goes.

    XLA_FLAGS="--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1" \
        taskset -c 0 python benchmarks/throughput.py

All walkers stay active; compile time is not counted. `advance` is an ordinary step with its evaluation, without hops;
the rest of the rollout is hops, waiting for them, and the selection of what each walker keeps.
"""

import argparse
import time

import jax
import jax.numpy as jnp

from ase_learnedopt.optimizers import OPTIMIZERS
from ase_learnedopt.potentials import cluster_system
from ase_learnedopt.rollout import rollout, start

NEVER = -1e9


def seconds(function, *args, n_repeats: int = 5) -> float:
    """Returns the shortest time of a call, after one to compile."""
    jax.block_until_ready(function(*args))
    times = []
    for _ in range(n_repeats):
        begin = time.perf_counter()
        jax.block_until_ready(function(*args))
        times.append(time.perf_counter() - begin)
    return min(times)


def main() -> None:
    """Prints one line for each size of batch."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--system", default="lj38")
    parser.add_argument("--method", default="learned_hop", choices=OPTIMIZERS)
    parser.add_argument("--walkers", default="16,64,256,1024")
    args = parser.parse_args()
    optimizer = OPTIMIZERS[args.method]()
    print(f"| {args.system}, {args.method}: walkers | evaluations/s | us per evaluation | potential | advance |")
    print("|---|---|---|---|---|", flush=True)
    for n_walkers in map(int, args.walkers.split(",")):
        keys = jax.random.split(jax.random.PRNGKey(0), 2 * n_walkers)
        systems = [cluster_system(args.system, key) for key in keys[:n_walkers]]
        potential = systems[0][0]
        batch = jax.tree.map(lambda *leaves: jnp.stack(leaves), *(system for _, system in systems))
        state = start(optimizer, keys[n_walkers:], batch, jnp.inf)

        def search(state, potential=potential):
            return rollout(optimizer, potential, state, 10**9, NEVER, n_windows=50)

        state, _ = search(state)  # away from the random starts, so that hops come at their usual rate
        before = int(state.n_evaluations.sum())
        evaluations = int(search(state)[0].n_evaluations.sum()) - before

        @jax.jit
        def alone(state, potential=potential):
            def step(positions, _):
                _, forces = jax.vmap(potential)(positions, state.system)
                return positions + 1e-9 * forces, None

            return jax.lax.scan(step, state.positions, None, length=100)[0]

        @jax.jit
        def steps(state, potential=potential):
            def step(state, _):
                energy, forces = jax.vmap(potential)(state.positions, state.system)
                return jax.vmap(optimizer.advance)(state, energy, forces), None

            return jax.lax.scan(step, state, None, length=100)[0]

        total = seconds(search, state)
        parts = [f"{1e4 * seconds(part, state) / n_walkers:.1f}" for part in (alone, steps)]
        rate, cost = evaluations / total, 1e6 * total / evaluations
        print(f"| {n_walkers} | {rate:,.0f} | {cost:.1f} | {parts[0]} | {parts[1]} |", flush=True)


if __name__ == "__main__":
    main()
