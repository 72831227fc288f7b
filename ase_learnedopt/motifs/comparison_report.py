"""The tables and the plot of the comparison of classifiers of atoms. Layer 4."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..plot_style import SETTINGS, blank, label_curves, looks, to_svg

OURS = "ours"


def score(record: dict[str, Any], method: str) -> float:
    """Returns the mean, over the true words, of the share of atoms named right."""
    return float(np.mean([hit / total for hit, total in record["right"][method].values()]))


def report(records: Sequence[dict[str, Any]]) -> str:
    """Returns the tables in Markdown: mean over seeds +- standard deviation, and the best rival of every level."""
    shaken = [r for r in records if r["kind"] == "noise"]
    methods = list(records[0]["right"])
    by_level = {f"{level:g}": [r for r in shaken if r["noise"] == level] for level in _levels(shaken)}
    lines = ["Share of atoms named right, mean over the five words, mean over seeds +- standard deviation.", ""]
    lines += _table("noise", methods, by_level)
    lines += ["", "Of them, by word, ours and the best rival there:", ""]
    words = sorted({word for r in shaken for word in r["right"][OURS]})
    lines += [f"| noise | method | {' | '.join(words)} |", "|---" * (len(words) + 2) + "|"]
    for level, group in by_level.items():
        for method in (OURS, _best(methods, group)):
            shares = [_pooled(group, method, word) for word in words]
            lines.append(f"| {level} | {method} | " + " | ".join(f"{share:.3f}" for share in shares) + " |")
    kinds = list(dict.fromkeys(r["kind"] for r in records if r["kind"] != "noise"))
    if kinds:
        lines += ["", "Molecular dynamics by EMT, named by the minimum: share of atoms named right.", ""]
        groups = {kind: [r for r in records if r["kind"] == kind] for kind in kinds}
        named = {f"{k} (noise {np.mean([r['noise'] for r in g]):.3f})": g for k, g in groups.items()}
        lines += _table("structure", methods, named, _share)
    return "\n".join(lines) + "\n"


def _share(record: dict[str, Any], method: str) -> float:
    hits, totals = np.array(list(record["right"][method].values())).sum(axis=0)
    return float(hits / totals)


def drawn(records: Sequence[dict[str, Any]]) -> str:
    """Returns the scores against noise as SVG: mean over seeds and the range."""
    from matplotlib import rc_context

    shaken = [r for r in records if r["kind"] == "noise"]
    levels, methods = _levels(shaken), list(shaken[0]["right"])
    with rc_context(SETTINGS):
        figure, axes = blank(
            "Atoms named right in shaken structures",
            "mean over fcc, hcp, bcc, icosahedral and none of them; bands: range over seeds",
            "standard deviation of each component of displacements / distance of nearest neighbours",
            "share",
        )
        axes.set_xscale("linear")
        axes.set_xlim(levels[0], levels[-1])
        axes.set_ylim(0.0, 1.02)
        ends = []
        for method, look in looks(methods, [OURS]).items():
            values = np.array([[score(r, method) for r in shaken if r["noise"] == level] for level in levels])
            axes.plot(levels, values.mean(axis=1), color=look.color, linestyle=look.dashes, linewidth=look.width)
            axes.fill_between(levels, values.min(axis=1), values.max(axis=1), color=look.color, alpha=0.12, linewidth=0)
            ends.append((method, look, float(values[-1].mean())))
        label_curves(axes, ends)
        return to_svg(figure)


def _table(
    head: str, methods: list[str], groups: dict[str, list[dict[str, Any]]], measure: Callable = score
) -> list[str]:
    lines = [f"| {head} | {' | '.join([OURS, *(m for m in methods if m != OURS)])} |"]
    lines.append("|---" * (len(methods) + 1) + "|")
    for name, group in groups.items():
        cells = []
        for method in [OURS, *(m for m in methods if m != OURS)]:
            values = np.array([measure(record, method) for record in group])
            spread = f" +- {values.std(ddof=1):.3f}" if len(values) > 1 else ""
            cells.append(f"{values.mean():.3f}{spread}")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines


def _levels(records: Sequence[dict[str, Any]]) -> list[float]:
    return sorted({record["noise"] for record in records})


def _best(methods: list[str], group: list[dict[str, Any]]) -> str:
    """Returns the rival with the highest mean score."""
    return max((m for m in methods if m != OURS), key=lambda m: np.mean([score(r, m) for r in group]))


def _pooled(group: list[dict[str, Any]], method: str, word: str) -> float:
    hits, totals = np.array([r["right"][method].get(word, [0, 0]) for r in group]).sum(axis=0)
    return hits / totals if totals else float("nan")
