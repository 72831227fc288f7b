"""What a sweep over inverse temperatures found, as a table and as JSON. Layer 2."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..weights_io import write_whole
from .steps import Settings
from .theory import Diagnostics
from .trainer import Final
from .training import DIVERGED, Score

WITHIN = 0.02
"""Of the best accuracy at a beta: rates that come as near are usable."""


class Trial(NamedTuple):
    """Holds a beta with a rate that was tried."""

    beta: float
    rate: float  # learning rate at the first step
    factor: float  # of the rate that theory suggests
    score: Score  # mean validation accuracy, and minus the mean loss
    learned: bool = True  # whether the training loss of every seed ended below that of constant predictions


class Row(NamedTuple):
    """Holds what a beta comes to at its best rate."""

    trial: Trial  # the best on validation
    tests: tuple[Final, ...]  # by seed; none where the sweep was interrupted
    at_edge: bool  # whether no larger rate was tried: the beta may do better than it says

    @property
    def accuracies(self) -> tuple[float, ...]:
        """On the test, by seed; zero for a training that diverged."""
        return tuple(test.accuracy for test in self.tests)


class Sweep(NamedTuple):
    """Holds what `sweep_beta` found."""

    rows: list[Row]  # by beta, without those at which nothing was learned
    trials: list[Trial]
    diagnostics: Diagnostics  # at beta = 1
    settings: Settings
    seeds: int
    n_examples: tuple[int, int, int]  # to learn from, for validation, for the test
    random_state: int = 0
    interrupted: int = 0  # number of the signal that ended it early

    @property
    def best_(self) -> Trial:
        """The beta and the rate that did best on validation; 1 if another does as well."""
        return max((row.trial for row in self.rows), key=lambda trial: (trial.score, trial.beta == 1.0))

    def gains(self) -> np.ndarray:
        """Returns by how much `best_` beats beta = 1 in test accuracy, `[n_seeds]`."""
        by_beta = {row.trial.beta: np.array(row.accuracies) for row in self.rows}
        return by_beta[self.best_.beta] - by_beta[1.0]

    def gain(self) -> tuple[float, float]:
        """Returns the mean of `gains` and its standard error, NaN for a single seed.

        The error is that of starts and orders of examples; all seeds share one test split.
        """
        gains = self.gains()
        if not len(gains):
            return np.nan, np.nan
        return float(gains.mean()), float(gains.std(ddof=1) / len(gains) ** 0.5) if len(gains) > 1 else np.nan

    def window(self, beta: float) -> tuple[float, float]:
        """Returns the least and the largest rate that come within `WITHIN` of the best validation accuracy at a beta.

        Raises:
          ValueError: a beta that was not tried, or at which nothing was learned.
        """
        mine = [trial for trial in self.trials if trial.beta == beta and trial.learned]
        if not mine:
            raise ValueError(f"nothing was learned at beta {beta:g}; betas are {[r.trial.beta for r in self.rows]}")
        best = max(trial.score[0] for trial in mine)
        usable = [trial.rate for trial in mine if trial.score[0] >= best - WITHIN]
        return min(usable), max(usable)

    def table(self) -> str:
        """Returns the results in Markdown: at every beta its best rate, validation, and the test with its spread."""
        lines = [f"| {' | '.join(_HEADER)} |", "|---" * len(_HEADER) + "|"]
        for row in self.rows:
            (beta, rate, factor, score, _), tests = row.trial, row.tests
            mark = " (largest tried)" if row.at_edge else ""
            columns = [_spread([getattr(t, name) for t in tests]) for name in _COLUMNS]
            lines.append(f"| {beta:.3g} | {rate:.3g}{mark} | {factor:.3g} | {score[0]:.4f} | {' | '.join(columns)} |")
        return "\n".join([*lines, "", *self._remarks()]) + "\n"

    def to_json(self, path: str | Path) -> Path:
        """Writes everything to a file, in one move, and returns its path."""
        content = {
            "best": _trial(self.best_),
            "gain": _plain(self.gain()[0]),
            "gain_error": _plain(self.gain()[1]),
            "beta_one": _plain(self.diagnostics.beta_one),
            "settings": self.settings._asdict(),
            "seeds": self.seeds,
            "random_state": self.random_state,
            "n_examples": self.n_examples,
            "interrupted": self.interrupted,
            "rows": [_row(row, self.window(row.trial.beta)) for row in self.rows],
            "trials": [_trial(trial) for trial in self.trials],
        }
        write_whole(Path(path), (json.dumps(content, indent=1, allow_nan=False) + "\n").encode())
        return Path(path)

    def plot(self, path: str | Path) -> Path:
        """Draws accuracy, usable rates and calibration error against beta into an SVG file and returns its path.

        Raises:
          ValueError: matplotlib is missing.
        """
        from .sweep_plot import plot_sweep

        write_whole(Path(path), plot_sweep(self).encode())
        return Path(path)

    def _remarks(self) -> list[str]:
        best, kept = self.best_.beta, {row.trial.beta for row in self.rows}
        gain, error = self.gain()
        if self.interrupted:
            last = "The sweep was interrupted before its test."
        elif best == 1.0:
            last = "Validation chooses beta = 1."
        else:
            last = f"Validation chooses beta = {best:.3g}: {100 * gain:+.2f} +- {100 * error:.2f} points against 1"
            last += f" on one test split ({len(self.gains())} seeds){'' if abs(gain) > 2.0 * error else ': a tie'}."
        lost = sorted({trial.beta for trial in self.trials} - kept)
        names = ", ".join(f"{beta:.3g}" for beta in lost)
        return [last, *([f"Nothing was learned at any rate at beta = {names}."] if lost else [])]


_HEADER = (
    "beta", "learning rate", "of suggested", "validation accuracy", "test accuracy", "test loss", "calibration error",
    "after calibration",
)  # fmt: skip
_COLUMNS = ("accuracy", "loss", "error", "calibrated_error")


def _trial(trial: Trial) -> dict[str, Any]:
    accuracy, loss = (None, None) if trial.score == DIVERGED else (trial.score[0], -trial.score[1])
    values = {"beta": trial.beta, "rate": trial.rate, "factor": trial.factor, "accuracy": accuracy, "loss": loss}
    return values | {"learned": trial.learned}


def _row(row: Row, window: tuple[float, float]) -> dict[str, Any]:
    tests = [{name: _plain(value) for name, value in test._asdict().items()} for test in row.tests]
    return _trial(row.trial) | {"tests": tests, "at_edge": row.at_edge, "usable_rates": window}


def _plain(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _spread(values: Sequence[float]) -> str:
    if not len(values):
        return "-"
    mean = np.mean(values)
    return f"{mean:.4f} +- {np.std(values, ddof=1):.4f}" if len(values) > 1 and np.isfinite(mean) else f"{mean:.4f}"
