"""What Learn2Hop promises beyond the contract: symmetries of what it reads and writes, its variants, its events."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import SYSTEMS, lennard_jones, make_system, precision, quadratic, run
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from ase_learnedopt.optimizers.learn2hop import _random_rotation, learn2hop
from ase_learnedopt.optimizers.learn2hop_features import (
    VECTORS,
    Draws,
    Progress,
    init_moments,
    pull,
    read,
    update_moments,
)
from ase_learnedopt.optimizers.learn2hop_network import HOP_OUTPUTS, KICK, Learn2HopConfig, random, silent
from ase_learnedopt.optimizers.learned import LEARNED
from ase_learnedopt.types import HOP, MINIMUM

pytestmark = pytest.mark.usefixtures("dtype")
few_seeds = settings(
    max_examples=8, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
CONFIGS = {name: Learn2HopConfig(variant=name) for name in ("equivariant", "cartesian")}
KEY = jax.random.PRNGKey(0)


def seen(system, slopes, numbers):
    """Returns what the network reads after gradients `[n_steps, n_atoms, 3]`, with random numbers `[2, n_atoms]`."""
    moments = init_moments(system.positions)._replace(last_move=0.1 * slopes[0])
    for slope in slopes:
        moments = update_moments(moments, slope)
    dtype = system.positions.dtype
    progress = Progress(*(jnp.asarray(x, dtype) for x in (0.3, len(slopes), 1.5, -0.2, 2.0, 3.0)))
    draws = Draws(numbers[0], jnp.asarray(0.4, dtype))
    return read(numbers[1], draws, system.positions, system, slopes[-1], 0.05 * slopes[1:3], moments, progress)


def uniform(system, seed=1):
    return jnp.asarray(np.random.default_rng(seed).uniform(size=(2, len(system.positions))), system.positions.dtype)


def gradients(system, seed=0):
    return jnp.asarray(np.random.default_rng(seed).normal(size=(4, *system.positions.shape)), system.positions.dtype)


@pytest.mark.parametrize("name", ["mixed", "lj13"])
@given(seed=st.integers(0, 1000))
@few_seeds
def test_numbers_stay_and_vectors_turn(name, seed):
    with precision("float64"):
        system = make_system(**SYSTEMS[name])
        slopes = gradients(system)
        rotation = jnp.asarray(Rotation.random(random_state=seed).as_matrix())
        shift = jnp.asarray([3.0, -1.0, 2.0])
        turned = system._replace(positions=system.positions @ rotation.T + shift[None, :])
        scalars, vectors = seen(system, slopes, uniform(system))
        again, turned_vectors = seen(turned, slopes @ rotation.T, uniform(system))
        np.testing.assert_allclose(again, scalars, atol=1e-9)
        np.testing.assert_allclose(turned_vectors, vectors @ rotation.T, atol=1e-9)


@given(seed=st.integers(0, 1000))
@few_seeds
def test_the_order_of_atoms_and_the_names_of_elements_mean_nothing(seed):
    with precision("float64"):
        system = make_system(**SYSTEMS["mixed"])
        slopes = gradients(system)
        order = np.random.default_rng(seed).permutation(len(system.positions))
        rows = ("positions", "species", "movable", "radii")
        permuted = system._replace(**{field: getattr(system, field)[order] for field in rows})
        renamed = permuted._replace(species=jnp.where(permuted.species >= 0, 5 - permuted.species, -1))
        scalars, vectors = seen(system, slopes, uniform(system))
        for other in (permuted, renamed):
            found = seen(other, slopes[:, order], uniform(system)[:, order])
            np.testing.assert_allclose(found[0], scalars[:, order], atol=1e-9)
            np.testing.assert_allclose(found[1], vectors[:, order], atol=1e-9)


@given(length=st.floats(0.2, 5.0), energy=st.floats(0.01, 100.0))
@few_seeds
def test_units_mean_nothing(length, energy):
    """A run of the same structure in other units takes the same steps, in those units."""
    with precision("float64"):
        config = CONFIGS["equivariant"]
        optimizer = learn2hop(random(config, 3), config)
        system = make_system(**SYSTEMS["lj7"])

        def scaled(positions, system):
            value, forces = lennard_jones(positions / length, system)
            return energy * value, energy / length * forces

        other = system._replace(
            positions=length * system.positions,
            radii=length * system.radii,
            length_scale=length * system.length_scale,
            energy_scale=energy * system.energy_scale,
        )
        states = [jax.jit(optimizer.init)(KEY, s) for s in (system, other)]
        (_, plain), (_, units) = run(optimizer, states[0], 20), run(optimizer, states[1], 20, scaled)
        np.testing.assert_allclose(units.positions / length, plain.positions, atol=1e-6)


@pytest.mark.parametrize("name", ["periodic", "slab"])
def test_no_centroid_in_periodic_systems(name):
    system = make_system(**SYSTEMS[name])
    _, vectors = seen(system, gradients(system), uniform(system))
    assert not np.asarray(vectors[VECTORS.index("from centroid")]).any()


@pytest.mark.parametrize("variant", CONFIGS)
def test_untrained_networks_stay_finite_and_count(variant):
    config = CONFIGS[variant]
    optimizer = learn2hop(random(config, 1), config)
    for name in ("overlapping", "periodic", "far"):
        state = jax.jit(optimizer.init)(KEY, make_system(**SYSTEMS[name]), 100.0)
        state, trajectory = run(optimizer, state)
        assert np.isfinite(trajectory.positions).all()


@pytest.mark.parametrize("variant", CONFIGS)
def test_moves_are_at_most_maxstep(variant):
    config = Learn2HopConfig(variant=variant, maxstep=0.2)
    params = random(config, 1)
    params["hop"]["weights"] = params["hop"]["weights"].at[:, -1].set(0.0)  # returns have any length
    optimizer = learn2hop(params, config)
    state = jax.jit(optimizer.init)(KEY, make_system(**SYSTEMS["overlapping"]), 100.0)
    state, trajectory = run(optimizer, state)
    longest = np.linalg.norm(np.diff(trajectory.positions, axis=0), axis=-1).max()
    assert longest <= config.maxstep * float(state.system.length_scale) * (1 + 1e-6)


@pytest.mark.parametrize("variant", CONFIGS)
def test_noise_is_the_keys(variant):
    config = CONFIGS[variant]
    optimizer = learn2hop(random(config, 1), config)
    system = make_system(**SYSTEMS["lj13"])
    first, again, other = (
        run(optimizer, jax.jit(optimizer.init)(jax.random.PRNGKey(seed), system))[0].positions for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert np.abs(np.asarray(first) - np.asarray(other)).max() > 1e-3


def test_a_minimum_is_reported_each_time_it_is_entered():
    optimizer = learn2hop(silent(Learn2HopConfig()))
    system = make_system(np.full((14, 3), 1e-5))
    state, trajectory = run(optimizer, jax.jit(optimizer.init)(KEY, system), 60, quadratic)
    for _ in range(2):
        events = [event for event in trajectory.events.tolist() if event in (MINIMUM, HOP)]
        assert events[::2] == [MINIMUM] * len(events[::2])  # entered and left in turn
        assert events[1::2] == [HOP] * len(events[1::2])
        assert len(events) % 2 == 1
        away = state._replace(positions=state.positions + 1.0, arrived=jnp.zeros((), bool))
        state, trajectory = run(optimizer, away, 60, quadratic)


def test_leaving_a_minimum_is_reported_as_a_hop():
    optimizer, system = learn2hop(silent(Learn2HopConfig())), make_system(np.full((14, 3), 1e-5))
    state, _ = run(optimizer, jax.jit(optimizer.init)(KEY, system), 20, quadratic)
    assert state.arrived
    _, trajectory = run(optimizer, state._replace(positions=state.positions + 1.0), 20, quadratic)
    assert trajectory.events[0] == HOP
    assert trajectory.events.tolist().count(HOP) == 1


def written(biases):
    """Returns an optimizer whose network writes these outputs whatever it reads."""
    config = Learn2HopConfig()
    params = jax.tree.map(jnp.asarray, silent(config))
    for part, names in (("move", (*VECTORS, "log magnitude")), ("hop", HOP_OUTPUTS)):
        params[part]["bias"] = jnp.array([biases.get(name, 0.0) for name in names])
    return learn2hop(params, config)


def test_a_return_leads_to_the_best_geometry_and_half_of_one_half_way():
    system = make_system(**SYSTEMS["lj7"])
    energy, forces = lennard_jones(system.positions, system)
    best = system.positions + 0.3
    for share in (1.0, 0.5):
        optimizer = written({"return to best": share / 2})
        state = jax.jit(optimizer.init)(KEY, system)
        state = state._replace(best_positions=best, best_energy=energy - 1.0, last_energy=energy)
        state = state._replace(n_evaluations=state.n_evaluations + 1)
        state = optimizer.update(state, energy, forces)
        np.testing.assert_allclose(state.positions, system.positions + share * 0.3, atol=1e-5)


def test_a_kick_is_normal_and_as_large_as_written():
    system = make_system(**SYSTEMS["far"])
    optimizer = written({"kick": 0.02})
    state = jax.jit(optimizer.init)(KEY, system)
    zero = jnp.zeros((), system.positions.dtype)
    moves = [
        optimizer.update(state._replace(key=key), zero, jnp.zeros_like(system.positions)).positions - system.positions
        for key in jax.random.split(KEY, 100)
    ]
    moves = np.asarray(moves)[:, np.asarray(system.movable)]
    assert moves.std() == pytest.approx(0.02 * KICK * float(system.length_scale), rel=0.1)


@pytest.mark.parametrize(("name", "is_pressed"), [("lj13", True), ("periodic", False), ("slab", False)])
def test_a_press_makes_free_clusters_smaller(name, is_pressed):
    system = make_system(**SYSTEMS[name])
    force = pull(system.positions, system)
    assert np.asarray(force).any() == is_pressed
    if is_pressed:
        offset = np.asarray(system.positions) - np.asarray(system.positions).mean(axis=0)
        assert (np.sum(np.asarray(force) * offset, axis=1)[np.asarray(system.movable)] > 0).all()
        pressed, plain = written({"press": 0.5, "quasi-Newton step": 1.0}), written({"quasi-Newton step": 1.0})
        radii = []
        for optimizer in (pressed, plain):
            state, _ = run(optimizer, jax.jit(optimizer.init)(KEY, system), 60)
            radii.append(np.asarray(state.positions).std(axis=0).mean())
        assert radii[0] < 0.97 * radii[1]


def test_there_is_no_silent_cartesian_network():
    with pytest.raises(ValueError, match="cartesian network must be trained"):
        silent(CONFIGS["cartesian"])


def test_frames_are_rotations_in_all_directions():
    with precision("float64"):
        frames = np.stack([_random_rotation(key, jnp.float64) for key in jax.random.split(KEY, 400)])
        np.testing.assert_allclose(
            frames @ frames.transpose(0, 2, 1), np.broadcast_to(np.eye(3), (400, 3, 3)), atol=1e-9
        )
        assert np.linalg.det(frames) == pytest.approx(1.0)
        assert np.abs(frames.mean(axis=0)).max() < 0.12


@pytest.mark.parametrize("variant", CONFIGS)
@pytest.mark.parametrize("start", LEARNED["learn2hop"].starts)
def test_shapes_are_those_of_the_table(variant, start):
    config = Learn2HopConfig(variant=variant, hidden=[8, 4])
    if (variant, start) == ("cartesian", "hops"):
        with pytest.raises(ValueError, match="cartesian network cannot start with hops"):
            LEARNED["learn2hop"].starts[start](config, 0)
        return
    params = LEARNED["learn2hop"].starts[start](config, 0)
    expected = LEARNED["learn2hop"].shapes(config)
    assert {name: {key: value.shape for key, value in part.items()} for name, part in params.items()} == expected


def test_unknown_variant():
    with pytest.raises(ValueError, match="variant is 'spherical'; give one of equivariant, cartesian"):
        Learn2HopConfig(variant="spherical")
