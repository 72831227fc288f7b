"""The model of the energy: its features, what it learns, and how it knows how far to be trusted."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import SYSTEMS, make_system, precision
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import pdist
from scipy.spatial.transform import Rotation

from ase_learnedopt.optimizers import model_energy as module
from ase_learnedopt.optimizers.energy_features import (
    BEGIN,
    REACH,
    feature_gradients,
    features,
    list_pairs,
    morse_coefficients,
    n_features,
)
from ase_learnedopt.optimizers.energy_model import PRIORS, init_energy_model, learn, mean_coefficients, morse_priors
from ase_learnedopt.optimizers.hop_state import MOST_KINDS, count_kinds
from ase_learnedopt.optimizers.learned import load_learned
from ase_learnedopt.optimizers.model_energy import model_energy
from ase_learnedopt.potentials import gupta, gupta_scales
from ase_learnedopt.potentials import make_system as build_system

CASES = [(name, kinds) for name in SYSTEMS if name != "overlapping" for kinds in (1, 2, 3)]


def _learn_from(positions, system, kinds, energy, times, spread):
    """Returns a model that has learned from so many displaced geometries of an energy, `positions -> []`."""
    model, rng = init_energy_model(kinds, positions.dtype), np.random.default_rng(0)
    step = jax.jit(lambda m, x: learn(m, x, *jax.value_and_grad(energy)(x), system, kinds))
    for _ in range(times):
        moved = positions + jnp.asarray(spread * rng.normal(size=positions.shape), positions.dtype)
        model = step(model, jnp.where(system.movable[:, None], moved, positions))
    return model


def _relaxed_mixed():
    """Twelve atoms of two kinds, about a bond apart."""
    grid = np.array([[i, j, k] for i in range(3) for j in range(2) for k in range(2)]) * 1.15
    return make_system(grid, [0, 1] * 6)


@pytest.mark.parametrize(("name", "kinds"), CASES)
def test_gradients_of_features(dtype, name, kinds):
    system = make_system(**SYSTEMS[name], dtype=dtype)
    found = feature_gradients(system.positions, system, kinds)
    expected = jax.jacrev(lambda x: features(x, system, kinds))(system.positions)
    assert found.shape == (n_features(kinds), *system.positions.shape)
    scale = np.abs(expected).max(axis=(1, 2), keepdims=True) + 1e-3
    tolerance = 1e-3 if dtype == "float32" else 1e-9
    np.testing.assert_allclose(found / scale, expected / scale, atol=tolerance)


@pytest.mark.parametrize(("name", "kinds"), CASES)
def test_energy_is_the_sum_of_its_features(dtype, name, kinds):
    """And its gradient is that of the sum; with the model's repulsion below the distances it knows."""
    system = make_system(**SYSTEMS[name], dtype=dtype)
    coefficients = jnp.asarray(np.random.default_rng(4).normal(size=n_features(kinds)), dtype)
    model = init_energy_model(kinds, system.positions.dtype)
    atoms = np.asarray(system.species) >= 0

    def expected(x):
        pairs = list_pairs(x, system)
        ratio = jnp.where(pairs.valid, pairs.ratio, jnp.inf)
        core = 0.25 * module.CORE * jnp.sum(jnp.maximum(0.97 - ratio, 0.0) ** 2)
        return system.energy_scale * (coefficients @ features(x, system, kinds) + core)

    energy, gradient = model_energy(model, coefficients, system.positions, system, kinds)
    value, slope = jax.value_and_grad(expected)(system.positions)
    tolerance = 3e-4 if dtype == "float32" else 1e-9
    np.testing.assert_allclose(energy, value, rtol=tolerance)
    np.testing.assert_allclose(gradient, slope, atol=tolerance * np.abs(slope).max())
    assert np.all(np.asarray(gradient)[~atoms] == 0)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), angles=st.tuples(*[st.floats(-3, 3)] * 3), shift=st.floats(-5, 5))
def test_features_know_no_directions_and_no_order(seed, angles, shift):
    rng = np.random.default_rng(seed)
    x, species = rng.uniform(-1.8, 1.8, (12, 3)), np.array([0] * 7 + [1] * 5)
    order = np.concatenate([rng.permutation(7), 7 + rng.permutation(5)])
    turned = x[order] @ Rotation.from_rotvec(angles).as_matrix().T + shift
    with precision("float64"):
        a, b = (np.asarray(features(s.positions, s, 2)) for s in (make_system(y, species) for y in (x, turned)))
    np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-8)


def test_prior_is_a_morse_potential(dtype):
    x = np.random.default_rng(1).uniform(-1.2, 1.2, (7, 3))
    system = make_system(x, dtype=dtype)
    model = init_energy_model(1, system.positions.dtype)
    ratio = pdist(x) / float(2.0 * system.radii[0])
    t = np.clip((ratio - BEGIN) / (REACH - BEGIN), 0.0, 1.0)
    morse = np.exp(-13.0 * (np.maximum(ratio, 0.3) - 1.0)) - 2.0 * np.exp(-6.5 * (np.maximum(ratio, 0.3) - 1.0))
    core = 0.5 * module.CORE * np.sum(np.maximum(0.97 - ratio, 0.0) ** 2)
    expected = np.sum(morse * (1.0 - t**3 * (10.0 - 15.0 * t + 6.0 * t * t))) + core
    found, _ = model_energy(model, mean_coefficients(model), system.positions, system, 1)
    np.testing.assert_allclose(found, expected, rtol=1e-3 if dtype == "float32" else 1e-9)


def test_learns_what_least_squares_learns():
    """The same numbers as one regression on all rows at once, weighted as the docstring says."""
    with precision("float64"):
        system = _relaxed_mixed()
        target = morse_coefficients(2) + 0.02 * np.random.default_rng(3).normal(size=n_features(2))

        def energy(x):
            return jnp.asarray(target) @ features(x, system, 2)

        model = _learn_from(system.positions, system, 2, energy, 3, 0.05)
        rng, rows, wanted, zero = np.random.default_rng(0), [], [], None
        for _ in range(3):
            x = system.positions + 0.05 * rng.normal(size=system.positions.shape) * np.asarray(system.movable)[:, None]
            read, slopes = features(x, system, 2), feature_gradients(x, system, 2) * system.length_scale
            value, force = jax.value_and_grad(energy)(x)
            force = np.asarray(force * system.length_scale)
            zero = value if zero is None else zero
            square = np.sum(force**2, axis=1)
            noise = np.sqrt(0.05**2 + 0.1**2 * square * (1.0 + square / 20.0**2))[:12]
            rows += [np.asarray(read)[None] / np.sqrt(0.1**2 + square[:12].mean())]
            wanted += [np.array([value - zero]) / np.sqrt(0.1**2 + square[:12].mean())]
            rows += [(np.asarray(slopes)[:, :12] / noise[None, :, None]).reshape(len(target), -1).T]
            wanted += [(force[:12] / noise[:, None]).ravel()]
        a, b = np.concatenate(rows), np.concatenate(wanted)
        precise = a.T @ a + 0.01 * np.eye(len(target))
        expected = np.linalg.solve(precise, a.T @ b + 0.01 * morse_coefficients(2))
        np.testing.assert_allclose(mean_coefficients(model), expected, rtol=1e-5, atol=1e-6)


def test_foretells_a_potential_it_was_not_made_for(dtype):
    """Lennard-Jones, which is no sum of its functions: wrong at first, right after thirty evaluations."""
    rng = np.random.default_rng(5)
    grid = np.array([[i, j, k] for i in range(3) for j in range(2) for k in range(2)]) * 1.12
    system = make_system(grid + 0.05 * rng.normal(size=grid.shape), dtype=dtype)
    atoms = (system.species >= 0)[:, None]

    def energy(x):
        away = x[:, None] - x[None, :]
        pair = (atoms & atoms.T) & ~jnp.eye(len(x), dtype=bool)
        square = jnp.where(pair, jnp.sum(away * away, axis=-1), 1.0)
        return 2.0 * jnp.sum(jnp.where(pair, square**-6 - square**-3, 0.0))

    def wrong(model):
        coefficients, errors = mean_coefficients(model), []
        for seed in range(5):
            shift = 0.01 * np.random.default_rng(100 + seed).normal(size=system.positions.shape)
            x = system.positions + jnp.where(system.movable[:, None], jnp.asarray(shift, dtype), 0.0)
            foretold = model_energy(model, coefficients, x, system, 1)[1]
            true = jax.grad(energy)(x)
            errors.append(float(jnp.sqrt(jnp.mean((foretold - true) ** 2) / jnp.mean(true**2))))
        return np.mean(errors)

    before = wrong(init_energy_model(1, system.positions.dtype))
    model = _learn_from(system.positions, system, 1, energy, 30, 0.01)
    assert before > 0.3
    assert wrong(model) < 0.1


@pytest.mark.parametrize("elements", [("Cu",), ("Ag", "Au")])
def test_the_shipped_prior_knows_metals_better(elements):
    """Of potentials that it was not learned from: forces are foretold better from one evaluation at longer bonds."""
    with precision("float64"):
        kinds, potential, scales = len(elements), gupta(elements), gupta_scales(elements)
        grid = np.array([[i, j, k] for i in range(3) for j in range(2) for k in range(2)]) * 1.05
        system = build_system(np.arange(12) % kinds, scales, dtype="float64")

        def moved(rng, longer):
            return jnp.asarray((longer * grid + 0.03 * rng.normal(size=grid.shape)) * scales.length_scale)

        def wrong(priors, seed):
            rng = np.random.default_rng(seed)
            seen, other = moved(rng, 1.1), moved(rng, 1.0)
            energy, forces = potential(seen, system)
            model = init_energy_model(kinds, jnp.float64, jnp, priors)
            model = learn(model, seen, energy, -forces, system, kinds)
            foretold = model_energy(model, mean_coefficients(model), other, system, kinds)[1]
            return float(jnp.linalg.norm(foretold + potential(other, system)[1]))

        learned = load_learned("learned_hop", "learned_hop")[0]["prior"]
        found, untrained = ([wrong(priors, seed) for seed in range(8)] for priors in (learned, morse_priors()))
        assert np.median(found) < 0.7 * np.median(untrained)


def test_all_kinds_that_are_told_apart_have_a_learned_prior():
    learned = load_learned("learned_hop", "learned_hop")[0]["prior"]
    assert set(PRIORS) == set(range(1, MOST_KINDS + 1))
    for kinds in PRIORS:
        found, untrained = (np.asarray(init_energy_model(kinds, jnp.float32, jnp, p).root) for p in (learned, None))
        assert found.shape == untrained.shape == (n_features(kinds) + 1,) * 2
        assert not np.array_equal(found, untrained)


def test_what_is_no_energy_teaches_nothing(dtype):
    system = make_system(**SYSTEMS["mixed"], dtype=dtype)
    model = init_energy_model(2, system.positions.dtype)
    gradient = jnp.ones_like(system.positions)
    nan, inf = (jnp.asarray(x, system.positions.dtype) for x in (np.nan, np.inf))
    for energy, slope in ((inf, gradient), (nan, gradient), (inf, gradient * nan), (nan * 0.0, 1e6 * gradient)):
        after = learn(model, system.positions, energy, slope, system, 2)
        jax.tree.map(np.testing.assert_array_equal, after, model)


@pytest.mark.parametrize(
    ("species", "kinds"), [([7], 1), ([29, 29], 1), ([-1, 8, 1, 1], 2), ([1, 2, 3, 4, 5], 3), ([], 1)]
)
def test_kinds_are_counted(species, kinds):
    assert count_kinds(np.array(species)) == kinds
