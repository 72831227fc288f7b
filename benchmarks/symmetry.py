"""Measures what symmetric starts of LearnedHop relax to, against random ones, before any hop.

    python benchmarks/symmetry.py

The table has, for every operation, how many starts were drawn, their mean evaluations, and how many of them relaxed to
the lowest energy known, each start with the deformation that a run begins with.
"""

import argparse
from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

CHUNK = 128
"""Starts relaxed at once; what a call leaves over is not drawn."""
MOST = 400
"""Evaluations after which a relaxation is left as it is."""
NEAR = 1e-2
"""Energy scales above the lowest known energy that still count."""


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--systems", default="lj38,lj55,lj75,si64", help="ljN or siN (default lj38,lj55,lj75,si64)")
    parser.add_argument(
        "--starts", type=int, default=1024, help="in cells half as many random ones, too (default 1024)"
    )
    parser.add_argument("--seed", type=int, default=91100, help="(default 91100)")
    arguments = parser.parse_args()
    print("| system | start | starts | evaluations | lowest energy | evaluations for one |")
    print("|---|---|---|---|---|---|")
    for name in arguments.systems.split(","):
        for label, spent, hits in measure(name, arguments.starts, arguments.seed):
            each = f"{spent.sum() / hits.sum():,.0f}" if hits.any() else f"> {spent.sum():,.0f}"
            row = (name, label, str(len(spent)), f"{spent.mean():.0f}", str(hits.sum()), each)
            print("| " + " | ".join(row) + " |", flush=True)


def measure(name: str, n_starts: int, seed: int) -> list[tuple[str, np.ndarray, np.ndarray]]:
    """Returns, for every kind of start, its name, evaluations `[n]` and whether the lowest energy was found `[n]`."""
    from ase_learnedopt.geometry import pushed_apart
    from ase_learnedopt.metatrain.tasks import draw_batch, lennard_jones_clusters, silicon_cells
    from ase_learnedopt.optimizers.learned import load_policy
    from ase_learnedopt.optimizers.learned_hop import learned_hop
    from ase_learnedopt.optimizers.noise import uniforms
    from ase_learnedopt.optimizers.symmetry import OPERATIONS, START_NOISE, init_operations, symmetric_start
    from ase_learnedopt.potentials import reference_minimum

    cell, n_atoms = name.startswith("si"), int(name[2:])
    (task,) = silicon_cells([n_atoms]) if cell else lennard_jones_clusters([n_atoms])
    lowest = -4.3366 * n_atoms if cell else reference_minimum(name)
    params, config = load_policy("learned_hop", "learned_hop")
    config = replace(config, imagined=0)  # how starts relax, not what a model makes of them
    optimizer = learned_hop(params, config)

    def symmetric(key, system):
        key, key_noise = jax.random.split(key)
        dtype = system.positions.dtype
        noise = uniforms(key_noise, dtype, *START_NOISE)
        positions, operation = symmetric_start(key, noise, init_operations(dtype), system)
        return system._replace(positions=pushed_apart(positions, system)), operation

    draw, relax = jax.jit(jax.vmap(symmetric)), relaxer(optimizer, config, task.potential)
    found: dict[str, list] = {}
    for chunk in range(n_starts // CHUNK):
        keys = jax.random.split(jax.random.PRNGKey(seed + chunk), CHUNK)
        systems = draw_batch(task, keys)
        kinds = [("none", systems, None)] if cell and chunk % 2 else []
        kinds.append(("symmetric", *draw(keys, systems)))
        for label, starts, operations in kinds:
            with jax.default_matmul_precision("float32"):
                state = relax(keys, starts)
            hits = np.asarray(state.relax.value - lowest) < NEAR * np.asarray(starts.energy_scale)
            for walker in range(CHUNK):
                kind = label if operations is None else OPERATIONS[int(operations[walker])]
                kind = "translations" if cell and label == "symmetric" else kind
                found.setdefault(kind, []).append((int(state.n_evaluations[walker]), bool(hits[walker])))
    return [(kind, *map(np.array, zip(*rows, strict=True))) for kind, rows in sorted(found.items())]


def relaxer(optimizer, config, potential):
    """Returns a function from keys and systems to the states of runs at their first minimum."""
    from ase_learnedopt.optimizers.hop_relaxation import with_model
    from ase_learnedopt.rollout import start
    from ase_learnedopt.types import MINIMUM, MODEL

    def one(state):
        energy, forces = potential(state.positions, state.system)
        new = optimizer.advance(state, energy, forces)
        new = jax.lax.cond(new.event == MODEL, partial(with_model, config), lambda s: s, new)
        ended = state.event == MINIMUM
        return jax.tree.map(lambda before, after: jnp.where(ended, before, after), state, new)

    def goes(state):
        return jnp.any(state.event != MINIMUM) & (jnp.max(state.n_evaluations) < MOST)

    run = jax.jit(lambda state: jax.lax.while_loop(goes, jax.vmap(one), state))
    return lambda keys, systems: run(start(optimizer, keys, systems))


if __name__ == "__main__":
    main()
