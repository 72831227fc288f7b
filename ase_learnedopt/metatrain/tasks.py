"""What an optimizer is trained on: families of systems to search, each drawn by a key. Layer 2.

A family is a function from its options to a list of tasks. Tasks that share one potential, the same object, and one
number of rows are trained with one compiled program. A family of one's own:

    from ase_learnedopt.metatrain.tasks import FAMILIES, Task

    def dipoles(sizes):
        potential = my_potential()
        systems = [make_system([0] * n, Scales(1.0, 1.0, (0.5,))) for n in sizes]
        return [Task(f"dipoles{len(s.species)}", potential, Partial(draw_start, s)) for s in systems]

    FAMILIES["dipoles"] = dipoles
"""

from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from itertools import product

import numpy as np
from jax.tree_util import Partial

from ..potentials import cluster_system, gupta, gupta_scales, make_system, morse, morse_scales, reference_minimum
from ..potentials.pairs import images_for
from ..potentials.stillinger_weber import SiliconParameters, stillinger_weber, stillinger_weber_scales
from ..potentials.systems import SILICON_LATTICE
from ..types import PotentialFn
from .melt import melt
from .metals import emt_clusters, emt_crystals, emt_slabs
from .task import Task, draw_batch, draw_start, pad, rows_for

__all__ = ["FAMILIES", "Task", "draw_batch", "draw_start", "pad", "rows_for"]


def lennard_jones_clusters(sizes: Sequence[int]) -> list[Task]:
    """Returns clusters of 2 to 150 atoms with their lowest known energies."""
    return [_named(f"lj{n}", reference_minimum(f"lj{n}")) for n in sizes]


def gupta_clusters(
    elements: Sequence[str], sizes: Sequence[int], fractions: Sequence[float] = (0.5,), parameter_set: str | None = None
) -> list[Task]:
    """Returns clusters of one or two metals.

    Args:
      elements: chemical symbols.
      sizes: atoms.
      fractions: of the first element, rounded to whole atoms; a pure metal has the fraction 1.
      parameter_set: of the potential; None: the verified one.

    Raises:
      ValueError: more than two elements, an impossible fraction, or no parameters.
    """
    elements = tuple(elements)
    if not 1 <= len(elements) <= 2:
        raise ValueError(f"a Gupta cluster has one or two elements, not {', '.join(elements)}")
    if not all(0.0 <= fraction <= 1.0 for fraction in fractions):
        raise ValueError(f"fractions are {list(fractions)}; each must be between 0 and 1")
    potential, scales = _gupta(elements, parameter_set)
    tasks = {}
    for n, fraction in product(sizes, fractions if len(elements) == 2 else (1.0,)):
        first = round(n * fraction)
        counts = (first, n - first)[: len(elements)]
        name = "".join(f"{symbol}{count}" for symbol, count in zip(elements, counts, strict=True) if count)
        species = np.repeat(np.arange(len(elements)), counts)
        tasks[name] = Task(name, potential, Partial(draw_start, make_system(species, scales)), _known(name))
    return list(tasks.values())


def morse_clusters(sizes: Sequence[int], ranges: Sequence[float] = (3.0, 6.0, 10.0, 14.0)) -> list[Task]:
    """Returns Morse clusters of every size and range parameter rho0."""
    systems = [make_system([0] * n, morse_scales()) for n in sizes]
    return [
        Task(f"morse{len(system.species)}-rho{rho:g}", _morse(float(rho)), Partial(draw_start, system))
        for rho, system in product(ranges, systems)
    ]


def silicon_cells(sizes: Sequence[int], densities: Sequence[float] = (1.0,), start: str = "random") -> list[Task]:
    """Returns periodic cubic cells of Stillinger-Weber silicon.

    Args:
      sizes: atoms.
      densities: relative to the crystal's.
      start: "random", or "liquid" for a snapshot of a melt at 3,500 K.

    Raises:
      ValueError: `start` is neither.
    """
    if start not in ("random", "liquid"):
        raise ValueError(f"start is {start!r}; give random or liquid")
    tasks = []
    for n, density in product(sizes, densities):
        edge = SILICON_LATTICE * (n / 8.0 / density) ** (1.0 / 3.0)
        system, potential = make_system([0] * n, stillinger_weber_scales(), edge=edge), _silicon(edge)
        draw = Partial(draw_start, system) if start == "random" else Partial(partial(melt, potential), system)
        suffix = ("" if density == 1.0 else f"-density{density:g}") + ("" if start == "random" else "-liquid")
        tasks.append(Task(f"si{n}{suffix}", potential, draw))
    return tasks


FAMILIES: dict[str, Callable[..., list[Task]]] = {
    "lennard_jones": lennard_jones_clusters,
    "gupta": gupta_clusters,
    "morse": morse_clusters,
    "stillinger_weber": silicon_cells,
    "emt": emt_clusters,
    "emt_crystals": emt_crystals,
    "emt_slabs": emt_slabs,
}
"""Families by the name they have in a config; add your own."""


def _named(name: str, reference: float) -> Task:
    potential, system = cluster_system(name)
    return Task(name, potential, Partial(draw_start, system), reference)


def _known(name: str) -> float | None:
    try:
        return reference_minimum(name)
    except ValueError:
        return None


# Rollouts compile for each potential object, so there is one for each set of parameters.
@lru_cache(maxsize=64)
def _gupta(elements: tuple[str, ...], parameter_set: str | None):
    return gupta(elements, parameter_set), gupta_scales(elements, parameter_set)


@lru_cache(maxsize=64)
def _morse(rho0: float) -> PotentialFn:
    return morse(rho0=rho0)


@lru_cache(maxsize=64)
def _silicon(edge: float) -> PotentialFn:
    cutoff = SiliconParameters().a * SiliconParameters().sigma
    return stillinger_weber(images=images_for(edge * np.eye(3), (True,) * 3, cutoff))
