"""Neighbourhoods: counts by hand, and blocks of atoms that change nothing."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import SYSTEMS, make_system

from ase_learnedopt.neighbors import n_images, neighbor_rows
from ase_learnedopt.optimizers import neighborhoods as module
from ase_learnedopt.optimizers.environment import REACH
from ase_learnedopt.optimizers.neighborhoods import NEIGHBORHOOD, neighborhoods

pytestmark = pytest.mark.usefixtures("dtype")


def test_a_pair_at_contact_by_hand():
    contact = 2.0 * float(make_system(np.zeros((1, 3))).radii[0])
    system = make_system(np.array([[0.0, 0.0, 0.0], [contact, 0.0, 0.0]]))
    found, pull = neighborhoods(system.positions, system)
    values = dict(zip(NEIGHBORHOOD, np.asarray(found)[:, 0], strict=True))
    assert values["coordination / 12"] == pytest.approx(1 / 12)
    assert values["strain of the first shell"] == pytest.approx(0.0, abs=1e-9)
    assert values["radius / mean radius"] == pytest.approx(1.0)
    bump = (1 - (0.1 / 0.25) ** 2) ** 2 / 6
    assert values["radial function at 0.9 contacts"] == pytest.approx(bump)
    np.testing.assert_allclose(pull[0, :2], [[0.2, 0, 0], [-0.2, 0, 0]], atol=1e-9)


@pytest.mark.parametrize("block", [1, 4, 5])
@pytest.mark.parametrize("name", SYSTEMS)
def test_blocks_change_nothing(name, block, monkeypatch):
    system = jax.tree.map(jnp.asarray, make_system(**SYSTEMS[name]))
    whole = neighborhoods(system.positions, system)
    monkeypatch.setattr(module, "BLOCK", block)
    for part, expected in zip(neighborhoods(system.positions, system), whole, strict=True):
        np.testing.assert_allclose(part, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", SYSTEMS)
def test_neighbour_rows_give_what_all_pairs_give(name):
    system = make_system(**SYSTEMS[name])
    reach = REACH * 2.0 * float(np.max(system.radii))
    positions, atoms = np.asarray(system.positions), np.asarray(system.species) >= 0
    if any(n_images(np.asarray(system.cell), np.asarray(system.pbc), reach)):
        pytest.skip("nearest images are not all neighbours here")
    rows = neighbor_rows(positions, np.asarray(system.cell), np.asarray(system.pbc), reach, mask=atoms)
    listed = neighborhoods(system.positions, system, rows)
    for part, expected in zip(listed, neighborhoods(system.positions, system), strict=True):
        np.testing.assert_allclose(np.asarray(part), expected, rtol=1e-6, atol=1e-5)


def test_small_cells_see_all_images():
    """A crystal is the same to its atoms in a cell of one atom and in one of 64."""
    edge = 2.0 * float(make_system(np.zeros((1, 3))).radii[0])
    seen = []
    for n in (1, 4):
        grid = edge * np.stack(np.meshgrid(*[np.arange(n)] * 3), axis=-1).reshape(-1, 3)
        system = make_system(grid, cell=n * edge * np.eye(3), pbc=True, n_rows=len(grid))
        rows = neighbor_rows(grid, n * edge * np.eye(3), (True,) * 3, REACH * edge)
        found, _ = neighborhoods(jnp.asarray(grid, system.positions.dtype), system, rows)
        seen.append(np.asarray(found)[:, 0])
    np.testing.assert_allclose(seen[0], seen[1], rtol=1e-5, atol=1e-6)
    assert seen[0][0] > 0.4
