"""The sweeps that several claims rest on, each made once. Layer 2."""

from typing import Any

import numpy as np

from ..steps import Settings
from ..sweep import BETAS, sweep_beta
from ..sweep_result import Sweep
from .found import Work
from .pairs import chosen


def sweeps(work: Work) -> dict[str, list[Sweep]]:
    """Returns sweeps of every pair, one for each split.

    Raises:
      KeyboardInterrupt: one was stopped; what was done is kept.
    """
    found: dict[str, list[Sweep]] = {}
    for name, pair in chosen(work.pairs).items():
        for split in work.splits:
            settings: dict[str, Any] = {"betas": (0.1, 1.0, 10.0), "seeds": 1, "final_seeds": 2} if work.short else {}
            one = sweep_beta(
                *pair.load(), pair.model(), random_state=split, keep=work.file("sweep", name, split),
                settings=Settings(n_steps=200 if work.short else 1000), progress=work.show is not None, **settings,
            )  # fmt: skip
            if one.interrupted:
                raise KeyboardInterrupt
            found.setdefault(name, []).append(one)
    return found


def common_betas(runs: list[Sweep]) -> list[float]:
    """Returns the betas at which something was learned on every split."""
    return [b for b in BETAS if all(b in {row.trial.beta for row in run.rows} for run in runs)]


def of_finals(runs: list[Sweep], beta: float, name: str) -> np.ndarray:
    """Returns a figure of `Final` at a beta, `[n_splits, n_seeds]`."""
    rows = [next(row for row in run.rows if row.trial.beta == beta) for run in runs]
    return np.array([[getattr(test, name) for test in row.tests] for row in rows])


def interval(by_split: np.ndarray) -> tuple[float, float]:
    """Returns the mean of values `[n_splits]` and the half width of its 95 % interval, by Student's t."""
    from scipy.stats import t

    n = len(by_split)
    width = float(t.ppf(0.975, n - 1) * by_split.std(ddof=1) / n**0.5) if n > 1 else np.nan
    return float(by_split.mean()), width


def between(interval: tuple[float, float], scale: float = 1.0, digits: int = 2) -> str:
    """Returns a mean with its sign and interval in words, times `scale`."""
    mean, width = (scale * value for value in interval)
    return f"{mean:+.{digits}f}" + (f" ± {width:.{digits}f}" if np.isfinite(width) else " (no interval from one split)")


def plain(runs: list[Sweep]) -> list[dict[str, Any]]:
    """Returns the figures of sweeps for a file."""
    return [
        {
            "split": run.random_state,
            "chosen": run.best_.beta,
            "accuracies": {f"{row.trial.beta:g}": row.accuracies for row in run.rows},
            "rates": {f"{row.trial.beta:g}": row.trial.rate for row in run.rows},
        }
        for run in runs
    ]
