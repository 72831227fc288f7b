"""What is said of a run's hops, on runs whose basins are known."""

import jax
import numpy as np
import pytest

from ase_learnedopt.bench.methods import optimizer
from ase_learnedopt.bench.problems import get_problem
from ase_learnedopt.reproduce.hopping import Runs, distinct, jumps, quench, sample, settled
from ase_learnedopt.reproduce.hopping_page import run_hopping


def made_up(energies, inherent):
    n_runs, n_frames = np.shape(energies)
    nowhere = np.zeros((n_runs, n_frames, 1, 3))
    return Runs(10 * np.arange(n_frames), np.array(energies, float), np.array(inherent, float), nowhere, [])


@pytest.mark.parametrize(
    ("energies", "expected"),
    [([], 0), ([-3.0], 1), ([-3.0, -3.001], 1), ([-3.0, -2.9, -3.0], 2), ([-1.0, -2.0, -3.0], 3)],
)
def test_distinct(energies, expected):
    assert distinct(np.array(energies), 1.0) == expected
    assert distinct(50.0 * np.array(energies), 50.0) == expected


def test_jumps_count_from_where_a_run_has_settled():
    runs = made_up([[9.0, 5.0, 1.05, 1.2, 2.4, 2.0], [9.0] * 6], [[3.0, 2.0, 1.0, 1.0, 2.0, 2.0], [1, 2, 1, 2, 1, 2]])
    np.testing.assert_array_equal(settled(runs, 1.0), [2, 6])
    np.testing.assert_array_equal(jumps(runs, 1.0), [[False, False, False, True, False], [False] * 5])


@pytest.fixture(scope="module")
def lj7():
    return get_problem("lj7")


def test_local_optimizers_visit_one_minimum_and_searches_many(lj7):
    local, search = (sample(lj7, optimizer(name), range(4), 400) for name in ("fire", "learned_hop"))
    scale = 1.0
    assert [distinct(e, scale) for e in local.entered] == [1, 1, 1, 1]
    assert not jumps(local, scale).any()
    np.testing.assert_allclose(local.energies[:, -1], local.inherent[:, -1], atol=1e-3)
    assert jumps(search, scale).sum() > 4
    assert len({round(float(e), 2) for row in search.entered for e in row}) > 1
    assert (search.inherent <= search.energies + 1e-3).all()


def test_quenches_are_those_of_each_structure_alone(lj7):
    runs = sample(lj7, optimizer("fire"), [1, 2], 60)
    frames = runs.positions[1, :3]
    systems = lj7.system(2)
    batch = jax.tree.map(lambda leaf: np.broadcast_to(leaf, (3, *leaf.shape)), systems)
    np.testing.assert_allclose(quench(lj7, batch, frames), runs.inherent[1, :3], atol=1e-4)


def test_page(tmp_path, capsys):
    page = run_hopping("lj7", tmp_path, weights="none", n_runs=2, evaluations=300)
    text = page.read_text()
    assert "| learn2hop | " in text and "Weights none" in text
    for name in ("one_run", "rates", "structures"):
        assert (tmp_path / "plots" / f"{name}.svg").read_text().startswith("<svg")
    assert "lj7 fire" in capsys.readouterr().out


def test_problems_without_a_potential_of_ours(tmp_path):
    with pytest.raises(ValueError, match="no potential of ours"):
        run_hopping("xtb-(H2O)6", tmp_path, weights="none")
