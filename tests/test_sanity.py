"""The shortest distance in contacts, against all pairs and images one by one."""

import itertools

import jax.numpy as jnp
import numpy as np
import pytest
from helpers import precision
from hypothesis import given, settings
from hypothesis import strategies as st

from ase_learnedopt.neighbors import nearest_pairs
from ase_learnedopt.sanity import closest_contact, is_sane, nearest_contact
from ase_learnedopt.types import System

CELL = np.array([[3.1, 0.0, 0.0], [0.7, 2.9, 0.0], [-0.5, 0.4, 3.6]])
PBC = [(False, False, False), (True, True, False), (True, True, True)]


def by_hand(positions, radii, cell, pbc):
    steps = [range(-5, 6) if periodic else (0,) for periodic in pbc]
    found = np.inf
    for shift in itertools.product(*steps):
        away = positions[None] + np.array(shift) @ cell - positions[:, None]
        ratio = np.linalg.norm(away, axis=2) / (radii[:, None] + radii[None])
        found = min(found, ratio[np.eye(len(radii)) == 0].min(), ratio.min() if any(shift) else np.inf)
    return found


@pytest.mark.parametrize("pbc", PBC)
@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_closest_contact(pbc, seed):
    rng = np.random.default_rng(seed)
    positions, radii = rng.uniform(-4, 4, (5, 3)), rng.uniform(0.5, 1.2, 5)
    expected = by_hand(positions, radii, CELL, pbc)
    found = closest_contact(positions, radii, CELL, pbc, cutoff=1.0)
    assert found == (pytest.approx(expected) if expected <= 1.0 else np.inf)
    assert is_sane(positions, radii, CELL, pbc, 0.6) == (expected >= 0.6)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("pbc", PBC)
def test_in_jax(dtype, pbc):
    rng = np.random.default_rng(3)
    positions, radii = rng.uniform(0, 9, (6, 3)), rng.uniform(0.5, 1.2, 6)
    cell = 3.0 * CELL  # so large that nearest images are all that counts
    with precision(dtype):
        real = jnp.asarray(radii, dtype)
        system = System(
            jnp.asarray(np.vstack([positions, np.zeros((2, 3))]), dtype), jnp.array([0] * 6 + [-1] * 2, jnp.int32),
            jnp.asarray(cell, dtype), jnp.array(pbc), jnp.ones(8, bool), jnp.concatenate([real, real[:2]]), real[0],
            real[0],
        )  # fmt: skip
        found = nearest_contact(system.positions, system)
    assert found.dtype == dtype
    assert float(found) == pytest.approx(closest_contact(positions, radii, cell, pbc, cutoff=9.0), rel=1e-5)


def test_not_a_number_is_no_structure():
    assert not is_sane(np.array([[0.0, 0.0, np.nan]]), np.ones(1), np.zeros((3, 3)), np.zeros(3, bool), 0.0)


def test_one_atom_and_none():
    for n in (0, 1):
        assert closest_contact(np.zeros((n, 3)), np.ones(n), np.zeros((3, 3)), np.zeros(3, bool)) == np.inf
        assert len(nearest_pairs(np.zeros((n, 3)), np.zeros((3, 3)), np.zeros(3, bool), 1.0)[0]) == 0
