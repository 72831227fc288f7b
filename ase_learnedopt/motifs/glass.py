"""Disordered structures: random positions, and quenched ones. Layer 4, NumPy and SciPy only."""

import numpy as np
from ase import Atoms
from scipy.optimize import minimize

from .labels import Structure, quiet_labels


def glass(random: np.random.Generator, n_atoms: int = 120) -> Structure:
    """Builds a periodic glass, its atoms labelled by common neighbour analysis: few are in order."""
    edge = (n_atoms / random.uniform(1.3, 1.45)) ** (1.0 / 3.0)
    return _quenched(random.uniform(0.0, edge, (n_atoms, 3)), edge)


def glassy_cluster(random: np.random.Generator) -> Structure:
    """Builds a free cluster quenched from random positions."""
    n_atoms = int(random.integers(20, 110))
    return _quenched(random.uniform(0.0, (n_atoms / 0.9) ** (1.0 / 3.0), (n_atoms, 3)), None)


def gas(random: np.random.Generator, n_atoms: int = 100) -> Structure:
    """Builds a periodic box of random points that keep a random distance from each other."""
    edge = n_atoms ** (1.0 / 3.0)
    apart = random.uniform(0.0, 0.75)
    points = random.uniform(0.0, edge, (1, 3))
    while len(points) < n_atoms:
        point = random.uniform(0.0, edge, 3)
        vector = points - point
        vector -= edge * np.round(vector / edge)
        if np.linalg.norm(vector, axis=1).min() > apart:
            points = np.vstack([points, point])
    atoms = Atoms(np.full(n_atoms, 29), points, cell=np.eye(3) * edge, pbc=True)
    return Structure(atoms, np.full(n_atoms, "disordered", "U11"))


def _quenched(start: np.ndarray, edge: float | None) -> Structure:
    """Minimises `sum r^-12 - 2 r^-6`, linear inside 0.8, whose minimum is at 1."""

    def energy(flat):
        apart = flat.reshape(-1, 1, 3) - flat.reshape(1, -1, 3)
        if edge is not None:
            apart -= edge * np.round(apart / edge)
        r = np.sqrt(np.sum(apart**2, axis=2)) + 10.0 * np.eye(len(start))
        near = np.maximum(r, 0.8)
        slope = -12.0 * (near**-13 - near**-7)
        value = near**-12 - 2.0 * near**-6 + slope * (r - near)
        return 0.5 * value.sum(), np.sum((slope / np.maximum(r, 1e-9))[..., None] * apart, axis=1).ravel()

    found = minimize(energy, start.ravel(), jac=True, method="L-BFGS-B", options={"maxiter": 200}).x.reshape(-1, 3)
    box = {} if edge is None else {"cell": np.eye(3) * edge, "pbc": True}
    atoms = Atoms(np.full(len(start), 29), found, **box)
    return Structure(atoms, quiet_labels(atoms))
