"""The compiled part of a training: steps, looks at the examples to judge by, predictions. Layer 2.

Rates, beta and rows of batches are values and not constants of what is compiled, and numbers of examples are rounded up
to powers of two, so that trainings of any settings on data of like size share one program.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from .examples import Examples, padded
from .losses import softmax_xent
from .models import Model
from .solvers import SOLVERS, State, update

BLOCK = 256
"""Examples that the network sees at once where it only predicts: of one shape, to compile once."""


class Settings(NamedTuple):
    """Holds how to train; the rate and beta come apart, since they are searched for."""

    solver: str = "sgd"
    n_steps: int = 1500
    batch_size: int = 64
    momentum: float = 0.9
    weight_decay: float = 0.0
    early_stopping: bool = True


class Data(NamedTuple):
    """Holds examples on the device, padded."""

    x: Any  # [n_rows, ...]
    y: Any  # [n_rows]
    judge_x: Any  # [n_blocks, BLOCK, ...]
    judge_y: Any  # [n_blocks, BLOCK]
    judge_weight: Any  # [n_blocks, BLOCK], their sum is one


def on_device(train: Examples, judge: Examples, n_judged: int = 0) -> Data:
    """Returns examples to train on and to judge by as the compiled program takes them.

    Args:
      train: examples to train on.
      judge: examples to judge by.
      n_judged: for how many of the second kind to leave room at least.
    """
    n_blocks = _power_of_two(-(-max(n_judged, len(judge.y)) // BLOCK))
    share = (judge.weight / judge.weight.sum()).astype(np.float32)
    blocks = [padded(a, n_blocks * BLOCK).reshape(n_blocks, BLOCK, *a.shape[1:]) for a in (judge.x, judge.y, share)]
    n_rows = _power_of_two(max(BLOCK, len(train.y)))
    return Data(*map(jnp.asarray, (padded(train.x, n_rows), padded(train.y, n_rows), *blocks)))


def advance(model: Model, state: State, data: Data, rows, rates, beta: float, settings: Settings):
    """Makes one step for every row of `rows` `[n_steps, batch_size]` and judges the network.

    Returns:
      The state, and the mean training loss, the accuracy and the loss on the examples to judge by.
    """
    program = _compiled(model, settings.solver)
    numbers = (np.float32(value) for value in (beta, settings.momentum, settings.weight_decay))
    state, found = program(state, data, rows, np.asarray(rates, np.float32), *numbers)
    train_loss, accuracy, loss = map(float, found)
    return state, (train_loss, round(accuracy, 6), loss)  # a sum in float32, whose last digit must not break a tie


def program(model: Model, solver: str) -> Callable:
    """Returns the function of arrays behind `advance`: to be compiled, or mapped over trainings first."""
    rule = SOLVERS[solver]

    def run(state, data, rows, rates, beta, momentum, weight_decay):
        def step(state, inputs):
            rows, rate = inputs

            def loss(params):
                logits, averages = _forward_to_learn(model, params, data.x[rows])
                return softmax_xent(logits, data.y[rows], beta), averages

            (value, averages), gradient = jax.value_and_grad(loss, has_aux=True)(state.params)
            state = update(rule, state, gradient, rate, beta, momentum, weight_decay)
            return (state._replace(params=state.params | averages) if averages else state), value

        def judge(block):
            x, y, weight = block
            logits = model.apply(state.params, x)
            right = (jnp.argmax(logits, axis=-1).astype(y.dtype) == y).astype(weight.dtype)
            losses = jnp.where(weight > 0.0, softmax_xent(logits, y, beta, reduction="none"), 0.0)
            return jnp.sum(weight * right), jnp.sum(weight * losses)

        state, losses = jax.lax.scan(step, state, (rows, rates))
        accuracy, loss = jax.lax.map(judge, (data.judge_x, data.judge_y, data.judge_weight))
        return state, (jnp.mean(losses), jnp.sum(accuracy), jnp.sum(loss))

    return run


def logits_of(model: Model, params: Any, x: np.ndarray) -> np.ndarray:
    """Returns the logits `[n, n_classes]` of a network, float64, computed in blocks of one shape."""
    forward = _forward(model.apply)
    starts = range(0, len(x), BLOCK)
    parts = [np.asarray(forward(params, padded(x[i : i + BLOCK], BLOCK))) for i in starts]
    return np.concatenate(parts)[: len(x)].astype(np.float64)


def _forward_to_learn(model: Model, params: Any, x) -> tuple[Any, dict[str, Any]]:
    """Returns logits to descend, and what running averages become; there are none in most networks."""
    return (model.apply(params, x), {}) if model.learn is None else model.learn(params, x)


@lru_cache(maxsize=64)
def _compiled(model: Model, solver: str) -> Callable:
    return jax.jit(program(model, solver))


@lru_cache(maxsize=64)
def _forward(apply: Callable) -> Callable:
    return jax.jit(apply)


def _power_of_two(n: int) -> int:
    return 1 << (n - 1).bit_length()
