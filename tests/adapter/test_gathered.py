"""Fragments too far away to feel the others are brought back, and a search says so."""

from io import StringIO

import numpy as np
import pytest
from ase import Atoms
from ase.build import fcc111, molecule
from ase.calculators.emt import EMT
from ase.constraints import FixAtoms

from ase_learnedopt import LearnedHop, LearnedRelax
from ase_learnedopt.adapter.gathered import FAR, NEAR, gathered

CONTACT = 2.64  # Angstrom, of two atoms of copper


def cluster():
    corners = 2.6 * np.array(np.meshgrid(*[[0.0, 1.0]] * 3)).reshape(3, -1).T
    return Atoms("Cu8", corners + np.random.default_rng(3).normal(0, 0.2, (8, 3)))


def surface(height):
    """Returns a fixed layer and three atoms at a height above it, the last of them in another cell."""
    atoms = fcc111("Cu", (3, 3, 1), vacuum=8.0)
    atoms.set_constraint(FixAtoms(range(9)))
    atoms += Atoms("Cu3", [[1.0, 1.0, height], [3.4, 1.0, height], [1.0 + 7 * atoms.cell[0, 0], 3.4, height]])
    return atoms


@pytest.mark.parametrize("shift", [[1000.0, 0, 0], [-30.0, 40.0, 50.0]])
@pytest.mark.parametrize("far", [[7], [0, 1], [1, 4, 6]])
def test_fragments_of_a_cluster(far, shift):
    atoms = cluster()
    atoms.positions[far] += shift
    there = atoms.positions.copy()
    positions, moved = gathered(atoms, CONTACT)
    assert moved.tolist() == far
    rest = np.setdiff1d(np.arange(8), far)
    np.testing.assert_array_equal(positions[rest], there[rest])
    gaps = np.linalg.norm(positions[far][:, None] - positions[rest][None], axis=-1)
    assert gaps.min() == pytest.approx(NEAR * CONTACT)
    inside = positions[far] - positions[far][0]
    np.testing.assert_allclose(inside, there[far] - there[far][0], atol=1e-9)


@pytest.mark.parametrize("height", [60.0, 1000.0])
def test_adsorbates_far_above_a_surface(height):
    atoms = surface(height)
    positions, moved = gathered(atoms, CONTACT)
    assert moved.tolist() == [9, 10, 11]
    np.testing.assert_array_equal(positions[:9], atoms.positions[:9])
    assert positions[9:, 2].max() < 16.0
    np.testing.assert_allclose(np.ptp(positions[9:, 2]), 0.0, atol=1e-9)


@pytest.mark.parametrize(
    "atoms", [cluster(), surface(12.0), Atoms("Cu"), Atoms("Cu2", [[0, 0, 0], [0, 0, (FAR - 0.1) * CONTACT]])]
)
def test_nothing_to_bring_back(atoms):
    assert gathered(atoms, CONTACT) is None


def test_fixed_fragments_stay():
    atoms = cluster()
    atoms.positions[:5] += 100.0
    atoms.set_constraint(FixAtoms([6]))
    assert gathered(atoms, CONTACT)[1].tolist() == [0, 1, 2, 3, 4]
    atoms.set_constraint(FixAtoms([0, 6]))
    assert gathered(atoms, CONTACT) is None


def test_molecules_within_reach_of_each_other_stay():
    water = molecule("H2O")
    other = water.copy()
    other.positions += [0.0, 0.0, 8.0]
    assert gathered(water + other, 1.0) is None


@pytest.mark.parametrize("far", [[7], [5, 6, 7]])
def test_a_search_brings_them_back(far):
    atoms, log = cluster(), StringIO()
    atoms.positions[far] += 700.0
    atoms.calc = EMT()
    opt = LearnedHop(atoms, seed=1, patience=None, logfile=log)
    opt.run(fmax=0.05, steps=60)
    assert opt.n_hops >= 5
    assert np.ptp(atoms.positions, axis=0).max() < 8.0
    assert "too far away to feel the others" in log.getvalue()


@pytest.mark.parametrize("make", [LearnedRelax, lambda atoms, **kwargs: LearnedHop(atoms, max_hops=0, **kwargs)])
def test_relaxations_leave_them(make):
    atoms = cluster()
    atoms.positions[7] += 700.0
    atoms.calc = EMT()
    make(atoms, logfile=None).run(fmax=0.05, steps=60)
    assert np.ptp(atoms.positions, axis=0).max() > 600.0
