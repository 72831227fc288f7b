"""A small beta learns less stably. Layer 2."""

from typing import Any, NamedTuple

import numpy as np

from ...markup import Entry, Table
from ..parallel import Job
from ..steps import Settings
from ..sweep import BETAS
from ..trainer import Trainer
from ..training import DIVERGED
from .found import Claim, Found, Verdict, Work
from .pairs import Pair, chosen
from .plots import stability_plot

STEPS = tuple(float(10.0**power) for power in np.arange(-4.0, 2.1, 0.5))
"""eta beta^2 / (1 - momentum), in units of the limit that the softmax sets, 2 K / lambda_max."""
WITHIN = 0.02


class Stability(NamedTuple):
    """Holds what was seen at every beta, over the seeds of a split."""

    largest: np.ndarray  # [n_betas] step at which every seed still learns, in units of 2 K / lambda_max
    width: np.ndarray  # [n_betas] number of steps, a half decade apart, within `WITHIN` of the best accuracy
    spread: np.ndarray  # [n_betas] of the accuracy over seeds, at the step best on the mean
    beta_one: float


def run(work: Work) -> Found:
    """Trains every pair at betas and step sizes from far too small to far too large."""
    measured = {
        name: [measure(name, pair, split, work) for split in work.splits] for name, pair in chosen(work.pairs).items()
    }
    verdicts = [_verdict(name, runs) for name, runs in measured.items()]
    numbers = {name: [_plain(one) for one in runs] for name, runs in measured.items()}
    plots = {"stability": stability_plot(measured, BETAS)}
    return Found(verdicts, [_table(name, runs) for name, runs in measured.items()], plots, numbers)


def measure(name: str, pair: Pair, split: int, work: Work) -> Stability:
    """Trains at every beta and step, and looks which learn."""
    parts, base, n_seeds = pair.parts(split), 1000 * (split + 1), 2 if work.short else 5
    settings = Settings(n_steps=100 if work.short else 500)
    train = Trainer(
        pair.model(), parts, settings, keep=work.file("stability", name, split), stop=work.stop, show=work.show
    )
    scales = train.scales(1.0, base)
    unit = scales.critical_step * (1.0 - settings.momentum)
    jobs = [Job(b, s * unit / b**2, base + i) for b in BETAS for s in STEPS for i in range(n_seeds)]
    found = train.judged(jobs)
    shape = (len(BETAS), len(STEPS), n_seeds)
    learned = np.all(np.array([learned for _, learned in found]).reshape(shape), axis=2)
    accuracy = np.array([0.0 if score == DIVERGED else score[0] for score, _ in found]).reshape(shape)
    mean = np.where(learned, accuracy.mean(axis=2), 0.0)
    best = mean.argmax(axis=1)
    return Stability(
        largest=np.where(learned, STEPS, 0.0).max(axis=1),
        width=(mean >= mean.max(axis=1, keepdims=True) - WITHIN).sum(axis=1),
        spread=accuracy.std(axis=2, ddof=1)[np.arange(len(BETAS)), best],
        beta_one=scales.beta_one,
    )


def _verdict(name: str, runs: list[Stability]) -> Verdict:
    one = BETAS.index(1.0)
    largest = np.exp(np.mean([np.log(run.largest) for run in runs], axis=0))
    spread = np.sqrt(np.mean([run.spread**2 for run in runs], axis=0))
    width = np.mean([run.width for run in runs], axis=0)
    small, ratio = BETAS[0], largest[one] / largest[0]
    why = (
        f"the largest eta beta² that learns is {ratio:.3g} times smaller at beta = {small:g} than at 1; usable rates "
        f"span {width[0]:.1f} half decades against {width[one]:.1f}, and seeds spread by {100 * spread[0]:.2f} points "
        f"against {100 * spread[one]:.2f}"
    )
    return Verdict(name, bool(ratio > 3.0 and (width[0] <= width[one] - 1.0 or spread[0] > 1.5 * spread[one])), why)


def _table(name: str, runs: list[Stability]) -> Table:
    rows: list[tuple[Entry, ...]] = []
    for k, beta in enumerate(BETAS):
        largest = ", ".join(f"{run.largest[k]:.2g}" for run in runs)
        width = np.mean([run.width[k] for run in runs])
        spread = np.sqrt(np.mean([run.spread[k] ** 2 for run in runs]))
        rows.append((Entry(f"{beta:g}"), Entry(largest), Entry(f"{width:.1f}"), Entry(f"{100 * spread:.2f}")))
    header = (f"{name}: beta", "largest step that learns", "usable half decades", "spread of seeds, points")
    first = ", ".join(f"{run.beta_one:.2g}" for run in runs)
    note = f"Steps are eta beta² in units of 2 K / lambda_max, one for each split; beta_one is {first}."
    return Table(header, rows, (note,))


def _plain(found: Stability) -> dict[str, Any]:
    return {
        "largest": found.largest.tolist(),
        "width": found.width.tolist(),
        "spread": found.spread.tolist(),
        "beta_one": found.beta_one,
    }


STABILITY = Claim(
    "A small beta learns less stably",
    "A smaller beta may do better, at the cost of stability. Confirmed if the largest eta beta² at which all seeds "
    "learn is at least three times smaller at beta = 0.01 than at 1, and either the window of usable rates is narrower "
    "by a half decade or the spread over seeds half as large again.",
    ("digits-mlp", "digits-mlp-norm", "blobs-mlp"),
    2,
    run,
)
