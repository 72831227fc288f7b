"""Named systems to search, each with its potential, built from nothing but a name. Layer 1."""

import re
from functools import lru_cache

import jax.numpy as jnp
import numpy as np

from ..geometry import random_start
from ..types import PotentialFn, System
from .gupta import gupta, gupta_scales
from .lennard_jones import lennard_jones, lennard_jones_scales
from .pairs import images_for
from .scales import Scales
from .stillinger_weber import SiliconParameters, stillinger_weber, stillinger_weber_scales

SILICON_LATTICE = 5.431
"""Angstrom, lattice constant of the Stillinger-Weber crystal."""


def cluster_system(name: str, key=None, *, parameter_set: str | None = None, dtype="float32"):
    """Builds a named system and the potential that goes with it.

    Args:
      name: "lj38" (epsilon = sigma = 1), "sw-si64" (silicon at the density of the crystal, in a cubic cell; any count),
        or the formula of a Gupta cluster, "Ag32Cu6".
      key: `[2]` uint32, draws a random start, see `geometry.random_start`; None: all positions zero, to be filled.
      parameter_set: of the Gupta potential; None: the verified one.
      dtype: of the floating-point arrays.

    Returns:
      The potential, the same object for the same name, and the `System`.

    Raises:
      ValueError: if the name means nothing here or there are no parameters.
    """
    potential, scales, species, edge = _recipe(name, parameter_set)
    system = make_system(species, scales, edge=edge, dtype=dtype)
    if key is not None:
        system = system._replace(positions=random_start(key, system))
    return potential, system


def make_system(species, scales: Scales, *, edge: float | None = None, dtype="float32") -> System:
    """Returns a `System` with all positions zero and every atom movable, in a cubic cell of `edge` Angstrom or open.

    Args:
      species: `[n_atoms]` int, index into `scales.radii`.
      scales: of the potential.
      edge: Angstrom; None: a cluster.
      dtype: of the floating-point arrays.
    """
    species = np.asarray(species, np.int32)
    n = len(species)
    return System(
        positions=jnp.zeros((n, 3), dtype),
        species=jnp.asarray(species),
        cell=(0.0 if edge is None else edge) * jnp.eye(3, dtype=dtype),
        pbc=jnp.full((3,), edge is not None),
        movable=jnp.ones((n,), bool),
        radii=jnp.asarray(np.asarray(scales.radii)[species], dtype),
        length_scale=jnp.asarray(scales.length_scale, dtype),
        energy_scale=jnp.asarray(scales.energy_scale, dtype),
    )


@lru_cache(maxsize=64)
def _recipe(name: str, parameter_set: str | None) -> tuple[PotentialFn, Scales, tuple[int, ...], float | None]:
    """Returns potential, scales, species and the edge of the cell; cached, because rollouts compile per potential."""
    if atoms := re.fullmatch(r"lj(\d+)", name):
        return lennard_jones(), lennard_jones_scales(), (0,) * int(atoms[1]), None
    if atoms := re.fullmatch(r"sw-si(\d+)", name):
        edge = SILICON_LATTICE * (int(atoms[1]) / 8.0) ** (1.0 / 3.0)
        cutoff = SiliconParameters().a * SiliconParameters().sigma
        potential = stillinger_weber(images=images_for(edge * np.eye(3), (True,) * 3, cutoff))
        return potential, stillinger_weber_scales(), (0,) * int(atoms[1]), edge
    if re.fullmatch(r"([A-Z][a-z]?\d*)+", name):
        counts: dict[str, int] = {}
        for symbol, count in re.findall(r"([A-Z][a-z]?)(\d*)", name):
            counts[symbol] = counts.get(symbol, 0) + int(count or 1)
        elements = tuple(counts)
        species = tuple(k for k, symbol in enumerate(elements) for _ in range(counts[symbol]))
        return gupta(elements, parameter_set), gupta_scales(elements, parameter_set), species, None
    raise ValueError(f'no system {name!r}; names are like "lj38", "sw-si64" or a formula of metals like "Ag32Cu6"')
