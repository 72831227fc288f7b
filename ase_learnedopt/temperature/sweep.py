"""Which inverse temperature generalises best: a sweep over betas, learning rates and seeds in one program. Layer 2.

As in Agarwala, Pennington, Dauphin & Schoenholz, arXiv:2010.07344. Rates are raised at every beta until the validation
score falls, or else a beta looks better only because its rates were tried further; beta and rate are chosen on
validation examples with some seeds, and scored on test examples with others.
"""

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ..forked import require_not_forked
from ..stopping import Stop
from .kept import only_keeper
from .models import as_model, mlp
from .parallel import Job
from .parts import in_parts
from .progress import training_bar
from .rate_search import side_by_side
from .scaling import Scaling
from .steps import Settings
from .sweep_result import Row, Sweep, Trial
from .trainer import Trainer
from .training import DIVERGED, Score

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
    scaling: Scaling = "auto",
    at_once: int = 16,
    random_state: int = 0,
    keep: str | Path | None = None,
    progress: bool = False,
    show: Callable[[Trial], None] | None = None,
) -> Sweep:
    """Trains at many inverse temperatures, each at its best learning rate, and scores them on a test split.

    Ctrl-C ends it after the trainings under way, with a warning; what is known by then is returned, without a test.

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
      scaling: of inputs, see `scaler`; "auto": every feature, or the whole of what is more than a row of features, to
        mean zero and variance one. Without it a small beta seems to gain what is due to smaller logits at the start.
      at_once: trainings that are made in parallel.
      random_state: seed of the splits and of all others.
      keep: file of the trainings that are done: a sweep that was stopped or killed goes on from it.
      progress: whether to show a bar.
      show: called with every trial.

    Raises:
      ValueError: impossible arguments, a file of other trainings or that another process writes to, or no rate at
        which anything is learned at beta = 1.
      KeyboardInterrupt: before the first trials are done, or a second time.
      RuntimeError: this process was forked from one that had used jax.
    """
    require_not_forked()
    betas, network = _betas(betas), mlp() if model is None else as_model(model)
    if seeds < 1 or final_seeds < 1 or at_once < 1:
        raise ValueError(f"seeds, final_seeds and at_once are {seeds}, {final_seeds} and {at_once}; give 1 or more")
    parts = in_parts(X, y, test, held_out, random_state, scaling)
    base = 1000 * (random_state + 1)
    trials: list[Trial] = []
    with only_keeper(keep), Stop(piece="batch of trainings") as stop, training_bar(progress) as done:
        train = Trainer(network, parts, settings, at_once=at_once, keep=keep, stop=stop, show=done)
        first = {beta: train.scales(beta, base).suggest(settings.momentum, settings.solver) for beta in betas}

        def tried(pairs: list[tuple[float, float]]) -> list[Score]:
            jobs = [Job(beta, factor * first[beta], base + i) for beta, factor in pairs for i in range(seeds)]
            found = train.judged(jobs)
            new = [
                _trial(beta, factor * first[beta], factor, found[k * seeds : (k + 1) * seeds])
                for k, (beta, factor) in enumerate(pairs)
            ]
            trials.extend(new)
            for trial in new:
                if show is not None:
                    show(trial)
            return [trial.score for trial in new]

        rows: list[Row] = []
        try:
            if rates == "auto":
                side_by_side(betas, tried)
            else:
                tried([(beta, float(factor)) for beta in betas for factor in rates])
            rows = _rows(betas, trials)
            jobs = [Job(row.trial.beta, row.trial.rate, base + seeds + i) for row in rows for i in range(final_seeds)]
            tested = train.tested(jobs)
            rows = [
                row._replace(tests=tuple(tested[k * final_seeds : (k + 1) * final_seeds])) for k, row in enumerate(rows)
            ]
        except KeyboardInterrupt:
            if not trials:
                raise
            message = f"the sweep was interrupted after {len(trials)} trials"
            warnings.warn(message + (f"; it goes on from {keep}" if keep else ""), stacklevel=2)
            rows = rows or _rows(betas, trials)
        interrupted = 0 if rows and rows[0].tests else stop.signal or 2
    return Sweep(rows, trials, train.scales(1.0, base), settings, seeds, parts.sizes, random_state, interrupted)


def _trial(beta: float, rate: float, factor: float, found: list[tuple[Score, bool]]) -> Trial:
    """Returns the mean of scores; of trainings of which one diverged, that they diverged."""
    scores = [score for score, _ in found]
    accuracy, loss = np.mean(scores, axis=0)
    score = DIVERGED if DIVERGED in scores else (round(float(accuracy), 6), float(loss))
    return Trial(beta, rate, factor, score, all(learned for _, learned in found))


def _rows(betas: list[float], trials: list[Trial]) -> list[Row]:
    """Returns every beta at its best rate, those at which nothing is learned at any rate left out."""
    rows = []
    for beta in betas:
        mine = [trial for trial in trials if trial.beta == beta]
        good = [trial for trial in mine if trial.learned]
        if good:
            best = max(good, key=lambda trial: trial.score)
            rows.append(Row(best, (), max(trial.rate for trial in mine) == best.rate))
        elif beta == 1.0:
            rates = [trial.rate for trial in mine]
            raise ValueError(
                f"at beta = 1 nothing is learned at any of the rates {min(rates):.3g} to {max(rates):.3g}: the "
                "training loss diverges, or ends no lower than that of constant predictions; give other rates"
            )
    return rows


def _betas(betas: Sequence[float] | str) -> list[float]:
    values = [float(beta) for beta in (BETAS if isinstance(betas, str) and betas == "auto" else betas)]
    if not all(np.isfinite(value) and value > 0.0 for value in values):
        raise ValueError(f"betas are {values}; give numbers above zero, or 'auto'")
    return sorted({1.0, *values})
