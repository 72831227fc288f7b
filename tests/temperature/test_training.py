"""The trainer: examples and their weights, the invariants of both rules, stopping, divergence, interruption."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ase_learnedopt.temperature import steps, training
from ase_learnedopt.temperature.examples import Examples, batches, merged, split
from ase_learnedopt.temperature.models import Model, mlp
from ase_learnedopt.temperature.solvers import SOLVERS, rate_at, update
from ase_learnedopt.temperature.steps import Settings, logits_of, on_device
from ase_learnedopt.temperature.training import train, train_with_guard

K, D = 3, 5
LINEAR = Model(lambda key, x, n: jnp.zeros((x.shape[1], n)), lambda params, x: x @ params)
"""Its kernel never changes, so that beta at a fixed effective rate means nothing at all."""


def blobs(n=300, spread=0.5, seed=0):
    random = np.random.RandomState(seed)
    y = random.randint(K, size=n).astype(np.int32)
    x = np.random.RandomState(99).normal(size=(K, D))[y] + spread * random.normal(size=(n, D))
    return Examples(x.astype(np.float32), y, np.ones(n))


def run(model, beta=1.0, rate=0.1, judge=None, show=None, examples=None, seed=0, **changes):
    examples = blobs() if examples is None else examples
    params = model.init(jax.random.key(3), examples.x[:1], K)
    data = on_device(examples, blobs(seed=1) if judge is None else judge)
    return train(model, params, examples, data, beta, rate, Settings(**{"n_steps": 200, **changes}), seed, show)


# Examples


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2), st.integers(0, 3)), min_size=1), st.randoms())
@settings(deadline=None)
def test_examples_are_the_same_in_any_order_and_as_copies(rows, random):
    x, y, weight = (np.array(column) for column in zip(*rows, strict=True))
    x = x[:, None].astype(np.float32)
    if not weight.any():
        with pytest.raises(ValueError, match="no example"):
            merged(x, y, weight)
        return
    order = np.array(random.sample(range(len(y)), len(y)))
    expected, shuffled = merged(x, y, weight), merged(x[order], y[order], weight[order])
    copies = np.repeat(np.arange(len(y)), weight)
    for found in (shuffled, merged(x[copies], y[copies], np.ones(len(copies)))):
        for mine, other in zip(expected, found, strict=True):
            np.testing.assert_array_equal(mine, other)
    pairs = set(zip(expected.x[:, 0].tolist(), expected.y.tolist(), strict=True))
    assert len(pairs) == len(expected.y)
    assert expected.weight.sum() == weight.sum()


def test_zero_has_no_sign():
    assert len(merged(np.array([[0.0], [-0.0]], np.float32), np.zeros(2, int), np.ones(2)).y) == 1


@given(st.lists(st.integers(1, 30), min_size=1, max_size=5), st.floats(0.01, 0.9))
@settings(deadline=None)
def test_split_leaves_every_class_to_learn_from(sizes, fraction):
    y = np.repeat(np.arange(len(sizes)), sizes)
    examples = Examples(np.arange(len(y))[:, None], y, np.ones(len(y)))
    learn, judge = split(examples, fraction, np.random.RandomState(0))
    assert set(learn.y) == set(y)
    if max(sizes) == 1:
        assert judge is None
        return
    assert sorted([*learn.x[:, 0], *judge.x[:, 0]]) == list(range(len(y)))
    assert set(judge.y) == {label for label, size in enumerate(sizes) if size > 1}


@given(st.integers(1, 50), st.integers(1, 9), st.integers(0, 5))
@settings(deadline=None)
def test_equal_weights_are_shuffled_without_replacement(n, batch_size, seed):
    n_steps = -(-3 * n // batch_size)
    rows = batches(np.full(n, 0.3), n_steps, batch_size, np.random.RandomState(seed)).reshape(-1)
    for epoch in range(3):
        assert sorted(rows[epoch * n : (epoch + 1) * n]) == list(range(n))


def test_rows_are_drawn_in_proportion_to_weights():
    weight = np.array([0.01, 1.0, 3.0, 0.5])
    rows = batches(weight, 2000, 8, np.random.RandomState(0))
    np.testing.assert_allclose(np.bincount(rows.reshape(-1)) / rows.size, weight / weight.sum(), atol=5e-3)


# Training


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("beta", [0.01, 0.1, 1.0])
def test_training_learns(solver, beta):
    found = run(mlp((16,), layer_norm=True), beta, rate_at(SOLVERS[solver], 0.01, beta), solver=solver, n_steps=400)
    assert found.accuracy > 0.85
    assert not found.diverged
    assert all(isinstance(leaf, np.ndarray) for leaf in jax.tree.leaves(found.params))
    assert found.history["train_loss"][-1] < 0.6 * np.log(K)


@pytest.mark.parametrize("solver", SOLVERS)
@given(log_beta=st.floats(-4.0, 4.0), momentum=st.sampled_from([0.0, 0.9]), weight_decay=st.sampled_from([0.0, 0.1]))
@settings(deadline=None, max_examples=10)
def test_a_linear_model_does_not_know_beta_at_a_fixed_effective_rate(solver, log_beta, momentum, weight_decay):
    beta, changes = float(np.exp(log_beta)), {"solver": solver, "momentum": momentum, "weight_decay": weight_decay}
    with jax.numpy_rank_promotion("raise"):
        one, other = (run(LINEAR, b, rate_at(SOLVERS[solver], 0.03, b), **changes) for b in (1.0, beta))
    np.testing.assert_allclose(beta * other.params, one.params, rtol=0.02, atol=2e-3)
    np.testing.assert_allclose(other.history["loss"], one.history["loss"], rtol=1e-3)


@pytest.mark.parametrize(("solver", "beta", "kept"), [("sgd", 1.0, 0.98), ("sgd", 2.0, 0.92), ("adam", 2.0, 0.96)])
def test_weight_decay_shrinks_weights_and_spares_biases(solver, beta, kept):
    rule, params = SOLVERS[solver], {"weights": jnp.ones((2, 3)), "bias": jnp.ones(3)}
    numbers = map(np.float32, (0.1, beta, 0.9, 0.2))
    after = update(rule, rule.init(params), jax.tree.map(jnp.zeros_like, params), *numbers).params
    np.testing.assert_allclose(after["weights"], kept, rtol=1e-6)
    np.testing.assert_array_equal(after["bias"], 1.0)


def test_weights_act_as_copies_do():
    examples = merged(*blobs(60)[:2], np.random.RandomState(0).randint(0, 3, size=60))
    counts = examples.weight.astype(int)
    copies = merged(np.repeat(examples.x, counts, 0), np.repeat(examples.y, counts), np.ones(counts.sum()))
    one, other = (run(mlp((8,)), examples=e) for e in (examples, copies))
    jax.tree.map(np.testing.assert_array_equal, one.params, other.params)


def test_early_stopping_keeps_the_best_and_ends():
    noise = blobs()._replace(y=np.random.RandomState(5).randint(K, size=300).astype(np.int32))
    stopped = run(mlp((64,)), rate=0.3, examples=noise, judge=blobs(spread=3.0, seed=1), n_steps=3000)
    history = stopped.history
    assert history["step"][-1] < 3000
    best = max(zip(history["accuracy"], -history["loss"], strict=True))
    assert stopped.score == best
    last = run(mlp((64,)), rate=0.3, examples=noise, early_stopping=False, n_steps=1000)
    assert last.history["step"][-1] == 1000
    assert last.score == (last.history["accuracy"][-1], -last.history["loss"][-1])


def test_the_number_of_steps_need_not_fit_the_looks():
    found = run(LINEAR, n_steps=60, early_stopping=False)
    assert found.history["step"].tolist() == [50, 60]
    rates = 0.1 * (1.0 - np.arange(60) / 60)
    params, velocity, examples = np.zeros((D, K)), np.zeros((D, K)), blobs()
    rows = batches(examples.weight, 100, 64, np.random.RandomState(0))
    for row, rate in zip(rows, rates, strict=False):
        share = np.array(jax.nn.softmax(jnp.asarray(examples.x[row] @ params), axis=-1))
        share[np.arange(64), examples.y[row]] -= 1.0
        velocity = 0.9 * velocity + examples.x[row].T @ share / 64
        params = params - rate * velocity
    np.testing.assert_allclose(found.params, params, rtol=1e-3, atol=1e-4)


def test_one_program_serves_every_setting():
    steps._compiled.cache_clear()
    for n, beta, rate, seed, momentum in ((300, 1.0, 0.1, 0, 0.9), (280, 0.1, 1.0, 1, 0.0)):
        run(LINEAR, beta, rate, examples=blobs(n), judge=blobs(n - 100), seed=seed, momentum=momentum)
    assert steps._compiled(LINEAR, "sgd")._cache_size() == 1


def test_divergence_is_noticed():
    found = run(mlp((16, 16)), rate=1e6)
    assert found.diverged
    assert found.score < (0.0, -np.inf)
    assert len(found.history["step"]) < 4


@pytest.mark.parametrize(("limit", "expected"), [(2.0, 1.0), (0.6, 0.5)])
def test_guard_halves_the_rate_once(limit, expected):
    tried = []

    def train_at(beta, rate):
        tried.append(rate)
        return training.Training(None, beta, rate, 1.0, 0.0, {}, diverged=rate > limit)

    assert train_with_guard(train_at, 0.1, 1.0, advice=0.02).rate == expected
    with pytest.raises(ValueError, match=r"beta 0.1 with the learning rate 8, nor with half of it: try 0.02"):
        train_with_guard(train_at, 0.1, 8.0, advice=0.02)


def test_an_interruption_keeps_the_best_so_far():
    def interrupt(step, best):
        if step == 100:
            raise KeyboardInterrupt

    with pytest.warns(UserWarning, match="after 100 of 200 steps"):
        found = run(LINEAR, show=interrupt)
    assert found.interrupted
    assert found.history["step"].tolist() == [50, 100]
    np.testing.assert_array_equal(found.accuracy, found.history["accuracy"].max())


def test_logits_do_not_depend_on_the_company():
    model = mlp((32,))
    x = blobs(600).x
    params = model.init(jax.random.key(0), x, K)
    whole = logits_of(model, params, x)
    assert whole.dtype == np.float64
    np.testing.assert_allclose(whole, model.apply(params, x), rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(whole[250:260], logits_of(model, params, x[250:260]))
