"""Runs many walkers of one optimizer at once on a potential in JAX; needs no ASE."""

import jax
import jax.numpy as jnp

from ase_learnedopt.optimizers import learned_hop
from ase_learnedopt.potentials import cluster_system
from ase_learnedopt.rollout import rollout, start


def main(n_steps=2000, n_walkers=8, name="lj13"):
    """Returns the lowest energy of each walker, `[n_walkers]` eV, after at most `n_steps` evaluations each."""
    potential, _ = cluster_system(name)
    keys = jax.random.split(jax.random.PRNGKey(0), (2, n_walkers))
    systems = jax.jit(jax.vmap(lambda key: cluster_system(name, key)[1]))(keys[0])
    optimizer = learned_hop()
    state = start(optimizer, keys[1], systems, n_steps)
    state, _ = rollout(optimizer, potential, state, n_steps, -jnp.inf, n_windows=max(1, n_steps // 8))
    print(jnp.sort(state.best_energy))
    return state.best_energy


if __name__ == "__main__":
    main()
