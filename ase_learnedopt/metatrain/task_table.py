"""What a training run knows of its tasks: their weights, their lowest energies, and what is usual on them. Layer 2."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from .meta_loss import NEAR, Goal
from .tasks import FAMILIES, Task

LEAST_SPREAD = 0.1
"""Energy scales, so that a task that is solved at once does not weigh infinitely."""


def make_tasks(entries: Sequence[Mapping[str, Any]]) -> list[tuple[Task, np.ndarray]]:
    """Returns the tasks of a config's families with their shares `[2]` at both ends of the curriculum.

    A family's weight is spread evenly over its tasks.

    Raises:
      ValueError: an unknown family, impossible options, or two tasks of one name.
    """
    found: dict[str, tuple[Task, np.ndarray]] = {}
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
            found[task.name] = task, np.broadcast_to(entry.get("weight", 1.0), 2) / len(tasks)
    return list(found.values())


class TaskTable:
    """Holds tasks, or none; what a run learns of them is in `known`, made of JSON types, for checkpoints."""

    def __init__(self, entries: Sequence[Mapping[str, Any]], known: Mapping[str, Mapping[str, float]] | None = None):
        pairs = make_tasks(entries)
        self.tasks = {task.name: task for task, _ in pairs}
        self._shares = np.array([share for _, share in pairs]).reshape(-1, 2)
        self.known: dict[str, dict[str, float]] = {name: dict(row) for name, row in (known or {}).items()}

    def draw(self, seed: int, step: int, progress: float = 1.0) -> Task:
        """Returns the task of an outer step, drawn by the shares of the families at this point of the curriculum."""
        stream = np.random.default_rng([seed, step])
        shares = self._shares @ [1.0 - progress, progress]
        return list(self.tasks.values())[stream.choice(len(self.tasks), p=shares / shares.sum())]

    def is_calibrated(self, task: Task) -> bool:
        """Whether `calibrate` has been called for a task."""
        return task.name in self.known

    def calibrate(self, task: Task, energies: np.ndarray, energy_scale: float) -> None:
        """Sets the unit of a task's loss by what is usual on it.

        Args:
          task: which.
          energies: `[n_walkers]` eV, the lowest of each run.
          energy_scale: eV.
        """
        finite = energies[np.isfinite(energies)]
        if not len(finite):
            raise ValueError(f"{task.name}: no run of what its unit is measured with has a finite energy")
        reference = float(finite.min()) if task.reference is None else task.reference
        spread = float(np.median(finite - reference)) / energy_scale
        self.known[task.name] = {
            "reference": reference,
            "first_reference": reference,
            "energy_scale": energy_scale,
            "spread": max(spread, LEAST_SPREAD),
        }

    def goal(self, task: Task, near: float = NEAR) -> Goal:
        """Returns what the losses of a calibrated task are measured from and in."""
        return self._goal(task, "reference", near)

    def first_goal(self, task: Task, near: float = NEAR) -> Goal:
        """Returns the same, from the lowest energy that was known when the task was calibrated: it never moves."""
        return self._goal(task, "first_reference", near)

    def _goal(self, task: Task, reference: str, near: float) -> Goal:
        row = self.known[task.name]
        values = row[reference], row["energy_scale"], row["spread"], near
        return Goal(*(jnp.float32(value) for value in values))

    def observe(self, task: Task, lowest: float) -> bool:
        """Lowers the best known energy of a task without a reference; returns whether it did."""
        row = self.known[task.name]
        if task.reference is not None or not lowest < row["reference"]:
            return False
        row["reference"] = float(lowest)
        return True
