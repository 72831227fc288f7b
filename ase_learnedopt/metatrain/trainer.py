"""The outer loop: one step draws a task and starts, asks, runs, judges and tells. Layer 2.

Everything random in a step follows from the seed and the number of the step, so a resumed run takes the same steps.
"""

import math
import time
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ..optimizers import learned_hop
from ..optimizers.hop_state import LearnedHopConfig
from .config import TrainConfig
from .meta_loss import Goal, Outcome, checkpoints
from .parameters import Parameters, starting_parameters
from .population import run
from .strategies import STRATEGIES
from .task_table import TaskTable
from .tasks import Task, draw_batch

TOLERANCE = 1e-3
"""Energy scales above the reference at which a walker of a known task has succeeded and stops."""
STREAMS = ("starts", "runs", "ask", "tell")
EVALUATION, CALIBRATION, REPORT = 1_000_003, 1_000_033, 1_000_037
"""Added to the seed for streams that are not those of training."""


class TrainState(NamedTuple):
    """Carries a training run from step to step, with the task table beside it."""

    step: int  # outer steps done
    strategy: Any  # state of the strategy
    evaluations: int  # of energy and forces, in all


class Trainer:
    """Runs outer steps of a config.

    Attributes:
      config: all settings.
      parameters: maps vectors to the parameters of the optimizer.
      table: the tasks that are trained on.
      held_out: those that are only evaluated.
    """

    def __init__(self, config: TrainConfig):
        """Builds everything a run needs.

        Raises:
          ValueError: impossible settings.
        """
        self.config = config
        chosen, strategy = config.optimizer, config.strategy
        self.parameters = Parameters(starting_parameters(chosen.start), chosen.heads, strategy.scales)
        self.table, self.held_out = TaskTable(config.families), TaskTable(config.held_out)
        self.strategy = STRATEGIES[strategy.name](
            strategy.members, self.parameters.n, strategy.perturbation, _adam(config)
        )
        constants = LearnedHopConfig(**chosen.config)
        self._build = lambda vector: learned_hop(self.parameters(vector), constants)
        self._root = jax.random.PRNGKey(config.seed)

    def begin(self) -> TrainState:
        """Returns the state before the first step."""
        return TrainState(0, self.strategy.init(self._root, jnp.zeros(self.parameters.n)), 0)

    def step(self, state: TrainState) -> tuple[TrainState, dict[str, Any]]:
        """Takes one outer step; returns the new state and its metrics."""
        begin, step = time.perf_counter(), state.step
        task, budget = self.table.draw(self.config.seed, step), self.budget(step)
        keys = dict(zip(STREAMS, jax.random.split(jax.random.fold_in(self._root, step), len(STREAMS)), strict=True))
        spent = self._calibrate(self.table, task)
        population, asked = self.strategy.ask(keys["ask"], state.strategy)
        goal, n_starts = self.table.goal(task), self.config.rollout.starts
        outcome = self._run(task, population, (keys["starts"], keys["runs"]), n_starts, budget, goal)
        losses = outcome.loss
        told = self.strategy.tell(keys["tell"], population, losses, asked)
        lowest = float(jnp.min(outcome.excess)) * self._scale(task) + self.table.known[task.name]["reference"]
        self.table.observe(task, lowest)
        spent += int(outcome.n_evaluations.sum())
        seconds = time.perf_counter() - begin
        metrics = {
            "step": step + 1,
            "task": task.name,
            "budget": budget,
            "loss": float(jnp.mean(losses[0])),
            "loss_of_members": float(jnp.mean(losses)),
            "success": float(jnp.mean(outcome.excess[0] <= TOLERANCE)),
            "diverged": float(jnp.mean(outcome.diverged)),
            "evaluations": state.evaluations + spent,
            "evaluations_per_s": spent / seconds,
            "seconds": seconds,
        }
        return TrainState(step + 1, told, state.evaluations + spent), metrics

    def evaluate(self, vector, stream: int = EVALUATION) -> dict[str, dict[str, float]]:
        """Judges parameters on starts that no step has seen: by task, loss, success rate and cost of a success.

        Args:
          vector: `[n_params]`.
          stream: of the starts; those that the best parameters are chosen on flatter them, `REPORT` has others.
        """
        tables = (self.table, self.held_out)
        return {name: row for table in tables for name, row in self._evaluate(table, vector[None], stream).items()}

    def budget(self, step: int) -> int:
        """Returns the evaluations of a run at an outer step, growing in their logarithm."""
        rollout = self.config.rollout
        if not rollout.first_budget or step >= rollout.grow_until:
            return rollout.budget
        share = step / rollout.grow_until
        return round(math.exp((1 - share) * math.log(rollout.first_budget) + share * math.log(rollout.budget)))

    def _evaluate(self, table: TaskTable, vector, stream: int) -> dict[str, dict[str, float]]:
        settings, found = self.config.evaluation, {}
        budget = settings.budget or self.config.rollout.budget
        for name, task in table.tasks.items():
            self._calibrate(table, task)
            keys = jax.random.split(jax.random.PRNGKey(self.config.seed + stream), 2)
            outcome = self._run(task, vector, (keys[0], keys[1]), settings.starts, budget, table.goal(task))
            hits, spent = int(jnp.sum(outcome.excess <= TOLERANCE)), int(outcome.n_evaluations.sum())
            found[name] = {
                "loss": float(jnp.mean(outcome.loss)),
                "success": hits / settings.starts,
                "evaluations_per_success": spent / hits if hits else math.inf,
                "median_excess": float(jnp.median(outcome.excess)),
            }
        return found

    def _calibrate(self, table: TaskTable, task: Task) -> int:
        """Sets the unit of a task's loss when it is met for the first time; returns the evaluations spent."""
        if table.is_calibrated(task):
            return 0
        keys = jax.random.split(jax.random.PRNGKey(self.config.seed + CALIBRATION), 2)
        members, n_starts = self.config.strategy.members, self.config.rollout.starts
        start = jnp.zeros((members, self.parameters.n))
        scale = self._scale(task)
        plain = Goal(jnp.float32(0.0), jnp.float32(scale), jnp.float32(1.0))
        budget = max(1, round(float(checkpoints(self.config.rollout.budget)[4])))
        outcome = self._run(task, start, (keys[0], keys[1]), n_starts, budget, plain)
        table.calibrate(task, np.asarray(outcome.excess[0], float) * scale, scale)
        return int(outcome.n_evaluations.sum())

    def _run(self, task: Task, population, keys: tuple, n_starts: int, budget: int, goal: Goal) -> Outcome:
        """Runs a population on starts drawn by the first key, with random streams from the second."""
        target = -np.inf if task.reference is None else task.reference + TOLERANCE * self._scale(task)
        systems = draw_batch(task, jax.random.split(keys[0], n_starts))
        size = self.config.rollout.micro_batch if population.shape[0] > 1 else 0
        return run(
            self._build,
            task.potential,
            population,
            jax.random.split(keys[1], n_starts),
            systems,
            goal,
            jnp.float32(target),
            budget=budget,
            kind=self.config.loss.kind,
            clip=self.config.loss.clip,
            micro_batch=size or None,
        )

    def _scale(self, task: Task) -> float:
        return float(task.draw(jax.random.PRNGKey(0)).energy_scale)


def _adam(config: TrainConfig) -> Any:
    """Returns Adam with the learning rate of a config, in units of parameters, along a cosine.

    Raises:
      ValueError: optax is not installed.
    """
    try:
        import optax
    except ImportError as error:
        raise ValueError("meta-training needs optax: pip install 'ase-learnedopt[train]'") from error
    first, last = config.strategy.learning_rate, config.strategy.final_learning_rate
    return optax.adam(optax.cosine_decay_schedule(first, config.steps, alpha=last / first))
