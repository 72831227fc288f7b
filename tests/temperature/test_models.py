"""Models of the table: shapes, their start, and what else is taken for a model."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ase_learnedopt.temperature.models import MODELS, Model, as_model, mlp

KEY = jax.random.key(0)
X = jnp.asarray(np.random.default_rng(0).normal(size=(200, 6)), jnp.float32)


def count(params):
    return sum(leaf.size for leaf in jax.tree.leaves(params))


def test_the_perceptron_is_in_the_table_and_gives_finite_logits():
    model = MODELS["mlp"]()
    assert model is mlp() is as_model("mlp")
    params = model.init(KEY, X, 3)
    logits = model.apply(params, X)
    assert logits.shape == (200, 3)
    assert logits.dtype == jnp.float32
    assert np.isfinite(logits).all()


@pytest.mark.parametrize(
    ("hidden", "layer_norm", "expected"),
    [
        ((), False, 7 * 3),
        (5, False, 7 * 5 + 6 * 3),
        ((5,), True, 7 * 5 + 5 + 6 * 3),
        ((5, 4), False, 7 * 5 + 6 * 4 + 5 * 3),
        (np.array([5, 4]), True, 7 * 5 + 5 + 6 * 4 + 4 + 5 * 3),
    ],
)
def test_mlp_has_these_parameters(hidden, layer_norm, expected):
    assert count(mlp(hidden, layer_norm).init(KEY, X, 3)) == expected


@pytest.mark.parametrize("layer_norm", [False, True])
def test_mlp_begins_with_logits_of_order_one(layer_norm):
    model = mlp((256, 256), layer_norm)
    logits = np.asarray(model.apply(model.init(KEY, X, 50), X))
    assert 0.5 < logits.std() < 2.0


def test_layer_norm_forgets_the_scale_of_its_inputs():
    model = mlp((16,), layer_norm=True)
    params = model.init(KEY, X, 3)
    np.testing.assert_allclose(model.apply(params, X), model.apply(params, 100.0 * X), rtol=1e-3, atol=1e-4)


def test_mlp_flattens_examples_and_takes_integers():
    model = mlp((4,))
    images = jnp.arange(2 * 3 * 2).reshape(2, 3, 2)
    params = model.init(KEY, images, 3)
    np.testing.assert_array_equal(
        model.apply(params, images), model.apply(params, images.reshape(2, 6).astype(jnp.float32))
    )


def test_the_same_settings_are_the_same_functions():
    assert mlp([8]) is mlp((8,))
    assert mlp((8,)) is not mlp((8,), layer_norm=True)


def test_pairs_of_functions_are_models():
    model = mlp((4,))
    assert as_model(tuple(model)) == model
    assert isinstance(as_model(tuple(model)), Model)


def test_flax_modules_are_models():
    linen = pytest.importorskip("flax.linen")
    module = linen.Dense(3)
    model = as_model(module)
    params = model.init(KEY, X, 3)
    np.testing.assert_array_equal(model.apply(params, X), module.apply({"params": params}, X))
    assert as_model(linen.Dense(3)).apply is model.apply
    listed = linen.Sequential([linen.Dense(3)])
    assert as_model(listed).apply is as_model(listed).apply
    assert as_model(listed).apply is not as_model(linen.Sequential([linen.Dense(3)])).apply
    with pytest.raises(ValueError, match="4 classes need"):
        model.init(KEY, X, 4)
    with pytest.raises(ValueError, match="keeps batch_stats beside params"):
        as_model(linen.BatchNorm(use_running_average=True)).init(KEY, X, 6)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: mlp((8, 0)), r"hidden is \(8, 0\)"),
        (lambda: mlp((8.5,)), r"hidden is \(8.5,\)"),
        (lambda: as_model("perceptron"), "model is 'perceptron'; give one of mlp, cnn, wide_resnet, resnet50, gru"),
        (lambda: as_model((1, 2)), r"model is \(1, 2\)"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(ValueError, match=message):
        call()
