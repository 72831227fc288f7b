"""Trainings in parallel, which differ in beta, rate and seed. Layer 2."""

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from .examples import Examples, batches
from .fitting import started
from .models import Model
from .solvers import SOLVERS
from .steps import Data, Settings, program
from .training import CHECK, DIVERGED, Score


class Job(NamedTuple):
    """A training to be made."""

    beta: float
    rate: float  # learning rate at the first step
    seed: int  # of the start and of the order of examples


class Parallel:
    """Makes trainings, many at once with one compiled program; none stops early.

    Args:
      model: the network.
      learn: examples to learn from.
      n_classes: how many classes there are.
      settings: of every training.
      at_once: how many are made at once.
    """

    def __init__(self, model: Model, learn: Examples, n_classes: int, settings: Settings, at_once: int):
        self._model, self._learn, self._settings, self._at_once = model, learn, settings, at_once
        self._n_looks = -(-settings.n_steps // CHECK)
        self._start = lru_cache(maxsize=None)(lambda seed: started(model, learn.x, n_classes, seed))

    def __call__(self, jobs: list[Job], data: Data) -> list[Score]:
        """Returns the score of every job at its end.

        Args:
          jobs: what to train.
          data: from `on_device`, with the examples to judge by.
        """
        scores: list[Score] = []
        for begin in range(0, len(jobs), self._at_once):
            part = jobs[begin : begin + self._at_once]
            filled = part + part[-1:] * (self._at_once - len(part))  # always as many, to compile once
            scores += self._together(filled, data)[: len(part)]
        return scores

    def _together(self, jobs: list[Job], data: Data) -> list[Score]:
        settings, n_steps = self._settings, self._n_looks * CHECK
        starts = [SOLVERS[settings.solver].init(self._start(job.seed)) for job in jobs]
        state = jax.tree.map(lambda *leaves: jnp.stack(leaves), *starts)
        rows = np.stack([self._rows(job.seed) for job in jobs])
        falling = np.maximum(1.0 - np.arange(n_steps) / settings.n_steps, 0.0)
        rates = (np.array([job.rate for job in jobs])[:, None] * falling).astype(np.float32)
        betas = np.array([job.beta for job in jobs], np.float32)
        for look in range(self._n_looks):
            now = slice(look * CHECK, (look + 1) * CHECK)
            state, (train_loss, accuracy, loss) = _mapped(self._model, settings.solver)(
                state,
                data,
                rows[:, now],
                rates[:, now],
                betas,
                np.float32(settings.momentum),
                np.float32(settings.weight_decay),
            )
        finite = np.isfinite(np.asarray(train_loss)) & np.isfinite(np.asarray(loss))
        pairs = zip(np.asarray(accuracy, float).round(6).tolist(), np.asarray(loss, float).tolist(), strict=True)
        return [(a, -b) if fine else DIVERGED for (a, b), fine in zip(pairs, finite, strict=True)]

    def _rows(self, seed: int) -> np.ndarray:
        random = np.random.RandomState(seed)
        return batches(self._learn.weight, self._n_looks * CHECK, self._settings.batch_size, random)


@lru_cache(maxsize=16)
def _mapped(model: Model, solver: str) -> Callable:
    return jax.jit(jax.vmap(program(model, solver), in_axes=(0, None, 0, 0, 0, None, None)))
