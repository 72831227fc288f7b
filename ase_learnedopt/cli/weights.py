"""The command `weights`: what is shipped, and its cards. Layer 4."""

import argparse
import json
from typing import Any

from .common import add_command


def add_weights(commands: Any) -> None:
    """Adds the command and its actions."""
    command = add_command(commands, "weights", "list the shipped weights or show a card", "ase-learnedopt weights list")
    actions = command.add_subparsers(required=True, metavar="ACTION")
    listing = add_command(actions, "list", "list the shipped weights", "ase-learnedopt weights list")
    listing.set_defaults(run=_list_weights)
    show = add_command(actions, "show", "show the card of weights", "ase-learnedopt weights show NAME")
    show.add_argument("name", help="a name from the list, or a file")
    show.set_defaults(run=_show_weights)


def _list_weights(_arguments: argparse.Namespace) -> int:
    from ..released_weights import list_aliases, list_weights
    from ..weights_io import read_card

    names = list_weights()
    if not names:
        print("No weights are shipped with this version: use --weights none, the classical policy.")
    plain = {versioned: name for name, versioned in list_aliases().items()}
    for name in names:
        card = read_card(name)
        alias = f"({plain[name]})" if name in plain else ""
        print(
            f"{name:28s} {alias:27s} {card['architecture']:11s} sha256 {card['sha256'][:12]}  "
            f"trained on {_in_short(card['tasks'])}"
        )
    if plain:
        print("In brackets: the plain name that stands for the file in this version.")
    return 0


def _in_short(tasks: Any, most: int = 4) -> str:
    """Returns the first tasks of a card and how many more there are."""
    if not isinstance(tasks, list):
        return str(tasks)
    more = f" and {len(tasks) - most} more" if len(tasks) > most else ""
    return ", ".join(task.split(",")[0] for task in tasks[:most]) + more or "nothing"


def _show_weights(arguments: argparse.Namespace) -> int:
    from ..weights_io import read_card

    print(json.dumps(read_card(arguments.name), indent=2))
    return 0
