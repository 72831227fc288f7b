"""The outer loop: one step draws a task and starts, asks, runs, judges and tells. Layer 2.

Everything random in a step follows from the seed and the number of the step, so a resumed run takes the same steps.
"""

import math
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ..optimizers import lbfgs
from ..optimizers.learned import find_learned, for_training, make_config
from .config import TrainConfig
from .meta_loss import Goal, checkpoints
from .parameters import Parameters, starting_parameters
from .population import PRECISION, Job, Judging, run, split_members, start_runs, unroll, warm_up
from .strategies import STRATEGIES
from .task_table import TaskTable
from .tasks import Task, draw_batch, rows_for

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
      constants: of the optimizer.
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
        self.constants = make_config(chosen.name, chosen.config)
        start = starting_parameters(chosen.name, chosen.start, self.constants, config.seed)
        self.parameters = Parameters(start, chosen.heads, strategy.scales)
        self.table, self.held_out = TaskTable(config.families), TaskTable(config.held_out)
        self.strategy = STRATEGIES[strategy.name](
            strategy.members, self.parameters.n, strategy.perturbation, _adam(config), config.rollout.unrolls
        )
        build = find_learned(chosen.name).build
        self._build = lambda vector: build(self.parameters(vector), for_training(self.constants))
        self._relaxation = lambda _: lbfgs()
        self._judging = Judging(config.loss.kind, config.loss.clip)
        self._root = jax.random.PRNGKey(config.seed)

    def begin(self) -> TrainState:
        """Returns the state before the first step."""
        return TrainState(0, self.strategy.init(self._root, jnp.zeros(self.parameters.n)), 0)

    def warm_up(self, state: TrainState) -> None:
        """Compiles what all tasks need at once, in threads: one by one, on a GPU, takes longer than training."""
        population, _ = self.strategy.ask(self._root, state.strategy)
        members = split_members(population, self.config.rollout.micro_batch or None)[0]
        span, n_starts = math.ceil(self.budget(state.step) / self.config.rollout.unrolls), self.config.rollout.starts
        programs = {(id(task.potential), rows_for(task.n_atoms)): task for task in self.table.tasks.values()}

        def compile_one(task: Task) -> None:
            with jax.default_matmul_precision(PRECISION):  # threads do not inherit it
                job = self._job(self.table, task, (self._root, self._root), n_starts, self.budget(state.step))
                warm_up(self._build, job, members, span, self._judging)

        with ThreadPoolExecutor() as pool:
            list(pool.map(compile_one, programs.values()))

    def step(self, state: TrainState) -> tuple[TrainState, dict[str, Any]]:
        """Takes one outer step: whole runs, after each part of which the strategy moves; returns state and metrics."""
        begin, step = time.perf_counter(), state.step
        task, budget = self.table.draw(self.config.seed, step, self.progress(step)), self.budget(step)
        keys = dict(zip(STREAMS, jax.random.split(jax.random.fold_in(self._root, step), len(STREAMS)), strict=True))
        spent = self._calibrate(self.table, task)
        job = self._job(self.table, task, (keys["starts"], keys["runs"]), self.config.rollout.starts, budget)
        strategy, runs, losses = state.strategy, None, []
        marks = np.linspace(0, budget, self.config.rollout.unrolls + 1).round().astype(int).tolist()
        for k, span in enumerate(pairwise(marks)):
            population, asked = self.strategy.ask(jax.random.fold_in(keys["ask"], k), strategy)
            batches = split_members(population, self.config.rollout.micro_batch or None)
            runs = start_runs(self._build, job, batches) if runs is None else runs
            outcome, runs = unroll(self._build, job, batches, runs, span, self._judging)
            strategy = self.strategy.tell(jax.random.fold_in(keys["tell"], k), population, outcome.loss, asked)
            losses.append(outcome.loss)
        lowest = float(jnp.min(outcome.excess)) * self._scale(task) + self.table.known[task.name]["reference"]
        self.table.observe(task, lowest)
        spent += int(outcome.n_evaluations.sum())
        seconds = time.perf_counter() - begin
        metrics = {
            "step": step + 1,
            "task": task.name,
            "budget": budget,
            "loss": float(jnp.mean(jnp.stack([loss[0] for loss in losses]))),
            "loss_of_members": float(jnp.mean(jnp.stack(losses))),
            "success": float(jnp.mean(outcome.excess[0] <= TOLERANCE)),
            "diverged": float(jnp.mean(outcome.diverged)),
            "evaluations": state.evaluations + spent,
            "evaluations_per_s": spent / seconds,
            "seconds": seconds,
        }
        return TrainState(step + 1, strategy, state.evaluations + spent), metrics

    def evaluate(self, vector, stream: int = EVALUATION) -> dict[str, dict[str, float]]:
        """Judges parameters on starts that no step has seen: by task, loss, success rate and cost of a success.

        Args:
          vector: `[n_params]`.
          stream: of the starts; those that the best parameters are chosen on flatter them, `REPORT` has others.
        """
        tables = (self.table, self.held_out)
        return {name: row for table in tables for name, row in self._evaluate(table, vector[None], stream).items()}

    def progress(self, step: int) -> float:
        """Returns how far the curriculum is at an outer step, from 0 to 1."""
        until = self.config.curriculum.until
        return min(step / until, 1.0) if until else 1.0

    def budget(self, step: int) -> int:
        """Returns the evaluations of a run at an outer step, growing in their logarithm."""
        first, last = self.config.curriculum.first_budget, self.config.rollout.budget
        if not first:
            return last
        return round(first * (last / first) ** self.progress(step))

    def _evaluate(self, table: TaskTable, vector, stream: int) -> dict[str, dict[str, float]]:
        settings, found = self.config.evaluation, {}
        budget = settings.budget or self.config.rollout.budget
        for name, task in table.tasks.items():
            self._calibrate(table, task)
            keys = jax.random.split(jax.random.PRNGKey(self.config.seed + stream), 2)
            job = self._job(table, task, (keys[0], keys[1]), settings.starts, budget)
            # From the energy that was lowest when the task was new, so that evaluations can be compared.
            outcome = run(
                self._build, job._replace(goal=table.first_goal(task, self.config.loss.near)), vector, self._judging
            )
            drop = (table.known[name]["first_reference"] - table.known[name]["reference"]) / self._scale(task)
            hits, spent = int(jnp.sum(outcome.excess + drop <= TOLERANCE)), int(outcome.n_evaluations.sum())
            found[name] = {
                "loss": float(jnp.mean(outcome.loss)),
                "success": hits / settings.starts,
                "evaluations_per_success": spent / hits if hits else math.inf,
                "median_excess": float(jnp.median(outcome.excess)) + drop,
                "evaluations": spent,
            }
        return found

    def _calibrate(self, table: TaskTable, task: Task) -> int:
        """Sets the unit of a task's loss when it is met for the first time; returns the evaluations spent."""
        if table.is_calibrated(task):
            return 0
        keys = jax.random.split(jax.random.PRNGKey(self.config.seed + CALIBRATION), 2)
        by_policy, budget = self.config.loss.unit == "policy", self.config.rollout.budget
        if by_policy:
            budget = max(1, round(float(checkpoints(budget)[4])))
        job = self._job(table, task, (keys[0], keys[1]), self.config.rollout.starts, budget)
        build = self._build if by_policy else self._relaxation
        outcome = run(build, job, jnp.zeros((1, self.parameters.n)), self._judging)
        table.calibrate(task, np.asarray(outcome.excess[0], float) * self._scale(task), self._scale(task))
        return int(outcome.n_evaluations.sum())

    def _job(self, table: TaskTable, task: Task, keys: tuple, n_starts: int, budget: int) -> Job:
        """Returns runs on starts drawn by the first key, with random streams from the second."""
        scale = self._scale(task)
        target = -np.inf if task.reference is None else task.reference + TOLERANCE * scale
        near = self.config.loss.near
        plain = Goal(jnp.float32(0.0), jnp.float32(scale), jnp.float32(1.0), jnp.float32(near))
        return Job(
            potential=task.potential,
            keys=jax.random.split(keys[1], n_starts),
            systems=draw_batch(task, jax.random.split(keys[0], n_starts)),
            goal=table.goal(task, near) if table.is_calibrated(task) else plain,
            target=jnp.float32(target),
            budget=budget,
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
    return optax.adam(optax.cosine_decay_schedule(first, config.steps * config.rollout.unrolls, alpha=last / first))
