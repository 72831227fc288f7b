"""Divides data into examples to learn from, to choose by and to test on. Layer 2."""

from typing import Any, NamedTuple

import numpy as np

from .examples import Examples, merged, split
from .scaling import Scaling, scaler


class Parts(NamedTuple):
    """Holds examples that share none."""

    learn: Examples
    validation: Examples  # what is chosen is chosen by them
    test: Examples
    n_classes: int

    @property
    def sizes(self) -> tuple[int, int, int]:
        """Numbers of examples to learn from, for validation and for the test."""
        return len(self.learn.y), len(self.validation.y), len(self.test.y)


def in_parts(
    X,
    y,
    test: tuple[Any, Any] | None = None,
    held_out: float = 0.2,
    random_state: int = 0,
    scaling: Scaling = "auto",
) -> Parts:
    """Divides examples in three parts, class by class, scaled by those to learn from.

    Args:
      X: `[n, ...]` numbers.
      y: `[n]` classes.
      test: X and y to test on; None: a fraction of those given.
      held_out: fraction of every class for the test, and of what is left for validation.
      random_state: seed of the division.
      scaling: see `scaler`.

    Raises:
      ValueError: numbers that are not finite, shapes that do not fit, or too few examples.
    """
    if not 0.0 < held_out < 1.0:
        raise ValueError(f"held_out is {held_out:g}; give a fraction between 0 and 1")
    random = np.random.RandomState(random_state)
    classes, labels = np.unique(np.asarray(y), return_inverse=True)
    whole = _examples(X, labels)
    if test is None:
        whole, testing = split(whole, held_out, random)
    else:
        strange = np.setdiff1d(test[1], classes)
        if len(strange):
            raise ValueError(f"the test has classes {strange.tolist()}, which are not among {classes.tolist()}")
        testing = _examples(test[0], np.searchsorted(classes, test[1]))
    learn, validation = split(whole, held_out, random)
    if len(classes) < 2 or validation is None or testing is None:
        raise ValueError(f"{len(labels)} examples of {len(classes)} classes cannot be divided in three parts")
    scale = scaler(learn.x, scaling)
    learn, validation, testing = (part._replace(x=scale(part.x)) for part in (learn, validation, testing))
    return Parts(learn, validation, testing, len(classes))


def _examples(X, labels) -> Examples:
    X = np.asarray(X)
    X = X.astype(np.int32 if X.dtype.kind in "iu" else np.float32)
    if X.ndim < 2 or len(X) != len(labels) or not np.isfinite(X).all():
        raise ValueError(f"X has the shape {X.shape}; give finite numbers [{len(labels)}, ...]")
    return merged(X, labels, np.ones(len(labels)))
