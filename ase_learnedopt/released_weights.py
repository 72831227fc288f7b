"""The names of the weights that the package ships: versioned, plain, and in the records of old runs. Layer 1.

A released file never changes, so its name has a version: `learned_hop_v1`. A plain name such as `learned_hop` is an
alias, one line of `aliases.json` beside the weights; it moves on when better weights are released.
"""

import json
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any

ALIASES = "aliases.json"
"""Holds plain name -> versioned name, for all plain names."""
N_DIGITS = 12
"""Of a digest in a label."""


def shipped_folder() -> Any:
    """Returns the folder of shipped weights: of the installed package, or beside it in a source tree."""
    try:
        return resources.files("ase_learnedopt.weights")
    except ModuleNotFoundError:
        return Path(__file__).parents[1] / "weights"


def list_weights() -> list[str]:
    """Returns the versioned names of the weights that the package ships."""
    return sorted(item.name.removesuffix(".npz") for item in shipped_folder().iterdir() if item.name.endswith(".npz"))


def list_aliases() -> dict[str, str]:
    """Returns the versioned name that each plain name stands for.

    Raises:
      ValueError: the file of aliases is damaged.
    """
    file = shipped_folder().joinpath(ALIASES)
    if not file.is_file():
        return {}
    try:
        found = json.loads(file.read_text())
    except ValueError as error:
        raise ValueError(f"{file} is not JSON ({error}): install the package anew") from error
    if not isinstance(found, dict) or not all(isinstance(name, str) for name in found.values()):
        raise ValueError(f"{file} must be an object of names, not {str(found)[:80]}: install the package anew")
    return found


def versioned_name(name: str | Path) -> str:
    """Returns the versioned name of shipped weights for a plain one; any other name or path as it is.

    Raises:
      ValueError: the plain name stands for weights that are not shipped.
    """
    name, names = str(name), list_weights()
    if name in names:
        return name
    found = list_aliases().get(name, name)
    if found != name and found not in names:
        raise ValueError(
            f"the name {name!r} stands for the weights {found!r}, which are not shipped: install the package anew, "
            f"or give one of {', '.join(names) or 'none'}"
        )
    return found


@lru_cache(maxsize=256)
def released_label(label: str) -> str:
    """Returns the label of weights in a record as a versioned name where its digest is that of a shipped file.

    Args:
      label: `NAME@DIGEST` with the first 12 digits of the sha256, or a versioned name.
    """
    digest = label.rpartition("@")[2]
    return _names_by_digest().get(digest, label) if "@" in label else label


def is_released(label: str) -> bool:
    """Whether a label that `released_label` has returned names a shipped file."""
    return label in list_weights()


def claims_release(label: str) -> bool:
    """Whether a label has the name of shipped weights, whatever its digest is."""
    name = label.rpartition("@")[0] or label
    return name in list_weights() or name in list_aliases()


def _names_by_digest() -> dict[str, str]:
    cards = {name: json.loads(shipped_folder().joinpath(f"{name}.json").read_text()) for name in list_weights()}
    return {card["sha256"][:N_DIGITS]: name for name, card in cards.items()}
