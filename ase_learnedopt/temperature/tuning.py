"""Search for the inverse temperature and the learning rate on examples held out. Layer 2.

Theory gives the best rate at a beta to a factor of a hundred, and a beta is easily thought better whose rates only
happened to be tried further. So at every beta rates are raised until the judged score falls.
"""

import warnings
from collections.abc import Callable, Generator, Sequence

import numpy as np

from .training import DIVERGED, Score, Training

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
      The best training, and all in the order in which they were made, these without parameters.

    Raises:
      ValueError: every training diverged.
      KeyboardInterrupt: before the first look of the first training.
    """
    best: Training | None = None
    trainings: list[Training] = []
    for beta in betas:
        search = climb()
        half_decades: int | None = next(search)
        while half_decades is not None and not (trainings and trainings[-1].interrupted):
            try:
                current = train_at(beta, first_rate(beta) * RATIO**half_decades)
            except KeyboardInterrupt:  # before its first look
                if best is None:
                    raise
                warnings.warn(f"the search was interrupted after {len(trainings)} trainings", stacklevel=2)
                return best._replace(interrupted=True), trainings
            if best is None or current.score > best.score:
                best = current
            trainings.append(current._replace(params=None))  # a large network is kept once only
            half_decades = following(search, current.score)
    assert best is not None
    if best.diverged:
        rates = [training.rate for training in trainings]
        raise ValueError(
            f"the loss did not stay finite at any of the learning rates {min(rates):.3g} to {max(rates):.3g}: "
            "scale the inputs, as with sklearn.preprocessing.StandardScaler"
        )
    return best._replace(interrupted=trainings[-1].interrupted), trainings


def following(search: Generator[int, Score, None], score: Score) -> int | None:
    """Returns what a search wants to try after it has seen a score; None: it has ended."""
    try:
        return search.send(score)
    except StopIteration:
        return None


def climb() -> Generator[int, Score, None]:
    """Yields which rate to try next, as half decades above the first, and is sent the score it gave.

    Rates are raised until the score falls, and lowered if the first one was the best.
    """
    start = best = yield 0
    for up in (True, False):
        falls = 0
        if start == DIVERGED if up else best > start:
            continue
        for i in range(1, MOST + 1):
            score = yield i if up else -i
            if score > best:
                best, falls = score, 0
            elif up or score != DIVERGED:  # on the way down, what diverged is not yet a fall
                falls += 1
            if falls >= FALLS or (up and score == DIVERGED):
                break
