"""Draws a sweep: accuracy, usable rates and calibration against beta. Layer 2, needs matplotlib."""

from typing import Any

import numpy as np

from ..plot_style import OURS, PALE, RIVALS, SETTINGS, to_svg
from .sweep_result import WITHIN, Sweep


def plot_sweep(sweep: Sweep) -> str:
    """Returns the plots of a sweep, side by side, as an SVG element.

    Raises:
      ValueError: matplotlib is missing.
    """
    try:
        from matplotlib import rc_context
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ValueError("plots need matplotlib: pip install matplotlib") from error
    with rc_context(SETTINGS):
        figure = Figure(figsize=(11.2, 3.6), layout="constrained")
        accuracy, rates, calibration = figure.subplots(1, 3)
        plot_accuracy(accuracy, sweep)
        _plot_rates(rates, sweep)
        _plot_calibration(calibration, sweep)
        for axes in (accuracy, rates, calibration):
            beta_axis(axes)
        return to_svg(figure)


def beta_axis(axes: Any) -> None:
    """Makes the horizontal axis one of betas, with plain numbers on it."""
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.set_xlabel("inverse temperature beta")


def plot_accuracy(axes: Any, sweep: Sweep) -> None:
    """Draws the test accuracy of every seed and their mean against beta; of an interrupted sweep, the validation's."""
    betas = [row.trial.beta for row in sweep.rows]
    if any(row.tests for row in sweep.rows):
        values = np.array([row.accuracies for row in sweep.rows])
        spread = values.std(axis=1, ddof=1) if values.shape[1] > 1 else np.zeros(len(betas))
        axes.errorbar(betas, values.mean(axis=1), spread, color=OURS[0], marker="o", markersize=4, capsize=2.5)
        axes.plot(np.repeat(betas, values.shape[1]), values.ravel(), ".", color=OURS[0], alpha=0.3, markersize=4)
        axes.set_title("test accuracy, mean and spread of seeds", loc="left", fontsize=10)
    else:
        axes.plot(betas, [row.trial.score[0] for row in sweep.rows], color=OURS[0], marker="o", markersize=4)
        axes.set_title("validation accuracy (not tested yet)", loc="left", fontsize=10)
    axes.axvline(sweep.best_.beta, color=PALE, linewidth=0.9, linestyle=(0, (4, 3)))
    axes.annotate(
        "chosen on\nvalidation", (sweep.best_.beta, 0.02), xycoords=("data", "axes fraction"), xytext=(4, 0),
        textcoords="offset points", fontsize=8, color=PALE,
    )  # fmt: skip


def _plot_rates(axes: Any, sweep: Sweep) -> None:
    """Draws the rates within a few points of the best at every beta, times the power of beta that counts."""
    from .solvers import SOLVERS

    power = SOLVERS[sweep.settings.solver].power
    for row in sweep.rows:
        beta = row.trial.beta
        low, high = (rate * beta**power for rate in sweep.window(beta))
        mine = [t for t in sweep.trials if t.beta == beta]
        good, bad = ([t.rate * beta**power for t in mine if t.learned == learned] for learned in (True, False))
        axes.plot([beta, beta], [low, high], color=RIVALS[0], linewidth=6, alpha=0.35, solid_capstyle="round")
        axes.plot([beta] * len(good), good, ".", color=RIVALS[0], markersize=4)
        axes.plot([beta] * len(bad), bad, "x", color=PALE, markersize=5)
        axes.plot([beta], [row.trial.rate * beta**power], "o", color=OURS[0], markersize=5)
    axes.set_yscale("log")
    law = "eta beta" + {1: "", 2: "²"}[power]
    axes.set_title(f"rates {law}: within {100 * WITHIN:.0f} points (bar), best (dot)", loc="left", fontsize=10)


def _plot_calibration(axes: Any, sweep: Sweep) -> None:
    """Draws the calibration error before and after division by a temperature found on validation."""
    rows = [row for row in sweep.rows if row.tests]
    kinds = (
        ("error", "as trained", OURS[0], "solid"),
        ("calibrated_error", "after calibration", RIVALS[0], (0, (5, 2))),
    )
    for name, label, color, dashes in kinds if rows else ():
        values = np.array([[getattr(test, name) for test in row.tests] for row in rows])
        axes.plot(
            [row.trial.beta for row in rows], values.mean(axis=1), color=color, linestyle=dashes, marker="o",
            markersize=4, label=label,
        )  # fmt: skip
    axes.set_ylim(bottom=0.0)
    axes.set_title("expected calibration error on the test", loc="left", fontsize=10)
    if rows:
        axes.legend(frameon=False, fontsize=8.5)
