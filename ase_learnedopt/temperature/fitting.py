"""From weighted examples to a trained classifier: what is held out, where to start, what is searched for. Layer 2."""

import warnings
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import jax
import numpy as np

from .examples import Examples, batches, constant_loss, split
from .models import Model, in_training
from .solvers import SOLVERS, rate_at
from .steps import Settings, on_device
from .theory import Diagnostics, diagnose
from .training import LEARNED, Show, Training, train, train_with_guard
from .tuning import betas_to_try, tune

N_DIAGNOSED = 256
"""Examples for the diagnostics, drawn by weight: always as many, so that one program serves all data."""
N_JUDGED = 1000
"""Examples to judge by at most where none are held out."""

Auto = Literal["auto"]


class Fitted(NamedTuple):
    """Holds a trained classifier and how it came about."""

    best: Training
    trainings: list[Training]  # all that were made
    diagnostics: Diagnostics  # at the start, at the beta of the best
    judge: Examples  # what trainings were judged by


def fit_classifier(
    model: Model,
    examples: Examples,
    n_classes: int,
    beta: float | Auto,
    rate: float | Auto,
    settings: Settings,
    held_out: float,
    random: np.random.RandomState,
    show: Show | None = None,
) -> Fitted:
    """Trains a classifier, searching for beta and the learning rate where they are "auto".

    Args:
      model: the network.
      examples: from `merged`.
      n_classes: how many classes there are, with examples or without.
      beta: inverse temperature, or "auto": 1, and three about `beta_one`.
      rate: learning rate, or "auto"; where only beta is searched for, the rate at beta = 1.
      settings: of every training.
      held_out: fraction of the examples to judge by; zero: judge by those trained on.
      random: where all randomness is from; every training starts from the same parameters.
      show: called after every look of every training.

    Raises:
      ValueError: logits of the wrong shape or without finite derivatives, or losses that do not stay finite.
    """
    learn, judge = split(examples, held_out, random) if held_out else (examples, None)
    if judge is None:
        rows = random.permutation(len(learn.y))[:N_JUDGED]
        judge = Examples(*(a[rows] for a in learn))
    seed = random.randint(2**31)
    params = started(model, learn.x, n_classes, seed)
    data = on_device(learn, judge)
    scales = scales_of(model, params, learn, n_classes, seed)

    def train_at(beta: float, rate: float) -> Training:
        return train(model, params, learn, data, beta, rate, settings, seed, show)

    def first_rate(beta: float) -> float:
        return scales(beta).suggest(settings.momentum, settings.solver)

    betas = betas_to_try(scales(1.0).beta_one) if beta == "auto" else [float(beta)]
    if rate == "auto":
        best, trainings = tune(train_at, betas, first_rate)
    else:
        trainings = [train_with_guard(train_at, betas[0], float(rate), first_rate(betas[0]))]
        for other in betas[1:]:
            if not trainings[-1].interrupted:
                trainings.append(train_at(other, rate_at(SOLVERS[settings.solver], trainings[0].rate, other)))
        best = max(trainings, key=lambda training: training.score)
        _warn_if_nothing_learned(best, learn, first_rate(best.beta))
    return Fitted(best, trainings, scales(best.beta), judge)


def _warn_if_nothing_learned(best: Training, learn: Examples, advice: float) -> None:
    """Warns of a loss that is finite and yet tells of a rate far off: huge, or that of a network that has died."""
    lowest, nothing = float(best.history["train_loss"].min()), constant_loss(learn)
    if lowest >= LEARNED * nothing and not best.interrupted:
        warnings.warn(
            f"nothing was learned: the training loss was never below {lowest:.3g}, and predicting the same for every "
            f"example comes to {nothing:.3g}. At beta {best.beta:g} the learning rate {best.rate:.3g} is too large, "
            f"too small, or the inputs say nothing: try {advice:.3g}, or 'auto'",
            stacklevel=4,
        )


def started(model: Model, x: np.ndarray, n_classes: int, seed: int) -> Any:
    """Returns the parameters of a network at its start.

    Raises:
      ValueError: its logits are not `[n, n_classes]`.
    """
    params = model.init(jax.random.key(seed), x[:1], n_classes)
    shape = jax.eval_shape(model.apply, params, x[:1]).shape
    if shape != (1, n_classes):
        raise ValueError(f"the model gives logits {shape} for one example; {n_classes} classes need (1, {n_classes})")
    return params


def scales_of(
    model: Model, params: Any, examples: Examples, n_classes: int, seed: int
) -> Callable[[float], Diagnostics]:
    """Returns the function from beta to the diagnostics of a start on some of the examples.

    They are of the network in training mode: that is the function which is descended, and running averages mean nothing
    before the first step.

    Raises:
      ValueError: by that function, for logits or derivatives that are not finite.
    """
    rows = batches(examples.weight, 1, N_DIAGNOSED, np.random.RandomState(seed))[0]
    x, targets = examples.x[rows], np.eye(n_classes, dtype=np.float32)[examples.y[rows]]

    return lambda beta: diagnose(in_training(model), params, x, targets, beta)
