"""What single local optimizers promise beyond the contract: Adam's schedule and clipping, the two phases."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import SYSTEMS, lennard_jones, make_system, quadratic, run

from ase_learnedopt.optimizers import adam, basin_hopping, lbfgs, two_phase
from ase_learnedopt.optimizers.two_phase import _compression

pytestmark = pytest.mark.usefixtures("dtype")


def moves(optimizer, n, potential=lennard_jones, name="lj7"):
    """Returns how far the first component goes in each evaluation."""
    state = jax.jit(optimizer.init)(jax.random.PRNGKey(0), make_system(**SYSTEMS[name]))
    _, trajectory = run(optimizer, state, n, potential)
    return trajectory, np.diff(np.asarray(trajectory.positions)[:, 0, 0])


def test_adam_halves_its_rate():
    steady, halving = (moves(adam(learning_rate=1e-5, half_life=h), 60, quadratic)[1] for h in (np.inf, 20.0))
    expected = 0.5 ** (np.arange(1, 60) / 20.0)
    # The gradient hardly changes on so short a way, so every step is as long as the rate.
    np.testing.assert_allclose(halving / steady, expected, rtol=1e-2)


def test_adam_forgets_a_collision_when_gradients_are_clipped():
    plain, clipped = (moves(adam(clip=clip), 120, name="overlapping")[0].energies for clip in (np.inf, 30.0))
    assert clipped[-1] < -10.0 < plain[-1]


def test_compression_is_the_sum_of_distances(dtype):
    system = make_system(**SYSTEMS["lj7"], dtype=dtype)
    atoms = system.species >= 0
    value, slope = _compression(system.positions, atoms)
    x = np.asarray(system.positions)[np.asarray(atoms)]
    distances = np.linalg.norm(x[:, None] - x[None], axis=2)
    assert float(value) == pytest.approx(distances.sum() / 2, rel=1e-6)
    gradient = jax.grad(lambda p: _compression(p, atoms)[0])(system.positions)
    np.testing.assert_allclose(slope, gradient, rtol=1e-9, atol=1e-9)


def test_the_first_phase_compresses_and_ends():
    optimizer = two_phase(compression=2.0, compress_steps=60, compress_tolerance=0.0)
    system = make_system(**SYSTEMS["lj13"])
    state = jax.jit(optimizer.init)(jax.random.PRNGKey(0), system)
    assert bool(state.compressing)
    squeezed, _ = run(optimizer, state, 60)
    relaxed, _ = run(optimizer, squeezed, 120)
    assert not bool(relaxed.compressing)
    assert bool(relaxed.arrived)

    def size(state):
        return float(_compression(jnp.asarray(state.positions), state.system.species >= 0)[0])

    assert size(squeezed) < size(relaxed)


@pytest.mark.parametrize("name", ["periodic", "slab"])
def test_only_clusters_are_compressed(name):
    system = make_system(**SYSTEMS[name])
    states = [jax.jit(o.init)(jax.random.PRNGKey(0), system) for o in (two_phase(maxstep=0.25), lbfgs())]
    (_, ours), (_, plain) = (run(o, s, 60) for o, s in zip((two_phase(maxstep=0.25), lbfgs()), states, strict=True))
    np.testing.assert_allclose(ours.positions, plain.positions, rtol=0, atol=1e-6)  # but for rounding


def test_two_phase_basin_hopping_finds_the_icosahedron():
    optimizer = basin_hopping(two_phase(tolerance=0.02), kT=0.4)
    state = jax.jit(optimizer.init)(jax.random.PRNGKey(1), make_system(**SYSTEMS["lj13"]))
    state, _ = run(optimizer, state, 1200)
    assert float(state.best_energy) == pytest.approx(-44.326801, abs=1e-4)
