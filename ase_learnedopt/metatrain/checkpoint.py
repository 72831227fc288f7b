"""A training run on disk: one file that holds all of it, written whole or not at all. Layer 2, no pickle."""

import io
import json
import os
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ..whole_file import whole_file
from .config_file import as_dict
from .trainer import Trainer, TrainState

FORMAT = "ase-learnedopt training 1"


class Best(NamedTuple):
    """Holds the parameters that were judged best so far."""

    step: int
    score: float  # mean loss over all tasks of the evaluation
    vector: np.ndarray  # [n_params]
    evaluation: dict[str, dict[str, float]]


def save_checkpoint(path: Path, trainer: Trainer, state: TrainState, best: Best | None) -> None:
    """Writes everything that the next step depends on, in one move."""
    arrays = {f"strategy{k}": np.asarray(leaf) for k, leaf in enumerate(jax.tree.leaves(state.strategy))}
    if best is not None:
        arrays["best"] = np.asarray(best.vector)
    about = {
        "format": FORMAT,
        "config": as_dict(trainer.config),
        "step": state.step,
        "evaluations": state.evaluations,
        "tasks": trainer.table.known,
        "held_out": trainer.held_out.known,
        "best": None if best is None else [best.step, best.score, best.evaluation],
    }
    with whole_file(path) as temporary, temporary.open("wb") as file:
        np.savez(file, about=np.frombuffer(json.dumps(about).encode(), np.uint8), **arrays)  # type: ignore[arg-type]
        file.flush()
        os.fsync(file.fileno())


def load_checkpoint(path: Path, trainer: Trainer) -> tuple[TrainState, Best | None]:
    """Reads a checkpoint into a trainer of the same config.

    Returns:
      The state, and the best parameters so far.

    Raises:
      ValueError: there is no checkpoint, it is damaged, or it is of another config.
    """
    about, arrays = _read(path)
    _compare(about["config"], json.loads(json.dumps(as_dict(trainer.config))), path)
    like, tree = jax.tree.flatten(trainer.begin().strategy)
    leaves = [_leaf(arrays, f"strategy{k}", leaf, path) for k, leaf in enumerate(like)]
    trainer.table.known.update(about["tasks"])
    trainer.held_out.known.update(about["held_out"])
    best = None
    if about["best"] is not None:
        step, score, evaluation = about["best"]
        best = Best(step, score, arrays["best"], evaluation)
    return TrainState(about["step"], jax.tree.unflatten(tree, leaves), about["evaluations"]), best


def read_config(path: Path) -> dict[str, Any]:
    """Returns the settings that a checkpoint was made with."""
    return _read(path)[0]["config"]


def _read(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    if not path.is_file():
        raise ValueError(f"there is no training to resume: {path} does not exist; leave out --resume")
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        about = json.loads(arrays.pop("about").tobytes())
    except (ValueError, KeyError, OSError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} is damaged ({error}): begin anew in another folder") from error
    if about.get("format") != FORMAT:
        raise ValueError(f"{path} has the format {about.get('format')!r}, this version reads {FORMAT!r}")
    return about, arrays


def _leaf(arrays: dict[str, np.ndarray], name: str, like: Any, path: Path):
    found = arrays.get(name)
    if found is None or found.shape != np.shape(like):
        raise ValueError(f"{path} does not fit this version's strategy: begin anew in another folder")
    return jnp.asarray(found, jnp.asarray(like).dtype)


def _compare(before: Any, now: Any, path: Path, where: str = "config") -> None:
    """Names the first setting that differs; how often a checkpoint is written may."""
    if isinstance(before, dict) and isinstance(now, dict):
        for name in sorted(before.keys() | now.keys()):
            if name != "checkpoint_s":
                _compare(before.get(name), now.get(name), path, f"{where}, {name}")
    elif before != now:
        raise ValueError(f"{path} was made with {where} = {before!r}, not {now!r}: restore it, or use another folder")
