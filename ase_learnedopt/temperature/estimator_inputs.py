"""What a user gives the estimator, checked as scikit-learn demands and turned into examples. Layer 2."""

from collections.abc import Mapping
from numbers import Real
from typing import Any

import numpy as np
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, validate_data

from ..forked import require_not_forked
from .examples import Examples, merged


def input_of(estimator: Any, X, *, reset: bool, **more):
    """Returns X as float32, or int32 where it has whole numbers and a network that may want them, such as of words.

    Args:
      estimator: the classifier.
      X: `[n, n_features]`, or `[n, ...]` for an estimator with a `model`.
      reset: whether the number of features is learned from it, or held against what was learned.
      more: y, to be checked along with it.

    Raises:
      ValueError: anything but finite numbers of that shape.
      RuntimeError: this process was forked from one that had used jax.
    """
    require_not_forked()
    own = estimator.model is not None
    dtype = np.int32 if own and getattr(X, "dtype", np.dtype(float)).kind in "iu" else np.float32
    return validate_data(estimator, X, reset=reset, dtype=dtype, allow_nd=own, **more)


def examples_of(estimator: Any, X, y, sample_weight, *, reset: bool, classes=None) -> Examples:
    """Returns examples weighted by their own and their classes' weights; sets `classes_` where `reset`.

    Raises:
      ValueError: data of wrong shapes or values, a single class, or classes that are not those of before.
    """
    X, y = input_of(estimator, X, reset=reset, y=y)
    check_classification_targets(y)
    if reset:
        found = np.unique(y if classes is None else classes)
        if len(found) < 2:
            raise ValueError(f"there is one class only, {found.tolist()[0]!r}; a classifier needs two or more classes")
        estimator.classes_ = found
        estimator._input = {"shape": X.shape[1:], "dtype": X.dtype.name}
    strange = np.setdiff1d(y, estimator.classes_)
    if len(strange):
        raise ValueError(f"y has classes {strange.tolist()}, which are not among {estimator.classes_.tolist()}")
    labels = np.searchsorted(estimator.classes_, y)
    weight = _check_sample_weight(sample_weight, X, dtype=np.float64)
    return merged(X, labels, weight * _class_weights(estimator, labels, weight)[labels])


def _class_weights(estimator: Any, labels, weight) -> np.ndarray:
    """Returns the weight of every class; balanced are those with which the examples of each class weigh the same.

    A class without an entry weighs 1. Not by scikit-learn, which takes the label "1" for the number 1.

    Raises:
      ValueError: neither "balanced", nor None, nor a dict of numbers whose keys are classes.
    """
    given, classes = estimator.class_weight, estimator.classes_.tolist()
    if isinstance(given, str) and given == "balanced":
        total = np.bincount(labels, weight, len(classes))
        return np.divide(total.sum() / len(total), total, out=np.zeros(len(total)), where=total > 0.0)
    if not (given is None or isinstance(given, Mapping)):
        raise ValueError(f"class_weight is {given!r}; give 'balanced', a dict from classes to weights, or None")
    given = given or {}
    strange = [label for label in given if label not in classes]
    if strange and any(label not in given for label in classes):  # else they may be classes of other data
        raise ValueError(f"class_weight names {strange}, which are not among the classes {classes}")
    found = [given.get(label, 1.0) for label in classes]
    for label, value in zip(classes, found, strict=True):
        if not (isinstance(value, Real) and np.isfinite(float(value)) and float(value) >= 0):
            raise ValueError(f"class_weight of the class {label!r} is {value!r}; give a number of zero or above")
    return np.array(found, float)
