"""Checks what the constructor of the classifier was given. Layer 2."""

from numbers import Integral, Real
from typing import Any

import numpy as np

from .solvers import SOLVERS
from .steps import Settings


def checked(estimator: Any) -> Settings:
    """Returns the settings of trainings from the attributes of a classifier.

    Raises:
      ValueError: one of them is impossible.
    """
    if estimator.solver not in SOLVERS:
        raise ValueError(f"solver is {estimator.solver!r}; give one of {', '.join(SOLVERS)}")
    for name in ("beta", "learning_rate"):
        if not _is_auto(getattr(estimator, name)):
            _number(estimator, name, "'auto' or a number above zero", lambda value: value > 0.0)
    for name in ("steps", "batch_size"):
        if not isinstance(getattr(estimator, name), Integral):
            raise ValueError(f"{name} is {getattr(estimator, name)!r}; give a whole number above zero")
        _number(estimator, name, "a whole number above zero", lambda value: value > 0)
    _number(estimator, "momentum", "a number from 0 to below 1", lambda value: 0.0 <= value < 1.0)
    _number(estimator, "weight_decay", "a number of zero or above", lambda value: value >= 0.0)
    _number(estimator, "validation_fraction", "a number between 0 and 1", lambda value: 0.0 < value < 1.0)
    return Settings(
        solver=estimator.solver,
        n_steps=int(estimator.steps),
        batch_size=int(estimator.batch_size),
        momentum=float(estimator.momentum),
        weight_decay=float(estimator.weight_decay),
        early_stopping=bool(estimator.early_stopping),
    )


def _is_auto(value: Any) -> bool:
    return isinstance(value, str) and value == "auto"


def _number(estimator: Any, name: str, wanted: str, holds) -> None:
    value = getattr(estimator, name)
    if not (isinstance(value, Real) and np.isfinite(float(value)) and holds(value)):
        raise ValueError(f"{name} is {value!r}; give {wanted}")
