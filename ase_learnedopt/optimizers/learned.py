"""The table of optimizers that have parameters to be trained: what each is built, started and checked with. Layer 1."""

from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..forked import require_not_forked
from ..weights_io import load_weights, read_card
from . import policy
from .energy_model import morse_priors
from .hop_state import LearnedHopConfig
from .learn2hop import learn2hop
from .learn2hop_features import SCALARS, VECTORS
from .learn2hop_network import Learn2HopConfig, basin_hops, descent, param_shapes, random, silent
from .learned_hop import learned_hop
from .learned_relax import RELAX_FEATURES, LearnedRelaxConfig, learned_relax, relax_shapes, untrained_relaxation


class Learned(NamedTuple):
    """Describes an optimizer with parameters.

    `build`: (params, config) -> `Optimizer`.

    `config`: class of its constants.

    `shapes`: config -> shape of every array of its parameters, `{part: {array: shape}}`.

    `features`: the feature contract that a weights file is checked against, in JSON types.

    `starts`: by name, (config, seed) -> untrained parameters; the first one is the default.

    `untrained`: config -> parameters in NumPy, nothing to compile, of the classical method that training begins with.
    """

    build: Callable
    config: type
    shapes: Callable
    features: Mapping[str, Any]
    starts: Mapping[str, Callable]
    untrained: Callable


def _zero_heads(config: LearnedHopConfig) -> dict:
    """Returns heads whose last layers are zero; then the others are never read, and may be zero as well."""
    del config
    shapes = policy.param_shapes()
    heads = {name: {key: np.zeros(n, np.float32) for key, n in shapes[name].items()} for name in policy.HEADS}
    return {**heads, policy.PRIOR: morse_priors()}


LEARNED = {
    "learned_hop": Learned(
        learned_hop,
        LearnedHopConfig,
        lambda _: policy.param_shapes(),
        policy.FEATURES,
        {"warm": lambda _, seed: policy.warm_start(seed)},
        _zero_heads,
    ),
    "learn2hop": Learned(
        learn2hop,
        Learn2HopConfig,
        param_shapes,
        {"scalars": SCALARS, "vectors": VECTORS},
        {"warm": descent, "hops": basin_hops, "random": random},
        silent,
    ),
    "learned_relax": Learned(
        learned_relax,
        LearnedRelaxConfig,
        lambda _: relax_shapes(),
        RELAX_FEATURES,
        {"warm": lambda *_: untrained_relaxation()},
        lambda _: untrained_relaxation(),
    ),
}
"""By the name it has in configs and, as `architecture`, on cards."""


def find_learned(name: str) -> Learned:
    """Returns an entry of the table.

    Raises:
      ValueError: there is none of this name.
    """
    if name not in LEARNED:
        raise ValueError(f"there is no learned optimizer {name!r}; there are {', '.join(LEARNED)}")
    return LEARNED[name]


def make_config(name: str, constants: Mapping[str, Any], where: str = "config") -> Any:
    """Returns the constants of an optimizer, defaults where nothing is said.

    Raises:
      ValueError: unknown constants.
    """
    kind = find_learned(name).config
    unknown = sorted(set(constants) - {field.name for field in fields(kind)})
    if unknown:
        raise ValueError(f"{where}: {name} has no constants {', '.join(unknown)} in this version")
    return kind(**constants)


def for_training(config: Any) -> Any:
    """Returns the constants that an optimizer is trained with: hops that cost nothing teach nothing about what pays."""
    return replace(config, imagined=0) if isinstance(config, LearnedHopConfig) else config


def load_policy(name: str, weights: str | Path, config: Any = None) -> tuple[dict, Any]:
    """Returns parameters and constants of shipped weights, a file, or "none": the classical method underneath.

    Args:
      name: of the optimizer.
      weights: name, path or "none".
      config: constants in place of those that the weights were trained with; None: those, or the defaults.

    Raises:
      ValueError: no such weights, damaged ones, those of another architecture or version or of other constants.
      RuntimeError: this process was forked from one that had used jax.
    """
    require_not_forked()
    entry = find_learned(name)
    if config is not None and not isinstance(config, entry.config):
        raise ValueError(f"config must be a {entry.config.__name__} or None, not {config!r}")
    if str(weights) == "none":
        config = config or entry.config()
        return entry.untrained(config), config
    params, trained, _ = load_learned(name, weights)
    config = config or trained
    if entry.shapes(config) != entry.shapes(trained):
        raise ValueError(f"weights {weights} have the arrays of {trained}; {config} needs others")
    return params, config


def load_learned(name: str, weights: str | Path) -> tuple[dict, Any, dict[str, Any]]:
    """Reads weights of one architecture and checks them against this version.

    Args:
      name: of the optimizer.
      weights: name of shipped weights, or a path.

    Returns:
      Parameters, constants and the card.

    Raises:
      ValueError: no such weights, damaged ones, or those of another architecture or version.
    """
    entry, card = find_learned(name), read_card(weights)
    _require_architecture(name, card, weights)
    config = make_config(name, card["config"], f"weights {weights}")
    parts = entry.shapes(config)
    wanted = {f"{part}/{key}": list(shape) for part, arrays in parts.items() for key, shape in arrays.items()}
    params, card = load_weights(weights, expect={"features": entry.features, "shapes": wanted})
    return params, config, card


def _require_architecture(name: str, card: Mapping[str, Any], weights: str | Path) -> None:
    found = card["architecture"]
    if found != name:
        raise ValueError(f"weights {weights} are those of {found!r}, not of {name!r}: use them with that optimizer")
