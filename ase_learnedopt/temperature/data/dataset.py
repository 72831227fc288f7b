"""What loaders return, and how its numbers are brought to one scale. Layer 2."""

from typing import NamedTuple

import numpy as np

from ..examples import merged, split


class Split(NamedTuple):
    """Holds labelled examples, to be given to `fit(*split)` and `score(*split)`."""

    x: np.ndarray  # [n, ...]
    y: np.ndarray  # [n] int32, the number of the class


class Dataset(NamedTuple):
    """Holds examples to train on and to test on."""

    train: Split
    test: Split
    names: tuple[str, ...]  # of the classes, by number
    words: tuple[str, ...] = ()  # of texts, by number


def standardized(data: Dataset) -> Dataset:
    """Returns data whose numbers have mean zero and variance one over the examples to train on, float32.

    Rows `[n, n_features]` feature by feature, images `[n, height, width, channels]` channel by channel.

    Raises:
      ValueError: texts, whose numbers are names.
    """
    if data.words:
        raise ValueError("x holds numbers of words, which have no scale; give them to a network for words as they are")
    x = data.train.x
    axes = tuple(range(x.ndim - 1))
    mean, deviation = x.mean(axis=axes, dtype=np.float64), x.std(axis=axes, dtype=np.float64)
    shift = mean.astype(np.float32)
    factor = (1.0 / np.where(deviation > 0.0, deviation, 1.0)).astype(np.float32)
    train, test = (Split((part.x.astype(np.float32) - shift) * factor, part.y) for part in (data.train, data.test))
    return data._replace(train=train, test=test)


def divided(
    x: np.ndarray, y: np.ndarray, names: tuple[str, ...], held_out: float, seed: int, words: tuple[str, ...] = ()
) -> Dataset:
    """Returns data that come without a test part, a fraction of every class held out for it; no copy is on both sides.

    Raises:
      ValueError: a fraction that is not between 0 and 1, or a class with fewer than two examples.
    """
    if not 0.0 < held_out < 1.0:
        raise ValueError(f"held_out is {held_out!r}; give a fraction between 0 and 1")
    train, test = split(merged(x, y, np.ones(len(y))), held_out, np.random.RandomState(seed))
    if test is None or len(np.unique(test.y)) < len(names):
        raise ValueError(f"{len(y)} examples of {len(names)} classes cannot be divided: each needs two different ones")
    return Dataset(Split(train.x, train.y), Split(test.x, test.y), names, words)
