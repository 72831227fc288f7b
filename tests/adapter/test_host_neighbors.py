"""Optimizers that look around in every step take the same steps from neighbour rows and from all pairs."""

import numpy as np
import pytest
from ase.calculators.emt import EMT
from ase.cluster import Icosahedron

from ase_learnedopt import Learn2Hop
from ase_learnedopt.adapter import method


def walk(steps=6):
    atoms = Icosahedron("Cu", 3)
    atoms.rattle(0.1, seed=1)
    atoms.calc = EMT()
    opt = Learn2Hop(atoms, logfile=None, seed=2, weights="learn2hop_lj")
    visited = [atoms.positions.copy() for _ in opt.irun(fmax=1e-4, steps=steps)]
    return np.array(visited)


@pytest.mark.parametrize("above", [0, 300])
def test_rows_are_used_where_atoms_are_many(above, monkeypatch):
    made = []
    original = method.LearnedMethod._neighbors
    monkeypatch.setattr(method, "HOST_NEIGHBORS_ABOVE", above)
    monkeypatch.setattr(method.LearnedMethod, "_neighbors", lambda self, x: made.append(original(self, x)) or made[-1])
    walk(2)
    assert made
    assert all((rows is None) == (above > 0) for rows in made)


def test_rows_change_nothing(monkeypatch):
    plain = walk()
    monkeypatch.setattr(method, "HOST_NEIGHBORS_ABOVE", 0)
    listed = walk()
    assert np.abs(plain[-1] - plain[0]).max() > 0.05
    np.testing.assert_allclose(listed, plain, atol=1e-6)
