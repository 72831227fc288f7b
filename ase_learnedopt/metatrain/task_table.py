"""What a training run knows of its tasks: their weights, their lowest energies, and what is usual on them. Layer 2."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from .meta_loss import Goal
from .tasks import FAMILIES, Task

LEAST_SPREAD = 0.1
"""Energy scales, so that a task that is solved at once does not weigh infinitely."""


def make_tasks(entries: Sequence[Mapping[str, Any]]) -> list[tuple[Task, float]]:
    """Returns the tasks of a config's families with their shares; a family's weight is spread evenly over its tasks.

    Raises:
      ValueError: an unknown family, impossible options, or two tasks of one name.
    """
    found: dict[str, tuple[Task, float]] = {}
    for entry in entries:
        options = {key: value for key, value in entry.items() if key not in ("family", "weight")}
        if entry["family"] not in FAMILIES:
            raise ValueError(f"there is no family {entry['family']!r}; there are {', '.join(FAMILIES)}")
        try:
            tasks = FAMILIES[entry["family"]](**options)
        except TypeError as error:
            raise ValueError(f"family {entry['family']}: {error}") from error
        for task in tasks:
            if task.name in found:
                raise ValueError(f"task {task.name} comes twice: in one run every task has one place")
            found[task.name] = task, float(entry.get("weight", 1.0)) / len(tasks)
    return list(found.values())


class TaskTable:
    """Holds tasks, or none; what a run learns of them is in `known`, made of JSON types, for checkpoints."""

    def __init__(self, entries: Sequence[Mapping[str, Any]], known: Mapping[str, Mapping[str, float]] | None = None):
        pairs = make_tasks(entries)
        self.tasks = {task.name: task for task, _ in pairs}
        shares = np.array([share for _, share in pairs])
        self._shares = shares / max(shares.sum(), 1e-30)
        self.known: dict[str, dict[str, float]] = {name: dict(row) for name, row in (known or {}).items()}

    def draw(self, seed: int, step: int) -> Task:
        """Returns the task of an outer step, drawn by the shares of the families."""
        stream = np.random.default_rng([seed, step])
        return list(self.tasks.values())[stream.choice(len(self.tasks), p=self._shares)]

    def is_calibrated(self, task: Task) -> bool:
        """Whether `calibrate` has been called for a task."""
        return task.name in self.known

    def calibrate(self, task: Task, energies: np.ndarray, energy_scale: float) -> None:
        """Sets the unit of a task's loss by what the unperturbed policy reaches.

        Args:
          task: which.
          energies: `[n_walkers]` eV, the lowest of its runs, at a checkpoint in the middle of the budget.
          energy_scale: eV.
        """
        finite = energies[np.isfinite(energies)]
        if not len(finite):
            raise ValueError(f"{task.name}: no run of the policy to begin with has a finite energy")
        reference = float(finite.min()) if task.reference is None else task.reference
        spread = float(np.median(finite - reference)) / energy_scale
        self.known[task.name] = {
            "reference": reference,
            "energy_scale": energy_scale,
            "spread": max(spread, LEAST_SPREAD),
        }

    def goal(self, task: Task) -> Goal:
        """Returns what the losses of a calibrated task are measured from and in."""
        row = self.known[task.name]
        return Goal(*(jnp.float32(row[name]) for name in ("reference", "energy_scale", "spread")))

    def observe(self, task: Task, lowest: float) -> bool:
        """Lowers the best known energy of a task without a reference; returns whether it did."""
        row = self.known[task.name]
        if task.reference is not None or not lowest < row["reference"]:
            return False
        row["reference"] = float(lowest)
        return True
