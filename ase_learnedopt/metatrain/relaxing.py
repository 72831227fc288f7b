"""Trains LearnedRelax: its parameters evolve by what relaxations cost, in evaluations to a small force. Layer 2.

Every task is relaxed from its own starts and, if those are far from a minimum, also from near one: relaxed, then
rattled. A member is told by its evaluations over those of the untrained relaxation from the same starts, in their
logarithm; what has become slower counts for more, so that nobody pays for what others gain.
"""

import io
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ..optimizers.learned import find_learned, make_config
from ..stopping import Stop
from ..weights_io import save_weights, write_whole
from .config import TrainConfig
from .config_file import as_dict
from .parameters import Parameters, starting_parameters
from .relaxation_cost import Relaxation, costs, relaxations
from .strategies import STRATEGIES
from .task_table import make_tasks
from .tasks import Task

SLOWER = 0.5
"""Further weight of a task that has become slower."""
RENEW = 8
"""Outer steps with the same starts."""
CHECKPOINT = ".training.npz"
"""Suffix of the file that a training which was stopped goes on from."""


class Training(NamedTuple):
    """Carries a training from one outer step to the next."""

    step: int
    evaluations: int
    strategy: Any


def make_relax(
    config: TrainConfig,
    path: str | Path,
    command: str,
    *,
    stop: Stop | None = None,
    show: Callable[[str], None] = print,
) -> Path | None:
    """Trains the parameters on the families of a config and writes weights of LearnedRelax.

    Args:
      config: `rollout.starts` relaxations of each kind, of at most `rollout.budget` evaluations.
      path: of the weights, with or without `.npz`; beside them is, while it is under way, what the training goes on
        from.
      command: that makes them, for the card.
      stop: whose signal ends the work between two steps; the same call goes on.
      show: is told how it goes.

    Returns:
      The path of the `.npz` file; None if it was stopped.

    Raises:
      ValueError: another optimizer, a budget that is no multiple of the steps between two models, or a training under
        way with other settings.
    """
    learner = _Learner(config)
    kept = Path(path).with_suffix(CHECKPOINT)
    training = learner.load(kept)
    while training.step < config.steps:
        if stop is not None and stop.signal is not None:
            return None
        training, ratio = learner.advance(training)
        learner.save(kept, training)
        show(f"step {training.step}/{config.steps}: {ratio:.3f} of the evaluations of the untrained relaxation")
    made = save_weights(path, learner.parameters.to_numpy(learner.mean(training)), learner.card(training, command))
    kept.unlink(missing_ok=True)
    return made


class _Learner:
    """Holds what does not change in a training."""

    def __init__(self, config: TrainConfig):
        if config.optimizer.name != "learned_relax":
            raise ValueError(f"{config.optimizer.name} is no relaxation: the optimizer must be learned_relax")
        self.config, self.constants = config, make_config("learned_relax", config.optimizer.config)
        self.budget, self._n_starts, strategy = config.rollout.budget, config.rollout.starts, config.strategy
        if self.budget % self.constants.refresh:
            raise ValueError(f"rollout.budget is {self.budget}; give a multiple of refresh = {self.constants.refresh}")
        start = starting_parameters("learned_relax", config.optimizer.start, self.constants, config.seed)
        self.parameters = Parameters(start, config.optimizer.heads, strategy.scales)
        adam = None if strategy.name == "cma_es" else _adam(strategy.learning_rate)
        self.strategy = STRATEGIES[strategy.name](strategy.members, self.parameters.n, strategy.perturbation, adam)
        self.tasks: list[Task] = [task for task, _ in make_tasks(config.families)]
        self._key = jax.random.PRNGKey(config.seed)
        self._starts: tuple[int, list[Relaxation], list[np.ndarray]] = (-1, [], [])

    def begin(self) -> Training:
        """Returns a training before its first step."""
        return Training(0, 0, self.strategy.init(self._key_of(0, 0), jnp.zeros(self.parameters.n)))

    def advance(self, training: Training) -> tuple[Training, float]:
        """Takes an outer step; returns also the members' mean evaluations over those of the untrained relaxation."""
        kinds, base = self._kinds(training.step // RENEW)
        key = self._key_of(1, training.step)
        population, state = self.strategy.ask(key, training.strategy)
        found = [self._costs(kind, population) for kind in kinds]
        ratios = np.stack([(cost - first).mean(axis=(1, 2)) for cost, first in zip(found, base, strict=True)], axis=1)
        losses = ratios + SLOWER * np.maximum(ratios, 0.0)
        state = self.strategy.tell(key, population, jnp.asarray(losses), state)
        spent = training.evaluations + sum(int(np.exp(cost[:, -1]).sum()) for cost in found)
        return Training(training.step + 1, spent, state), float(np.exp(ratios.mean()))

    def mean(self, training: Training):
        """Returns what the strategy thinks best, `[n_params]`."""
        return jnp.asarray(self.strategy.mean(training.strategy))

    def card(self, training: Training, command: str) -> dict[str, Any]:
        """Returns the card, with evaluations on fresh starts, untrained and trained, to each tolerance."""
        n_batches = -(-self.config.evaluation.starts // self._n_starts)
        found = [self._judge(k, self.mean(training)) for k in range(n_batches)]
        result = {
            name: {
                how: _rounded(np.concatenate([part[name][how] for part in found], axis=1).mean(axis=1))
                for how in ("untrained", "trained")
            }
            for name in found[0]
        }
        return {
            "architecture": "learned_relax",
            "features": find_learned("learned_relax").features,
            "config": asdict(self.constants),
            "tasks": [task.name for task in self.tasks],
            "held_out": [],
            "seeds": [self.config.seed],
            "budget": {"outer_steps": training.step, "evaluations": training.evaluations},
            "command": command,
            "result": result,
            "training": as_dict(self.config),
        }

    def _judge(self, number: int, vector) -> dict[str, dict[str, np.ndarray]]:
        """Returns evaluations `[len(TOLERANCES), n_starts]` from fresh starts, untrained and trained, by kind."""
        kinds = relaxations(self.tasks, self._n_starts, self.budget, self._key_of(2, number))
        how = {"untrained": self._all(jnp.float32(0.0)), "trained": self._all(vector)}
        return {kind.name: {k: np.exp(self._costs(kind, p)[0]) for k, p in how.items()} for kind in kinds}

    def save(self, path: Path, training: Training) -> None:
        """Writes a training, in one move."""
        about = {"config": as_dict(self.config), "step": training.step, "evaluations": training.evaluations}
        leaves = {f"strategy{k}": np.asarray(leaf) for k, leaf in enumerate(jax.tree.leaves(training.strategy))}
        buffer = io.BytesIO()
        np.savez(buffer, about=np.frombuffer(json.dumps(about).encode(), np.uint8), **leaves)  # type: ignore[arg-type]
        write_whole(path, buffer.getvalue())

    def load(self, path: Path) -> Training:
        """Reads a training, or begins one where there is no file."""
        fresh = self.begin()
        if not path.exists():
            return fresh
        with np.load(path, allow_pickle=False) as arrays:
            about = json.loads(arrays["about"].tobytes())
            found = [arrays[f"strategy{k}"] for k in range(len(arrays.files) - 1)]
        if about["config"] != json.loads(json.dumps(as_dict(self.config))):
            raise ValueError(f"{path} is of a training with other settings: delete it, or give another --out")
        like, tree = jax.tree.flatten(fresh.strategy)
        leaves = [jnp.asarray(array, jnp.asarray(leaf).dtype) for array, leaf in zip(found, like, strict=True)]
        return Training(about["step"], about["evaluations"], jax.tree.unflatten(tree, leaves))

    def _kinds(self, number: int) -> tuple[list[Relaxation], list[np.ndarray]]:
        """Returns the starts of a stretch of outer steps, and what the untrained relaxation pays from them."""
        if self._starts[0] != number:
            kinds = relaxations(self.tasks, self._n_starts, self.budget, self._key_of(3, number))
            self._starts = number, kinds, [self._costs(kind, self._all(jnp.float32(0.0)))[:1] for kind in kinds]
        return self._starts[1:]

    def _all(self, vector):
        """Returns a population of one member, as large as those of the training: the same program."""
        return jnp.broadcast_to(vector, (self.config.strategy.members, self.parameters.n))

    def _costs(self, kind: Relaxation, population) -> np.ndarray:
        members = jax.vmap(self.parameters)(population)
        return np.asarray(costs(kind.potential, self.constants, self.budget, members, kind.systems))

    def _key_of(self, purpose: int, number: int):
        return jax.random.fold_in(jax.random.fold_in(self._key, purpose), number)


def _rounded(values: np.ndarray) -> list[float]:
    return [round(float(value), 1) for value in values]


def _adam(rate: float) -> Any:
    import optax

    return optax.adam(rate)
