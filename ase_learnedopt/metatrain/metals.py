"""Families of metals in the effective medium theory: clusters, crystals with vacancies, surfaces with atoms on them.

Layer 2. Crystals and surfaces start near their minimum, as what users relax does: rattled from their lattice sites.
"""

from collections.abc import Sequence
from functools import lru_cache

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial

from ..potentials import emt, images_for, make_system
from ..potentials.emt import CUTOFF, emt_scales
from ..types import System
from .task import Task, draw_start

RATTLE = 0.03
"""Length scales: of every component of a displacement from a lattice site."""
VACUUM = 12.0
"""Angstrom on top of a surface, more than the cutoff."""


def emt_clusters(elements: Sequence[str], sizes: Sequence[int]) -> list[Task]:
    """Returns clusters of each metal and size at random starts.

    Raises:
      ValueError: an element without parameters.
    """
    systems = {(element, n): make_system([0] * n, emt_scales((element,))) for element in elements for n in sizes}
    return [
        Task(f"emt-{element}{n}", _metal((element,), None), Partial(draw_start, system))
        for (element, n), system in systems.items()
    ]


def emt_crystals(elements: Sequence[str], repeat: int = 2, vacancies: int = 1) -> list[Task]:
    """Returns periodic fcc crystals with atoms missing, others each time.

    Args:
      elements: chemical symbols.
      repeat: cubic cells of four atoms along each edge.
      vacancies: atoms missing.

    Raises:
      ValueError: an element without parameters, or no more atoms than vacancies.
    """
    n = 4 * repeat**3
    if not 0 <= vacancies < n:
        raise ValueError(f"vacancies is {vacancies}; the crystal has {n} atoms")
    tasks = []
    for element in elements:
        scales = emt_scales((element,))
        edge = repeat * np.sqrt(2.0) * scales.length_scale
        system = make_system([0] * (n - vacancies), scales, edge=float(edge))
        potential = _metal((element,), images_for(edge * np.eye(3), (True,) * 3, CUTOFF))
        sites = jnp.asarray(_fcc(repeat) * edge, system.positions.dtype)
        tasks.append(Task(f"emt-{element}{n}-{vacancies}", potential, Partial(_with_vacancies, system, sites)))
    return tasks


def emt_slabs(
    elements: Sequence[str],
    size: Sequence[int] = (3, 3, 3),
    fixed: int = 1,
    adatoms: int = 3,
    on_top: str | None = None,
) -> list[Task]:
    """Returns (111) surfaces, the lowest layers held, with atoms at random places on top.

    Args:
      elements: chemical symbols.
      size: atoms along both edges, and layers.
      fixed: layers that do not move.
      adatoms: atoms on top.
      on_top: their element; None: that of the surface.

    Raises:
      ValueError: an element without parameters, or no layer that moves.
    """
    if not 0 <= fixed < size[2]:
        raise ValueError(f"fixed is {fixed}; of {size[2]} layers at least one must move")
    tasks = []
    for element in elements:
        pair = (element,) if on_top in (None, element) else (element, str(on_top))
        scales = emt_scales(pair)
        bond = 2.0 * scales.radii[0]
        sites, cell = _close_packed(tuple(size), bond)
        species = np.repeat([0, len(pair) - 1], [len(sites), adatoms])
        system = make_system(species, scales)
        system = system._replace(
            cell=jnp.asarray(cell, system.positions.dtype),
            pbc=jnp.array([True, True, False]),
            movable=jnp.asarray(np.arange(len(species)) >= fixed * size[0] * size[1]),
        )
        potential = _metal(pair, images_for(cell, (True, True, False), CUTOFF))
        draw = Partial(_with_adatoms, system, jnp.asarray(sites, system.positions.dtype), 0.9 * bond)
        tasks.append(Task(f"emt-{element}{len(sites)}-slab-{pair[-1]}{adatoms}", potential, draw))
    return tasks


@lru_cache(maxsize=64)
def _metal(elements, images):
    return emt(elements, images)  # one object for each: rollouts compile for a potential


def _fcc(repeat: int) -> np.ndarray:
    """Returns the sites of a cubic crystal, in units of its edge."""
    corners = np.stack(np.meshgrid(*[np.arange(repeat)] * 3, indexing="ij"), -1).reshape(-1, 1, 3)
    basis = np.array([[0, 0, 0], [0, 1, 1], [1, 0, 1], [1, 1, 0]]) / 2.0
    return (corners + basis).reshape(-1, 3) / repeat


def _close_packed(size: tuple[int, ...], bond: float) -> tuple[np.ndarray, np.ndarray]:
    """Returns sites `[n, 3]`, lowest layer first, and cell `[3, 3]` of a (111) surface."""
    rows, columns, layers = size
    first, second = bond * np.array([1.0, 0.0, 0.0]), bond * np.array([0.5, np.sqrt(0.75), 0.0])
    rise = np.array([*((first + second) / 3.0)[:2], bond * np.sqrt(2.0 / 3.0)])
    sites = [i * first + j * second + k * rise for k in range(layers) for i in range(rows) for j in range(columns)]
    cell = np.array([rows * first, columns * second, [0.0, 0.0, layers * rise[2] + VACUUM]])
    return np.array(sites), cell


def _with_vacancies(system: System, sites, key) -> System:
    for_sites, for_rattle = jax.random.split(key)
    chosen = jax.random.permutation(for_sites, sites.shape[0])[: system.positions.shape[0]]
    return _rattled(system, sites[chosen], for_rattle)


def _with_adatoms(system: System, sites, height: float, key) -> System:
    for_places, for_rattle = jax.random.split(key)
    n = system.positions.shape[0] - sites.shape[0]
    across = jax.random.uniform(for_places, (n, 2), sites.dtype) @ system.cell[:2]
    top = jnp.max(sites[:, 2]) + height
    added = across + top * jnp.array([0.0, 0.0, 1.0], sites.dtype)[None, :]
    return _rattled(system, jnp.concatenate([sites, added]), for_rattle)


def _rattled(system: System, positions, key) -> System:
    noise = RATTLE * system.length_scale * jax.random.normal(key, positions.shape, positions.dtype)
    return system._replace(positions=positions + jnp.where(system.movable[:, None], noise, 0.0))
