"""What the rivals share: natural scales, a container, fresh starts, atoms kept apart, NumPy's global random stream."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import jax
import numpy as np
from ase import Atoms

from ...adapter.convert import describe, resolve_scales, to_system
from ...adapter.scales import contact_radii
from ...geometry import APART, pushed_apart
from ...precision import double_precision
from ...types import System
from ..problems import Problem

NEXT_START = 1_000_003
"""Added to the seed for each fresh start of a run, so that neighbouring seeds do not share theirs."""


def scales(problem: Problem, atoms: Atoms) -> tuple[float, float]:
    """Returns the natural length (Angstrom) and energy (eV) of a problem: its potential's, or its elements'."""
    if problem.system is not None:
        system = problem.system(0)
        return float(system.length_scale), float(system.energy_scale)
    return resolve_scales(describe(atoms, atoms.__ase_optimizable__()), None, None)


def radii(problem: Problem, atoms: Atoms) -> np.ndarray:
    """Returns `[n_atoms]` Angstrom, half the distances at which like atoms touch."""
    if problem.system is not None:
        return np.asarray(problem.system(0).radii, float)
    return contact_radii(atoms.numbers, None)


def padded_system(problem: Problem, atoms: Atoms) -> System:
    """Returns the atoms as a padded system of float64 NumPy arrays, with scales and radii of the problem."""
    rows = describe(atoms, atoms.__ase_optimizable__())
    system = to_system(rows, atoms.positions.reshape(-1), *scales(problem, atoms))
    size: Any = system.radii.copy()
    size[: len(atoms)] = radii(problem, atoms)
    return system._replace(radii=size)


def container_radius(problem: Problem, atoms: Atoms) -> float:
    """Returns the radius in Angstrom of a sphere of twice the close-packed volume; infinity for what is not a cluster.

    The container of Wales & Doye, J. Phys. Chem. A 101, 5111 (1997): atoms that evaporate would never come back.
    """
    if atoms.pbc.any():
        return float("inf")
    volume = np.sum((2.0 * radii(problem, atoms)) ** 3) / np.sqrt(2.0)
    return float((2.0 * volume * 3.0 / (4.0 * np.pi)) ** (1.0 / 3.0))


def contain(positions: np.ndarray, radius: float) -> np.ndarray:
    """Returns positions `[n_atoms, 3]` with those beyond `radius` of the centroid moved onto the sphere."""
    offset = positions - positions.mean(axis=0)
    distance = np.linalg.norm(offset, axis=1, keepdims=True)
    return positions - offset * np.maximum(1.0 - radius / np.maximum(distance, 1e-12), 0.0)


def fresh_start(problem: Problem, seed: int, attempt: int) -> Atoms:
    """Returns the start for a run's attempt number 1, 2 ...: the problem's own distribution, other seeds."""
    return problem.start((seed + attempt * NEXT_START) % 2**31)


def apart(problem: Problem, atoms: Atoms, contacts: float = APART) -> Atoms:
    """Returns a copy with the pairs nearer than so many contacts pushed apart, for no evaluation, as our searches do.

    In overlaps forces say nothing, and one energy of a million eV spoils a Gaussian process.
    """
    atoms, system = atoms.copy(), padded_system(problem, atoms)
    with double_precision():
        atoms.positions = np.asarray(_pushed_apart(system.positions, system, contacts))[: len(atoms)]
    return atoms


_pushed_apart = jax.jit(pushed_apart)


def require_cluster(method: str, problem: Problem, atoms: Atoms) -> None:
    """Raises ValueError where a method that is for clusters is to search something periodic."""
    if atoms.pbc.any():
        raise ValueError(f"{method} is for clusters here, {problem.name} is periodic: choose another method")


@contextmanager
def numpy_seed(seed: int) -> Iterator[None]:
    """Seeds NumPy's global stream, which some rivals draw from, and puts it back as it was in the end."""
    before = np.random.get_state()  # noqa: NPY002
    np.random.seed(seed % 2**32)  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(before)  # noqa: NPY002
