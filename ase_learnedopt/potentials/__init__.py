"""Potentials in JAX, one per file, all built to `(positions, system, neighbors=None) -> (energy, forces)`. Layer 1.

Adding one is a file and a line in `POTENTIALS` and `SCALES`; the tests' table follows from them.
"""

from collections.abc import Callable

from .emt import emt, emt_scales
from .gupta import gupta, gupta_scales
from .gupta_table import GuptaTable, gupta_sets, gupta_table
from .lennard_jones import lennard_jones, lennard_jones_scales
from .morse import morse, morse_scales
from .pairs import images_for
from .reference import reference_minimum
from .scales import Scales
from .stillinger_weber import SiliconParameters, stillinger_weber, stillinger_weber_scales
from .systems import cluster_system, make_system

POTENTIALS: dict[str, Callable] = {
    "lennard_jones": lennard_jones,
    "morse": morse,
    "gupta": gupta,
    "emt": emt,
    "stillinger_weber": stillinger_weber,
}
"""Builders by name."""

SCALES: dict[str, Callable[..., Scales]] = {
    "lennard_jones": lennard_jones_scales,
    "morse": morse_scales,
    "gupta": gupta_scales,
    "emt": emt_scales,
    "stillinger_weber": stillinger_weber_scales,
}
"""Functions of the same parameters that return the natural lengths and energies."""


def natural_scales(potential: str, **parameters) -> Scales:
    """Returns bond length, bond energy and atomic radii of a potential, by its name and its builder's parameters.

    Raises:
      ValueError: if there is no such potential.
    """
    if potential not in SCALES:
        raise ValueError(f"no potential {potential!r}; there are {', '.join(SCALES)}")
    return SCALES[potential](**parameters)


__all__ = [  # noqa: PLE0604, the first part is the table above
    *POTENTIALS,
    "POTENTIALS",
    "SCALES",
    "GuptaTable",
    "Scales",
    "SiliconParameters",
    "cluster_system",
    "gupta_sets",
    "gupta_table",
    "images_for",
    "make_system",
    "natural_scales",
    "reference_minimum",
]
