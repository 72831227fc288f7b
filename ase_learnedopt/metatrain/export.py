"""Makes a weights file of a training run: the parameters judged best, with all that is known of them. Layer 2."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import jax.numpy as jnp

from ..optimizers.learned import find_learned
from ..weights_io import save_weights
from .checkpoint import load_checkpoint, read_config
from .config import TrainConfig
from .config_file import as_dict, list_recipes, load_config, parse_config
from .driver import CHECKPOINT, EVALUATION, finite
from .trainer import REPORT, Trainer


def export(folder: str | Path, path: str | Path) -> Path:
    """Writes `<path>.npz` and its card.

    Args:
      folder: of a training run.
      path: with or without `.npz`; its stem is the name of the weights.

    Returns:
      The path of the `.npz` file.

    Raises:
      ValueError: there is no run, or it has not evaluated anything yet.
    """
    folder = Path(folder)
    trainer = Trainer(parse_config(read_config(folder / CHECKPOINT), str(folder)))
    state, best = load_checkpoint(folder / CHECKPOINT, trainer)
    if best is None:
        raise ValueError(f"{folder} has no evaluation yet: train until its first one, then export")
    card: dict[str, Any] = {
        "architecture": trainer.config.optimizer.name,
        "features": find_learned(trainer.config.optimizer.name).features,
        "config": asdict(trainer.constants),
        "tasks": list(trainer.table.tasks),
        "held_out": list(trainer.held_out.tasks),
        "seeds": [trainer.config.seed],
        "budget": {"outer_steps": best.step, "evaluations": state.evaluations, "judging": _judging(folder)},
        "command": f"ase-learnedopt train run {_config_name(trainer.config, path)} --out {folder.name}",
        "result": finite(trainer.evaluate(jnp.asarray(best.vector), REPORT)),
        "chosen_by": finite(best.evaluation),
        "training": as_dict(trainer.config),
        "known": trainer.table.known,
    }
    return save_weights(path, trainer.parameters.to_numpy(best.vector), card)


def _config_name(config: TrainConfig, path: str | Path) -> str:
    """Returns the recipe that a config is, or the name of a file that would hold it."""
    for name in list_recipes():
        if load_config(name) == config:
            return name
    return f"{Path(path).stem}.toml"


def _judging(folder: Path) -> int:
    """Returns the evaluations of energy and forces that choosing among the steps has taken."""
    file = folder / EVALUATION
    rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()] if file.exists() else []
    return sum(task["evaluations"] for row in rows for task in row["tasks"].values())
