"""Search for the inverse temperature and the learning rate on examples held out. Layer 2.

Theory gives the best rate at a beta to a factor of a hundred, and a beta is easily thought better whose rates only
happened to be tried further. So at every beta rates are raised until the judged score falls.
"""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from .training import Training

RATIO = 10.0**0.5
"""Between a rate and the next."""
FALLS = 2
"""Rates in a row that must do worse than the best before no further one is tried."""
MOST = 12
"""Rates tried upwards at one beta, and downwards."""
SPREAD = (1.0, 1.0 / 3.0, 3.0)
"""Of beta_one: inverse temperatures to try, beside 1."""
RANGE = (1e-2, 1e1)
"""Of inverse temperatures to try: those of Agarwala et al., arXiv:2010.07344."""

TrainAt = Callable[[float, float], Training]


def betas_to_try(beta_one: float) -> list[float]:
    """Returns the inverse temperatures to try: 1, and those about `beta_one` where it is known."""
    if not (np.isfinite(beta_one) and beta_one > 0.0):  # the kernel of a linear model never changes
        return [1.0]
    return list(dict.fromkeys([1.0, *(float(np.clip(factor * beta_one, *RANGE)) for factor in SPREAD)]))


def tune(train_at: TrainAt, betas: Sequence[float], first_rate: Callable[[float], float]) -> tuple[Training, list]:
    """Trains at every beta and at rates about a first one, and returns the best training.

    Between trainings that do as well, the one at the earlier beta is taken: with 1 as the first, another is chosen only
    if it does better on the examples held out.

    Args:
      train_at: (beta, rate) -> what came of it.
      betas: inverse temperatures.
      first_rate: beta -> learning rate to begin with.

    Returns:
      The best training, and all in the order in which they were made.

    Raises:
      ValueError: every training diverged.
    """
    trainings: list[Training] = []
    for beta in betas:
        _along_rates(partial(train_at, beta), first_rate(beta), trainings)
        if trainings[-1].interrupted:
            break
    best = max(trainings, key=lambda training: training.score)
    if best.diverged:
        rates = [training.rate for training in trainings]
        raise ValueError(
            f"the loss did not stay finite at any of the learning rates {min(rates):.3g} to {max(rates):.3g}: "
            "scale the inputs, as with sklearn.preprocessing.StandardScaler"
        )
    return best._replace(interrupted=trainings[-1].interrupted), trainings


def _along_rates(train_at: Callable[[float], Training], first: float, trainings: list[Training]) -> None:
    """Raises the rate from the first one until the score falls, and lowers it if the first one was the best."""
    start = best = train_at(first)
    trainings.append(start)
    for direction in (1, -1):
        up, falls = direction == 1, 0
        if start.diverged if up else best.score > start.score:
            continue
        for i in range(1, MOST + 1):
            if trainings[-1].interrupted:
                return
            current = train_at(first * RATIO ** (direction * i))
            trainings.append(current)
            if current.score > best.score:
                best, falls = current, 0
            elif up or not current.diverged:  # on the way down, what diverged is not yet a fall
                falls += 1
            if falls >= FALLS or (up and current.diverged):
                break
