"""Generalisation depends on beta, and weakly on the logits of the start. Layer 2."""

from collections.abc import Callable
from functools import cache, lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ...markup import Entry, Table
from ..fitting import N_DIAGNOSED, scales_of, started
from ..models import Model
from ..parallel import Job
from ..parts import Parts
from ..rate_search import side_by_side
from ..steps import Settings
from ..theory import centred, rms
from ..trainer import Trainer
from ..training import DIVERGED, Score
from .found import Claim, Found, Verdict, Work
from .pairs import Pair, chosen
from .plots import generalisation_plot

BETAS = (0.01, 0.1, 1.0, 10.0)
STARTS = (0.0, 0.1, 1.0, 10.0)
"""rms |P beta z| at the start."""
WEAK = STARTS.index(1.0) + 1
"""Starts up to here are what the claim is about."""

Cell = tuple[float, float]


def run(work: Work) -> Found:
    """Trains every pair at betas and starts chosen independently, each at its own best rate."""
    measured = {
        name: np.concatenate([measure(name, pair, split, work) for split in work.splits], axis=2)
        for name, pair in chosen(work.pairs).items()
    }
    verdicts = [_verdict(name, found) for name, found in measured.items()]
    tables = [_table(name, found) for name, found in measured.items()]
    numbers = {name: found.tolist() for name, found in measured.items()}
    return Found(verdicts, tables, {"generalisation": generalisation_plot(measured, BETAS, STARTS)}, numbers)


def measure(name: str, pair: Pair, split: int, work: Work) -> np.ndarray:
    """Returns test accuracies `[n_betas, n_starts, n_seeds]` at rates chosen on validation with other seeds."""
    parts, base = pair.parts(split), 1000 * (split + 1)
    seeds, final_seeds = (1, 2) if work.short else (2, 5)
    settings = Settings(n_steps=200 if work.short else 1000)
    network, start = anchored(pair.model()), starts(pair.model(), parts)
    scales = scales_of(pair.model(), started(pair.model(), parts.learn.x, parts.n_classes, base), parts.learn,
                       parts.n_classes, base)  # fmt: skip
    first = {beta: scales(beta).suggest(settings.momentum) for beta in BETAS}
    train = Trainer(
        network, parts, settings, keep=work.file("generalisation", name, split), start=start, stop=work.stop,
        show=work.show,
    )  # fmt: skip
    best: dict[Cell, tuple[Score, float]] = {}

    def tried(pairs: list[tuple[Cell, float]]) -> list[Score]:
        jobs = [Job(beta, factor * first[beta], base + i, size) for (beta, size), factor in pairs for i in range(seeds)]
        found = train.judged(jobs)
        scores = []
        for k, (cell, factor) in enumerate(pairs):
            mine = [score for score, _ in found[k * seeds : (k + 1) * seeds]]
            accuracy, loss = np.mean(mine, axis=0)
            score = DIVERGED if DIVERGED in mine else (float(accuracy), float(loss))
            best[cell] = max(best.get(cell, (DIVERGED, 0.0)), (score, factor * first[cell[0]]))
            scores.append(score)
        return scores

    cells = [(beta, size) for beta in BETAS for size in STARTS]
    side_by_side(cells, tried)
    jobs = [Job(beta, best[beta, size][1], base + seeds + i, size) for beta, size in cells for i in range(final_seeds)]
    found = [final.accuracy for final in train.tested(jobs)]
    return np.array(found).reshape(len(BETAS), len(STARTS), final_seeds)


@lru_cache(maxsize=16)
def anchored(model: Model) -> Model:
    """Returns a network whose parameters hold what it started from, and how much of that is taken off its logits.

    As `offset_start`, with the start and the share as values, so that one program serves all starts.
    """

    def apply(params, x):
        fixed = jax.lax.stop_gradient((params["start"], params["taken"]))
        return model.apply(params["now"], x) - fixed[1] * model.apply(fixed[0], x)

    def init(key, x, n_classes: int):
        params = model.init(key, x, n_classes)
        return {"now": params, "start": params, "taken": jnp.zeros((), jnp.float32)}

    return Model(init, apply)


def starts(model: Model, parts: Parts) -> Callable[[Job], Any]:
    """Returns the function from a job to parameters of `anchored` whose rms |P beta z| is the job's `start`."""
    x = parts.learn.x[np.random.RandomState(0).permutation(len(parts.learn.y))[:N_DIAGNOSED]]

    @cache
    def plain(seed: int) -> tuple[Any, float]:
        params = started(model, parts.learn.x, parts.n_classes, seed)
        return params, float(rms(centred(model.apply(params, x))))

    def start(job: Job) -> Any:
        assert job.start is not None
        params, size = plain(job.seed)
        taken = np.float32(1.0 - job.start / (job.beta * size))
        return {"now": params, "start": params, "taken": jnp.asarray(taken)}

    return start


def ranges(found: np.ndarray) -> tuple[float, float, float]:
    """Returns the range of the mean accuracy over betas, over starts up to 1, and its standard error in a cell."""
    weak = found[:, :WEAK]
    error = float(weak.std(axis=2, ddof=1).mean() / weak.shape[2] ** 0.5)
    return float(np.ptp(weak.mean(axis=(1, 2)))), float(np.ptp(weak.mean(axis=(0, 2)))), error


def _verdict(name: str, found: np.ndarray) -> Verdict:
    over_beta, over_start, error = ranges(found)
    far = found[:, -1].mean(axis=1) - found[:, :WEAK].mean(axis=(1, 2))
    why = (
        f"accuracy varies by {100 * over_beta:.2f} points over beta and by {100 * over_start:.2f} over |beta z0| from "
        f"0 to 1 (standard error of a cell {100 * error:.2f}); |beta z0| = 10 changes it by {100 * far.min():+.2f} to "
        f"{100 * far.max():+.2f}"
    )
    return Verdict(name, bool(over_beta > 2.0 * over_start and over_beta > 2.0 * error), why)


def _table(name: str, found: np.ndarray) -> Table:
    rows = [
        (Entry(f"{beta:g}"), *(Entry(f"{cell.mean():.4f} ± {cell.std(ddof=1):.4f}") for cell in found[k]))
        for k, beta in enumerate(BETAS)
    ]
    header = (f"{name}: beta", *(f"start {size:g}" for size in STARTS))
    return Table(
        header, rows, (f"Test accuracy by rms beta z at the start, mean ± spread of {found.shape[2]} trainings.",)
    )


GENERALISATION = Claim(
    "Generalisation depends on beta, weakly on the start",
    "Generalisation depends strongly on beta and only weakly on the size of the logits at the start, |beta z0|. "
    "Confirmed if the mean test accuracy varies more than twice as much over beta 0.01 to 10 as over |beta z0| from 0 "
    "to 1, and by more than two standard errors; every cell at its own best rate.",
    ("digits-mlp", "blobs-mlp"),
    2,
    run,
)
