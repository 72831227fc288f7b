"""A training run from config to checkpoint: resumable, interruptible, in one folder. Layer 2.

config.toml         the settings, with their meanings
metrics.jsonl       a line for each outer step
evaluation.jsonl    a line for each evaluation of the mean
checkpoint.npz      all that the next step depends on
"""

import json
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import jax
import numpy as np

from ..forked import require_not_forked
from ..one_writer import only_writer
from ..stopping import Stop
from ..whole_file import remove_unfinished, whole_file
from .checkpoint import Best, load_checkpoint, save_checkpoint
from .config import TrainConfig
from .config_file import print_config
from .population import PRECISION
from .sharding import decided, is_first
from .trainer import Trainer, TrainState

CONFIG, METRICS, EVALUATION, CHECKPOINT = "config.toml", "metrics.jsonl", "evaluation.jsonl", "checkpoint.npz"
LOCK = "train.lock"
Show = Callable[[dict[str, Any]], None]


def train(
    config: TrainConfig,
    out: str | Path,
    *,
    minutes: float | None = None,
    resume: bool = False,
    show: Show = lambda _: None,
    quiet: bool = True,
) -> Best | None:
    """Trains until all steps are done, the time is over, or Ctrl-C or SIGTERM come; each of them leaves a checkpoint.

    Args:
      config: all settings.
      out: folder of the run; a killed run loses what came after its last checkpoint and, resumed, does it again.
      minutes: after which to stop; None: when all steps are done.
      resume: go on with the run in `out`.
      show: is given the metrics of each step, those of an evaluation under "evaluation".
      quiet: say nothing at Ctrl-C.

    With many processes, see `sharding.join`, only the first one writes; all must see its folder to resume.

    Returns:
      The parameters that were judged best; None before the first evaluation.

    Raises:
      ValueError: impossible settings, `out` holds a run and `resume` is not set, that run is another one, or another
        process writes to it.
      RuntimeError: this process was forked from one that had used jax.
    """
    require_not_forked()
    out = Path(out)
    trainer = Trainer(config)
    with _only_writer(out, resume):
        if not resume and (out / CHECKPOINT).exists():
            raise ValueError(f"{out} holds a training run: give --resume to go on with it, or another folder")
        if resume:
            state, best = load_checkpoint(out / CHECKPOINT, trainer)
        else:
            state, best = trainer.begin(), None
            if is_first():
                _write(out / CONFIG, print_config(config))
        if is_first():
            remove_unfinished(out)
            for name in (METRICS, EVALUATION):
                _keep(out / name, state.step)
        with jax.default_matmul_precision(PRECISION):
            if jax.default_backend() != "cpu":
                trainer.warm_up(state)
            return _loop(trainer, state, best, out, None if minutes is None else 60.0 * minutes, show, quiet)


def _only_writer(out: Path, resume: bool) -> AbstractContextManager[None]:
    """Keeps other runs from writing to the folder; of many processes of one run the first holds the lock."""
    if not is_first() or (resume and not out.is_dir()):
        return nullcontext()
    return only_writer(out.absolute(), LOCK, out)


def _loop(
    trainer: Trainer, state: TrainState, best: Best | None, out: Path, seconds: float | None, show: Show, quiet: bool
) -> Best | None:
    begin = saved = time.monotonic()
    config = trainer.config
    with Stop(quiet, "step") as stop:
        while state.step < config.steps:
            late = seconds is not None and time.monotonic() - begin >= seconds
            if decided(late or stop.signal is not None):
                break
            state, metrics = trainer.step(state)
            _append(out / METRICS, metrics)
            if state.step % config.evaluation.every == 0 or state.step == config.steps:
                best = _judge(trainer, state, best, out, metrics)
            if is_first():
                show(metrics)
                if time.monotonic() - saved >= config.checkpoint_s:
                    save_checkpoint(out / CHECKPOINT, trainer, state, best)
                    saved = time.monotonic()
        if is_first():
            save_checkpoint(out / CHECKPOINT, trainer, state, best)
    return best


def _judge(trainer: Trainer, state: TrainState, best: Best | None, out: Path, metrics: dict[str, Any]) -> Best:
    """Evaluates the mean and returns it if it is the best so far."""
    vector = trainer.strategy.mean(state.strategy)
    found = trainer.evaluate(vector)
    score = float(np.mean([row["loss"] for row in found.values()]))
    metrics["evaluation"] = found
    _append(out / EVALUATION, {"step": state.step, "score": score, "tasks": found})
    if best is not None and best.score <= score:
        return best
    return Best(state.step, score, np.asarray(vector), found)


def _append(path: Path, row: dict[str, Any]) -> None:
    if not is_first():
        return
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(finite({k: v for k, v in row.items() if k != "evaluation"})) + "\n")


def finite(value: Any) -> Any:
    """Returns a value in JSON, where infinity is null."""
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    return None if isinstance(value, float) and not np.isfinite(value) else value


def _keep(path: Path, step: int) -> None:
    """Drops the lines of steps that a killed run had done after its checkpoint, and a torn one."""
    if not path.exists():
        return
    kept = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            if json.loads(line)["step"] <= step:
                kept.append(line + "\n")
        except (ValueError, KeyError):
            continue
    _write(path, "".join(kept))


def _write(path: Path, text: str) -> None:
    with whole_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
