"""Neighbour rows against ASE's neighbour list and the skin rule."""

from itertools import product

import cases
import numpy as np
import pytest
from ase import Atoms
from ase.neighborlist import neighbor_list

from ase_learnedopt.neighbors import NeighborList, bucket, cell_heights, n_images, neighbor_rows

CELLS = {
    "cubic": np.eye(3) * 7.0,
    "tilted": cases.TILTED,
    "thin": np.array([[1.9, 0.0, 0.0], [0.7, 9.0, 0.0], [0.3, -0.4, 2.5]]),
    "left-handed": cases.TILTED[[1, 0, 2]],
    "skewed": np.array([[6.0, 0.0, 0.0], [5.5, 3.0, 0.0], [-5.0, 2.9, 4.0]]),
}


def distances(positions, cell, rows):
    """Returns sorted tuples (center, neighbor, rounded displacement)."""
    center, column = np.nonzero(rows.index < len(positions))
    other = rows.index[center, column]
    vectors = positions[other] + rows.shift[center, column] @ cell - positions[center]
    return sorted(zip(center, other, *np.round(vectors, 6).T + 0.0, strict=True))


@pytest.mark.parametrize("pbc", list(product([False, True], repeat=3)))
@pytest.mark.parametrize("cell", CELLS)
def test_rows_equal_the_list_of_ase(cell, pbc):
    cell = CELLS[cell]
    positions = np.random.default_rng(3).uniform(-2.2, 3.1, (9, 3)) @ cell  # many atoms lie outside
    found = distances(positions, cell, neighbor_rows(positions, cell, pbc, 4.3))
    i, j, vectors = neighbor_list("ijD", Atoms("H9", positions, cell=cell, pbc=pbc), 4.3)
    assert found == sorted(zip(i, j, *np.round(vectors, 6).T + 0.0, strict=True))
    assert found or not any(pbc)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_open_cell_vectors_may_be_zero(axis):
    pbc = np.arange(3) == axis
    cell = np.zeros((3, 3))
    cell[axis] = [0.0, 5.0, 0.1]  # along y whatever its place in the cell
    positions = np.random.default_rng(0).normal(size=(6, 3)) * 3
    found = distances(positions, cell, neighbor_rows(positions, cell, pbc, 4.0))
    brute = [
        (i, j, *np.round(positions[j] + k * cell[axis] - positions[i], 6) + 0.0)
        for i, j, k in product(range(6), range(6), range(-6, 7))
        if (i != j or k) and np.linalg.norm(positions[j] + k * cell[axis] - positions[i]) <= 4.0
    ]
    assert found == sorted(brute)


@pytest.mark.parametrize(
    ("edges", "pbc", "cutoff", "expected"),
    [
        ((10, 10, 10), True, 5.0, (0, 0, 0)),
        ((10, 10, 10), True, 5.1, (1, 1, 1)),
        ((10, 10, 10), False, 50.0, (0, 0, 0)),
        ((2, 5, 20), True, 5.0, (2, 1, 0)),
        ((2, 5, 0), (True, True, False), 5.1, (3, 1, 0)),
    ],
)
def test_number_of_images(edges, pbc, cutoff, expected):
    assert n_images(np.diag(edges).astype(float), np.broadcast_to(pbc, 3), cutoff) == expected


def test_heights_of_a_tilted_cell():
    areas = np.linalg.norm(np.cross(cases.TILTED[[1, 2, 0]], cases.TILTED[[2, 0, 1]]), axis=1)
    volume = abs(np.linalg.det(cases.TILTED))
    np.testing.assert_allclose(cell_heights(cases.TILTED, (True, True, True)), volume / areas)


def test_masked_rows_are_nobody():
    positions = np.random.default_rng(0).uniform(0, 5, (8, 3))
    mask = np.arange(8) != 3
    positions[3] = positions[2]
    rows = neighbor_rows(positions, np.eye(3) * 5, (True,) * 3, 3.0, mask=mask)
    assert np.all(rows.index[3] == 8)
    assert not np.any(rows.index == 3)
    assert np.all(neighbor_rows(positions, np.eye(3), (False,) * 3, 3.0, mask=np.zeros(8, bool)).index == 8)


def test_widths():
    positions = np.random.default_rng(0).uniform(0, 3, (20, 3))
    open_cell = (np.zeros((3, 3)), (False,) * 3)
    most = int((neighbor_rows(positions, *open_cell, 2.0).index < 20).sum(axis=1).max())
    assert neighbor_rows(positions, *open_cell, 2.0).index.shape == (20, bucket(most))
    assert neighbor_rows(positions, *open_cell, 2.0, multiple=5).index.shape[1] == -(-most // 5) * 5
    assert neighbor_rows(positions, *open_cell, 2.0, width=most).index.shape[1] == most
    with pytest.raises(ValueError, match=f"has {most} neighbours, more than the width {most - 1}"):
        neighbor_rows(positions, *open_cell, 2.0, width=most - 1)
    assert [bucket(n) for n in (1, 8, 9, 13, 17, 38, 49, 5000)] == [8, 8, 12, 16, 24, 48, 64, 6144]


@pytest.mark.parametrize(
    ("positions", "cell", "pbc", "message"),
    [
        (np.zeros((2, 2)), np.eye(3), True, "shape"),
        (np.array([[0.0, 0, 0], [np.nan, 0, 0]]), np.eye(3), True, "atom 1 is not finite"),
        (np.zeros((2, 3)), np.zeros((3, 3)), True, "span no volume"),
        (np.zeros((2, 3)), np.ones((3, 3)), (True, True, False), "span no volume"),
    ],
)
def test_errors(positions, cell, pbc, message):
    with pytest.raises(ValueError, match=message):
        neighbor_rows(positions, cell, np.broadcast_to(pbc, 3), 1.0)


def test_skin_rule():
    cell, pbc = np.eye(3) * 8.0, (True, True, True)
    positions = np.random.default_rng(0).uniform(0, 8, (20, 3))
    keeper = NeighborList(3.0, skin=0.6)
    assert not keeper.is_valid(positions, cell, pbc)
    first = keeper.update(positions, cell, pbc)
    positions[4, 1] += 0.29
    assert keeper.update(positions, cell, pbc) is first
    needed = distances(positions, cell, neighbor_rows(positions, cell, pbc, 3.0))
    assert set(needed) <= set(distances(positions, cell, first))
    positions[4, 1] += 0.02
    assert keeper.update(positions, cell, pbc) is not first
    assert keeper.n_builds == 2
    assert not keeper.is_valid(positions, cell * 1.0001, pbc)
    assert not keeper.is_valid(positions, cell, (True, True, False))
    assert not keeper.is_valid(positions[:-1], cell, pbc)
    assert not keeper.is_valid(positions, cell, pbc, np.arange(20) > 0)
    with pytest.raises(ValueError, match="cutoff=0"):
        NeighborList(0)
