"""The command `reproduce`: the experiments of the papers. Layer 4."""

import argparse
from typing import Any

from .common import add_command, positive_int


def add_reproduce(commands: Any) -> None:
    """Adds the command, its papers and their experiments."""
    example = "ase-learnedopt reproduce learn2hop clusters --out clusters"
    command = add_command(commands, "reproduce", "repeat the experiments of a paper", example)
    papers = command.add_subparsers(required=True, metavar="PAPER")
    paper = add_command(papers, "learn2hop", "learned optimizers on rough landscapes, arXiv:2107.09661", example)
    experiments = paper.add_subparsers(required=True, metavar="EXPERIMENT")
    _add_clusters(experiments)
    _add_hopping(experiments)


def _add_clusters(experiments: Any) -> None:
    example = "ase-learnedopt reproduce learn2hop clusters --seeds 20 --workers 2 --out clusters"
    command = add_command(experiments, "clusters", "mean best energy at equal evaluations on Lennard-Jones", example)
    command.set_defaults(run=_compare, experiment="clusters")
    add = command.add_argument
    add("--out", required=True, metavar="FOLDER", help="where records and page go; what is there is not run again")
    add("--seeds", type=positive_int, metavar="N", help="starts of every problem (default: those of the experiment)")
    add("--workers", type=positive_int, default=1, metavar="N", help="processes (default 1)")
    add("--quiet", action="store_true", help="no progress")


def _add_hopping(experiments: Any) -> None:
    example = "ase-learnedopt reproduce learn2hop hopping --problem lj38 --out hopping"
    command = add_command(experiments, "hopping", "minima visited and jumps made by single runs", example)
    command.set_defaults(run=_hopping)
    add = command.add_argument
    add("--out", required=True, metavar="FOLDER", help="where the page goes")
    add("--problem", default="lj38", metavar="NAME", help="lj38 (default), or another with a potential of ours")
    add("--weights", default="learn2hop_lj13", metavar="NAME", help="of Learn2Hop (default learn2hop_lj13)")
    add("--runs", type=positive_int, default=20, metavar="N", help="of each method (default 20)")
    add("--evaluations", type=positive_int, default=5_000, metavar="N", help="of each run (default 5000)")
    add("--quiet", action="store_true", help="no progress")


def _compare(arguments: argparse.Namespace) -> int:
    from ..reproduce.equal_cost import run_experiment

    page = run_experiment(
        arguments.experiment, arguments.out, seeds=arguments.seeds, workers=arguments.workers, quiet=arguments.quiet
    )
    print(f"written {page}")
    return 0


def _hopping(arguments: argparse.Namespace) -> int:
    from ..reproduce.hopping_page import run_hopping

    page = run_hopping(
        arguments.problem, arguments.out, weights=arguments.weights, n_runs=arguments.runs,
        evaluations=arguments.evaluations, quiet=arguments.quiet,
    )  # fmt: skip
    print(f"written {page}")
    return 0
