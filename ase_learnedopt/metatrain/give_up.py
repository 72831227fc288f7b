"""Trains the head of LearnedHop that gives relaxations up: a classifier of which minima would be rejected. Layer 2.

Supervised, from runs of the policy as it is: every step of a relaxation is an example, and its class is whether the
minimum at the end was accepted and another one than the last. The trainer is the classifier of `temperature`.
"""

from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ..optimizers.hop_relaxation import step_relaxation
from ..optimizers.hop_state import acceptable
from ..optimizers.learned import find_learned, for_training, make_config
from ..optimizers.learned_hop import learned_hop
from ..optimizers.networks import HIDDEN, apply_head, init_head
from ..rollout import hop_all, start
from ..temperature.examples import merged
from ..temperature.fitting import fit_classifier
from ..temperature.models import Model
from ..temperature.steps import Settings
from ..types import MINIMUM, Optimizer
from ..weights_io import save_weights
from .config import TrainConfig
from .config_file import as_dict
from .parameters import starting_parameters
from .task_table import make_tasks
from .tasks import Task, draw_batch

SAME = 1e-3
"""Energy scales: a minimum that near the last one is the same, and accepting it changes nothing."""


class Steps(NamedTuple):
    """Holds steps of relaxations that ended in a minimum."""

    features: np.ndarray  # [n_steps, len(GIVE_UP_FEATURES)]
    rejected: np.ndarray  # [n_steps] bool, the class
    left: np.ndarray  # [n_steps] evaluations to the minimum


def collect(task: Task, optimizer: Optimizer, params: dict, config, key, n_walkers: int, evaluations: int) -> Steps:
    """Runs a policy that never gives up and returns the steps of its relaxations, but for deformed ones.

    Args:
      task: what is searched.
      optimizer: LearnedHop with `params` and `config`.
      params: of its heads.
      config: its constants.
      key: of the starts and the runs.
      n_walkers: runs.
      evaluations: of each run.
    """
    for_starts, for_runs = jax.random.split(key)
    systems = draw_batch(task, jax.random.split(for_starts, n_walkers))
    state = start(optimizer, jax.random.split(for_runs, n_walkers), systems)
    solved = -jnp.inf if task.reference is None else task.reference
    return _label(*map(np.asarray, _record(optimizer, config, task.potential, evaluations, params, state, solved)))


@partial(jax.jit, static_argnames=("optimizer", "config", "potential", "evaluations"))
def _record(optimizer, config, potential, evaluations, params, state, solved):
    def one(state):
        energy, forces = potential(state.positions, state.system)
        step = step_relaxation(config, params, state, energy, forces)
        new = optimizer.advance(state, energy, forces)
        ended = new.event == MINIMUM
        # From the lowest minimum nothing is worth a hop, and a search would be over.
        searches = state.current_energy > solved + SAME * state.system.energy_scale
        usable = ~step.deforming & jnp.isfinite(state.current_energy) & searches & ~ended
        same = jnp.abs(step.relax.value - state.current_energy) < SAME * state.system.energy_scale
        worth = (step.relax.value <= acceptable(config, state)) & ~same
        return new, (step.doubts, usable, ended, worth)

    def both(state, _):
        state, seen = jax.vmap(one)(state)
        return hop_all(optimizer.hop, state), seen

    return jax.lax.scan(both, state, None, length=evaluations)[1]


def _label(features, usable, ended, worth) -> Steps:
    """Gives every step the outcome of the minimum that its relaxation came to."""
    n_steps, n_walkers = ended.shape
    outcome = np.full(n_walkers, -1)
    end = np.zeros(n_walkers, int)
    labels, left = np.full(ended.shape, -1), np.zeros(ended.shape, int)
    for t in range(n_steps - 1, -1, -1):
        outcome = np.where(ended[t], np.where(worth[t], 0, 1), outcome)
        end = np.where(ended[t], t, end)
        labels[t], left[t] = outcome, end - t
    chosen = usable & (labels >= 0)
    return Steps(features[chosen], labels[chosen] == 1, left[chosen])


def train_head(steps: Steps, seed: int = 0, n_steps: int = 15_000) -> dict:
    """Trains the head on steps; what it writes is the log odds that the minimum will be rejected.

    Args:
      steps: of all tasks.
      seed: of all that is random.
      n_steps: of the training.

    Raises:
      ValueError: no minimum was rejected, or none accepted.
    """
    if steps.rejected.all() or not steps.rejected.any():
        raise ValueError(f"all {len(steps.rejected)} steps led to minima of one kind: run longer, or on other tasks")
    y = steps.rejected.astype(np.int32)
    examples = merged(steps.features.astype(np.float32), y, np.ones(len(y)))
    settings = Settings(solver="adam", n_steps=n_steps, batch_size=256)
    best = fit_classifier(HEAD, examples, 2, "auto", "auto", settings, 0.1, np.random.RandomState(seed)).best
    head = dict(best.params)
    for name in ("output_weights", "output_bias"):
        head[name] = np.asarray(best.beta * head[name], np.float32)  # the log odds are beta times the logits
    return head


def judge(head: dict, steps: Steps, give_up: float) -> dict[str, float]:
    """Returns how right the head is on steps, and what giving up at these log odds would do to them."""
    odds = np.asarray(apply_head(jax.tree.map(jnp.asarray, head), jnp.asarray(steps.features)))[:, 0]
    given_up, rejected = odds > give_up, steps.rejected
    return {
        "steps": len(odds),
        "rejected": float(rejected.mean()),
        "accuracy": float(((odds > 0.0) == rejected).mean()),
        "given_up_of_rejected": float(given_up[rejected].mean()) if rejected.any() else 0.0,
        "given_up_of_accepted": float(given_up[~rejected].mean()) if not rejected.all() else 0.0,
    }


def make_give_up(config: TrainConfig, path: str | Path, command: str, show: Callable[[str], None] = print) -> Path:
    """Trains the head on the families of a config and writes weights of LearnedHop with it.

    Args:
      config: `rollout.starts` runs of `rollout.budget` evaluations of each task; other heads are those of the start.
      path: of the weights, with or without `.npz`.
      command: that makes them, for the card.
      show: is told about each task.

    Returns:
      The path of the `.npz` file.

    Raises:
      ValueError: another optimizer, a task too easy to give steps, or nothing accepted or nothing rejected at all.
    """
    if config.optimizer.name != "learned_hop":
        raise ValueError(f"{config.optimizer.name} does not give up: the optimizer must be learned_hop")
    constants = make_config("learned_hop", config.optimizer.config)
    params = starting_parameters("learned_hop", config.optimizer.start, constants, config.seed)
    patient = replace(for_training(constants), give_up=float("inf"), unrolled=False)
    optimizer = learned_hop(params, patient)
    tasks = [task for task, _ in make_tasks(config.families)]
    found = []
    for task, key in zip(tasks, jax.random.split(jax.random.PRNGKey(config.seed), len(tasks)), strict=True):
        parts = [  # to learn from and to judge by
            collect(task, optimizer, params, patient, part, config.rollout.starts, config.rollout.budget)
            for part in jax.random.split(key)
        ]
        if not all(len(part.left) for part in parts):
            raise ValueError(
                f"{task.name} gave no steps: its runs did no more than find the lowest minimum; leave it out, or raise "
                f"rollout.budget above {config.rollout.budget}"
            )
        show(f"{task.name}: {len(parts[0].left)} steps, {100 * parts[0].rejected.mean():.0f} % to minima rejected")
        found.append(parts)
    head = train_head(Steps(*map(np.concatenate, zip(*(learn for learn, _ in found), strict=True))), config.seed)
    result = {task.name: judge(head, by, constants.give_up) for task, (_, by) in zip(tasks, found, strict=True)}
    card = {
        "architecture": "learned_hop",
        "features": find_learned("learned_hop").features,
        "config": {name: value for name, value in asdict(constants).items() if name != "unrolled"},
        "tasks": [task.name for task in tasks],
        "held_out": [],
        "seeds": [config.seed],
        "budget": {"evaluations": 2 * len(tasks) * config.rollout.starts * config.rollout.budget},
        "command": command,
        "result": result,
        "training": as_dict(config),
    }
    return save_weights(path, {**jax.tree.map(np.asarray, params), "give up": head}, card)


def _init(key, x, n_classes):
    del n_classes
    key, key_output = jax.random.split(key)
    head = init_head(key, x.shape[1], 1)
    return head | {"output_weights": jax.random.normal(key_output, (HIDDEN, 1)) / float(HIDDEN) ** 0.5}


def _apply(params, x):
    odds = apply_head(params, x)
    return jnp.concatenate([-0.5 * odds, 0.5 * odds], axis=1)


HEAD = Model(_init, _apply)
"""A head with one output as a classifier of two classes."""
