"""Steps of gradient descent with momentum and of Adam, and how their rates go with the inverse temperature. Layer 2.

After Agarwala, Pennington, Dauphin & Schoenholz, arXiv:2010.07344: gradients are in proportion to beta and so is what a
change of the logits does to the loss, so that early training depends on eta beta^2. Adam divides the size of gradients
out and leaves eta beta. With that held fixed, a training with another beta is the same one, until features move.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

SQUARES = 0.999
"""Adam's decay of the mean square of gradients (Kingma & Ba, arXiv:1412.6980)."""
EPSILON = 1e-8
"""Adam's floor of the root of that, times beta, as gradients are."""


class State(NamedTuple):
    """Holds what a training carries from step to step."""

    params: Any
    velocity: Any  # like params: mean of the gradients
    square: Any  # like params: mean of their squares; None for gradient descent
    n_steps: Any  # [] int32


class Solver(NamedTuple):
    """Holds a rule that turns gradients into steps."""

    power: int  # of beta in the rate that counts, eta * beta**power
    init: Callable[[Any], State]  # of parameters
    step: Callable[..., tuple[State, Any]]  # (state, gradient, momentum, beta) -> state, step per eta


def update(solver: Solver, state: State, gradient, rate, beta, momentum, weight_decay) -> State:
    """Moves the parameters along the gradient of the loss, and shrinks all but biases.

    The decay is decoupled (Loshchilov & Hutter, arXiv:1711.05101) and goes with `rate * beta**power`, so that it means
    the same at every beta.

    Args:
      solver: of the table `SOLVERS`.
      state: of the training.
      gradient: like its parameters.
      rate: `[]` learning rate eta.
      beta: `[]` inverse temperature.
      momentum: `[]` in [0, 1).
      weight_decay: `[]` share of the weights that goes per unit of the rate at beta = 1.
    """
    state, step = solver.step(state, gradient, momentum, beta)
    kept = 1.0 - weight_decay * rate * beta**solver.power

    def move(value, along):
        return (kept * value if value.ndim > 1 else value) - rate * along

    return state._replace(params=jax.tree.map(move, state.params, step), n_steps=state.n_steps + 1)


def rate_at(solver: Solver, rate: float, beta: float) -> float:
    """Returns the learning rate that is to `beta` what `rate` is to beta = 1."""
    return rate / beta**solver.power


def _start(params, square) -> State:
    params = jax.tree.map(jnp.asarray, params)
    return State(params, jax.tree.map(jnp.zeros_like, params), square, jnp.zeros((), jnp.int32))


def _descend(state: State, gradient, momentum, beta):  # noqa: ARG001 (as Adam's)
    velocity = jax.tree.map(lambda v, g: momentum * v + g, state.velocity, gradient)
    return state._replace(velocity=velocity), velocity


def _adapt(state: State, gradient, momentum, beta):
    n = (state.n_steps + 1).astype(beta.dtype)
    velocity = jax.tree.map(lambda v, g: momentum * v + (1.0 - momentum) * g, state.velocity, gradient)
    square = jax.tree.map(lambda s, g: SQUARES * s + (1.0 - SQUARES) * g * g, state.square, gradient)
    early, early_square = 1.0 - momentum**n, 1.0 - SQUARES**n

    def direction(v, s):
        return v / early / (jnp.sqrt(s / early_square) + EPSILON * beta)

    return state._replace(velocity=velocity, square=square), jax.tree.map(direction, velocity, square)


SOLVERS = {
    "sgd": Solver(2, lambda params: _start(params, None), _descend),
    "adam": Solver(1, lambda params: _start(params, jax.tree.map(jnp.zeros_like, params)), _adapt),
}
"""Rules by name."""
