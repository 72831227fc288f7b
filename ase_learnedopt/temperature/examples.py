"""Weighted examples in an order of their own, and how they are held out and drawn for batches. Layer 2.

A weight of two is the same as two copies, and the order in which examples come means nothing: copies are merged and the
rest is sorted before anything is drawn. Weights then say how often an example is drawn, not how much its loss counts.
"""

from typing import NamedTuple

import numpy as np


class Examples(NamedTuple):
    """Holds labelled examples."""

    x: np.ndarray  # [n, ...]
    y: np.ndarray  # [n] int32, the number of the class
    weight: np.ndarray  # [n] float64, above zero


def merged(x: np.ndarray, y: np.ndarray, weight: np.ndarray) -> Examples:
    """Returns examples sorted, copies as one with the sum of their weights, without those of weight zero.

    Args:
      x: `[n, ...]` numbers.
      y: `[n]` numbers of classes.
      weight: `[n]`.

    Raises:
      ValueError: a weight that is negative or not finite, or none above zero.
    """
    if not (np.isfinite(weight).all() and (weight >= 0.0).all()):
        raise ValueError(f"weights of examples range from {weight.min():g} to {weight.max():g}; none may be negative")
    kept = weight > 0.0
    if not kept.any():
        raise ValueError("no example has a weight above zero")
    x, y, weight = x[kept] + x.dtype.type(0), y[kept].astype(np.int32), weight[kept].astype(np.float64)  # -0 is 0
    rows = np.concatenate([_bytes(y), _bytes(x)], axis=1)
    _, first, place = np.unique(rows.view(f"V{rows.shape[1]}")[:, 0], return_index=True, return_inverse=True)
    order = np.lexsort((weight, place))  # or rounding would tell the order in which copies came
    return Examples(x[first], y[first], np.bincount(place[order], weight[order]))


def split(examples: Examples, fraction: float, random: np.random.RandomState) -> tuple[Examples, Examples | None]:
    """Divides examples into those to learn from and those to judge by, class by class.

    A class of two or more examples gives one at least, and keeps one.

    Args:
      examples: from `merged`, so that no copy of an example comes to the other side.
      fraction: of each class to hold out.
      random: draws them.

    Returns:
      The first part, and the second: None where no class has two examples.
    """
    held_out = np.zeros(len(examples.y), bool)
    for label in np.unique(examples.y):
        rows = random.permutation(np.flatnonzero(examples.y == label))
        held_out[rows[: min(len(rows) - 1, max(1, round(fraction * len(rows))))]] = True
    if not held_out.any():
        return examples, None
    return Examples(*(a[~held_out] for a in examples)), Examples(*(a[held_out] for a in examples))


def batches(weight: np.ndarray, n_steps: int, batch_size: int, random: np.random.RandomState) -> np.ndarray:
    """Draws the rows of every batch, `[n_steps, batch_size]` int32, in proportion to their weights.

    The sum of weights is cut into as many equal strata as there are examples, and an epoch draws once from each, in
    random order. With equal weights this is shuffling without replacement.
    """
    n, edges = len(weight), np.cumsum(weight)
    epochs = []
    for _ in range(-(-n_steps * batch_size // n)):
        at = (random.permutation(n) + random.uniform(0.01, 0.99)) / n * edges[-1]  # not on an edge of strata
        epochs.append(np.minimum(np.searchsorted(edges, at, side="right"), n - 1))
    drawn = np.concatenate(epochs)[: n_steps * batch_size]
    return drawn.reshape(n_steps, batch_size).astype(np.int32)


def constant_loss(examples: Examples) -> float:
    """Returns the least mean loss of constant predictions: the entropy of the classes' shares of the weight."""
    share = np.bincount(examples.y, examples.weight) / examples.weight.sum()
    share = share[share > 0.0]
    return float(-np.sum(share * np.log(share)))


def padded(array: np.ndarray, n_rows: int) -> np.ndarray:
    """Returns an array with rows of zeros added, up to `n_rows`."""
    return np.concatenate([array, np.zeros((n_rows - len(array), *array.shape[1:]), array.dtype)])


def _bytes(array: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(array).reshape(len(array), -1).view(np.uint8)
