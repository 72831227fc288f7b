"""Training of a classifier at one inverse temperature, from a start to the best that was seen. Layer 2."""

import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from .examples import Examples, batches
from .models import Model
from .solvers import SOLVERS
from .steps import Data, Settings, advance

CHECK = 50
"""Steps between two looks at the examples to judge by."""
PATIENCE = 10
"""Looks without progress after which a training with early stopping ends."""

LEARNED = 0.99
"""Of the loss of the best constant prediction: a training whose loss does not fall below that has learned nothing."""

Score = tuple[float, float]
DIVERGED: Score = (-1.0, -np.inf)
"""Score of a training whose loss did not stay finite."""
Show = Callable[[int, "Training"], None]


class Training(NamedTuple):
    """Holds what came of a training."""

    params: Any  # tree of NumPy arrays: the best that was judged, or the last without early stopping
    beta: float
    rate: float  # learning rate at the first step; it falls linearly to zero
    accuracy: float  # of params, on the examples to judge by
    loss: float  # as above
    history: dict[str, np.ndarray]  # step, train_loss, accuracy, loss at every look
    diverged: bool = False
    interrupted: bool = False

    @property
    def score(self) -> Score:
        """What decides between trainings: accuracy, then the loss."""
        return DIVERGED if self.diverged else (self.accuracy, -self.loss)


def train(
    model: Model,
    params: Any,
    train_on: Examples,
    data: Data,
    beta: float,
    rate: float,
    settings: Settings,
    seed: int = 0,
    show: Show | None = None,
) -> Training:
    """Trains a network from given parameters, at a rate that falls linearly to zero.

    A loss that is not finite ends the training; an interruption from the keyboard too, and what was best is kept.

    Args:
      model: whose `apply` gives the logits.
      params: where to start.
      train_on: the examples; their weights say how often they are drawn.
      data: the same and those to judge by, from `on_device`.
      beta: inverse temperature.
      rate: learning rate at the first step.
      settings: the rest.
      seed: of the order of examples.
      show: called after every look with the number of steps done and the best so far.

    Raises:
      KeyboardInterrupt: before the first look.
    """
    n_looks = -(-settings.n_steps // CHECK)
    rows = batches(train_on.weight, n_looks * CHECK, settings.batch_size, np.random.RandomState(seed))
    rates = rate * np.maximum(1.0 - np.arange(n_looks * CHECK) / settings.n_steps, 0.0)  # steps too many move nothing
    state, best, history = SOLVERS[settings.solver].init(params), None, []
    try:
        for look in range(n_looks):
            now = slice(look * CHECK, (look + 1) * CHECK)
            state, found = advance(model, state, data, rows[now], rates[now], beta, settings)
            history.append((min(now.stop, settings.n_steps), *found))
            current = _training(state.params, beta, rate, history)
            if current.diverged:
                return current
            if best is None or not settings.early_stopping or current.score > best.score:
                best, since = current, 0
            else:
                since += 1
            if show is not None:
                show(history[-1][0], best)
            if settings.early_stopping and since >= PATIENCE:
                break
    except KeyboardInterrupt:
        if best is None:
            raise
        message = (
            f"training was interrupted after {history[-1][0]} of {settings.n_steps} steps; the best so far is kept"
        )
        warnings.warn(message, stacklevel=2)
        best = best._replace(interrupted=True)
    assert best is not None
    return best._replace(params=jax.tree.map(np.asarray, best.params), history=_table(history))


def train_with_guard(train_at: Callable[[float, float], Training], beta: float, rate: float, advice: float) -> Training:
    """Trains, and once more at half the rate if the loss does not stay finite.

    Args:
      train_at: (beta, rate) -> what came of it.
      beta: inverse temperature.
      rate: learning rate.
      advice: the rate to name where both fail.

    Raises:
      ValueError: the loss is not finite at half the rate either.
    """
    for factor in (1.0, 0.5):
        found = train_at(beta, factor * rate)
        if not found.diverged:
            return found
    raise ValueError(
        f"the loss is not finite at beta {beta:g} with the learning rate {rate:g}, nor with half of it: "
        f"try {advice:.3g}, or 'auto'"
    )


def _training(params, beta: float, rate: float, history: list[tuple[float, ...]]) -> Training:
    _, train_loss, accuracy, loss = history[-1]
    diverged = not (np.isfinite(train_loss) and np.isfinite(loss))
    return Training(params, beta, rate, accuracy, loss, _table(history) if diverged else {}, diverged)


def _table(history: list[tuple[float, ...]]) -> dict[str, np.ndarray]:
    columns = zip(("step", "train_loss", "accuracy", "loss"), zip(*history, strict=True), strict=True)
    return {name: np.asarray(column) for name, column in columns}
