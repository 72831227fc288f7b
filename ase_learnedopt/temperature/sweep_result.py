"""What a sweep over inverse temperatures found, as a table and as JSON. Layer 2."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..weights_io import write_whole
from .steps import Settings
from .theory import Diagnostics
from .training import DIVERGED, Score


class Trial(NamedTuple):
    """Holds a beta with a rate that was tried."""

    beta: float
    rate: float  # learning rate at the first step
    factor: float  # of the rate that theory suggests
    score: Score  # mean validation accuracy, and minus the mean loss


class Row(NamedTuple):
    """Holds what a beta comes to at its best rate."""

    trial: Trial  # the best on validation
    accuracies: tuple[float, ...]  # on the test, by seed; zero for a training that diverged
    losses: tuple[float, ...]  # as above; infinity
    at_edge: bool  # whether no larger rate was tried: the beta may do better than it says


class Sweep(NamedTuple):
    """Holds what `sweep_beta` found."""

    rows: list[Row]  # by beta
    trials: list[Trial]
    diagnostics: Diagnostics  # at beta = 1
    settings: Settings
    seeds: int
    n_examples: tuple[int, int, int]  # to learn from, for validation, for the test

    @property
    def best_(self) -> Trial:
        """The beta and the rate that did best on validation; 1 if another does as well."""
        return max((row.trial for row in self.rows), key=lambda trial: (trial.score, trial.beta == 1.0))

    def gain(self) -> tuple[float, float]:
        """Returns by how much `best_` beats beta = 1 in test accuracy, seed by seed: mean and its standard error.

        The error is NaN for a single seed.
        """
        by_beta = {row.trial.beta: np.array(row.accuracies) for row in self.rows}
        gains = by_beta[self.best_.beta] - by_beta[1.0]
        error = gains.std(ddof=1) / len(gains) ** 0.5 if len(gains) > 1 else np.nan
        return float(gains.mean()), float(error)

    def table(self) -> str:
        """Returns the results in Markdown: at every beta its best rate, validation, and the test with its spread."""
        lines = [
            "| beta | learning rate | of suggested | validation accuracy | test accuracy | test loss |",
            "|---|---|---|---|---|---|",
        ]
        for (beta, rate, factor, score), accuracies, losses, at_edge in self.rows:
            mark = " (largest tried)" if at_edge else ""
            lines.append(
                f"| {beta:.3g} | {rate:.3g}{mark} | {factor:.3g} | {score[0]:.4f} | {_spread(accuracies)} "
                f"| {_spread(losses)} |"
            )
        gain, error = self.gain()
        n, best = len(self.rows[0].accuracies), self.best_.beta
        told_apart = "" if abs(gain) > 2.0 * error else ": a tie"
        last = "Validation chooses beta = 1."
        if best != 1.0:
            last = f"Validation chooses beta = {best:.3g}: {100 * gain:+.2f} +- {100 * error:.2f} points against 1"
            last += f" on the test ({n} seeds){told_apart}."
        return "\n".join([*lines, "", last]) + "\n"

    def to_json(self, path: str | Path) -> Path:
        """Writes everything to a file, in one move, and returns its path."""
        gain, error = self.gain()
        content = {
            "best": _trial(self.best_),
            "gain": gain,
            "gain_error": error if np.isfinite(error) else None,
            "beta_one": self.diagnostics.beta_one,
            "settings": self.settings._asdict(),
            "seeds": self.seeds,
            "n_examples": self.n_examples,
            "rows": [_row(row) for row in self.rows],
            "trials": [_trial(trial) for trial in self.trials],
        }
        write_whole(Path(path), (json.dumps(content, indent=1, allow_nan=False) + "\n").encode())
        return Path(path)


def _trial(trial: Trial) -> dict[str, Any]:
    accuracy, loss = (None, None) if trial.score == DIVERGED else (trial.score[0], -trial.score[1])
    return {"beta": trial.beta, "rate": trial.rate, "factor": trial.factor, "accuracy": accuracy, "loss": loss}


def _row(row: Row) -> dict[str, Any]:
    losses = [loss if np.isfinite(loss) else None for loss in row.losses]
    return _trial(row.trial) | {"accuracies": row.accuracies, "losses": losses, "at_edge": row.at_edge}


def _spread(values: tuple[float, ...]) -> str:
    mean = np.mean(values)
    return f"{mean:.4f} +- {np.std(values, ddof=1):.4f}" if len(values) > 1 and np.isfinite(mean) else f"{mean:.4f}"
