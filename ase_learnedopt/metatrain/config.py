"""What a training run is told: every setting with its default and its meaning. Layer 2."""

# ruff: noqa: RUF009  `_setting` makes fields
from dataclasses import dataclass, field
from typing import Any

from ..optimizers.learned import LEARNED
from .meta_loss import LARGEST, META_LOSSES, NEAR
from .strategies import STRATEGIES
from .tasks import FAMILIES

UNITS = ("policy", "relaxation")


def _setting(default: Any, meaning: str) -> Any:
    if isinstance(default, list | dict):
        return field(default_factory=lambda: type(default)(default), metadata={"meaning": meaning})
    return field(default=default, metadata={"meaning": meaning})


@dataclass(frozen=True)
class Optimizer:
    """Says what is trained."""

    name: str = _setting("learned_hop", f"one of {', '.join(LEARNED)}")
    start: str = _setting(
        "warm", "parameters to begin with: warm, of learn2hop also hops and random, or weights by name or path"
    )
    heads: list[str] = _setting([], "parts to train, the others stay: heads or layers; empty: all")
    config: dict[str, Any] = _setting({}, "constants of the optimizer that differ from its defaults")


@dataclass(frozen=True)
class Rollout:
    """Says how long and how many runs are."""

    budget: int = _setting(500, "evaluations of a run")
    unrolls: int = _setting(1, "parts of a run; after each the strategy moves, and the runs go on with its new members")
    starts: int = _setting(16, "starts of a step, the same for every member")
    micro_batch: int = _setting(0, "members at once, to bound the memory; 0: all")


@dataclass(frozen=True)
class Curriculum:
    """Says what changes as the training goes on: the budget, and families whose weight is a pair."""

    until: int = _setting(0, "outer step from which on nothing changes any more")
    first_budget: int = _setting(0, "of a run at the first step, growing in its logarithm; 0: the same from the start")


@dataclass(frozen=True)
class Loss:
    """Says what is lowered."""

    kind: str = _setting("checkpoints", f"one of {', '.join(META_LOSSES)}")
    near: float = _setting(NEAR, "units above the lowest energy below which a loss hardly falls any more")
    clip: float = _setting(LARGEST, "largest loss of a run; 1 is one unit of its task above the lowest energy")
    unit: str = _setting("policy", "of a task: policy, what it reaches early at the start, or relaxation, by L-BFGS")


@dataclass(frozen=True)
class Strategy:
    """Says how it is lowered."""

    name: str = _setting("esmc", f"one of {', '.join(STRATEGIES)}")
    members: int = _setting(48, "of the population")
    perturbation: float = _setting(0.05, "standard deviation of a member's parameters")
    scales: dict[str, float] = _setting({}, "factors on the perturbation of single heads")
    learning_rate: float = _setting(0.02, "of Adam on the mean, in parameters")
    final_learning_rate: float = _setting(0.02, "at the last step; in between along a cosine")


@dataclass(frozen=True)
class Evaluation:
    """Says when the mean is judged, on starts of its own, and on what: the best judged becomes the weights file."""

    every: int = _setting(10, "outer steps between two evaluations")
    starts: int = _setting(64, "fresh starts of every task")
    budget: int = _setting(0, "evaluations of a run; 0: the full budget of training")


@dataclass(frozen=True)
class TrainConfig:
    """Holds all settings of a run."""

    seed: int = _setting(0, "of everything random")
    steps: int = _setting(200, "outer steps")
    checkpoint_s: float = _setting(60.0, "seconds between two checkpoints")
    optimizer: Optimizer = field(default_factory=Optimizer)
    rollout: Rollout = field(default_factory=Rollout)
    curriculum: Curriculum = field(default_factory=Curriculum)
    loss: Loss = field(default_factory=Loss)
    strategy: Strategy = field(default_factory=Strategy)
    evaluation: Evaluation = field(default_factory=Evaluation)
    families: list[dict[str, Any]] = _setting(
        [{"family": "lennard_jones", "weight": 1.0, "sizes": [13]}],
        f"what is trained on: family ({', '.join(FAMILIES)}), weight (or [first, last], see curriculum), options",
    )
    held_out: list[dict[str, Any]] = _setting([], "what is evaluated on and never trained on, in the same form")
