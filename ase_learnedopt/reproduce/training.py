"""How the meta-training of Learn2Hop depends on strategy, loss and variant: short runs at equal evaluations. Layer 4.

Every run has the same tasks, starts of a step, members, evaluations and Adam; only what its name says differs. After
each the mean of the population, not the best member, is judged on starts that no step has seen.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..bench.page import Block, Figure, markdown_page
from ..bench.report import write_text
from ..markup import Entry, Table, mark_best
from ..metatrain.checkpoint import load_checkpoint
from ..metatrain.config import TrainConfig
from ..metatrain.config_file import parse_config
from ..metatrain.driver import CHECKPOINT, EVALUATION, METRICS, finite, train
from ..metatrain.trainer import REPORT, Trainer
from ..plot_style import SETTINGS, blank, label_curves, looks, to_svg
from .turns import take_turns

SEEDS = (1, 2, 3)
BASE: dict[str, Any] = {
    "steps": 80,
    "optimizer": {"name": "learn2hop"},
    "rollout": {"budget": 500, "starts": 8},
    "loss": {"kind": "minimum", "unit": "relaxation", "near": 0.1},
    "strategy": {
        "name": "esmc",
        "members": 32,
        "perturbation": 0.05,
        "learning_rate": 0.03,
        "final_learning_rate": 0.01,
    },
    "evaluation": {"every": 10, "starts": 64},
    "families": [{"family": "lennard_jones", "sizes": [13, 19]}],
    "held_out": [{"family": "lennard_jones", "sizes": [26]}],
}
VARIANTS: dict[str, dict[str, dict[str, Any]]] = {
    "as shipped (esmc)": {},
    "open_es": {"strategy": {"name": "open_es"}},
    "cma_es": {"strategy": {"name": "cma_es"}},
    "simple_ga": {"strategy": {"name": "simple_ga"}},
    "loss: final": {"loss": {"kind": "final"}},
    "loss: checkpoints": {"loss": {"kind": "checkpoints"}},
    "loss: success": {"loss": {"kind": "success"}},
    "cartesian (esmc)": {"optimizer": {"config": {"variant": "cartesian"}}},
    "cartesian (simple_ga)": {"optimizer": {"config": {"variant": "cartesian"}}, "strategy": {"name": "simple_ga"}},
}
"""By name, what differs from `BASE`. A cartesian network begins at random, the others with quasi-Newton steps."""
RESULT = "result.json"


def run_training(
    out: str | Path, *, seeds: Sequence[int] = SEEDS, steps: int | None = None, quiet: bool = False
) -> Path:
    """Trains every variant with every seed, goes on where it was stopped, and writes the page.

    Several processes may work in one folder: each takes the next run that is neither finished nor under way.

    Args:
      out: folder.
      seeds: of training.
      steps: outer steps; None: those of `BASE`.
      quiet: whether to say nothing.

    Returns:
      The page.
    """
    out = Path(out)
    runs = {folder_of(out, name, seed): (name, seed) for seed in seeds for name in VARIANTS}
    for folder in take_turns(runs):
        if (folder / RESULT).exists():
            continue
        name, seed = runs[folder]
        if not _train(config_of(name, seed, steps), folder):
            break  # stopped by Ctrl-C or SIGTERM, with a checkpoint
        if not quiet:
            print(f"{name}, seed {seed}: done", flush=True)
        jax.clear_caches()  # each run compiles its own programs; kept, they fill gigabytes
    return write_page(out, seeds)


def config_of(name: str, seed: int, steps: int | None = None) -> TrainConfig:
    """Returns the settings of a run."""
    found = {**BASE, "seed": seed, "steps": steps or BASE["steps"]}
    for part, changes in VARIANTS[name].items():
        found[part] = {**found[part], **changes}
    return parse_config(found)


def folder_of(out: Path, name: str, seed: int) -> Path:
    """Returns where a run is kept."""
    return out / f"{list(VARIANTS).index(name)}-{seed}"


def write_page(out: str | Path, seeds: Sequence[int] = SEEDS) -> Path:
    """Writes `report.md` and its plot from the runs that are finished; returns the page."""
    from matplotlib import rc_context

    out = Path(out)
    found = {
        name: [json.loads((folder_of(out, name, seed) / RESULT).read_text()) for seed in seeds]
        for name in VARIANTS
        if all((folder_of(out, name, seed) / RESULT).exists() for seed in seeds)
    }
    blocks: list[Block] = ["No variant has been trained with all its seeds yet."]
    if found:
        with rc_context(SETTINGS):
            write_text(out / "plots" / "training.svg", plot_curves(out, found, seeds))
        blocks = [result_table(found), Figure("training.svg", "Loss on unseen starts against evaluations of training")]
    return write_text(out / "report.md", markdown_page("Meta-training of Learn2Hop", blocks, "plots"))


def result_table(found: Mapping[str, Sequence[dict[str, Any]]]) -> Table:
    """Returns mean and range over training seeds of what the mean of the population reaches at the end."""
    tasks = list(next(iter(found.values()))[0]["tasks"])
    columns: list[list[tuple[str, float | None]]] = []
    for task in tasks:
        for key, form in (("median_excess", "{:.2f}"), ("success", "{:.0%}")):
            values = [[run["tasks"][task][key] for run in runs] for runs in found.values()]
            columns.append([(_spread(row, form), float(np.mean(row))) for row in values])
    entries = mark_best(columns, lowest=[True, False] * len(tasks))
    rows: list[tuple[Entry, ...]] = [(Entry(name), *(c[k] for c in entries)) for k, name in enumerate(found)]
    header = ("variant", *(text for task in tasks for text in (f"{task}: median excess (ε)", "success")))
    first = next(iter(found.values()))
    note = (
        f"Mean (range) over {len(first)} training seeds, each with {first[0]['evaluations'] / 1e6:.1f} million "
        f"evaluations, on 64 starts that no step has seen, {BASE['rollout']['budget']} evaluations a run. "
        f"{tasks[-1]} is never trained on."
    )
    return Table(header, rows, (note,))


def plot_curves(out: Path, found: Mapping[str, Any], seeds: Sequence[int]) -> str:
    """Draws the loss on unseen starts against evaluations of training, mean over the seeds."""
    curves = {name: [_curve(folder_of(out, name, seed)) for seed in seeds] for name in found}
    look = looks(list(curves), [])
    figure, axes = blank(
        "Meta-training: loss on unseen starts", f"mean over {len(seeds)} training seeds, tasks weigh the same",
        "evaluations of energy and forces in training", "mean median excess (ε)",
    )  # fmt: skip
    ends, first, last = [], np.inf, 0.0
    for name, runs in curves.items():
        spent, values = (np.mean([run[k] for run in runs], axis=0) for k in (0, 1))
        axes.plot(spent, values, color=look[name].color, linewidth=1.5)
        ends.append((name, look[name], float(values[-1])))
        first, last = min(first, float(spent[0])), max(last, float(spent[-1]))
    axes.set_xlim(0.9 * first, last)
    axes.set_ylim(0, 1.1 * max(float(np.max(runs[0][1])) for runs in curves.values()))
    label_curves(axes, ends)
    return to_svg(figure)


def _train(config: TrainConfig, folder: Path) -> bool:
    """Trains to the end and judges the mean on fresh starts; returns whether it came so far."""
    train(config, folder, resume=(folder / CHECKPOINT).exists())
    trainer = Trainer(config)
    state, _ = load_checkpoint(folder / CHECKPOINT, trainer)
    if state.step < config.steps:
        return False
    tasks = trainer.evaluate(jnp.asarray(trainer.strategy.mean(state.strategy)), REPORT)
    write_text(folder / RESULT, json.dumps(finite({"evaluations": state.evaluations, "tasks": tasks}), indent=1))
    return True


def _curve(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    spent = {row["step"]: row["evaluations"] for row in _lines(folder / METRICS)}
    rows = _lines(folder / EVALUATION)
    excess = [np.mean([task["median_excess"] for task in row["tasks"].values()]) for row in rows]
    return np.array([spent[row["step"]] for row in rows], float), np.array(excess)


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _spread(values: Sequence[float], form: str) -> str:
    low, mean, high = (form.format(x) for x in (min(values), float(np.mean(values)), max(values)))
    return f"{mean} ({low} to {high})"
