"""Networks through the estimator and the sweep: rows as images, words, batch norm, files, one program."""

import numpy as np
import pytest

from ase_learnedopt.temperature import MODELS, TemperatureClassifier, parallel, sweep_beta
from ase_learnedopt.temperature.steps import Settings

pytest.importorskip("flax")
from sklearn.base import clone

SHORT = {"steps": 100, "batch_size": 32, "random_state": 0, "beta": 1.0, "learning_rate": 0.01, "solver": "adam"}


def squares(n, seed=0):
    """Rows of 36 pixels, noise with one of two corners lit."""
    random = np.random.RandomState(seed)
    y = random.randint(2, size=n)
    x = 0.3 * random.normal(size=(n, 6, 6))
    x[y == 0, :3, :3] += 1.0
    x[y == 1, 3:, :] += 0.5
    return x.reshape(n, 36).astype(np.float32), np.array(["corner", "half"])[y]


@pytest.fixture(scope="module")
def network():
    return MODELS["cnn"](width=4, depth=2, norm="batch", input_shape=(6, 6, 1))


@pytest.fixture(scope="module")
def fitted(network):
    return TemperatureClassifier(model=network, **SHORT).fit(*squares(150))


def test_rows_are_classified_as_images(fitted):
    x, y = squares(100, seed=1)
    assert fitted.n_features_in_ == 36
    assert fitted.score(x, y) > 0.9
    assert "batch_stats" in fitted._params
    np.testing.assert_allclose(fitted.predict_proba(x)[:3], fitted.predict_proba(x[:3]), rtol=1e-4)


def test_a_network_comes_back_from_disk_with_its_averages(fitted, network, tmp_path):
    x, _ = squares(10)
    path = fitted.save(tmp_path / "network")
    again = TemperatureClassifier.load(path, model=network)
    np.testing.assert_array_equal(again.predict_proba(x), fitted.predict_proba(x))


def test_partial_fits_move_averages(network):
    x, y = squares(64)
    found = TemperatureClassifier(model=network, **SHORT).partial_fit(x, y)
    before = found._params["batch_stats"]["BatchNorm_0"]["mean"]
    found.partial_fit(x + 1.0, y)
    assert not np.allclose(found._params["batch_stats"]["BatchNorm_0"]["mean"], before, atol=1e-3)


def test_clones_share_what_was_compiled(fitted, network):
    assert clone(fitted).model.apply is network.apply


@pytest.mark.slow
def test_models_by_name():
    x, y = squares(40)
    images = x.reshape(-1, 6, 6, 1)
    found = TemperatureClassifier(model="cnn", **SHORT | {"steps": 20}).fit(images, y)
    assert found.predict(images).shape == (40,)


def test_rows_need_the_shape_of_an_image():
    with pytest.raises(ValueError, match=r"images are \[n, height, width, channels\]"):
        TemperatureClassifier(model="cnn", **SHORT).fit(*squares(40))


def test_words_stay_whole_numbers():
    random = np.random.RandomState(0)
    y = random.randint(2, size=100)
    x = random.randint(4, 10, size=(100, 6))
    x[:, 2] = 2 + y
    network = MODELS["gru"](vocabulary=10, embedding=8, width=8)
    found = TemperatureClassifier(model=network, **SHORT).fit(x, y)
    assert found.score(x, y) > 0.9
    with pytest.raises(ValueError, match="texts are numbers of words"):
        TemperatureClassifier(model=network, **SHORT).fit(x.astype(float), y)


def test_a_sweep_with_batch_norm_is_one_program(network):
    parallel._mapped.cache_clear()
    settings = Settings(n_steps=50, batch_size=16, early_stopping=False)
    x, y = squares(120)
    found = sweep_beta(x, y, network, betas=[0.1], rates=[1.0], seeds=2, final_seeds=2, settings=settings, at_once=4)
    assert parallel._mapped(network, "sgd")._cache_size() == 1
    assert np.isfinite([test.loss for row in found.rows for test in row.tests]).all()
