"""Makes the trainings of a search and of its test, each once. Layer 2."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..stopping import Stop
from .calibration import calibrate_temperature
from .calibration_error import calibration_error
from .examples import Examples
from .fitting import scales_of, started
from .kept import Kept, digest
from .models import Model
from .parallel import Job, Made, Parallel
from .parts import Parts
from .steps import Data, Settings, logits_of, on_device
from .theory import Diagnostics
from .training import DIVERGED, Score

Show = Callable[[Job], None]


class Final(NamedTuple):
    """Holds what a training comes to on the test; after calibration: divided by a temperature found on validation."""

    accuracy: float  # 0 for a training that diverged, as are the losses infinite and the errors 1
    loss: float
    error: float  # of calibration
    calibrated_loss: float
    calibrated_error: float
    temperature: float


FAILED = Final(0.0, np.inf, 1.0, np.inf, 1.0, np.nan)
"""What a training that diverged comes to."""


class Trainer:
    """Makes trainings that are judged by validation, and others that are tested; what is kept is not made again.

    Args:
      model: the network.
      parts: examples.
      settings: of every training.
      at_once: how many are made in parallel.
      keep: file of what is done; None: none.
      start: job -> parameters to start from; None: those that `model.init` gives for its seed.
      stop: whose signal ends work between two batches of trainings.
      show: called with every training that is done.

    Raises:
      ValueError: the file holds other trainings.
    """

    def __init__(
        self,
        model: Model,
        parts: Parts,
        settings: Settings,
        *,
        at_once: int = 16,
        keep: str | Path | None = None,
        start: Callable[[Job], Any] | None = None,
        stop: Stop | None = None,
        show: Show | None = None,
    ):
        self._model, self._parts, self._stop, self._show = model, parts, stop, show
        self._train = Parallel(model, parts.learn, parts.n_classes, settings, at_once, start)
        room = max(len(parts.validation.y), len(parts.test.y))
        self._validation, self._test = (on_device(parts.learn, part, room) for part in parts[1:3])
        first = start(Job(1.0, 1.0, 0, 0.0)) if start else started(model, parts.learn.x, parts.n_classes, 0)
        about = {
            "data": digest(*(a for part in parts[:3] for a in part)),
            "network": digest(logits_of(model, first, parts.learn.x[:16]).round(2) + 0.0),
            "settings": settings._asdict(),
        }
        self._kept = Kept(keep, about)

    def scales(self, beta: float, seed: int) -> Diagnostics:
        """Returns the diagnostics of the start that `model.init` gives for a seed.

        Kept as well: the second derivatives of a large network take minutes on a processor, and another machine finds
        others in the last digits, thus other rates, for which every training would be made again.
        """
        found = self._kept.get(("scales", beta, seed))
        if found is None:
            learn, n_classes = self._parts.learn, self._parts.n_classes
            params = started(self._model, learn.x, n_classes, seed)
            scales = scales_of(self._model, params, learn, n_classes, seed)(beta)
            found = {name: repr(value) for name, value in scales._asdict().items()}  # text, since some are infinite
            self._kept.add({("scales", beta, seed): found})
        numbers: dict[str, Any] = {name: float(value) for name, value in found.items()}
        return Diagnostics(**{**numbers, "n_classes": int(numbers["n_classes"])})

    def judged(self, jobs: Iterable[Job]) -> list[tuple[Score, bool]]:
        """Returns the score on validation of every job, and whether it learned anything.

        Raises:
          KeyboardInterrupt: a signal came; what was done is kept.
        """
        found = self._all("validation", list(jobs), self._validation, _judged)
        return [(DIVERGED if f["accuracy"] is None else (f["accuracy"], -f["loss"]), f["learned"]) for f in found]

    def tested(self, jobs: Iterable[Job]) -> list[Final]:
        """Returns what every job comes to on the test.

        Raises:
          KeyboardInterrupt: a signal came; what was done is kept.
        """
        found = self._all("test", list(jobs), self._test, self._on_test)
        return [Final(**f) if f else FAILED for f in found]

    def _all(self, kind: str, jobs: list[Job], data: Data, summary: Callable[[Made], dict]) -> list[dict]:
        keys = [_key(kind, job) for job in jobs]
        missing = [job for key, job in zip(keys, jobs, strict=True) if self._kept.get(key) is None]
        work = self._train(missing, data)
        while True:
            if self._stop is not None and self._stop.signal is not None:
                raise KeyboardInterrupt
            made = next(work, None)
            if made is None:
                break
            self._kept.add({_key(kind, one.job): summary(one) for one in made})
            for one in made:
                if self._show is not None:
                    self._show(one.job)
        return [self._kept.get(key) or {} for key in keys]

    def _on_test(self, made: Made) -> dict[str, float]:
        if made.score == DIVERGED:
            return {}
        validation, test = self._parts.validation, self._parts.test
        before = [made.job.beta * logits_of(self._model, made.params, part.x) for part in (validation, test)]
        if not all(np.isfinite(logits).all() for logits in before):
            return {}
        temperature = calibrate_temperature(before[0], validation.y, validation.weight)
        after = before[1] / temperature
        return Final(
            made.score[0], -made.score[1], calibration_error(before[1], test.y, test.weight),
            cross_entropy(after, test), calibration_error(after, test.y, test.weight), temperature,
        )._asdict()  # fmt: skip


def _key(kind: str, job: Job) -> tuple:
    """Returns what a training is kept under: another machine suggests rates that differ in the last digits."""
    return kind, *job._replace(rate=float(f"{job.rate:.3g}"))


def cross_entropy(logits: np.ndarray, examples: Examples) -> float:
    """Returns the mean cross-entropy of logits `[n, n_classes]`."""
    distance = logits - logits.max(axis=1, keepdims=True)
    chosen = distance[np.arange(len(logits)), examples.y]
    return float(np.average(np.log(np.exp(distance).sum(axis=1)) - chosen, weights=examples.weight))


def _judged(made: Made) -> dict[str, Any]:
    accuracy, loss = (None, None) if made.score == DIVERGED else (made.score[0], -made.score[1])
    return {"accuracy": accuracy, "loss": loss, "learned": made.learned}
