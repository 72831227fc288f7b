"""A tuned beta beats beta = 1. Layer 2."""

import numpy as np

from ...markup import Entry, Table
from ..sweep_result import Sweep
from .found import Claim, Found, Verdict, Work
from .plots import tuned_plot
from .sweeps import between, common_betas, interval, of_finals, plain, sweeps

FAILED = 0.8
"""Of the best accuracy of other seeds: a training below has failed."""


def run(work: Work) -> Found:
    """Sweeps beta on every pair and compares the one that validation chooses with 1, on fresh seeds and test splits."""
    found = sweeps(work)
    verdicts = [_verdict(name, runs) for name, runs in found.items()]
    numbers = {name: plain(runs) for name, runs in found.items()}
    return Found(verdicts, [_gains(found), _accuracies(found)], {"tuned": tuned_plot(found)}, numbers)


def gain(runs: list[Sweep]) -> tuple[float, float]:
    """Returns the gain in test accuracy of the chosen beta over 1, and the half width of its 95 % interval.

    Each split counts as one: its seeds share a test set. Of a single split, the interval is over its seeds.
    """
    return interval(runs[0].gains() if len(runs) == 1 else np.array([run.gains().mean() for run in runs]))


def _over(runs: list[Sweep]) -> str:
    """Returns in words what intervals are over."""
    return f"{len(runs)} splits" if len(runs) > 1 else f"{len(runs[0].gains())} seeds of one split, which share a test"


def _verdict(name: str, runs: list[Sweep]) -> Verdict:
    mean, width = gain(runs)
    kind = "a tie" if not abs(mean) > width else ("better" if mean > 0 else "worse")
    why = f"{between((mean, width), 100.0)} points over beta = 1 (95 % interval over {_over(runs)}): {kind}"
    return Verdict(name, kind == "better", why)


def _gains(found: dict[str, list[Sweep]]) -> Table:
    rows: list[tuple[Entry, ...]] = []
    for name, runs in found.items():
        each = ", ".join(f"{100 * run.gains().mean():+.2f} ({run.best_.beta:g})" for run in runs)
        rows.append((Entry(name), Entry(between(gain(runs), 100.0)), Entry(each)))
    return Table(("pair", "gain over beta = 1, points", "on each split (beta chosen)"), rows, ())


def _accuracies(found: dict[str, list[Sweep]]) -> Table:
    betas = sorted({beta for runs in found.values() for beta in common_betas(runs)})
    rows: list[tuple[Entry, ...]] = []
    for beta in betas:
        row = [Entry(f"{beta:g}")]
        for runs in found.values():
            values = of_finals(runs, beta, "accuracy") if beta in common_betas(runs) else None
            row.append(Entry("-" if values is None else f"{values.mean():.4f} ± {values.std(ddof=1):.4f}"))
        rows.append(tuple(row))
    n = sum(len(row.tests) for row in next(iter(found.values()))[0].rows[:1])
    failed = [
        f"{name} at beta = {row.trial.beta:g} on split {run.random_state}"
        for name, runs in found.items()
        for run in runs
        for row in run.rows
        if min(row.accuracies) < FAILED * max(row.accuracies)
    ]
    lost = f" Trainings of the test that failed, at a rate that did well with three seeds: {'; '.join(failed)}."
    note = f"Test accuracy at the best rate of every beta: mean ± spread over splits and {n} seeds on each."
    return Table(("beta", *found), rows, (note + (lost if failed else ""),))


TUNED = Claim(
    "A tuned beta beats beta = 1",
    "Tuning beta over 0.01 to 10 improves every architecture. Confirmed on a pair if the beta that validation chooses "
    "beats 1 on the test, by a 95 % interval over splits of the data, over seeds if there is one split; otherwise it "
    "is a tie, or worse. Rates are raised at every beta until validation falls, and seeds of the test are others than "
    "those of the choice.",
    ("digits-mlp", "digits-mlp-norm", "digits-mlp-deep", "blobs-mlp", "breast_cancer-mlp"),
    4,
    run,
)
