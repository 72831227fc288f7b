"""The optimizers under test, a cheap calculator that counts its calls, and small structures."""

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes

from ase_learnedopt.adapter import Learn2Hop, LearnedHop, LearnedOptimizer, LearnedRelax

SCALES = {"length_scale": 1.12, "energy_scale": 1.0}
KEYWORDS = {
    "relax": (LearnedRelax, {}),
    "no hops": (LearnedHop, {"max_hops": 0}),
    "search": (LearnedHop, {"seed": 1, "patience": 2, **SCALES}),
    "network": (Learn2Hop, {"seed": 1, "patience": 2, "weights": "learn2hop_lj", **SCALES}),
    "base": (LearnedOptimizer, {}),
}
"""Every way to use our classes: a relaxation, one by the class that searches, a search, a network's, the base alone."""


class CountingLJ(Calculator):
    """Lennard-Jones in reduced units; no memory of former geometries, so that paths repeat to the bit.

    Fails from one call on or where two atoms are too close: raises `error`, or gives that energy, or no numbers.
    """

    implemented_properties = ("energy", "forces")

    def __init__(self, broken_from=None, broken_atom=0, error=None, broken_within=0.0):
        super().__init__()
        self.broken_within = broken_within
        self.n_calls, self.broken_from, self.broken_atom, self.error = 0, broken_from, broken_atom, error

    def calculate(self, atoms=None, properties=None, system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        self.n_calls += 1
        displacements = atoms.positions[:, None] - atoms.positions[None]
        square = (displacements**2).sum(-1) + np.eye(len(atoms)) * 1e12
        attraction = square**-3
        energy = 2.0 * (attraction**2 - attraction).sum()
        slope = (48.0 * attraction**2 - 24.0 * attraction) / square
        forces = (slope[:, :, None] * displacements).sum(1)
        too_close = square.min() < self.broken_within**2
        if too_close or (self.broken_from is not None and self.n_calls >= self.broken_from):
            if isinstance(self.error, Exception | KeyboardInterrupt):
                raise self.error
            if self.error is None:
                forces[self.broken_atom] = np.nan
            else:
                energy = self.error
        self.results = {"energy": energy, "forces": forces}


@pytest.fixture
def cluster():
    """Makes a rattled cluster of eight atoms, near contact, with a counting calculator."""

    def make(seed=0, rattle=0.12, **kwargs):
        corners = np.array(np.meshgrid(*[[0.0, 1.12]] * 3)).reshape(3, -1).T
        atoms = Atoms("Ar8", corners + np.random.default_rng(seed).normal(0, rattle, (8, 3)))
        atoms.calc = CountingLJ(**kwargs)
        return atoms

    return make


@pytest.fixture(params=list(KEYWORDS))
def make(request):
    """Makes each of the optimizers; `make.searches` says whether it hops."""
    cls, keywords = KEYWORDS[request.param]

    def build(atoms, **kwargs):
        if cls is LearnedRelax:
            kwargs = {name: value for name, value in kwargs.items() if (name, value) != ("patience", None)}
            if kwargs.keys() & {"max_hops", "patience", "target_energy"}:
                pytest.skip("a keyword of searches")
        return cls(atoms, **{"logfile": None, **keywords, **kwargs})

    build.cls, build.searches = cls, request.param in ("search", "network")
    return build


@pytest.fixture
def search(cluster):
    """Makes a search."""

    def build(atoms, **kwargs):
        return LearnedHop(atoms, **{"logfile": None, **KEYWORDS["search"][1], **kwargs})

    return build
