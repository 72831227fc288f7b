"""What the commands share: their look, exit codes, and checks of numbers. Layer 4."""

import argparse
from typing import Any

EXIT_CODES = "exit codes: 0 fine, 1 error, 2 wrong command line, 130 stopped by Ctrl-C (results are kept)"


def add_command(commands: Any, name: str, help_text: str, example: str) -> argparse.ArgumentParser:
    """Adds a command whose `--help` ends with an example."""
    return commands.add_parser(
        name,
        help=help_text,
        description=help_text[0].upper() + help_text[1:] + ".",
        epilog=f"example: {example}\n\n{EXIT_CODES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def positive_int(text: str) -> int:
    """Reads a whole number of 1 or more."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is not 1 or more")
    return number


def positive(text: str) -> float:
    """Reads a number above zero."""
    number = float(text)
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not a positive number")
    return number


def seed(text: str) -> int:
    """Reads a seed of a random stream."""
    number = int(text)
    if not 0 <= number < 2**63:
        raise argparse.ArgumentTypeError(f"{number} is not between 0 and 2**63 - 1")
    return number


positive_int.__name__, positive.__name__, seed.__name__ = "whole number", "number", "whole number"
