"""The loss against its definition in extended precision, its gradients against formulas, and what it refuses."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logsumexp, softmax

from ase_learnedopt.temperature import softmax_xent

BETAS = (1e-2, 1.0, 1e2)
SCALES = (1e-3, 1.0, 1e4)
few = settings(max_examples=25, deadline=None, derandomize=True)


def drawn(scale, seed=0, n=7, k=5):
    stream = np.random.default_rng(seed)
    return (scale * stream.normal(size=(n, k))).astype(np.float32), stream.integers(k, size=n)


def expected(logits, labels, beta):
    """Returns the losses `[n]` in float64, differences first."""
    z = logits.astype(float) - logits.astype(float).max(axis=-1, keepdims=True)
    return logsumexp(beta * z, axis=-1) - beta * z[np.arange(len(z)), labels]


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("beta", BETAS)
def test_values_and_gradients_in_float32(beta, scale):
    logits, labels = drawn(scale)
    value, (by_logits, by_beta) = jax.value_and_grad(lambda z, b: softmax_xent(z, labels, b), (0, 1))(
        jnp.asarray(logits), jnp.float32(beta)
    )
    np.testing.assert_allclose(value, expected(logits, labels, beta).mean(), rtol=3e-6, atol=1e-7)
    z = logits.astype(float)
    residual = softmax(beta * z, axis=-1) - np.eye(z.shape[1])[labels]
    np.testing.assert_allclose(by_logits, beta * residual / len(z), rtol=2e-4, atol=1e-6 * beta)
    z = z - z.max(axis=-1, keepdims=True)
    slope = np.sum(residual * z, axis=-1).mean()
    np.testing.assert_allclose(by_beta, slope, rtol=1e-4, atol=1e-6 * scale)


def test_logits_close_together_keep_their_digits():
    logits = jnp.asarray([[1e4, 1e4 + 0.01]], jnp.float32)
    gap = float(logits[0, 1]) - float(logits[0, 0])
    np.testing.assert_allclose(softmax_xent(logits, jnp.asarray([0]), 10.0), np.log1p(np.exp(10 * gap)), rtol=1e-5)


@given(shift=st.floats(-1e3, 1e3), beta=st.floats(0.01, 100.0), seed=st.integers(0, 100))
@few
def test_a_shift_of_all_logits_means_nothing_and_beta_scales_them(shift, beta, seed):
    logits, labels = drawn(1.0, seed)
    plain = softmax_xent(logits, labels, beta, "none")
    np.testing.assert_allclose(softmax_xent(logits + np.float32(shift), labels, beta, "none"), plain, atol=2e-3 * beta)
    np.testing.assert_allclose(
        softmax_xent(np.float32(beta) * logits, labels, 1.0, "none"), plain, rtol=1e-4, atol=1e-5
    )


def test_labels_of_all_kinds():
    logits, labels = drawn(3.0)
    hot = np.eye(5)[labels]
    plain = softmax_xent(logits, labels, 0.3)
    np.testing.assert_allclose(softmax_xent(logits, hot, 0.3), plain, rtol=1e-6)
    soft = 0.9 * hot + 0.02
    each = [float(softmax_xent(logits, np.full(7, k), 0.3, "none") @ soft[:, k]) for k in range(5)]
    np.testing.assert_allclose(softmax_xent(logits, soft, 0.3, "sum"), sum(each), rtol=1e-5)


def test_reductions_and_what_does_not_count():
    logits, labels = drawn(3.0)
    each = np.asarray(softmax_xent(logits, labels, reduction="none"))
    where = np.array([True, False, True, True, False, False, True])
    np.testing.assert_allclose(softmax_xent(logits, labels), each.mean(), rtol=1e-6)
    np.testing.assert_allclose(softmax_xent(logits, labels, reduction="sum"), each.sum(), rtol=1e-6)
    np.testing.assert_allclose(softmax_xent(logits, labels, where=where), each[where].mean(), rtol=1e-6)
    np.testing.assert_array_equal(softmax_xent(logits, labels, reduction="none", where=where), each * where)
    assert softmax_xent(logits, labels, where=np.zeros(7, bool)) == 0.0


def test_gradients_are_finite_where_something_does_not_count_or_is_ruled_out():
    logits, labels = drawn(3.0)
    logits[1] = np.nan
    logits[2, (labels[2] + 1) % 5] = -np.inf
    where = np.arange(7) != 1
    for y in (labels, np.eye(5)[labels]):
        gradients = jax.grad(lambda z, b, y=y: softmax_xent(z, y, b, where=where), (0, 1))(jnp.asarray(logits), 0.5)
        assert all(np.isfinite(part).all() for part in gradients)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"beta": 0.0}, "beta is 0; an inverse temperature is above zero"),
        ({"beta": -1.0}, "beta is -1"),
        ({"beta": np.nan}, "beta is nan"),
        ({"beta": np.ones(2)}, "give one number"),
        ({"reduction": "median"}, "reduction is 'median'; give one of mean, sum, none"),
        ({"labels": np.zeros(6, int)}, r"labels has the shape \(6,\); logits \(7, 5\) need integers \(7,\)"),
        ({"labels": np.zeros((7, 4))}, r"need probabilities \(7, 5\)"),
        ({"labels": np.full(7, 5)}, "labels range from 5 to 5; with 5 classes they are 0 to 4"),
        ({"labels": np.full(7, -1)}, "labels range from -1"),
        ({"labels": np.full((7, 5), 0.5)}, "labels are no probabilities"),
        ({"logits": np.float32(1.0)}, "logits is a single number"),
        ({"where": np.ones((7, 5), bool)}, r"where has the shape \(7, 5\)"),
    ],
)
def test_refusals(changes, message):
    logits, labels = drawn(1.0)
    with pytest.raises(ValueError, match=message):
        softmax_xent(**{"logits": logits, "labels": labels, **changes})


def test_beta_is_traced():
    logits, labels = drawn(1.0)
    compiled = jax.jit(softmax_xent)
    values = [float(compiled(logits, labels, b)) for b in BETAS]
    np.testing.assert_allclose(values, [expected(logits, labels, b).mean() for b in BETAS], rtol=1e-5)
    assert compiled._cache_size() == 1
