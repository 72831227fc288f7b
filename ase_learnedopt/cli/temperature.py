"""The command `temperature`: classifiers trained with an inverse temperature. Layer 4."""

import argparse
import sys
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from .common import add_command, positive, positive_int, seed

EXAMPLE = "ase-learnedopt temperature sweep digits --out digits"


def add_temperature(commands: Any) -> None:
    """Adds the command and its own: sweep, diagnose and reproduce."""
    parser = add_command(commands, "temperature", "train classifiers with an inverse temperature", EXAMPLE)
    own = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_sweep(own)
    _add_diagnose(own)
    _add_reproduce(own)


def _add_sweep(own: Any) -> None:
    command = add_command(own, "sweep", "train at many betas and rates, and test the best", EXAMPLE)
    command.set_defaults(run=_sweep)
    add = command.add_argument
    _add_data(command)
    add("--out", required=True, metavar="FOLDER", help="where trainings, table and plot go; what is there is kept")
    add("--rates", type=_list, metavar="LIST", help="factors of the suggested rate, as 0.1,1,10 (default: a search)")
    add("--seeds", type=positive_int, default=3, metavar="N", help="to choose by (default 3)")
    add("--final-seeds", type=positive_int, default=5, metavar="N", help="others, for the test (default 5)")
    add("--steps", type=positive_int, default=1500, metavar="N", help="of every training (default 1500)")
    add("--solver", default="sgd", metavar="NAME", help="sgd (default) or adam")
    add("--random-state", type=seed, default=0, metavar="N", help="seed of the splits and all others (default 0)")
    add("--quiet", action="store_true", help="no progress")


def _add_diagnose(own: Any) -> None:
    example = "ase-learnedopt temperature diagnose digits --betas 0.1,1"
    command = add_command(own, "diagnose", "tell time scales and rates to try, before any training", example)
    command.set_defaults(run=_diagnose)
    _add_data(command)
    command.add_argument("--random-state", type=seed, default=0, metavar="N", help="seed of the start (default 0)")
    command.add_argument("--momentum", type=float, default=0.9, metavar="M", help="of the rates told (default 0.9)")


def _add_reproduce(own: Any) -> None:
    example = "ase-learnedopt temperature reproduce collapse --short --out temperature"
    command = add_command(own, "reproduce", "try a claim of arXiv:2010.07344", example)
    command.set_defaults(run=_reproduce)
    add = command.add_argument
    add("claim", metavar="CLAIM", help="collapse, generalisation, confidence, tuned or stability")
    add("--out", required=True, metavar="FOLDER", help="where trainings and pages go; what is there is kept")
    add("--pairs", metavar="LIST", help="data and networks, as digits-mlp,blobs-mlp (default: those of the claim)")
    add("--splits", type=positive_int, metavar="N", help="divisions of the data (default: those of the claim)")
    add("--first-split", type=seed, metavar="N", help="seed of the first (default: one that nothing was tuned on)")
    add("--short", action="store_true", help="fewer of everything, for a look")
    add("--docs", metavar="FOLDER", help="put page and plots into this folder of the documentation too")
    add("--quiet", action="store_true", help="no progress")


def _add_data(command: argparse.ArgumentParser) -> None:
    """Adds what both commands on data take."""
    add = command.add_argument
    add("data", metavar="DATA", help="name, as digits (see docs/temperature.md), or a file: .npz with X and y, .csv")
    add("--target", metavar="COLUMN", help="of a .csv that holds the classes (default: the last)")
    add("--model", default="mlp", metavar="NAME", help="network: mlp (default), or another of the table MODELS")
    add("--hidden", type=_widths, default=(128,), metavar="LIST", help="widths of mlp's hidden layers (default 128)")
    add("--layer-norm", action="store_true", help="normalise them")
    add("--betas", type=_list, metavar="LIST", help="inverse temperatures, as 0.1,1 (default: 0.01 to 10)")
    add("--scaling", default="auto", metavar="HOW", help="of inputs: auto (default), features, whole or none")


def _sweep(arguments: argparse.Namespace) -> int:
    from ..temperature.named_data import load_data
    from ..temperature.steps import Settings
    from ..temperature.sweep import sweep_beta
    from ..weights_io import write_whole

    settings, out = Settings(solver=arguments.solver, n_steps=arguments.steps), Path(arguments.out)
    X, y = load_data(arguments.data, arguments.target)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # an interruption is told below
        found = sweep_beta(
            X, y, _network(arguments), arguments.betas or "auto", arguments.rates or "auto",
            arguments.seeds, arguments.final_seeds, settings=settings, scaling=arguments.scaling,
            random_state=arguments.random_state, keep=out / "trainings.json", progress=_wants_bar(arguments.quiet),
        )  # fmt: skip
    found.to_json(out / "sweep.json")
    write_whole(out / "sweep.md", found.table().encode())
    if find_spec("matplotlib") is not None:
        found.plot(out / "sweep.svg")
    print(found.table(), end="")
    print(f"written {out / 'sweep.md'}")
    if found.interrupted:
        print("stopped; the same command goes on", file=sys.stderr)
        return 128 + found.interrupted
    return 0


def _diagnose(arguments: argparse.Namespace) -> int:
    from ..temperature.diagnosis import diagnosis
    from ..temperature.named_data import load_data
    from ..temperature.sweep import BETAS

    X, y = load_data(arguments.data, arguments.target)
    betas = arguments.betas or BETAS
    print(
        diagnosis(X, y, _network(arguments), betas, arguments.momentum, arguments.scaling, arguments.random_state),
        end="",
    )
    return 0


def _reproduce(arguments: argparse.Namespace) -> int:
    from ..temperature.claims import FIRST_SPLIT, reproduce

    pairs = None if arguments.pairs is None else arguments.pairs.split(",")
    first = FIRST_SPLIT if arguments.first_split is None else arguments.first_split
    found, page = reproduce(
        arguments.claim, arguments.out, pairs=pairs, splits=arguments.splits, first_split=first,
        short=arguments.short, docs=arguments.docs, progress=_wants_bar(arguments.quiet),
    )  # fmt: skip
    for pair, confirmed, why in found.verdicts:
        print(f"{pair}: {'confirmed' if confirmed else 'not confirmed'}: {why}")
    print(f"written {page}")
    return 0


def _network(arguments: argparse.Namespace) -> Any:
    from ..temperature.models import MODELS, mlp

    if arguments.model not in MODELS:
        raise ValueError(f"there is no model {arguments.model!r}; give one of {', '.join(MODELS)}")
    return mlp(arguments.hidden, arguments.layer_norm) if arguments.model == "mlp" else MODELS[arguments.model]()


def _wants_bar(quiet: bool) -> bool:
    return not quiet and sys.stderr.isatty() and find_spec("tqdm") is not None


def _list(text: str) -> list[float]:
    return [positive(part) for part in text.split(",")]


def _widths(text: str) -> tuple[int, ...]:
    return tuple(positive_int(part) for part in text.split(","))


_list.__name__, _widths.__name__ = "list of numbers", "list of whole numbers"
