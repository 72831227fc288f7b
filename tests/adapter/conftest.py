"""The optimizers under test and small structures."""

import numpy as np
import pytest
from ase import Atoms
from counting_lj import CountingLJ

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
