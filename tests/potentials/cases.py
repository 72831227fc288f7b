"""The table of potentials and geometries that the tests of this folder cross."""

from typing import NamedTuple

import jax
import numpy as np

from ase_learnedopt.neighbors import neighbor_rows
from ase_learnedopt.potentials import POTENTIALS, make_system, natural_scales
from ase_learnedopt.potentials.emt import CUTOFF
from ase_learnedopt.precision import double_precision
from ase_learnedopt.types import System


class Case(NamedTuple):
    potential: str
    parameters: dict  # of the builder
    cutoff: float | None
    n_species: int = 1

    @property
    def scales(self):
        shared = ("epsilon", "sigma", "r0", "elements", "parameter_set")
        return natural_scales(self.potential, **{k: v for k, v in self.parameters.items() if k in shared})

    def build(self, images=None):
        return POTENTIALS[self.potential](**self.parameters, images=images)


OPEN = {
    "lennard_jones": Case("lennard_jones", {"epsilon": 0.7, "sigma": 2.3}, None),
    "morse": Case("morse", {"epsilon": 0.4, "r0": 2.6, "rho0": 5.0}, None),
    "gupta": Case("gupta", {"elements": ("Cu",)}, None),
    "gupta of two": Case("gupta", {"elements": ("Pd", "Au")}, None, 2),
    "gupta of three": Case("gupta", {"elements": ("Fe", "Co", "Ni")}, None, 3),
    "emt": Case("emt", {"elements": ("Cu",)}, CUTOFF),
    "emt of three": Case("emt", {"elements": ("Al", "Ni", "Ag")}, CUTOFF, 3),
    "stillinger_weber": Case("stillinger_weber", {}, 1.8 * 2.0951),
}
CUT = {
    name: Case(c.potential, c.parameters if c.cutoff else {**c.parameters, "cutoff": 5.0}, c.cutoff or 5.0, c.n_species)
    for name, c in OPEN.items()
}
TILTED = np.array([[5.2, 0.3, -0.2], [2.4, 4.9, 0.5], [-1.7, 1.6, 5.6]])
"""Angstrom; every height is below the cutoffs."""


def random_system(case: Case, n: int, seed: int = 0, cell=None, pbc=False, dtype="float64") -> System:
    """Returns NumPy arrays of atoms that are nowhere closer than 0.75 bonds, in a cell or in a box."""
    random = np.random.default_rng(seed)
    scales = case.scales
    pbc = np.broadcast_to(pbc, 3)
    vectors = np.eye(3) * 1.15 * scales.length_scale * n ** (1 / 3) if cell is None else np.asarray(cell, float)
    near = np.array(np.meshgrid(*[(-1, 0, 1) if p else (0,) for p in pbc])).reshape(3, -1).T @ vectors
    places: list = []
    while len(places) < n:
        trial = random.random(3) @ vectors
        others = [np.linalg.norm(trial - place + near, axis=1).min() for place in places]
        if min(others, default=np.inf) > 0.75 * scales.length_scale:
            places.append(trial)
    with double_precision():
        system = jax.device_get(make_system(np.arange(n) % case.n_species, scales, dtype=dtype))
    return system._replace(
        positions=np.array(places, dtype), cell=np.asarray(np.zeros((3, 3)) if cell is None else cell, dtype), pbc=pbc
    )


def rows_for(system: System, cutoff: float):
    arrays = (np.asarray(x) for x in (system.positions, system.cell, system.pbc))
    return neighbor_rows(*arrays, cutoff, mask=np.asarray(system.species) >= 0)
