"""The published parameters of the Gupta potential, by named set. Layer 1, NumPy only."""

import json
from functools import lru_cache
from importlib import resources
from itertools import product
from typing import NamedTuple

import numpy as np


class GuptaTable(NamedTuple):
    """Holds the parameters of every pair of species, `[n_species, n_species]` and symmetric."""

    elements: tuple[str, ...]  # chemical symbols in the order of the species
    parameter_set: str
    A: np.ndarray  # eV, repulsion per ordered pair
    xi: np.ndarray  # eV, hopping
    p: np.ndarray  # decay of the repulsion
    q: np.ndarray  # decay of the hopping
    r0: np.ndarray  # Angstrom, reference distance


@lru_cache(maxsize=1)
def gupta_sets() -> dict:
    """Returns the shipped sets, `{name: {"note", "verified", "pairs": {"Ag-Cu": {"A", "xi", "p", "q", "r0"}}}}`."""
    text = resources.files(__package__).joinpath("gupta_parameters.json").read_text(encoding="utf-8")
    return json.loads(text)["sets"]


def gupta_table(elements, parameter_set: str | None = None) -> GuptaTable:
    """Looks up the parameters of elements.

    Without a name the first verified set that has every pair is taken; for pure elements that is Cleri and Rosato's
    where they fitted the element. Unverified sets must be asked for by name.

    Args:
      elements: chemical symbols, in the order of the species.
      parameter_set: name of a set.

    Raises:
      ValueError: if the set is unknown or lacks a pair, or no verified set has them all.
    """
    elements, sets = tuple(elements), gupta_sets()
    if not elements or len(set(elements)) != len(elements):
        raise ValueError(f"elements must be one or more different symbols, not {elements!r}")
    if parameter_set is None:
        parameter_set = _default_set(elements, sets)
    if parameter_set not in sets:
        raise ValueError(f"no Gupta parameter set {parameter_set!r}; there are {', '.join(sets)}")
    missing = _missing_pairs(elements, sets[parameter_set]["pairs"])
    if missing:
        raise ValueError(f"Gupta set {parameter_set!r} has no {', '.join(missing)}; {_which_exist(elements, sets)}")
    pairs = sets[parameter_set]["pairs"]
    rows = [_find(pairs, a, b) for a, b in product(elements, elements)]
    n = len(elements)
    columns = {name: np.array([row[name] for row in rows]).reshape(n, n) for name in ("A", "xi", "p", "q", "r0")}
    return GuptaTable(elements, parameter_set, **columns)


def _default_set(elements, sets):
    for name, content in sets.items():
        if content["verified"] and not _missing_pairs(elements, content["pairs"]):
            return name
    raise ValueError(
        f"no verified Gupta parameter set for {'-'.join(elements)}; {_which_exist(elements, sets)}. "
        "An unverified set is used only when asked for by name (parameter_set=...)"
    )


def _which_exist(elements, sets):
    """Says which sets have the pairs, or else which pairs each set has."""
    fitting = [name for name, content in sets.items() if not _missing_pairs(elements, content["pairs"])]
    if fitting:
        return f"sets with {'-'.join(elements)}: {', '.join(fitting)}"
    return "there are " + "; ".join(f"{name}: {' '.join(content['pairs'])}" for name, content in sets.items())


def _find(pairs, a, b):
    return pairs.get(f"{a}-{b}") or pairs.get(f"{b}-{a}")


def _missing_pairs(elements, pairs):
    return [f"{a}-{b}" for k, a in enumerate(elements) for b in elements[k:] if _find(pairs, a, b) is None]
