"""The search over beta and rates on made-up scores, and the temperature after training on made-up logits."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ase_learnedopt.temperature.calibration import calibrate_temperature
from ase_learnedopt.temperature.training import Training
from ase_learnedopt.temperature.tuning import FALLS, RATIO, betas_to_try, tune


def scorer(accuracy, diverges=np.inf, tried=None):
    """Returns a `train_at` with an accuracy given as a function of beta and the number of half decades above 1."""

    def train_at(beta, rate):
        half_decades = round(np.log(rate) / np.log(RATIO))
        if tried is not None:
            tried.append(half_decades)
        return Training(None, beta, rate, accuracy(beta, half_decades), 0.0, {}, diverged=half_decades >= diverges)

    return train_at


@pytest.mark.parametrize(
    ("peak", "diverges", "best", "expected"),
    [
        (3, 99, 3, [0, 1, 2, 3, 4, 5]),
        (3, 4, 3, [0, 1, 2, 3, 4]),
        (0, 99, 0, [0, 1, 2, -1, -2]),
        (-2, 99, -2, [0, 1, 2, -1, -2, -3, -4]),
        (-2, 0, -2, [0, -1, -2, -3, -4]),
        (9, -3, -4, [0, -1, -2, -3, -4, -5, -6]),
    ],
)
def test_rates_are_raised_until_the_score_falls(peak, diverges, best, expected):
    tried = []
    found, trainings = tune(scorer(lambda _, i: 1.0 - abs(i - peak) / 50, diverges, tried), [1.0], lambda _: 1.0)
    assert tried == expected
    assert found.rate == pytest.approx(RATIO**best)
    assert len(trainings) == len(tried)


@given(st.lists(st.floats(0.0, 1.0), min_size=8, max_size=8), st.integers(-3, 8))
@settings(deadline=None)
def test_never_worse_than_the_first_beta(values, diverges):
    def accuracy(beta, half_decades):
        return values[(half_decades + (4 if beta < 1.0 else 0)) % len(values)]

    train_at = scorer(accuracy, diverges)
    alone, _ = tune(train_at, [1.0], lambda _: 1.0)
    found, trainings = tune(train_at, [1.0, 0.1], lambda _: 1.0)
    assert found.score >= alone.score
    assert found.score == max(training.score for training in trainings)
    assert found.beta == 1.0 or found.score > alone.score


def test_a_search_ends_where_it_is_interrupted():
    def train_at(beta, rate):
        return Training(None, beta, rate, 0.5, 0.0, {}, interrupted=beta < 1.0)

    found, trainings = tune(train_at, [1.0, 0.5, 0.1], lambda _: 1.0)
    assert found.interrupted
    assert found.beta == 1.0
    assert [training.beta for training in trainings].count(0.5) == 1
    assert trainings[-1].beta == 0.5


@pytest.mark.parametrize("after", [0, 1, 5])
def test_an_interruption_before_a_training_is_judged(after):
    calls = []

    def train_at(beta, rate):
        if len(calls) == after:
            raise KeyboardInterrupt
        calls.append(rate)
        return Training(None, beta, rate, 1.0 - len(calls) / 10, 0.0, {})

    if after == 0:
        with pytest.raises(KeyboardInterrupt):
            tune(train_at, [1.0], lambda _: 1.0)
        return
    with pytest.warns(UserWarning, match=f"interrupted after {after} trainings"):
        found, trainings = tune(train_at, [1.0, 0.1], lambda _: 1.0)
    assert found.interrupted
    assert found.accuracy == 0.9
    assert len(trainings) == after


def test_nothing_to_choose_from():
    with pytest.raises(ValueError, match="did not stay finite at any of the learning rates"):
        tune(scorer(lambda *_: 0.5, -99), [1.0], lambda _: 1.0)
    assert FALLS >= 2  # or noise of one step ends the search


@pytest.mark.parametrize(
    ("beta_one", "expected"),
    [(0.3, [1.0, 0.3, 0.1, 0.9]), (0.0, [1.0]), (np.inf, [1.0]), (1.0, [1.0, 1 / 3, 3.0]), (1e-5, [1.0, 0.01])],
)
def test_betas_to_try(beta_one, expected):
    assert betas_to_try(beta_one) == pytest.approx(expected)


@given(st.floats(0.05, 20.0), st.integers(0, 3))
@settings(deadline=None, max_examples=20)
def test_calibration_finds_by_how_much_logits_are_too_large(factor, seed):
    random = np.random.RandomState(seed)
    logits = random.normal(size=(4000, 4))
    share = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = (random.uniform(size=(4000, 1)) > share.cumsum(axis=1)).sum(axis=1).clip(max=3)
    assert calibrate_temperature(factor * logits, labels) == pytest.approx(factor, rel=0.15)


def test_calibration_minimises_the_weighted_loss():
    random = np.random.RandomState(0)
    logits, labels, weight = random.normal(size=(50, 3)), random.randint(3, size=50), random.uniform(size=50)
    labels[:40] = logits[:40].argmax(axis=1)

    def loss(temperature):
        z = logits / temperature
        return np.sum(weight * (np.log(np.exp(z).sum(axis=1)) - z[np.arange(50), labels]))

    best = calibrate_temperature(logits, labels, weight)
    assert loss(best) < min(loss(0.99 * best), loss(1.01 * best))


@pytest.mark.parametrize(("sign", "expected"), [(1.0, 0.01), (-1.0, 100.0)])
def test_calibration_without_an_optimum_ends_at_its_range(sign, expected):
    assert calibrate_temperature(sign * np.eye(3), np.arange(3)) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("logits", "labels", "message"),
    [
        (np.zeros((0, 2)), np.zeros(0, int), "n above zero"),
        (np.zeros((2, 2)), np.zeros(3, int), r"labels \(3,\)"),
        (np.full((2, 2), np.nan), np.zeros(2, int), "not finite"),
        (np.zeros((2, 2)), np.array([0, 2]), "integers from 0 to 1"),
    ],
)
def test_calibration_refuses(logits, labels, message):
    with pytest.raises(ValueError, match=message):
        calibrate_temperature(logits, labels)
