"""Lowest energies known of some clusters. Layer 1, NumPy and json only; the sources are in `reference_minima.json`."""

import json
import re
from functools import lru_cache
from importlib import resources


@lru_cache(maxsize=1)
def reference_minima() -> dict:
    """Returns the shipped table, family to `{"units", "source", "note", "energies": {name: energy}}`."""
    text = resources.files(__package__).joinpath("reference_minima.json").read_text(encoding="utf-8")
    return json.loads(text)


def reference_minimum(name: str) -> float:
    """Returns the lowest known energy of a cluster: "lj38" (in epsilon, 2 to 150 atoms) or "Ag32Cu6" (eV).

    Raises:
      ValueError: if none is known.
    """
    table = reference_minima()
    size = re.fullmatch(r"lj(\d+)", name)
    energies = table["lennard-jones" if size else "gupta"]["energies"]
    energy = energies.get(size[1] if size else name)
    if energy is None:
        raise ValueError(
            f"no reference minimum for {name!r}; there are lj2 to lj150, {', '.join(table['gupta']['energies'])}"
        )
    return float(energy)
