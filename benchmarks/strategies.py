"""Compares the strategies of meta-training at equal evaluations: two tasks, three training seeds each.

    python benchmarks/strategies.py --out strategies     goes on where it was; an hour on two cores
    python benchmarks/strategies.py --out strategies --report

Start it once for each core: each process takes the next run that is neither finished nor under way. Every strategy has
the population, perturbation and Adam of the recipe `learn2hop_lj13`; none has been tuned.
"""

import argparse
import json
from itertools import product
from pathlib import Path

import jax
import numpy as np

from ase_learnedopt.metatrain.config_file import parse_config
from ase_learnedopt.metatrain.driver import train
from ase_learnedopt.metatrain.strategies import STRATEGIES
from ase_learnedopt.reproduce.turns import take_turns

SEEDS = (1, 2, 3)
SHARED = {
    "steps": 70,
    "evaluation": {"every": 5, "starts": 64},
    "strategy": {"members": 32, "perturbation": 0.05, "learning_rate": 0.02, "final_learning_rate": 0.02},
}
TASKS = {
    "network from random weights, LJ13": {
        "optimizer": {"name": "learn2hop", "start": "random"},
        "rollout": {"budget": 500, "starts": 8},
        "loss": {"kind": "minimum", "unit": "relaxation"},
        "families": [{"family": "lennard_jones", "sizes": [13]}],
    },
    "heads of LearnedHop, LJ19": {
        "optimizer": {"name": "learned_hop", "heads": ["step", "hop"]},
        "rollout": {"budget": 500, "starts": 8},
        "families": [{"family": "lennard_jones", "sizes": [19]}],
        "steps": 40,
    },
}
UNROLLS = {"persistent_es": 4}
"""Parts of a run after which the strategy moves; the others take whole runs."""


def config_of(task: str, strategy: str, seed: int):
    """Returns the settings of a run."""
    found = {**SHARED, **TASKS[task], "seed": seed}
    found["strategy"] = {**SHARED["strategy"], "name": strategy}
    found["rollout"] = {**found["rollout"], "unrolls": UNROLLS.get(strategy, 1)}
    return parse_config(found)


def folder_of(out: Path, task: str, strategy: str, seed: int) -> Path:
    """Returns where a run is kept."""
    return out / f"{list(TASKS).index(task)}-{strategy}-{seed}"


def curve(folder: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns the evaluations of training spent, the loss on fresh starts and the success rate, row by row."""
    spent = {row["step"]: row["evaluations"] for row in _lines(folder / "metrics.jsonl")}
    rows = _lines(folder / "evaluation.jsonl")
    success = [np.mean([task["success"] for task in row["tasks"].values()]) for row in rows]
    return np.array([spent[row["step"]] for row in rows]), np.array([row["score"] for row in rows]), np.array(success)


def report(out: Path) -> None:
    """Prints a table for each task: mean and range over the seeds, at a third of the evaluations and at all."""
    for task in TASKS:
        curves = {
            name: [curve(folder_of(out, task, name, seed)) for seed in SEEDS]
            for name in STRATEGIES
            if all((folder_of(out, task, name, seed) / "evaluation.jsonl").exists() for seed in SEEDS)
        }
        if not curves:
            continue
        end = min(spent[-1] for runs in curves.values() for spent, *_ in runs)
        marks = [end / 3, end]
        print(f"\n{task}: loss and success on 64 fresh starts, mean (range) of {len(SEEDS)} training seeds\n")
        print("| strategy | " + " | ".join(f"loss at {m / 1e6:.1f} M | success" for m in marks) + " |")
        print("|---|" + "---|---|" * len(marks))
        for name, runs in curves.items():
            cells = []
            for mark in marks:
                at = [np.flatnonzero(spent <= mark)[-1] for spent, *_ in runs]
                for k, form in ((1, "{:.3f}"), (2, "{:.0%}")):
                    values = [run[k][i] for run, i in zip(runs, at, strict=True)]
                    low, mean, high = (form.format(x) for x in (min(values), np.mean(values), max(values)))
                    cells.append(f"{mean} ({low} to {high})")
            print(f"| {name} | " + " | ".join(cells) + " |")


def _lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def main() -> None:
    """Runs what is left, or reports."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("strategies"), help="folder of the runs (default strategies)")
    parser.add_argument("--report", action="store_true", help="only print the tables")
    arguments = parser.parse_args()
    if arguments.report:
        report(arguments.out)
        return
    runs = {folder_of(arguments.out, *run[1:], run[0]): run for run in product(SEEDS, TASKS, STRATEGIES)}
    for folder in take_turns(runs):
        seed, task, strategy = runs[folder]
        config = config_of(task, strategy, seed)
        best = train(config, folder, resume=(folder / "checkpoint.npz").exists())
        if len(_lines(folder / "metrics.jsonl")) < config.steps:
            return  # stopped by Ctrl-C or SIGTERM, with a checkpoint
        jax.clear_caches()  # each run compiles its own programs; kept, they fill gigabytes
        print(folder.name, best and f"best after step {best.step}: {best.score:.3f}", flush=True)


if __name__ == "__main__":
    main()
