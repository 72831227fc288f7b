"""What is done in NumPy for one structure is what jax does: starts, random streams, models of the Hessian."""

from functools import partial

import jax
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from ase_learnedopt.optimizers import host_random, noise
from ase_learnedopt.optimizers.hop_relaxation import with_model
from ase_learnedopt.optimizers.host_start import start_learn2hop, start_learned_hop
from ase_learnedopt.optimizers.learn2hop import learn2hop
from ase_learnedopt.optimizers.learn2hop_network import Learn2HopConfig, random
from ase_learnedopt.optimizers.learned_hop import LearnedHopConfig, learned_hop
from ase_learnedopt.optimizers.policy import param_shapes
from ase_learnedopt.types import HOP, MODEL, STEP, System

SYSTEMS = {  # species, periodic, fixed atoms
    "cluster": ([0] * 6 + [-1], [False] * 3, []),
    "mixed cluster": ([0, 1] * 3 + [-1], [False] * 3, []),
    "mixed but for the fixed": ([0, 1] + [0] * 5, [False] * 3, [1]),
    "mixed bulk": ([0, 1] * 3 + [0], [True] * 3, []),
    "compound": ([0, 2] * 3 + [-1], [False] * 3, []),
    "alloy with oxygen": ([0, 1, 2] * 2 + [-1], [False] * 3, []),
    "molecules": ([0, 1] * 3 + [-1], [False] * 3, []),
}
RADII = np.array([1.3, 1.3, 0.6, 1.3])  # of species 0, 1, 2 and of padding


def make_system(name):
    species, pbc, fixed = SYSTEMS[name]
    n = len(species)
    movable = (np.array(species) >= 0) & ~np.isin(np.arange(n), fixed)
    positions = np.random.default_rng(0).normal(size=(n, 3))
    if name == "molecules":
        positions = 0.1 * positions + np.repeat(8.0 * np.arange(n)[:, None], 2, axis=0)[:n]
        positions[1::2, 0] += 2.6
    radii, cell = RADII[np.array(species)], 9.0 * np.eye(3)
    return System(
        positions, np.array(species, np.int32), cell, np.array(pbc), movable, radii, np.array(2.6), np.array(0.6)
    )


def make_params(scale):
    rng = np.random.default_rng(1)
    return {
        part: {key: scale * rng.normal(size=shape) for key, shape in arrays.items()}
        for part, arrays in param_shapes().items()
    }


@pytest.mark.parametrize("seed", [0, 12345678901])
def test_random_stream(dtype, seed):
    key = np.array([seed >> 32, seed & 0xFFFFFFFF], np.uint32)
    first, second = host_random.split(key)
    assert_array_equal(jax.random.split(key), [first, second])
    uniforms = host_random.uniforms(second, 40)
    (expected,) = noise.uniforms(second, dtype, (40,))
    assert_allclose(uniforms, expected, rtol=1e-15)
    assert_allclose(host_random.to_normal(uniforms), noise.to_normal(expected), rtol=1e-12)


@pytest.mark.usefixtures("dtype")
@pytest.mark.parametrize("scale", [0.0, 0.7])
@pytest.mark.parametrize("name", SYSTEMS)
def test_start_is_init(name, scale):
    system, params, config = make_system(name), make_params(scale), LearnedHopConfig()
    key = np.array([0, 5], np.uint32)
    expected = jax.jit(learned_hop(params, config).init)(key, system, np.array(300.0))
    found = start_learned_hop(params, config, key, system, 300.0)
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        assert isinstance(a, np.ndarray)
        assert a.dtype == b.dtype
        assert_allclose(a, b, rtol=1e-12, atol=1e-12)


@pytest.mark.usefixtures("dtype")
@pytest.mark.parametrize("variant", ["equivariant", "cartesian"])
@pytest.mark.parametrize("name", SYSTEMS)
def test_start_of_learn2hop_is_init(name, variant):
    system, config = make_system(name), Learn2HopConfig(variant=variant)
    params, key = random(config), np.array([0, 5], np.uint32)
    expected = jax.jit(learn2hop(params, config).init)(key, system, np.array(300.0))
    found = start_learn2hop(params, config, key, system, 300.0)
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        assert a.dtype == b.dtype
        assert_allclose(a, b, rtol=1e-12, atol=1e-14)


@pytest.mark.usefixtures("dtype")
@pytest.mark.parametrize("event", [MODEL, HOP])
@pytest.mark.parametrize("name", SYSTEMS)
def test_model_in_numpy_is_that_of_jax(name, event):
    key = np.array([0, 5], np.uint32)
    waiting = {"event": np.asarray(event, np.int32), "pending": np.asarray(event == MODEL)}
    state = start_learned_hop(make_params(0.0), LearnedHopConfig(), key, make_system(name), 300.0)._replace(**waiting)
    config = LearnedHopConfig()
    expected, found = jax.jit(partial(with_model, config))(state), with_model(config, state, np)
    assert int(found.event) == (STEP if event == MODEL else HOP)
    assert not found.pending
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        assert isinstance(a, np.ndarray) or np.isscalar(a)
        assert a.dtype == b.dtype
        assert_allclose(a, b, rtol=1e-9, atol=1e-9)
    assert np.abs(found.metric - state.metric).max() > 0.1
