"""Draws what came of the claims. Layer 2, needs matplotlib."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...plot_style import INK, OURS, PALE, RIVALS, SETTINGS, to_svg
from ..sweep_plot import beta_axis

WIDE = 3.7
"""Inches of every panel."""
IN_A_ROW = 4
"""Panels; more would be too small on a page."""
DEEP = 5.0
"""Points of accuracy beyond which gains and losses are not drawn: one training that failed would flatten the rest."""


def collapse_plot(measured: dict[str, list[dict[str, Any]]]) -> str:
    """Returns curves of every pair against eta beta^2 t above, and how far they are off the linear network below."""
    with _style():
        figure, panels = _panels(2, len(measured), 6.0)
        for k, (name, runs) in enumerate(measured.items()):
            run, (above, below) = runs[0], panels[:, k]
            colors = _shades(len(run["beta"]))
            for beta, color, tau, tau_nl, size, linear in zip(
                run["beta"], colors, run["tau"], run["tau_nl"], run["size"], run["linear"], strict=True
            ):
                above.plot(tau, size, color=color, linewidth=1.6, label=f"{beta:g}")
                below.plot(tau / tau_nl, 100.0 * np.abs(size / linear - 1.0), color=color, linewidth=1.6)
            above.plot(
                run["tau"][-1], run["linear"][-1], color=INK, linewidth=0.9, linestyle=(0, (4, 3)), label="linear"
            )
            above.set(xscale="log", yscale="log", xlabel="eta beta² t")
            below.axhline(10.0, color=PALE, linewidth=0.8)
            below.set(xscale="log", yscale="log", xlabel="eta beta² t / tau_nl", ylim=(0.05, 300.0))
            above.set_title(name, loc="left", fontsize=10)
        panels[0, 0].set_ylabel("rms |beta z|")
        panels[1, 0].set_ylabel("off the linear network, %")
        panels[0, 0].legend(frameon=False, fontsize=7.5, title="beta", title_fontsize=8, ncols=2)
        return to_svg(figure)


def generalisation_plot(measured: dict[str, np.ndarray], betas: Sequence[float], starts: Sequence[float]) -> str:
    """Returns test accuracies against beta, a curve for each size of the logits at the start."""
    with _style():
        figure, panels = _panels(1, len(measured), 3.4)
        for axes, (name, found) in zip(panels[0], measured.items(), strict=True):
            for k, (start, color) in enumerate(zip(starts, (*_shades(len(starts))[:-1], OURS[0]), strict=True)):
                cell = found[:, k]
                error = cell.std(axis=1, ddof=1) / cell.shape[1] ** 0.5
                at = np.array(betas) * 1.06 ** (k - 1.5)  # side by side
                style = {"color": color, "marker": "o", "markersize": 4, "capsize": 2.5}
                axes.errorbar(at, cell.mean(axis=1), error, label=f"{start:g}", **style)
            axes.set_title(name, loc="left", fontsize=10)
            beta_axis(axes)
        panels[0, 0].set_ylabel("test accuracy ± standard error")
        panels[0, 0].legend(frameon=False, fontsize=8.5, title="|beta z| at the start", title_fontsize=8.5)
        return to_svg(figure)


def tuned_plot(found: dict[str, Any]) -> str:
    """Returns how much better or worse than 1 every beta is: thin by split, thick the mean, a ring where chosen."""
    from .sweeps import common_betas, of_finals

    with _style():
        n_rows = -(-len(found) // IN_A_ROW)
        figure, panels = _panels(n_rows, min(len(found), IN_A_ROW), 3.3 * n_rows, share=True)
        for axes in panels.flat[len(found) :]:
            axes.set_axis_off()
        for axes, (name, runs) in zip(panels.flat, found.items(), strict=False):
            betas, one = common_betas(runs), of_finals(runs, 1.0, "accuracy").mean(axis=1)
            gains = np.array([100.0 * (of_finals(runs, b, "accuracy").mean(axis=1) - one) for b in betas])
            axes.axhline(0.0, color=PALE, linewidth=0.9)
            axes.plot(betas, gains, color=RIVALS[0], linewidth=0.8, alpha=0.5)
            axes.plot(betas, gains.mean(axis=1), color=OURS[0], linewidth=2.2, marker="o", markersize=4)
            axes.plot(
                [run.best_.beta for run in runs], [100.0 * run.gains().mean() for run in runs], "o", color=RIVALS[0],
                markersize=6, markerfacecolor="none",
            )  # fmt: skip
            axes.set_title(name, loc="left", fontsize=10)
            beta_axis(axes)
        low, high = panels[0, 0].get_ylim()
        panels[0, 0].set_ylim(max(low, -DEEP), min(high, DEEP))
        for axes in panels[:, 0]:
            axes.set_ylabel("test accuracy over that of beta = 1, points", fontsize=8.5)
        return to_svg(figure)


def confidence_plot(found: dict[str, Any]) -> str:
    """Returns test losses against beta, as trained and with logits rescaled after training."""
    from .sweeps import common_betas, of_finals

    kinds = (("loss", "as trained", OURS[0], "solid"), ("calibrated_loss", "rescaled", RIVALS[0], (0, (5, 2))))
    with _style():
        figure, panels = _panels(1, len(found), 3.3)
        for axes, (name, runs) in zip(panels[0], found.items(), strict=True):
            betas = common_betas(runs)
            for kind, label, color, dashes in kinds:
                values = np.array([of_finals(runs, beta, kind).mean(axis=1) for beta in betas])
                axes.plot(
                    betas, values.mean(axis=1), color=color, linestyle=dashes, marker="o", markersize=4, label=label
                )
            axes.set_title(name, loc="left", fontsize=10)
            axes.set_ylim(bottom=0.0)
            beta_axis(axes)
        panels[0, 0].set_ylabel("test loss")
        panels[0, 0].legend(frameon=False, fontsize=8.5)
        return to_svg(figure)


def stability_plot(measured: dict[str, Any], betas: Sequence[float]) -> str:
    """Returns against beta: the largest step that learns, how many are usable, and the spread of seeds."""
    with _style():
        figure, panels = _panels(1, 3, 3.5)
        largest, width, spread = panels[0]
        for (name, runs), color in zip(measured.items(), (*OURS[:1], *RIVALS), strict=False):
            style = {"color": color, "marker": "o", "markersize": 4, "label": name}
            largest.plot(betas, np.exp(np.mean([np.log(run.largest) for run in runs], axis=0)), **style)
            width.plot(betas, np.mean([run.width for run in runs], axis=0), **style)
            spread.plot(betas, 100.0 * np.sqrt(np.mean([run.spread**2 for run in runs], axis=0)), **style)
        largest.set_yscale("log")
        largest.set_title("largest eta beta² lambda / 2K that learns", loc="left", fontsize=9.5)
        width.set_title("usable rates, half decades", loc="left", fontsize=9.5)
        spread.set_title("spread of accuracy over seeds, points", loc="left", fontsize=9.5)
        for axes in (width, spread):
            axes.set_ylim(bottom=0.0)
        for axes in panels[0]:
            beta_axis(axes)
        largest.legend(frameon=False, fontsize=8.5)
        return to_svg(figure)


def _style():
    try:
        from matplotlib import rc_context
    except ImportError as error:
        raise ValueError("plots need matplotlib: pip install matplotlib") from error
    return rc_context(SETTINGS)


def _panels(n_rows: int, n_columns: int, height: float, *, share: bool = False) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(max(WIDE, 2.9 if n_columns > 3 else WIDE) * n_columns, height), layout="constrained")
    return figure, figure.subplots(n_rows, n_columns, squeeze=False, sharey=share)


def _shades(n: int) -> list[Any]:
    """Returns colours from dark to bright, for values in order."""
    from matplotlib import colormaps

    return [colormaps["viridis"](share) for share in np.linspace(0.0, 0.88, n)]
