"""Diagnostics against finite differences and dense kernels, their laws of scaling, and a step as they foretell it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ase_learnedopt.temperature import diagnose, offset_start, softmax_xent, two_copies
from ase_learnedopt.temperature.theory import centred, kernel_times, largest_eigenvalue, rms

N, D, H, K = 40, 6, 16, 4


def mlp(params, x):
    return jnp.tanh(x @ params["in"]) @ params["out"]


def linear(params, x):
    return x @ params["out"]


def drawn(seed=0):
    stream = np.random.default_rng(seed)
    return {
        "in": jnp.asarray(stream.normal(size=(D, H)) / D**0.5, jnp.float32),
        "out": jnp.asarray(stream.normal(size=(H, K)) / H**0.5, jnp.float32),
    }


@pytest.fixture(scope="module")
def data():
    stream = np.random.default_rng(5)
    centers = stream.normal(size=(K, D))
    y = stream.integers(K, size=N)
    return jnp.asarray(centers[y] + 0.5 * stream.normal(size=(N, D)), jnp.float32), y


def dense_kernel(params, x):
    """Returns J J^T / N as a matrix `[N * K, N * K]`."""
    jacobian = jax.jacobian(lambda p: mlp(p, x).reshape(-1))(params)
    flat = np.concatenate([np.asarray(leaf, float).reshape(N * K, -1) for leaf in jax.tree.leaves(jacobian)], axis=1)
    return flat @ flat.T / N


def test_kernel_products_and_their_change(data):
    params, residual = drawn(), jnp.asarray(np.random.default_rng(1).normal(size=(N, K)), jnp.float32)
    velocity, change = kernel_times(mlp, params, data[0], residual)
    exact = dense_kernel(params, data[0]) @ np.asarray(residual).reshape(-1)
    np.testing.assert_allclose(np.asarray(velocity).reshape(-1), exact, rtol=1e-3, atol=1e-5)
    (step,) = jax.vjp(lambda p: mlp(p, data[0]), params)[1](residual / N)
    ahead, behind = (
        dense_kernel(jax.tree.map(lambda p, s, h=h: p + h * s, params, step), data[0])
        @ np.asarray(residual).reshape(-1)
        for h in (1e-2, -1e-2)
    )
    np.testing.assert_allclose(np.asarray(change).reshape(-1), (ahead - behind) / 2e-2, rtol=0.02, atol=2e-3)


def test_largest_eigenvalue(data):
    projector = np.kron(np.eye(N), np.eye(K) - 1 / K)
    kernel = projector @ dense_kernel(drawn(), data[0]) @ projector
    found = largest_eigenvalue(mlp, drawn(), data[0], jax.nn.one_hot(data[1], K))
    assert float(found) == pytest.approx(np.linalg.eigvalsh(kernel)[-1], rel=0.03)


def test_a_linear_model_never_leaves_its_kernel(data):
    params = {"out": jnp.zeros((D, K))}
    found = diagnose(linear, params, *data)
    assert found.beta_one == pytest.approx(0.0, abs=1e-6)
    assert found.logit_scale == 0.0
    assert found.tau_early == found.tau_unit
    assert found.tau_nl == np.inf
    assert found.suggest() == pytest.approx(0.1 * found.critical_step)


def test_how_scales_depend_on_beta(data):
    params = drawn()
    zero, _ = offset_start(mlp, params, data[0])
    few, many = (diagnose(zero, params, *data, beta=beta) for beta in (0.01, 1.0))
    for name in ("growth", "lambda_max", "critical_step", "beta_one", "tau_soft"):
        assert getattr(few, name) == pytest.approx(getattr(many, name), rel=1e-3), name
    assert many.tau_nl == pytest.approx(100 * few.tau_nl, rel=1e-3)
    assert many.tau_nl / many.tau_early == pytest.approx(1.0 / many.beta_one, rel=1e-3)
    assert few.suggest() * few.beta**2 == pytest.approx(0.1 * few.critical_step * few.beta / few.beta_one, rel=1e-5)
    large = diagnose(zero, params, *data, beta=10 * few.beta_one)
    assert large.suggest(0.9) * large.beta**2 == pytest.approx(0.01 * large.critical_step, rel=1e-5)


def test_the_first_step_collapses_over_beta(data):
    """At one eta * beta^2, u = beta z moves alike for every beta; from zero logits, to first order exactly."""
    params = drawn()
    zero, _ = offset_start(mlp, params, data[0])
    rate = 1e-3 * diagnose(zero, params, *data).tau_unit
    moved, expected = [], rate * diagnose(zero, params, *data).growth
    for beta in (0.1, 1.0, 10.0):
        slope = jax.grad(lambda p, b=beta: softmax_xent(zero(p, data[0]), data[1], b))(params)
        after = jax.tree.map(lambda p, s, b=beta: p - rate / b**2 * s, params, slope)
        moved.append(float(rms(centred(beta * zero(after, data[0])))))
    np.testing.assert_allclose(moved, expected, rtol=0.01)


@pytest.mark.parametrize("beta", [0.03, 1.0, 10.0])
def test_the_first_step_of_adam_is_as_foretold(data, beta):
    params = drawn()
    zero, _ = offset_start(mlp, params, data[0])
    found = diagnose(zero, params, *data, beta=beta)
    rate = 1e-2 * found.suggest(rule="adam")
    slope = jax.grad(lambda p: softmax_xent(zero(p, data[0]), data[1], beta))(params)
    after = jax.tree.map(lambda p, s: p - rate * jnp.sign(s), params, slope)
    expected = 1e-3 * min(1.0, beta / found.beta_one)
    assert float(rms(centred(beta * zero(after, data[0])))) == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize("beta", [0.1, 1.0])
@pytest.mark.parametrize("target", [0.0, 0.5, 8.0])
def test_offset_start_sets_the_magnitude_and_keeps_the_derivatives(data, beta, target):
    params = drawn()
    apply, share = offset_start(mlp, params, data[0], beta, target)
    assert diagnose(apply, params, *data, beta=beta).logit_scale == pytest.approx(target, rel=1e-4, abs=1e-5)
    assert share == pytest.approx(target / float(rms(centred(beta * mlp(params, data[0])))), rel=1e-4)
    residual = jnp.ones((N, K)).at[:, 0].set(-1.0)
    for mine, plain in zip(
        kernel_times(apply, params, data[0], residual), kernel_times(mlp, params, data[0], residual), strict=True
    ):
        np.testing.assert_allclose(mine, plain, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("correlation", [0.0, 0.9, 0.99])
def test_two_copies_scale_logits_and_keep_the_kernel(data, correlation):
    sizes, kernels = [], []
    residual = centred(jax.nn.one_hot(data[1], K))
    for seed in range(30):
        apply, pair = two_copies(mlp, drawn(seed), drawn(1000 + seed), lambda path: path[0].key == "out", correlation)
        sizes.append([float(rms(centred(f(p, data[0])))) for f, p in ((apply, pair), (mlp, drawn(seed)))])
        both = [
            float(jnp.sum(residual * kernel_times(f, p, data[0], residual, with_change=False)[0]))
            for f, p in ((apply, pair), (mlp, drawn(seed)))
        ]
        kernels.append(both)
    mine, plain = np.sqrt(np.mean(np.square(sizes), axis=0))
    assert mine / plain == pytest.approx((1 - correlation) ** 0.5, rel=0.15)
    mine, plain = np.mean(kernels, axis=0)
    assert mine == pytest.approx(plain, rel=0.1)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x, y: diagnose(mlp, drawn(), x, y, beta=0.0), "beta is 0"),
        (lambda x, y: diagnose(mlp, drawn(), x, y + 1), "labels range from 1 to 4"),
        (lambda x, y: diagnose(mlp, drawn(), x * jnp.nan, y), "not finite"),
        (lambda x, y: diagnose(lambda p, x: mlp(p, x)[:, 0], drawn(), x, y), r"they must be \[n_examples, n_classes\]"),
        (lambda x, y: diagnose(mlp, drawn(), x, y).suggest(1.0), "momentum is 1"),
        (lambda x, y: diagnose(mlp, drawn(), x, y).suggest(rule="lion"), "rule is 'lion'"),
        (lambda x, y: offset_start(mlp, drawn(), x, 1.0, -1.0), "target is -1"),
        (lambda x, y: offset_start(linear, {"out": jnp.zeros((D, K))}, x, 1.0, 1.0), "cannot be scaled"),
        (lambda x, y: two_copies(mlp, drawn(), drawn(1), lambda path: False, 0.5), r"none of the parameters: \['in'\]"),
        (lambda x, y: two_copies(mlp, drawn(), drawn(1), lambda path: True, 2.0), "correlation is 2"),
    ],
)
def test_refusals(data, call, message):
    with pytest.raises(ValueError, match=message):
        call(*data)
