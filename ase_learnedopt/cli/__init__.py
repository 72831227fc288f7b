"""The command `ase-learnedopt`. Layer 4; everything heavy is imported when a command needs it.

Exit codes: 0 fine; 1 something went wrong, told in one line; 2 the command line is wrong; 130 stopped by Ctrl-C,
143 by SIGTERM, with everything saved.
"""

import argparse
import sys
from collections.abc import Sequence
from typing import Any

from .bench import add_bench
from .common import EXIT_CODES
from .relax import add_relax
from .reproduce import add_reproduce
from .search import add_search
from .temperature import add_temperature
from .train import add_train
from .weights import add_weights


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
    except SystemExit as error:
        if not hasattr(error, "__notes__"):
            raise  # that of the command line's own parser, which has said why
        code = _tell(f"the calculator ended the program with exit code {error.code}", error)
        return error.code if isinstance(error.code, int) and error.code else code
    except Exception as error:  # noqa: BLE001  a user wants a line, not a traceback
        message = str(error) or type(error).__name__
        known = isinstance(error, ValueError | OSError)
        return _tell(message if known else f"{type(error).__name__}: {message}", error)


def _tell(message: str, error: BaseException) -> int:
    """Prints what went wrong and what is to be known beside, and returns the exit code."""
    print(f"ase-learnedopt: {message}", file=sys.stderr)
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
    for add in (add_search, add_relax, add_bench, add_train, add_weights, add_reproduce, add_temperature):
        add(commands)
    return parser


class _Version(argparse.Action):
    """Prints the version; looking it up costs time that other commands need not spend."""

    def __init__(self, option_strings: Sequence[str], dest: str):
        super().__init__(option_strings, dest, nargs=0, default=argparse.SUPPRESS, help="show the version and exit")

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        from .. import __version__

        print(f"ase-learnedopt {__version__}")
        parser.exit()
