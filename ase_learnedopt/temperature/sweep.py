"""Which inverse temperature generalises best: a sweep over betas, learning rates and seeds in one program. Layer 2.

As in Agarwala, Pennington, Dauphin & Schoenholz, arXiv:2010.07344. Rates are raised at every beta until the validation
score falls, or else a beta looks better only because its rates were tried further; beta and rate are chosen on
validation examples with some seeds, and scored on test examples with others.
"""

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np

from .examples import Examples, merged, split
from .fitting import scales_of, started
from .models import as_model, mlp
from .parallel import Job, Parallel
from .steps import Settings, on_device
from .sweep_result import Row, Sweep, Trial
from .training import DIVERGED, Score
from .tuning import RATIO, climb, following

BETAS = tuple(float(f"{10.0**power:.3g}") for power in np.arange(-2.0, 1.1, 0.5))
"""The range of Agarwala et al. in half decades."""


def sweep_beta(
    X,
    y,
    model: Any = None,
    betas: Sequence[float] | Literal["auto"] = "auto",
    rates: Sequence[float] | Literal["auto"] = "auto",
    seeds: int = 3,
    final_seeds: int = 5,
    *,
    settings: Settings = Settings(),  # noqa: B008 (a tuple)
    test: tuple[Any, Any] | None = None,
    held_out: float = 0.2,
    at_once: int = 16,
    random_state: int = 0,
    show: Callable[[Trial], None] | None = None,
) -> Sweep:
    """Trains at many inverse temperatures, each at its best learning rate, and scores them on a test split.

    Args:
      X: `[n, ...]` numbers.
      y: `[n]` classes.
      model: a name of the table `MODELS`, what one of its builders returned, a pair `(init, apply)` or a module of
        `flax.linen`; None: `mlp()`.
      betas: inverse temperatures; "auto": `BETAS`. 1 is added, since it is what the others are held against.
      rates: factors of the rate that theory suggests at each beta; "auto": half decades, until the score falls.
      seeds: number of starts and orders of examples by whose mean beta and rate are chosen.
      final_seeds: number of others, for the test.
      settings: of every training; no training stops early.
      test: X and y to test on; None: a fraction of those given.
      held_out: fraction of every class for the test, and of what is left for validation.
      at_once: trainings that are made in parallel.
      random_state: seed of the splits and of all others.
      show: called with every trial.

    Raises:
      ValueError: impossible arguments, or no rate at which the loss stays finite at beta = 1.
    """
    betas, network = _betas(betas), mlp() if model is None else as_model(model)
    if seeds < 1 or final_seeds < 1 or at_once < 1:
        raise ValueError(f"seeds, final_seeds and at_once are {seeds}, {final_seeds} and {at_once}; give 1 or more")
    learn, validation, testing, n_classes = _splits(X, y, test, held_out, random_state)
    base = 1000 * (random_state + 1)
    params = started(network, learn.x, n_classes, base)
    scales = scales_of(network, params, learn, n_classes, base)
    room = max(len(validation.y), len(testing.y))
    train = Parallel(network, learn, n_classes, settings, at_once)
    tuning, final = (on_device(learn, judge, room) for judge in (validation, testing))
    first = {beta: scales(beta).suggest(settings.momentum, settings.solver) for beta in betas}

    def tried(pairs: list[tuple[float, float]]) -> list[Trial]:
        jobs = [Job(beta, factor * first[beta], base + i) for beta, factor in pairs for i in range(seeds)]
        scores = iter(train(jobs, tuning))
        trials = [Trial(b, f * first[b], f, _mean([next(scores) for _ in range(seeds)])) for b, f in pairs]
        for trial in trials:
            if show is not None:
                show(trial)
        return trials

    trials = _climb(tried, betas) if rates == "auto" else tried([(b, float(f)) for b in betas for f in rates])
    chosen = [max((t for t in trials if t.beta == beta), key=lambda t: t.score) for beta in betas]
    if chosen[betas.index(1.0)].score == DIVERGED:
        raise ValueError("the loss stays finite at no rate for beta = 1: scale the inputs, or give smaller rates")
    chosen = [trial for trial in chosen if trial.score != DIVERGED]
    jobs = [Job(t.beta, t.rate, base + seeds + i) for t in chosen for i in range(final_seeds)]
    scored = np.asarray(train(jobs, final)).reshape(len(chosen), final_seeds, 2)
    rows = [_row(trial, found, trials) for trial, found in zip(chosen, scored, strict=True)]
    return Sweep(rows, trials, scales(1.0), settings, seeds, (len(learn.y), len(validation.y), len(testing.y)))


def _climb(tried: Callable[[list[tuple[float, float]]], list[Trial]], betas: list[float]) -> list[Trial]:
    """Searches the rates of all betas side by side."""
    searches = {beta: climb() for beta in betas}
    wanted: dict[float, int | None] = {beta: next(search) for beta, search in searches.items()}
    trials: list[Trial] = []
    while wanted:
        found = tried([(beta, RATIO**step) for beta, step in wanted.items() if step is not None])
        trials += found
        then = {trial.beta: following(searches[trial.beta], trial.score) for trial in found}
        wanted = {beta: step for beta, step in then.items() if step is not None}
    return trials


def _mean(scores: list[Score]) -> Score:
    """Returns the mean of scores; of trainings of which one diverged, that they diverged."""
    accuracy, loss = np.mean(scores, axis=0)
    return DIVERGED if DIVERGED in scores else (round(float(accuracy), 6), float(loss))


def _row(trial: Trial, found: np.ndarray, trials: list[Trial]) -> Row:
    largest = max(other.rate for other in trials if other.beta == trial.beta)
    accuracies = tuple(np.maximum(found[:, 0], 0.0).tolist())  # zero where a training of the test diverged
    return Row(trial, accuracies, tuple((-found[:, 1]).tolist()), largest == trial.rate)


def _betas(betas: Sequence[float] | str) -> list[float]:
    values = [float(beta) for beta in (BETAS if isinstance(betas, str) and betas == "auto" else betas)]
    if not all(np.isfinite(value) and value > 0.0 for value in values):
        raise ValueError(f"betas are {values}; give numbers above zero, or 'auto'")
    return sorted({1.0, *values})


def _splits(X, y, test, held_out: float, random_state: int) -> tuple[Examples, Examples, Examples, int]:
    """Returns examples to learn from, for validation and for the test, and the number of classes."""
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
    return learn, validation, testing, len(classes)


def _examples(X, labels) -> Examples:
    X = np.asarray(X)
    X = X.astype(np.int32 if X.dtype.kind in "iu" else np.float32)
    if X.ndim < 2 or len(X) != len(labels) or not np.isfinite(X).all():
        raise ValueError(f"X has the shape {X.shape}; give finite numbers [{len(labels)}, ...]")
    return merged(X, labels, np.ones(len(labels)))
