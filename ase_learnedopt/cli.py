"""The command `ase-learnedopt`. Layer 4; everything heavy is imported when a command needs it.

Exit codes: 0 fine; 1 something went wrong, told in one line; 2 the command line is wrong; 130 stopped by Ctrl-C,
143 by SIGTERM, with everything saved.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from typing import Any

EXIT_CODES = "exit codes: 0 fine, 1 error, 2 wrong command line, 130 stopped by Ctrl-C (results are kept)"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line and returns the exit code."""
    arguments = _parser().parse_args(argv)
    try:
        return arguments.run(arguments)
    except KeyboardInterrupt:
        print("\nInterrupted.", file=sys.stderr)
        return 130
    except BrokenPipeError:
        sys.stderr.close()  # the reader of a pipe such as `| head` has left: nobody to tell
        return 0
    except Exception as error:  # noqa: BLE001  a user wants a line, not a traceback
        message = str(error) or type(error).__name__
        known = isinstance(error, ValueError | OSError)
        print(f"ase-learnedopt: {message if known else f'{type(error).__name__}: {message}'}", file=sys.stderr)
        for note in getattr(error, "__notes__", ()):
            print(f"  {note}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ase-learnedopt",
        description="Find lowest-energy structures of atoms with optimizers that learned to.",
        epilog=f"example: ase-learnedopt search Cu38 --calculator emt --evaluations 5000 --out cu38\n\n{EXIT_CODES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action=_Version)
    commands = parser.add_subparsers(required=True, metavar="COMMAND", title="commands")
    _add_search(commands)
    _add_relax(commands)
    _add_weights(commands)
    return parser


class _Version(argparse.Action):
    """Prints the version; looking it up costs time that other commands need not spend."""

    def __init__(self, option_strings: Sequence[str], dest: str):
        super().__init__(option_strings, dest, nargs=0, default=argparse.SUPPRESS, help="show the version and exit")

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        from . import __version__

        print(f"ase-learnedopt {__version__}")
        parser.exit()


def _command(commands: Any, name: str, help_text: str, example: str) -> argparse.ArgumentParser:
    return commands.add_parser(
        name,
        help=help_text,
        description=help_text[0].upper() + help_text[1:] + ".",
        epilog=f"example: {example}\n\n{EXIT_CODES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def _positive_int(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is not 1 or more")
    return number


def _positive(text: str) -> float:
    number = float(text)
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not a positive number")
    return number


def _seed(text: str) -> int:
    number = int(text)
    if not 0 <= number < 2**63:
        raise argparse.ArgumentTypeError(f"{number} is not between 0 and 2**63 - 1")
    return number


_positive_int.__name__, _positive.__name__, _seed.__name__ = "whole number", "number", "whole number"


def _add_search(commands: Any) -> None:
    command = _command(
        commands,
        "search",
        "search for the lowest-energy structure",
        """ase-learnedopt search Cu38 --calculator emt --evaluations 5000 --seed 0 --out cu38
         ase-learnedopt search slab.traj --calculator gpaw:GPAW --calculator-kwargs '{"mode": "lcao"}' --out slab
         ase-learnedopt search --resume --out cu38""",
    )
    command.set_defaults(run=_search)
    # Options that are not given leave no attribute, so that --resume can tell and take them from the first run.
    option: Any = lambda *names, **how: command.add_argument(*names, default=argparse.SUPPRESS, **how)  # noqa: E731
    option("input", nargs="?", help="formula (Cu38, Ag32Cu6, (H2O)4 for molecules) or a file that ASE reads")
    command.add_argument("--out", required=True, metavar="FOLDER", help="where to leave the results")
    option(
        "--calculator",
        metavar="NAME",
        help="emt (default), lj, morse, gupta, sw, xtb, chgnet, mace, ... or module:Class",
    )
    option("--calculator-kwargs", metavar="JSON", help="""what to call it with, such as '{"sigma": 3.4}', or a file""")
    option("--evaluations", type=_positive_int, metavar="N", help="of energy and forces, in all (default 5000)")
    option("--seed", type=_seed, metavar="N", help="of the random stream (default 0)")
    option("--weights", metavar="NAME", help="shipped weights, a file, or none (default: learned_hop)")
    option("--fmax", type=_positive, metavar="F", help="eV/A, of the best structure at the end (default 0.05)")
    option("--target-energy", type=float, metavar="E", help="eV, stop when it is reached")
    option("--patience", type=_positive_int, metavar="N", help="stop after so many hops without a new best")
    option("--walltime", type=_positive, metavar="SECONDS", help="stop in time")
    option("--length-scale", type=_positive, metavar="A", help="typical bond length (default: from elements)")
    option("--energy-scale", type=_positive, metavar="EV", help="typical bond energy (default: from elements)")
    option("--maxstep", type=_positive, metavar="A", help="longest move of an atom in a relaxation step")
    option("--no-trajectory", dest="trajectory", action="store_false", help="do not keep every evaluated structure")
    old = command.add_mutually_exclusive_group()
    old.add_argument("--resume", action="store_true", help="continue the search in the folder")
    old.add_argument("--overwrite", action="store_true", help="replace the search in the folder")
    command.add_argument("--quiet", action="store_true", help="no progress bar")
    command.set_defaults(parser=command)


def _search(arguments: argparse.Namespace) -> int:
    own = {"run", "parser", "out", "resume", "overwrite", "quiet"}
    given = {name: value for name, value in vars(arguments).items() if name not in own}
    if "input" not in given and not arguments.resume:
        arguments.parser.error("a formula or file is needed (only --resume knows it already)")
    from .search.command import describe_ending, search_command
    from .search.report import table

    result = search_command(
        given, arguments.out, resume=arguments.resume, overwrite=arguments.overwrite, show_progress=not arguments.quiet
    )
    print(f"{result.best.get_chemical_formula()}: {describe_ending(result)}\n\n{table(result.minima)}\n")
    print(f"Lowest: {result.best_energy:.6f} eV, largest force {result.fmax:.3g} eV/A. Results are in {result.out}/")
    return 0 if result.stopped_by is None else 128 + result.stopped_by


def _add_relax(commands: Any) -> None:
    command = _command(
        commands,
        "relax",
        "relax a structure to the nearest minimum",
        "ase-learnedopt relax slab.traj --calculator emt --fmax 0.02 --out relaxed.traj",
    )
    command.set_defaults(run=_relax)
    add = command.add_argument
    add("input", metavar="FILE", help="a file that ASE reads, name@index for one of several structures")
    add("--out", metavar="FILE", help="where to write the result (default: FILE-relaxed.xyz)")
    add("--calculator", default="emt", metavar="NAME", help="emt (default), lj, ... or module:Class, as in search")
    add("--calculator-kwargs", metavar="JSON", help="what to call it with")
    add("--fmax", type=_positive, default=0.05, metavar="F", help="eV/A, largest force at the end (default 0.05)")
    add("--evaluations", type=_positive_int, default=1000, metavar="N", help="at most so many (default 1000)")
    add("--maxstep", type=_positive, metavar="A", help="longest move of an atom in a step (default 0.2)")
    add("--cell", action="store_true", help="relax the cell, too (ase.filters.FrechetCellFilter)")
    add("--log", default="-", metavar="FILE", help="where the log goes (default: the screen)")


def _relax(arguments: argparse.Namespace) -> int:
    from .search.relaxing import relax_file

    result = relax_file(
        arguments.input, arguments.out, calculator=arguments.calculator,
        calculator_kwargs=arguments.calculator_kwargs, fmax=arguments.fmax, evaluations=arguments.evaluations,
        maxstep=arguments.maxstep, cell=arguments.cell, logfile=arguments.log,
    )  # fmt: skip
    end = "converged" if result.converged else "NOT converged"
    print(f"{end}: {result.energy:.6f} eV, largest force {result.fmax:.4g} eV/A, {result.n_evaluations} evaluations")
    print(f"written to {result.out}")
    return 0 if result.converged else 1


def _add_weights(commands: Any) -> None:
    command = _command(commands, "weights", "list the shipped weights or show a card", "ase-learnedopt weights list")
    actions = command.add_subparsers(required=True, metavar="ACTION")
    listing = _command(actions, "list", "list the shipped weights", "ase-learnedopt weights list")
    listing.set_defaults(run=_list_weights)
    show = _command(actions, "show", "show the card of weights", "ase-learnedopt weights show NAME")
    show.add_argument("name", help="a name from the list, or a file")
    show.set_defaults(run=_show_weights)


def _list_weights(_arguments: argparse.Namespace) -> int:
    from .weights_io import list_weights, read_card

    names = list_weights()
    if not names:
        print("No weights are shipped with this version: use --weights none, the classical policy.")
    for name in names:
        card = read_card(name)
        print(f"{name:20s} {card['architecture']}  sha256 {card['sha256'][:12]}  {card['result']}")
    return 0


def _show_weights(arguments: argparse.Namespace) -> int:
    from .weights_io import read_card

    print(json.dumps(read_card(arguments.name), indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
