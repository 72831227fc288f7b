"""The estimator: scikit-learn's own checks, what it chooses, weights, calibration, other networks, files."""

import json
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import precision
from sklearn.datasets import load_iris
from sklearn.exceptions import NotFittedError
from sklearn.utils.estimator_checks import parametrize_with_checks

from ase_learnedopt.temperature import TemperatureClassifier, softmax_xent
from ase_learnedopt.temperature.estimator_inputs import examples_of
from ase_learnedopt.temperature.tuning import RATIO

SHORT = {"hidden": (16,), "steps": 200, "batch_size": 32, "random_state": 0}
PAIR = (lambda key, x, n: {"w": jnp.zeros((x.shape[1], n))}, lambda params, x: x @ params["w"])


@parametrize_with_checks([TemperatureClassifier(steps=100)])
def test_scikit_learn(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def iris():
    x, y = load_iris(return_X_y=True)
    order = np.random.RandomState(0).permutation(len(y))
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    names = np.array(["setosa", "versicolor", "virginica"])
    return x[order], names[y[order]]


@pytest.fixture(scope="module")
def fitted(iris):
    return TemperatureClassifier(**SHORT, calibrate=True).fit(*iris)


def test_what_is_found(iris, fitted):
    assert fitted.score(*iris) > 0.9
    assert fitted.classes_.tolist() == ["setosa", "versicolor", "virginica"]
    assert fitted.diagnostics_.beta == fitted.beta_
    assert fitted.history_["step"].tolist() == [50, 100, 150, 200]
    assert all(isinstance(leaf, np.ndarray) for leaf in jax.tree.leaves(fitted._params))


def test_auto_is_never_worse_than_beta_one_on_what_is_held_out(fitted):
    scores = {trial["beta"]: [] for trial in fitted.trials_}
    for trial in fitted.trials_:
        scores[trial["beta"]].append((trial["accuracy"], -trial["loss"]))
    chosen = max(scores[fitted.beta_])
    assert len(scores) == 4
    assert chosen == max(max(values) for values in scores.values())
    assert chosen >= max(scores[1.0])
    assert all(len(values) >= 3 for values in scores.values())


@pytest.mark.parametrize(("solver", "power"), [("sgd", 2), ("adam", 1)])
def test_a_given_rate_is_that_at_beta_one(iris, solver, power):
    found = TemperatureClassifier(**SHORT, learning_rate=0.01, solver=solver).fit(*iris)
    assert len(found.trials_) == 4
    for trial in found.trials_:
        assert trial["learning_rate"] * trial["beta"] ** power == pytest.approx(0.01)


def test_rates_are_searched_at_a_given_beta(iris):
    found = TemperatureClassifier(**SHORT, beta=0.3).fit(*iris)
    assert found.beta_ == 0.3
    assert {trial["beta"] for trial in found.trials_} == {0.3}
    first = found.diagnostics_.suggest(0.9)
    steps = np.log([trial["learning_rate"] / first for trial in found.trials_]) / np.log(RATIO)
    np.testing.assert_allclose(steps, np.round(steps), atol=1e-6)


def test_nothing_is_held_out_where_nothing_is_judged(iris):
    settings = {**SHORT, "beta": 1.0, "learning_rate": 0.05, "early_stopping": False}
    found = TemperatureClassifier(**settings).fit(*iris)
    assert found.history_["accuracy"][-1] == pytest.approx(found.score(*iris), abs=1e-5)
    assert found.calibration_ == 1.0


def test_the_order_of_examples_means_nothing_and_weights_are_copies(iris):
    x, y = iris
    weight = np.random.RandomState(1).randint(0, 3, size=len(y))
    order = np.repeat(np.arange(len(y)), weight)[::-1]
    one, other = (TemperatureClassifier(**SHORT, class_weight="balanced", beta=1.0) for _ in range(2))
    one.fit(x, y, sample_weight=weight)
    other.fit(x[order], y[order])
    np.testing.assert_array_equal(one.predict_proba(x), other.predict_proba(x))


def test_weights_of_classes_move_the_border(iris):
    x, y = iris
    counts = {}
    for name in ("versicolor", "virginica"):
        weights = {"setosa": 1.0, "versicolor": 0.01, "virginica": 0.01, name: 1.0}
        found = TemperatureClassifier(**SHORT, beta=1.0, class_weight=weights).fit(x[:, :2], y)
        counts[name] = np.sum(found.predict(x[:, :2]) == name)
    assert min(counts.values()) > 65  # of fifty, had it no reason to prefer one


LABELS = {
    "words": ["setosa", "versicolor", "virginica"],
    "digits": ["1", "2", "3"],
    "digits with zeros": ["01", "02", "1"],
    "signs": ["-1", "0", "+1"],
    "fractions": ["0.5", "1.0", "2"],
    "objects": np.array(["1", "2", "3"], object),
    "integers": [1, 2, 3],
    "negative": np.array([-1, 0, 1], np.int8),
    "whole floats": [0.0, 1.0, 2.0],
    "empty and blank": ["", " ", "1"],
}
SOME = {"all": (0, 1, 2), "one": (1,), "none": ()}


@pytest.mark.parametrize("given", SOME)
@pytest.mark.parametrize("labels", LABELS)
def test_weights_of_classes_by_labels_of_every_kind(labels, given):
    names = np.array(LABELS[labels])
    weights = {names.tolist()[k]: k + 2 for k in SOME[given]}
    estimator = TemperatureClassifier(class_weight=weights)
    examples = examples_of(estimator, np.arange(3.0)[:, None], names, None, reset=True)
    expected = {k: k + 2 if k in SOME[given] else 1 for k in range(3)}
    assert estimator.classes_.tolist() == sorted(names.tolist())
    assert dict(zip(examples.x[:, 0].astype(int), examples.weight, strict=True)) == expected


def test_weights_of_true_and_false():
    estimator = TemperatureClassifier(class_weight={False: 2, True: 3})
    examples = examples_of(estimator, np.arange(2.0)[:, None], np.array([True, False]), None, reset=True)
    assert dict(zip(examples.x[:, 0], examples.weight, strict=True)) == {0.0: 3, 1.0: 2}


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({1: 1.0, "2": 2.0}, r"names \[1\], which are not among the classes \['1', '2'\]"),
        ({"x": 1.0}, r"names \['x'\]"),
        ({"1": -1.0}, "of the class '1' is -1.0; give a number"),
        ({"1": np.nan}, "of the class '1' is nan"),
        ({"2": "much"}, "of the class '2' is 'much'"),
        ({"2": None}, "of the class '2' is None"),
        ("equal", "class_weight is 'equal'; give 'balanced'"),
        ([1, 2], r"class_weight is \[1, 2\]"),
    ],
)
def test_weights_of_classes_that_are_refused(weights, message):
    with pytest.raises(ValueError, match=message):
        examples_of(TemperatureClassifier(class_weight=weights), np.eye(2), np.array(["1", "2"]), None, reset=True)


def test_weights_of_other_data_may_be_among_those_of_all_classes():
    estimator = TemperatureClassifier(class_weight={"1": 2, "2": 3, "9": 4})
    assert examples_of(estimator, np.eye(2), np.array(["1", "2"]), None, reset=True).weight.sum() == 5


@pytest.mark.parametrize("label", ["1", "word", 0, 0.0, True, np.int8(3), np.float32(2.0)])
def test_a_single_class_is_named_as_it_was_given(label):
    plain = label.item() if isinstance(label, np.generic) else label
    with pytest.raises(ValueError, match=f"there is one class only, {plain!r}; a"):
        TemperatureClassifier().fit(np.eye(2), np.array([label, label]))


def test_calibration_changes_probabilities_and_no_prediction(iris):
    x, y = iris
    noisy = np.where(np.random.RandomState(3).uniform(size=len(y)) < 0.3, "setosa", y)
    settings = {**SHORT, "hidden": (128,), "beta": 1.0, "validation_fraction": 0.4, "learning_rate": 0.3}
    plain, honest = (TemperatureClassifier(**settings, calibrate=flag).fit(x, noisy) for flag in (False, True))
    assert honest.calibration_ != pytest.approx(1.0, abs=0.01)
    np.testing.assert_array_equal(plain.predict(x), honest.predict(x))
    np.testing.assert_allclose(plain.decision_function(x), honest.calibration_ * honest.decision_function(x), rtol=1e-6)


def test_probabilities_are_the_softmax_of_beta_times_logits(iris):
    x, y = iris
    found = TemperatureClassifier(**SHORT, beta=0.2).fit(x, y)
    labels = np.searchsorted(found.classes_, y)
    loss = float(softmax_xent(jnp.asarray(found.decision_function(x) / 0.2, jnp.float32), labels, 0.2))
    assert -np.log(found.predict_proba(x)[np.arange(len(y)), labels]).mean() == pytest.approx(loss, rel=1e-4)


@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_the_precision_of_jax_means_nothing(iris, solver):
    x, y = iris
    settings = {**SHORT, "layer_norm": True, "beta": 0.5, "solver": solver}
    with precision("float32"):
        single = TemperatureClassifier(**settings).fit(x, y).partial_fit(x, y)
    with precision("float64"):
        double = TemperatureClassifier(**settings).fit(x, y).partial_fit(x, y)
        assert {leaf.dtype for leaf in jax.tree.leaves(double._params)} == {np.dtype("float32")}
    assert double.score(x, y) == pytest.approx(single.score(x, y), abs=0.03)


# Partial fits, other networks


def test_partial_fit_learns_in_parts(iris):
    x, y = iris
    found = TemperatureClassifier(**{**SHORT, "learning_rate": 0.05})
    for _ in range(20):
        for part in (slice(75), slice(75, 150)):
            found.partial_fit(x[part], y[part], classes=np.unique(y))
    assert found.score(x, y) > 0.9
    assert found.beta_ == 1.0
    assert found.n_features_in_ == 4


def test_partial_fit_goes_on_from_a_fit(iris):
    x, y = iris
    found = TemperatureClassifier(**SHORT, beta=0.5, learning_rate=1e-4).fit(x, y)
    before = found.predict_proba(x)
    found.partial_fit(x[:50], y[:50])
    assert np.abs(found.predict_proba(x) - before).max() < 0.05
    assert np.any(found.predict_proba(x) != before)


def test_other_networks(iris):
    x, y = iris
    pair = TemperatureClassifier(**SHORT, model=PAIR).fit(x, y)
    assert pair.score(x, y) > 0.8
    assert {trial["beta"] for trial in pair.trials_} == {1.0}  # linear: beta means nothing
    linen = pytest.importorskip("flax.linen")
    images = np.repeat(x.reshape(150, 2, 2, 1), 2, axis=2)
    flat = linen.Sequential([linen.Conv(4, (2, 2)), linen.relu, lambda x: x.reshape(x.shape[0], -1), linen.Dense(3)])
    assert TemperatureClassifier(**SHORT, model=flat, beta=1.0).fit(images, y).score(images, y) > 0.8


# Files


@pytest.mark.parametrize("names", [["a", "b", "c"], [3, 5, 9], [1.0, 2.0, 4.0]])
def test_a_classifier_comes_back_from_disk(iris, tmp_path, names):
    x, y = iris
    y = np.array(names)[np.unique(y, return_inverse=True)[1]]
    found = TemperatureClassifier(**SHORT, beta=0.5, calibrate=True, class_weight="balanced").fit(x, y)
    path = found.save(tmp_path / "new" / "iris.v1")
    assert sorted(file.name for file in path.parent.iterdir()) == ["iris.v1.json", "iris.v1.npz"]
    again = TemperatureClassifier.load(path)
    np.testing.assert_array_equal(again.predict_proba(x), found.predict_proba(x))
    np.testing.assert_array_equal(again.predict(x), found.predict(x))
    assert again.predict(x).dtype == found.predict(x).dtype
    for name in ("beta_", "learning_rate_", "calibration_", "diagnostics_", "n_features_in_", "trials_"):
        assert getattr(again, name) == getattr(found, name), name
    assert again.get_params() == {**found.get_params(), "random_state": None, "class_weight": None}
    again.partial_fit(x, y)


def test_other_networks_come_back_with_their_model(iris, tmp_path):
    path = TemperatureClassifier(**SHORT, model=PAIR).fit(*iris).save(tmp_path / "pair")
    assert TemperatureClassifier.load(path, model=PAIR).score(*iris) > 0.8
    with pytest.raises(ValueError, match="has another network: give its model"):
        TemperatureClassifier.load(path)
    deeper = (lambda key, x, n: [jnp.zeros((n, 2))], PAIR[1])
    with pytest.raises(ValueError, match=r"shapes \[\(4, 3\)\], the model needs \[\(3, 2\)\]"):
        TemperatureClassifier.load(path, model=deeper)


def test_damaged_files_are_refused(fitted, tmp_path):
    path, card = fitted.save(tmp_path / "a"), tmp_path / "a.json"
    with pytest.raises(ValueError, match="give no model"):
        TemperatureClassifier.load(path, model=PAIR)
    whole = card.read_text()
    for text, message in (("{", "is not JSON"), ("{}", "is not of the format")):
        card.write_text(text)
        with pytest.raises(ValueError, match=message):
            TemperatureClassifier.load(path)
    card.write_text(whole)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match=r"is not the file that a\.json describes"):
        TemperatureClassifier.load(path)
    card.unlink()
    with pytest.raises(ValueError, match=r"there is no file .*a\.json"):
        TemperatureClassifier.load(path)


def test_files_are_plain_json(fitted, tmp_path):
    path = fitted.save(tmp_path / "a")
    card = json.loads(path.with_suffix(".json").read_text(), parse_constant=pytest.fail)
    assert card["beta"] == fitted.beta_


# What is refused


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"solver": "lbfgs"}, "solver is 'lbfgs'; give one of sgd, adam"),
        ({"beta": 0.0}, "beta is 0.0; give 'auto' or a number above zero"),
        ({"beta": "best"}, "beta is 'best'"),
        ({"learning_rate": -1.0}, r"learning_rate is -1\.0"),
        ({"steps": 0}, "steps is 0; give a whole number"),
        ({"batch_size": 1.5}, r"batch_size is 1\.5; give a whole number"),
        ({"momentum": 1.0}, r"momentum is 1\.0"),
        ({"weight_decay": -0.1}, r"weight_decay is -0\.1"),
        ({"validation_fraction": 1.0}, r"validation_fraction is 1\.0"),
        ({"hidden": (0,)}, r"hidden is \(0,\)"),
        ({"model": "vit"}, "model is 'vit'"),
        ({"beta": 0.01, "learning_rate": 1e8}, r"not finite at beta 0.01 with the learning rate 1e\+08, nor with half"),
        ({"model": (PAIR[0], lambda params, x: x)}, r"model gives logits \(1, 4\) for one example"),
        ({"model": (PAIR[0], lambda params, x: 0.0 * x[:, :3])}, "derivatives are not finite"),
    ],
)
def test_refusals(iris, settings, message):
    with pytest.raises(ValueError, match=message):
        TemperatureClassifier(**{**SHORT, **settings}).fit(*iris)


def test_refusals_of_partial_fit_and_before_a_fit(iris, tmp_path):
    x, y = iris
    with pytest.raises(ValueError, match="balanced"):
        TemperatureClassifier(**SHORT, class_weight="balanced").partial_fit(x, y)
    with pytest.raises(ValueError, match=r"classes \['virginica'\], which are not among"):
        TemperatureClassifier(**SHORT).partial_fit(x, y, classes=["setosa", "versicolor"])
    with pytest.raises(ValueError, match=r"not finite with learning rate 1e\+30: try"):
        TemperatureClassifier(**SHORT, learning_rate=1e30).partial_fit(x, y)
    with pytest.raises(NotFittedError):
        TemperatureClassifier().save(tmp_path / "a")


def test_a_rate_far_too_large_is_told_though_its_loss_is_finite():
    """Inputs that are all positive kill the rectified units at once, and what is left stays finite."""
    with pytest.warns(UserWarning, match=r"nothing was learned: .* At beta 1 the learning rate 1e\+09 is too large"):
        TemperatureClassifier((8,), steps=100, random_state=0, beta=1.0, learning_rate=1e9).fit(
            *load_iris(return_X_y=True)
        )


def test_progress_is_shown(iris, capsys):
    TemperatureClassifier(**SHORT, beta=1.0, learning_rate=0.1, progress=True).fit(*iris)
    assert "beta 1, rate 0.1, accuracy" in capsys.readouterr().err


def test_scikit_learn_is_needed_for_the_estimator_only():
    code = """
import sys
sys.modules["sklearn"] = None
from ase_learnedopt import temperature
temperature.softmax_xent, temperature.mlp
assert "TemperatureClassifier" in dir(temperature)
try:
    temperature.TemperatureClassifier
except ImportError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert "pip install 'ase-learnedopt[temperature]'" in done.stdout
