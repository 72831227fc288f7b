"""The expected calibration error, on cases that are known by hand."""

import numpy as np
import pytest

from ase_learnedopt.temperature import calibrate_temperature, calibration_error


def test_known_errors():
    logits = np.log([[0.9, 0.1]] * 10 + [[0.3, 0.7]] * 10)
    labels = np.array([0] * 8 + [1] * 2 + [1] * 7 + [0] * 3)  # 90 % sure and 80 % right; 70 % and 70 %
    assert calibration_error(logits, labels) == pytest.approx(0.05)
    assert calibration_error(logits, labels, [1.0] * 10 + [0.0] * 10) == pytest.approx(0.1)
    assert calibration_error(np.array([[1e4, 0.0]]), [0]) == 0.0
    assert calibration_error(np.array([[1e4, 0.0]]), [1]) == 1.0


def test_calibration_lowers_it():
    random = np.random.RandomState(0)
    honest = random.normal(size=(4000, 3))
    share = np.exp(honest) / np.exp(honest).sum(axis=1, keepdims=True)
    labels = (share.cumsum(axis=1) < random.uniform(size=(4000, 1))).sum(axis=1)
    sure = 4.0 * honest
    assert calibration_error(sure, labels) > 0.2
    assert calibration_error(sure / calibrate_temperature(sure, labels), labels) < 0.03


@pytest.mark.parametrize(
    ("logits", "labels", "message"),
    [
        (np.zeros((0, 2)), np.zeros(0, int), "n above zero"),
        (np.zeros((2, 2)), [0], "must be"),
        ([[np.inf, 0.0]], [0], "not finite"),
    ],
)
def test_refusals(logits, labels, message):
    with pytest.raises(ValueError, match=message):
        calibration_error(logits, labels)
