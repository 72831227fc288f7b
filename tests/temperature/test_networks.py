"""Networks for images and words: shapes, published numbers of parameters, options, inputs; running averages."""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ase_learnedopt.temperature import diagnose, softmax_xent
from ase_learnedopt.temperature.examples import merged
from ase_learnedopt.temperature.fitting import scales_of
from ase_learnedopt.temperature.models import MODELS, as_model, in_training
from ase_learnedopt.temperature.parallel import Job, Parallel
from ase_learnedopt.temperature.steps import Settings, logits_of, on_device
from ase_learnedopt.temperature.training import train

pytest.importorskip("flax")
KEY = jax.random.key(0)
CIFAR, IMAGENET = (32, 32, 3), (224, 224, 3)


def built(name, **options):
    return MODELS[name](**options)


def weights(params):
    return params["params"] if "batch_stats" in params else params


def count(params):
    return sum(leaf.size for leaf in jax.tree.leaves(weights(params)))


def stripes(n, seed=0):
    """Images of noise with two rows or two columns lit: which, an average over pixels cannot tell."""
    random = np.random.RandomState(seed)
    y = random.randint(2, size=n)
    x = 0.3 * random.normal(size=(n, 6, 6, 1))
    for image, label, at in zip(x, y, random.randint(5, size=n), strict=True):
        image[(slice(at, at + 2), slice(None)) if label else (slice(None), slice(at, at + 2))] += 1.0
    return x.astype(np.float32), y


def sentences(n, seed=0):
    """Padded rows of words: 2 or 3 somewhere among others decides."""
    random = np.random.RandomState(seed)
    y = random.randint(2, size=n)
    x = random.randint(4, 12, size=(n, 8))
    x[np.arange(n), random.randint(4, size=n)] = 2 + y
    x[np.arange(8)[None, :] >= random.randint(4, 9, size=n)[:, None]] = 0
    return x.astype(np.int32), y


@pytest.mark.parametrize(
    ("name", "options", "shape", "n_classes", "expected"),
    [  # published: WRN-28-10 by its authors' code, ResNet by torchvision's; the rest by hand
        ("wide_resnet", {"depth": 28, "width": 10}, CIFAR, 10, 36_479_194),
        ("wide_resnet", {"depth": 28, "width": 10}, CIFAR, 100, 36_536_884),
        ("wide_resnet", {}, CIFAR, 10, 2_748_890),
        ("resnet50", {}, IMAGENET, 1000, 25_557_032),
        ("resnet50", {"blocks": (3, 4, 23, 3)}, IMAGENET, 1000, 44_549_160),
        ("cnn", {"width": 4, "depth": 2}, (8, 8, 3), 5, (27 * 4 + 4) + (36 * 8 + 8) + (8 * 5 + 5)),
        ("cnn", {"width": 4, "depth": 2, "norm": "batch"}, (8, 8, 3), 5, (27 * 4 + 8) + (36 * 8 + 16) + (8 * 5 + 5)),
        ("gru", {"vocabulary": 50, "embedding": 6, "width": 7}, (9,), 2, 300 + 3 * (42 + 7) + (3 * 49 + 7) + 16),
    ],
)
def test_networks_have_these_parameters(name, options, shape, n_classes, expected):
    model = built(name, **options)
    x = jax.ShapeDtypeStruct((2, *shape), jnp.int32 if name == "gru" else jnp.float32)
    params = jax.eval_shape(lambda key, x: model.init(key, x, n_classes), KEY, x)
    assert count(params) == expected
    assert jax.eval_shape(model.apply, params, x).shape == (2, n_classes)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "options", "shape"),
    [("wide_resnet", {"depth": 28, "width": 10}, (8, 8, 3)), ("resnet50", {}, (32, 32, 3))],
)
def test_one_step_at_real_size(name, options, shape):
    model, random = built(name, **options), np.random.RandomState(0)
    x, y = random.normal(size=(8, *shape)).astype(np.float32), np.arange(8) % 4
    params = jax.jit(model.init, static_argnums=2)(KEY, x[:1], 4)
    loss = jax.jit(lambda p: softmax_xent(in_training(model)(p, x), y, 0.1))
    gradient = jax.jit(jax.grad(loss))(params)
    size = sum(float(jnp.sum(leaf**2)) for leaf in jax.tree.leaves(gradient))
    there = loss(jax.tree.map(lambda p, g: p - 1e-3 / size * g, params, gradient))
    assert float(loss(params) - there) == pytest.approx(1e-3, rel=0.3)


SMALL = {
    "cnn": ("cnn", {"width": 4, "depth": 2}),
    "cnn-batch": ("cnn", {"width": 4, "depth": 2, "norm": "batch"}),
    "cnn-layer": ("cnn", {"width": 4, "depth": 2, "norm": "layer"}),
    "wide-batch": ("wide_resnet", {"depth": 10, "width": 1}),
    "wide-none": ("wide_resnet", {"depth": 10, "width": 1, "norm": None}),
    "resnet-batch": ("resnet50", {"width": 4, "blocks": (1, 1)}),
    "resnet-none": ("resnet50", {"width": 4, "blocks": (1, 1), "norm": None}),
    "gru": ("gru", {"vocabulary": 12, "embedding": 8, "width": 8}),
}


DEEP = ("wide-batch", "wide-none", "resnet-batch", "resnet-none")


@pytest.mark.parametrize("case", [pytest.param(c, marks=[pytest.mark.slow] if c in DEEP else []) for c in SMALL])
def test_a_few_steps_learn(case):
    name, options = SMALL[case]
    model, (x, y) = built(name, **options), (sentences if name == "gru" else stripes)(128)
    params = model.init(KEY, x[:1], 2)
    logits = np.asarray(model.apply(params, x))
    assert logits.dtype == np.float32 and 1e-3 < logits.std() < 10.0
    examples = merged(x, y, np.ones(len(y)))
    settings = Settings(solver="adam", n_steps=100, batch_size=32, early_stopping=False)
    found = train(model, params, examples, on_device(examples, examples), 1.0, 0.01, settings)
    assert not found.diverged
    assert found.loss < 0.95 * np.log(2.0)
    whole = logits_of(model, found.params, examples.x)
    assert np.mean(whole.argmax(axis=1) == examples.y) == pytest.approx(found.accuracy, abs=1e-6)


def test_without_batch_norm_nothing_is_kept():
    x, _ = stripes(2)
    for case, (name, options) in SMALL.items():
        if name != "gru":
            assert ("batch_stats" in built(name, **options).init(KEY, x, 2)) == case.endswith("batch")


@pytest.fixture(scope="module")
def batch_normed():
    model, (x, y) = built("cnn", width=4, depth=2, norm="batch"), stripes(96)
    return model, model.init(KEY, x[:1], 2), merged(x, y, np.ones(len(y)))


def test_averages_are_those_of_batches_and_have_no_gradient(batch_normed):
    model, params, examples = batch_normed
    settings, everything = Settings(n_steps=50, batch_size=96, early_stopping=False), examples
    data = on_device(everything, everything)
    found = train(model, params, everything, data, 1.0, 1e-9, settings)  # weights stay: averages become the batch's
    _, expected = model.learn(params, examples.x)
    after = jax.tree.leaves(found.params["batch_stats"])
    for average, start, once in zip(
        after, jax.tree.leaves(params["batch_stats"]), jax.tree.leaves(expected["batch_stats"]), strict=True
    ):
        of_batch = start + (once - start) / 0.1
        np.testing.assert_allclose(average, of_batch + 0.9**50 * (start - of_batch), rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(
        model.apply(found.params, examples.x), in_training(model)(params, examples.x), rtol=0.05, atol=0.02
    )
    gradient = jax.grad(lambda p: jnp.sum(in_training(model)(p, examples.x)[:, 0] ** 2))(params)
    assert all(not leaf.any() for leaf in jax.tree.leaves(gradient["batch_stats"]))
    assert jax.tree.leaves(gradient["params"])[0].any()


def test_predictions_do_not_depend_on_the_rest_of_a_batch(batch_normed):
    model, params, examples = batch_normed
    alone, together = model.apply(params, examples.x[:1]), model.apply(params, examples.x)
    np.testing.assert_allclose(alone[0], together[0], rtol=1e-4, atol=1e-5)
    assert not np.allclose(in_training(model)(params, examples.x[:5])[0], together[0], atol=1e-2)


def test_diagnostics_are_of_the_network_in_training(batch_normed):
    model, params, examples = batch_normed
    found = scales_of(model, params, examples, 2, 0)(1.0)
    rolled = jax.tree.map(lambda leaf: 3.0 + leaf, params["batch_stats"])
    assert scales_of(model, params | {"batch_stats": rolled}, examples, 2, 0)(1.0) == found
    alone = diagnose(model.apply, params, examples.x, examples.y)
    assert alone.growth != pytest.approx(found.growth, rel=1e-3)


@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_averages_in_parallel_as_one_by_one(batch_normed, solver):
    model, _, examples = batch_normed
    data = on_device(examples, examples)
    jobs = [Job(0.3, 0.05, 1), Job(1.0, 0.01, 2)]
    settings = Settings(solver=solver, n_steps=50, batch_size=32, early_stopping=False, weight_decay=0.1)
    (found,) = Parallel(model, examples, 2, settings, at_once=2)(jobs, data)
    for job, made in zip(jobs, found, strict=True):
        params = model.init(jax.random.key(job.seed), examples.x[:1], 2)
        alone = train(model, params, examples, data, job.beta, job.rate, settings, job.seed)
        assert made.score == pytest.approx(alone.score, rel=1e-2)


def test_rows_become_images_of_the_declared_shape():
    x, _ = stripes(3)
    rows, shaped = built("cnn", width=4, input_shape=[6, 6, 1]), built("cnn", width=4)
    params = rows.init(KEY, x.reshape(3, 36), 2)
    expected = shaped.apply(params, x)
    for same in (x.reshape(3, 36), x, x[..., 0]):
        np.testing.assert_array_equal(rows.apply(params, same), expected)
    np.testing.assert_array_equal(shaped.apply(params, x[..., 0]), expected)
    whole = shaped.apply(params, (10 * x).astype(np.int32))
    assert whole.dtype == jnp.float32


def test_padding_and_unknown_words_mean_nothing():
    model = built("gru", vocabulary=12, embedding=4, width=4)
    x, _ = sentences(5)
    params = model.init(KEY, x, 2)
    expected = model.apply(params, x)
    longer = np.concatenate([x, np.zeros((5, 3), np.int32)], axis=1)
    np.testing.assert_allclose(model.apply(params, longer), expected, rtol=1e-5, atol=1e-6)
    beyond, unknown = np.where(x == 4, 99, x), np.where(x == 4, 1, x)
    np.testing.assert_array_equal(model.apply(params, beyond), model.apply(params, unknown))
    assert np.isfinite(model.apply(params, np.zeros_like(x))).all()


def test_the_same_options_are_the_same_functions():
    for name, options in SMALL.values():
        assert built(name, **options) is built(name, **options)
    assert as_model("cnn") is built("cnn")


def test_without_flax_the_way_out_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "flax", None)
    for name in [name for name in sys.modules if name.startswith("ase_learnedopt.temperature.models.")]:
        if not name.endswith((".base", ".mlp", ".table")):
            monkeypatch.delitem(sys.modules, name)
    with pytest.raises(ImportError, match=r"this network needs flax .*pip install 'ase-learnedopt\[temperature\]'"):
        as_model("cnn")
    assert as_model("mlp") is MODELS["mlp"]()


def test_flax_modules_with_a_train_argument_keep_batch_statistics():
    linen = pytest.importorskip("flax.linen")

    class Own(linen.Module):
        @linen.compact
        def __call__(self, x, *, train):
            return linen.Dense(2)(linen.BatchNorm(use_running_average=not train)(x.reshape(x.shape[0], -1)))

    model, (x, _) = as_model(Own()), stripes(20)
    params = model.init(KEY, x, 2)
    logits, averages = model.learn(params, x)
    assert set(params) == {"params", "batch_stats"} and set(averages) == {"batch_stats"}
    assert not np.allclose(logits, model.apply(params, x))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: built("cnn", width=0), "width is 0"),
        (lambda: built("cnn", depth=1.5), "depth is 1.5"),
        (lambda: built("cnn", norm="group"), "norm is 'group'; give one of None, 'batch', 'layer'"),
        (lambda: built("cnn", input_shape=(28, 28)), r"input_shape is \(28, 28\); give \(height, width, channels\)"),
        (lambda: built("wide_resnet", depth=18), "depth is 18; a wide residual network has 6 n"),
        (lambda: built("resnet50", blocks=()), "blocks is empty"),
        (lambda: built("resnet50", blocks=(3, 0)), "a number of blocks is 0"),
        (lambda: built("gru", vocabulary=1), "vocabulary is 1"),
        (
            lambda: built("cnn").init(KEY, np.zeros((2, 36), np.float32), 2),
            r"x has the shape \(2, 36\); images are \[n,",
        ),
        (
            lambda: built("cnn", input_shape=(5, 5, 1)).init(KEY, np.zeros((2, 36), np.float32), 2),
            r"images are \[n, ...\] of the input_shape \(5, 5, 1\)",
        ),
        (lambda: built("gru").init(KEY, np.zeros((2, 8), np.float32), 2), "the type float32; texts are numbers"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(ValueError, match=message):
        call()
