"""Configs as TOML: read and checked, and printed with the meaning of every setting. Layer 2."""

import difflib
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import MISSING, Field, asdict, fields, is_dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from ..optimizers.learned import LEARNED
from .config import UNITS, TrainConfig
from .meta_loss import META_LOSSES
from .strategies import STRATEGIES
from .tasks import FAMILIES


def load_config(name_or_path: str | Path) -> TrainConfig:
    """Reads a shipped recipe by name, or a config by path; what it does not say keeps its default.

    Raises:
      ValueError: no such file, no TOML, an unknown setting, or an impossible value.
    """
    path = Path(name_or_path)
    file: Any = path
    if not path.is_file():
        if str(name_or_path) not in list_recipes():
            raise ValueError(
                f"there is no config {path}: `ase-learnedopt train --print-config` prints one to begin with; "
                f"recipes are {', '.join(list_recipes())}"
            )
        file = _recipes() / f"{name_or_path}.toml"
    try:
        found = tomllib.loads(file.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{path} is not TOML: {error}") from error
    return parse_config(found, str(path))


def list_recipes() -> list[str]:
    """Returns the names of the configs that the package ships."""
    return sorted(item.name.removesuffix(".toml") for item in _recipes().iterdir() if item.name.endswith(".toml"))


def _recipes() -> Traversable:
    return resources.files("ase_learnedopt.metatrain.recipes")


def parse_config(found: Mapping[str, Any], where: str = "config") -> TrainConfig:
    """Returns the config of nested settings, checked.

    Raises:
      ValueError: an unknown setting or an impossible value.
    """
    config = _fill(TrainConfig, found, where)
    _check(config, where)
    return config


def print_config(config: TrainConfig | None = None) -> str:
    """Returns a config as TOML, every setting with its meaning."""
    return "\n".join(_lines(config or TrainConfig(), "")) + "\n"


def as_dict(config: TrainConfig) -> dict[str, Any]:
    """Returns all settings in JSON types."""
    return asdict(config)


def _fill(kind: Any, found: Mapping[str, Any], where: str) -> Any:
    known = {f.name: f for f in fields(kind)}
    for name in found:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
            raise ValueError(f"{where}: there is no setting {name!r}; {hint}")
    return kind(**{name: _value(known[name], value, f"{where}, {name}") for name, value in found.items()})


def _value(setting: Field, value: Any, where: str) -> Any:
    default = _default(setting)
    if is_dataclass(default):
        if not isinstance(value, Mapping):
            raise ValueError(f"{where} is {value!r}; give a table [{setting.name}]")
        return _fill(type(default), value, where)
    if isinstance(default, float) and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if type(value) is not type(default):
        raise ValueError(f"{where} is {value!r}; give a {type(default).__name__}")
    return value


def _default(setting: Field) -> Any:
    if setting.default_factory is not MISSING:
        return setting.default_factory()
    return setting.default


def _check(config: TrainConfig, where: str) -> None:
    positive = {
        "steps": config.steps,
        "rollout.budget": config.rollout.budget,
        "rollout.starts": config.rollout.starts,
        "rollout.unrolls": config.rollout.unrolls,
        "strategy.members": config.strategy.members,
        "strategy.perturbation": config.strategy.perturbation,
        "strategy.learning_rate": config.strategy.learning_rate,
        "loss.near": config.loss.near,
        "loss.clip": config.loss.clip,
        "evaluation.every": config.evaluation.every,
        "evaluation.starts": config.evaluation.starts,
    }
    for name, value in positive.items():
        if not value > 0:
            raise ValueError(f"{where}: {name} is {value}; it must be above zero")
    choices: dict[str, tuple[str, Collection[str]]] = {
        "optimizer.name": (config.optimizer.name, LEARNED),
        "loss.kind": (config.loss.kind, META_LOSSES),
        "loss.unit": (config.loss.unit, UNITS),
        "strategy.name": (config.strategy.name, STRATEGIES),
    }
    for name, (chosen, known) in choices.items():
        if chosen not in known:
            raise ValueError(f"{where}: {name} is {chosen!r}; give one of {', '.join(known)}")
    if not config.families:
        raise ValueError(f"{where}: there are no families to train on")
    for entry in (*config.families, *config.held_out):
        if entry.get("family") not in FAMILIES:
            raise ValueError(f"{where}: family is {entry.get('family')!r}; give one of {', '.join(FAMILIES)}")
        _check_weight(entry, where)
    if config.rollout.unrolls > config.rollout.budget:
        raise ValueError(f"{where}: {config.rollout.unrolls} unrolls are more than the evaluations of a run")


def _check_weight(entry: Mapping[str, Any], where: str) -> None:
    weight = entry.get("weight", 1.0)
    ends = weight if isinstance(weight, list | tuple) else [weight, weight]
    numbers = all(isinstance(end, int | float) and end >= 0 for end in ends)
    if not numbers or len(ends) != 2 or not any(ends):
        raise ValueError(
            f"{where}: the weight of {entry['family']} is {weight!r}; it must be above zero, or a pair [first, last]"
        )


def _lines(config: Any, prefix: str) -> list[str]:
    """Returns the lines of a table, plain settings before those that are tables themselves."""
    plain, tables = [], []
    for setting in fields(config):
        value, meaning = getattr(config, setting.name), setting.metadata.get("meaning", "")
        name = f"{prefix}{setting.name}"
        if is_dataclass(value):
            tables += ["", f"[{name}]", *_lines(value, f"{name}.")]
        elif isinstance(value, list) and setting.name in ("families", "held_out"):
            tables += ["", f"# {setting.name}: {meaning}"]
            for entry in value:
                tables += [f"[[{name}]]", *(f"{key} = {_toml(item)}" for key, item in entry.items())]
        else:
            plain.append(f"{setting.name} = {_toml(value)}  # {meaning}")
    return plain + tables


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_toml(str(key))} = {_toml(item)}" for key, item in value.items()) + "}"
    return repr(value)
