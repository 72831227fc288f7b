"""Batched rollouts do what single walkers do, evaluation by evaluation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import CHUNK, SYSTEMS, build, lennard_jones, make_system, run

from ase_learnedopt.rollout import rollout, start

NEVER = -1e9


def _walkers(name, n_walkers=5, budget=np.inf):
    system = make_system(**SYSTEMS["lj13"])
    batch = jax.tree.map(lambda leaf: jnp.stack([leaf] * n_walkers), system)
    return start(build(name), jax.random.split(jax.random.PRNGKey(0), n_walkers), batch, budget)


@pytest.mark.parametrize("name", ["lbfgs", "basin_hopping", "learned_hop"])
def test_batch_equals_walkers_alone(dtype, name):
    state, trace = rollout(build(name), lennard_jones, _walkers(name), CHUNK, NEVER, n_windows=CHUNK, window=4)
    np.testing.assert_array_equal(state.n_evaluations, CHUNK)
    assert trace.best_energy.shape == (CHUNK, 5)
    assert np.all(np.diff(trace.best_energy, axis=0) <= 0)
    for k in range(5):
        alone, _ = run(build(name), jax.tree.map(lambda leaf, k=k: leaf[k], _walkers(name)), CHUNK)
        np.testing.assert_allclose(alone.best_energy, state.best_energy[k], rtol=1e-6)


def test_windows_change_nothing(dtype):
    def ended(window):  # a hop waits for the end of a window, and one that is imagined for the ends of several
        walkers, n_windows = _walkers("learned_hop"), 960 // window
        return rollout(build("learned_hop"), lennard_jones, walkers, 60, NEVER, n_windows=n_windows, window=window)[0]

    results = [ended(window) for window in (1, 6)]
    np.testing.assert_array_equal(results[0].n_evaluations, results[1].n_evaluations)
    np.testing.assert_allclose(results[0].best_energy, results[1].best_energy, rtol=1e-6)
    np.testing.assert_array_equal(results[0].n_hops, results[1].n_hops)


def test_a_walker_stops_at_its_target(dtype):
    state = _walkers("learned_hop")
    first, _ = rollout(build("learned_hop"), lennard_jones, state, 60, -20.0, n_windows=30, window=4)
    hit = np.asarray(first.best_energy) <= -20.0
    assert hit.any()
    assert np.all(np.asarray(first.n_evaluations)[hit] < 60)
    again, _ = rollout(build("learned_hop"), lennard_jones, first, 60, -20.0, n_windows=30, window=4)
    np.testing.assert_array_equal(np.asarray(again.n_evaluations)[hit], np.asarray(first.n_evaluations)[hit])
