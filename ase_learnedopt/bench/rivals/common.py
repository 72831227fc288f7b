"""What the rivals share: natural scales, a container, fresh starts, atoms kept apart, NumPy's global random stream."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from ase import Atoms

from ...adapter.convert import describe, resolve_scales
from ...adapter.scales import contact_radii
from ...geometry import APART
from ..problems import Problem

NEXT_START = 1_000_003
"""Added to the seed for each fresh start of a run, so that neighbouring seeds do not share theirs."""
PASSES = 12
"""Of pushing atoms apart, as many as `geometry.pushed_apart` makes."""


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
    """Returns a copy with the pairs nearer than so many contacts pushed apart, for no evaluation.

    What `geometry.pushed_apart` does for our own searches, in NumPy: in overlaps forces say nothing, and one energy of
    a million eV spoils a Gaussian process.
    """
    atoms = atoms.copy()
    size = radii(problem, atoms)
    wanted = contacts * (size[:, None] + size[None, :])
    np.fill_diagonal(wanted, 0.0)
    for _ in range(PASSES):
        away = atoms.get_all_distances(mic=bool(atoms.pbc.any()), vector=True)
        distance = np.sqrt(np.sum(away**2, axis=2) + 1e-12)
        push = 0.5 * np.maximum(wanted / distance - 1.0, 0.0)
        atoms.positions -= np.sum(push[:, :, None] * away, axis=1)
    return atoms


@contextmanager
def numpy_seed(seed: int) -> Iterator[None]:
    """Seeds NumPy's global stream, which some rivals draw from, and puts it back as it was in the end."""
    before = np.random.get_state()  # noqa: NPY002
    np.random.seed(seed % 2**32)  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(before)  # noqa: NPY002
