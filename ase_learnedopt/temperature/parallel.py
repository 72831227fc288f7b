"""Trainings in parallel, which differ in beta, rate, seed and start. Layer 2."""

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from .examples import Examples, batches, constant_loss
from .fitting import started
from .models import Model
from .solvers import SOLVERS
from .steps import Data, Settings, program
from .training import CHECK, DIVERGED, LEARNED, Score


class Job(NamedTuple):
    """A training to be made."""

    beta: float
    rate: float  # learning rate at the first step
    seed: int  # of the start and of the order of examples
    start: float | None = None  # rms of beta z at the start, where the network can be started so


class Made(NamedTuple):
    """Holds what came of a job."""

    job: Job
    score: Score  # on the examples to judge by, at its end
    learned: bool  # whether its training loss ended below that of constant predictions
    params: Any  # at its end, NumPy arrays


class Parallel:
    """Makes trainings, many at once with one compiled program; none stops early.

    Args:
      model: the network.
      learn: examples to learn from.
      n_classes: how many classes there are.
      settings: of every training.
      at_once: how many are made at once.
      start: job -> parameters to start from; None: those that `model.init` gives for its seed.
    """

    def __init__(
        self,
        model: Model,
        learn: Examples,
        n_classes: int,
        settings: Settings,
        at_once: int,
        start: Callable[[Job], Any] | None = None,
    ):
        self._model, self._learn, self._settings, self._at_once = model, learn, settings, at_once
        self._n_looks = -(-settings.n_steps // CHECK)
        by_seed = lru_cache(maxsize=None)(lambda seed: started(model, learn.x, n_classes, seed))
        self._start = start or (lambda job: by_seed(job.seed))
        self._nothing = LEARNED * constant_loss(learn)

    def __call__(self, jobs: list[Job], data: Data) -> Iterator[list[Made]]:
        """Yields what came of the jobs, as many at a time as are made at once.

        Args:
          jobs: what to train.
          data: from `on_device`, with the examples to judge by.
        """
        for begin in range(0, len(jobs), self._at_once):
            part = jobs[begin : begin + self._at_once]
            filled = part + part[-1:] * (self._at_once - len(part))  # always as many, to compile once
            yield self._together(filled, data)[: len(part)]

    def _together(self, jobs: list[Job], data: Data) -> list[Made]:
        settings, n_steps = self._settings, self._n_looks * CHECK
        starts = [SOLVERS[settings.solver].init(self._start(job)) for job in jobs]
        state = jax.tree.map(lambda *leaves: jnp.stack(leaves), *starts)
        rows = np.stack([self._rows(job.seed) for job in jobs])
        falling = np.maximum(1.0 - np.arange(n_steps) / settings.n_steps, 0.0)
        rates = (np.array([job.rate for job in jobs])[:, None] * falling).astype(np.float32)
        betas = np.array([job.beta for job in jobs], np.float32)
        for look in range(self._n_looks):
            now = slice(look * CHECK, (look + 1) * CHECK)
            state, found = _mapped(self._model, settings.solver)(
                state,
                data,
                rows[:, now],
                rates[:, now],
                betas,
                np.float32(settings.momentum),
                np.float32(settings.weight_decay),
            )
        params, (train_loss, accuracy, loss) = jax.tree.map(np.asarray, (state.params, found))
        finite = np.isfinite(train_loss) & np.isfinite(loss)
        made = []
        for i, job in enumerate(jobs):
            score = (round(float(accuracy[i]), 6), -float(loss[i])) if finite[i] else DIVERGED
            learned = bool(finite[i] and train_loss[i] < self._nothing)
            made.append(Made(job, score, learned, jax.tree.map(lambda leaf, i=i: leaf[i], params)))
        return made

    def _rows(self, seed: int) -> np.ndarray:
        random = np.random.RandomState(seed)
        return batches(self._learn.weight, self._n_looks * CHECK, self._settings.batch_size, random)


@lru_cache(maxsize=16)
def _mapped(model: Model, solver: str) -> Callable:
    return jax.jit(jax.vmap(program(model, solver), in_axes=(0, None, 0, 0, 0, None, None)))
