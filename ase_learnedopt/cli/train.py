"""The command `train`: meta-train an optimizer, look at the curves, make weights of it. Layer 4."""

import argparse
import sys
import time
from pathlib import Path
from typing import Any

from ..one_writer import only_writer_of_file
from ..stopping import Stop
from .common import add_command, positive, positive_int

EXAMPLE = "ase-learnedopt train run config.toml --out training --minutes 60"
RUNS = 500


def add_train(commands: Any) -> None:
    """Adds the command and its actions."""
    command = add_command(commands, "train", "meta-train an optimizer on families of tasks", EXAMPLE)
    command.add_argument(
        "--print-config",
        nargs="?",
        const="",
        metavar="NAME",
        help="print every setting with its meaning, and exit: the defaults, or those of a recipe or file",
    )
    command.set_defaults(run=_print_config)
    actions = command.add_subparsers(metavar="ACTION")
    run = add_command(actions, "run", "train, or go on training", EXAMPLE)
    run.add_argument("config", help="name of a recipe, or a file of settings in TOML, see `train --print-config`")
    run.add_argument("--out", required=True, metavar="FOLDER", help="where the run is kept")
    run.add_argument("--minutes", type=positive, metavar="M", help="stop after so long; --resume goes on")
    run.add_argument("--resume", action="store_true", help="go on with the run in the folder")
    run.add_argument(
        "--distributed",
        nargs=3,
        metavar=("HOST:PORT", "N", "K"),
        help="this is process K of N, from 0; the first one listens at HOST:PORT",
    )
    run.add_argument(
        "--cores", type=positive_int, metavar="C", help="cores of the processor to use (default all of them)"
    )
    run.add_argument("--quiet", action="store_true", help="no progress")
    run.set_defaults(run=_run)
    give_up = add_command(
        actions,
        "give-up",
        "teach LearnedHop when a relaxation is not worth ending",
        "ase-learnedopt train give-up learned_hop_give_up --out mine",
    )
    give_up.add_argument(
        "config", help="name of a recipe, or a file of settings: its families, rollout and start count"
    )
    _add_weights(give_up)
    give_up.set_defaults(run=_give_up)
    prior = add_command(
        actions,
        "prior",
        "teach LearnedHop what energies are like; after Ctrl-C the same command goes on",
        "ase-learnedopt train prior learned_hop --out mine",
    )
    prior.add_argument("weights", help="name or path of weights of LearnedHop, whose heads are kept")
    _add_weights(prior)
    prior.add_argument(
        "--runs", type=positive_int, default=RUNS, metavar="N", help=f"for each number of kinds (default {RUNS})"
    )
    prior.add_argument("--seed", type=int, default=0, metavar="S", help="of all that is random (default 0)")
    prior.set_defaults(run=_prior)
    relax = add_command(
        actions,
        "relax",
        "train LearnedRelax by what relaxations cost; after Ctrl-C the same command goes on",
        "ase-learnedopt train relax learned_relax --out mine",
    )
    relax.add_argument("config", help="name of a recipe, or a file of settings: families, rollout and strategy")
    _add_weights(relax)
    relax.set_defaults(run=_relax)
    plot = add_command(actions, "plot", "draw the curves of a run", "ase-learnedopt train plot training")
    plot.add_argument("folder", help="of the run")
    plot.set_defaults(run=_plot)
    export = add_command(
        actions, "export", "make weights of the best parameters", "ase-learnedopt train export training weights/mine"
    )
    export.add_argument("folder", help="of the run")
    export.add_argument("path", help="of the weights: PATH.npz and PATH.json")
    export.set_defaults(run=_export)


def _add_weights(command: argparse.ArgumentParser) -> None:
    command.add_argument("--out", required=True, metavar="PATH", help="of the weights: PATH.npz and PATH.json")


def _print_config(arguments: argparse.Namespace) -> int:
    if arguments.print_config is None:
        raise ValueError("say what to do: train run, give-up, prior, relax, plot, export, or --print-config")
    from ..metatrain.config_file import load_config, print_config

    print(print_config(load_config(arguments.print_config) if arguments.print_config else None), end="")
    return 0


def _run(arguments: argparse.Namespace) -> int:
    from ..metatrain.config_file import load_config
    from ..metatrain.driver import train
    from ..metatrain.sharding import join, use_cores

    config = load_config(arguments.config)
    coordinator, n_processes, process = arguments.distributed or ("", 1, 0)
    n_members = config.rollout.micro_batch or config.strategy.members
    use_cores(max(n_members // int(n_processes), 1), arguments.cores)
    if arguments.distributed:
        join(coordinator, int(n_processes), int(process))
    show = _Show(config.steps, arguments.quiet)
    try:
        best = train(
            config,
            arguments.out,
            minutes=arguments.minutes,
            resume=arguments.resume,
            show=show,
            quiet=arguments.quiet,
        )
    finally:
        show.close()
    if best is None:
        print(f"nothing evaluated yet; go on with --resume --out {arguments.out}")
        return 0
    print(f"best after step {best.step}, mean loss {best.score:.4f}:")
    for name, row in best.evaluation.items():
        print(
            f"  {name:16s} success {100 * row['success']:5.1f} %  "
            f"evaluations per success {row['evaluations_per_success']:,.0f}"
        )
    print(f"make weights of it: ase-learnedopt train export {arguments.out} NAME")
    return 0


class _Show:
    """Shows a bar on a terminal, else a line now and then."""

    INTERVAL = 30.0

    def __init__(self, steps: int, quiet: bool):
        self._quiet, self._bar, self._steps, self._told = quiet, None, steps, 0.0
        self._first: tuple[int, float] | None = None  # a step and when it was done
        if not quiet and sys.stderr.isatty():
            try:
                from tqdm import tqdm

                self._bar = tqdm(total=steps, unit="step", dynamic_ncols=True)
            except ImportError:
                pass

    def __call__(self, metrics: dict[str, Any]) -> None:
        if self._quiet:
            return
        text = (
            f"{metrics['task']} loss {metrics['loss']:.3f} success {100 * metrics['success']:.0f} % "
            f"{metrics['evaluations_per_s']:,.0f} FE/s"
        )
        if self._bar is not None:
            self._bar.set_postfix_str(text, refresh=False)
            self._bar.update(metrics["step"] - self._bar.n)
        elif time.monotonic() - self._told > self.INTERVAL:
            print(
                f"step {metrics['step']}/{self._steps} {text}{self._left(metrics['step'])}", file=sys.stderr, flush=True
            )
            self._told = time.monotonic()

    def _left(self, step: int) -> str:
        """Returns how long the rest will take at the pace so far, but for the first step, which compiles."""
        now = time.monotonic()
        if self._first is None:
            self._first = step, now
            return ""
        seconds = (now - self._first[1]) / (step - self._first[0]) * (self._steps - step)
        return f", {seconds / 60:.0f} min left"

    def close(self) -> None:
        """Ends the bar."""
        if self._bar is not None:
            self._bar.close()


def _give_up(arguments: argparse.Namespace) -> int:
    from ..metatrain.config_file import load_config
    from ..metatrain.give_up import make_give_up

    command = f"ase-learnedopt train give-up {arguments.config} --out {arguments.out}"
    with only_writer_of_file(arguments.out):
        path = make_give_up(load_config(arguments.config), arguments.out, command)
    print(f"written {path} and {path.with_suffix('.json')}")
    return 0


def _prior(arguments: argparse.Namespace) -> int:
    from ..metatrain.energy_prior import make_prior

    options = f"--runs {arguments.runs} --seed {arguments.seed} --out {arguments.out}"
    command = f"ase-learnedopt train prior {arguments.weights} {options}"
    with only_writer_of_file(arguments.out), Stop(piece="batch of runs") as stop:
        path = make_prior(arguments.weights, arguments.out, command, arguments.runs, arguments.seed, stop=stop)
    return _written(path, stop)


def _relax(arguments: argparse.Namespace) -> int:
    from ..metatrain.config_file import load_config
    from ..metatrain.relaxing import make_relax

    command = f"ase-learnedopt train relax {arguments.config} --out {arguments.out}"
    with only_writer_of_file(arguments.out), Stop(piece="step") as stop:
        path = make_relax(load_config(arguments.config), arguments.out, command, stop=stop)
    return _written(path, stop)


def _written(path: Path | None, stop: Stop) -> int:
    """Says what was written, or that it was stopped, and returns the exit code."""
    if path is None:
        print("stopped; the same command goes on", file=sys.stderr)
        return 128 + int(stop.signal or 0)
    print(f"written {path} and {path.with_suffix('.json')}")
    return 0


def _plot(arguments: argparse.Namespace) -> int:
    from ..metatrain.plot import plot

    print(f"written {plot(arguments.folder)}")
    return 0


def _export(arguments: argparse.Namespace) -> int:
    from ..metatrain.export import export

    with only_writer_of_file(arguments.path):
        path = export(arguments.folder, arguments.path)
    print(f"written {path} and {path.with_suffix('.json')}")
    return 0
