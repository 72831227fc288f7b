"""The command `reproduce`: the experiments of the papers. Layer 4."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..one_writer import only_writer
from .common import add_command, positive_int

WEIGHTS = "learn2hop"


def add_reproduce(commands: Any) -> None:
    """Adds the command, its papers and their experiments."""
    example = "ase-learnedopt reproduce learn2hop clusters --out clusters"
    command = add_command(commands, "reproduce", "repeat the experiments of a paper", example)
    papers = command.add_subparsers(required=True, metavar="PAPER")
    paper = add_command(papers, "learn2hop", "learned optimizers on rough landscapes, arXiv:2107.09661", example)
    experiments = paper.add_subparsers(required=True, metavar="EXPERIMENT")
    for name, summary in COMPARISONS.items():
        _add_comparison(experiments, name, summary)
    _add_runs(experiments, "hopping", "minima visited and jumps made by single runs", _hopping, 20)
    _add_runs(experiments, "ablation", "what the network reads, and what it writes with", _ablation, 150)
    _add_training(experiments)


COMPARISONS = {
    "clusters": "mean best energy at equal evaluations on Lennard-Jones clusters",
    "gupta": "the same on bimetallic clusters",
    "silicon": "the same on disordered silicon, from random and liquid starts",
}


def _add_comparison(experiments: Any, name: str, summary: str) -> None:
    example = f"ase-learnedopt reproduce learn2hop {name} --seeds 20 --workers 2 --out {name}"
    command = add_command(experiments, name, summary, example)
    command.set_defaults(run=_compare, experiment=name)
    add = command.add_argument
    add("--out", required=True, metavar="FOLDER", help="where records and page go; what is there is not run again")
    add("--problems", metavar="NAME,...", help="some problems of the experiment only (default: all)")
    add("--seeds", type=positive_int, metavar="N", help="starts of every problem (default: those of the experiment)")
    add("--workers", type=positive_int, default=1, metavar="N", help="processes (default 1)")
    add("--docs", metavar="FOLDER", help="put page and plots into this folder of the documentation too")
    add("--quiet", action="store_true", help="no progress")


def _add_runs(experiments: Any, name: str, summary: str, run: Any, n_runs: int) -> None:
    """Adds an experiment on runs of one problem with chosen weights."""
    command = add_command(experiments, name, summary, f"ase-learnedopt reproduce learn2hop {name} --out {name}")
    command.set_defaults(run=run)
    add = command.add_argument
    add("--out", required=True, metavar="FOLDER", help="where the page goes")
    add("--problem", default="lj38", metavar="NAME", help="lj38 (default), or another with a potential of ours")
    add("--weights", default=WEIGHTS, metavar="NAME", help=f"of Learn2Hop (default {WEIGHTS})")
    add("--runs", type=positive_int, default=n_runs, metavar="N", help=f"of each kind (default {n_runs})")
    add("--evaluations", type=positive_int, default=5_000, metavar="N", help="of each run (default 5000)")
    add("--quiet", action="store_true", help="no progress")


def _add_training(experiments: Any) -> None:
    example = "ase-learnedopt reproduce learn2hop training --out training"
    command = add_command(experiments, "training", "strategies, losses and variants of meta-training", example)
    command.set_defaults(run=_training)
    add = command.add_argument
    add("--out", required=True, metavar="FOLDER", help="where runs and page go; what is there is gone on with")
    add("--seeds", type=positive_int, default=3, metavar="N", help="of training, for each variant (default 3)")
    add("--steps", type=positive_int, metavar="N", help="outer steps of each run (default: those of the experiment)")
    add("--quiet", action="store_true", help="no progress")


def _compare(arguments: argparse.Namespace) -> int:
    from ..reproduce.equal_cost import run_experiment

    page = run_experiment(
        arguments.experiment, arguments.out, problems=arguments.problems.split(",") if arguments.problems else (),
        seeds=arguments.seeds, workers=arguments.workers, quiet=arguments.quiet, docs=arguments.docs,
    )  # fmt: skip
    print(f"written {page}")
    return 0


def _hopping(arguments: argparse.Namespace) -> int:
    from ..reproduce.hopping_page import run_hopping

    return _run_on(run_hopping, arguments)


def _ablation(arguments: argparse.Namespace) -> int:
    from ..reproduce.ablation import run_ablation

    return _run_on(run_ablation, arguments)


def _run_on(experiment: Callable[..., Path], arguments: argparse.Namespace) -> int:
    with only_writer(Path(arguments.out).absolute(), "reproduce.lock", arguments.out):
        page = experiment(
            arguments.problem, arguments.out, weights=arguments.weights, n_runs=arguments.runs,
            evaluations=arguments.evaluations, quiet=arguments.quiet,
        )  # fmt: skip
    print(f"written {page}")
    return 0


def _training(arguments: argparse.Namespace) -> int:
    from ..reproduce.training import run_training

    seeds = range(1, arguments.seeds + 1)
    print(f"written {run_training(arguments.out, seeds=seeds, steps=arguments.steps, quiet=arguments.quiet)}")
    return 0
