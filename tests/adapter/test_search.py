"""What a search adds: limits, what it leaves behind, seeds."""

import time

import numpy as np
import pytest
from ase.io import read

from ase_learnedopt.adapter import Learn2Hop, LearnedHop, LearnedOptimizer
from ase_learnedopt.adapter.compiled import Policy
from ase_learnedopt.adapter.loop import reserve
from ase_learnedopt.optimizers.basin_hopping import basin_hopping

SCALES = {"length_scale": 1.12, "energy_scale": 1.0}

LJ8 = -19.821489
"""Lowest energy of eight Lennard-Jones atoms: Hoare & Pal, Adv. Phys. 20, 161 (1971)."""


def fmax_of(atoms):
    return np.linalg.norm(atoms.get_forces(), axis=1).max()


def test_finds_the_lowest_minimum(search, cluster):
    atoms = cluster()
    opt = search(atoms, target_energy=LJ8 + 1e-3, patience=None)
    assert opt.run(fmax=1e-3, steps=4000)
    assert opt.status == "target"
    assert atoms.get_potential_energy() == pytest.approx(LJ8, abs=1e-4)
    assert opt.minima[0].energy == pytest.approx(LJ8, abs=1e-4)
    assert all(a.energy < b.energy for a, b in zip(opt.minima, opt.minima[1:], strict=False))


@pytest.mark.parametrize(
    ("limits", "status"),
    [
        ({"patience": 1}, "patience"),
        ({"max_hops": 2, "patience": None}, "converged"),
        ({"target_energy": -15.0}, "target"),
    ],
)
def test_limits_end_a_bare_run(search, cluster, limits, status):
    atoms = cluster()
    opt = search(atoms, **limits)
    assert opt.run(fmax=0.01)
    assert opt.status == status
    assert fmax_of(atoms) < 0.01
    assert atoms.calc.n_calls == opt.n_evaluations
    assert opt.n_hops == limits.get("max_hops", opt.n_hops)


@pytest.mark.parametrize("steps", [3, 10, 50, 150])
def test_budget_leaves_the_lowest_structure_evaluated(search, cluster, tmp_path, steps):
    atoms = cluster()
    opt = search(atoms, patience=None, trajectory=tmp_path / "t.traj")
    opt.run(fmax=1e-3, steps=steps)
    assert opt.status == "budget"
    calls = atoms.calc.n_calls
    assert calls == opt.n_evaluations <= steps + 1
    energies = [frame.get_potential_energy() for frame in read(tmp_path / "t.traj", ":")]
    assert atoms.get_potential_energy() == pytest.approx(min(energies), abs=1e-12)
    assert opt.best_energy == min(energies)
    atoms.get_forces()
    assert atoms.calc.n_calls == calls  # the results of the lowest structure are at hand
    if steps >= 150:
        assert fmax_of(atoms) < 1e-2


def test_walltime(search, cluster, monkeypatch):
    clock = iter(np.arange(0.0, 1e4, 0.01))
    monkeypatch.setattr(time, "monotonic", lambda: float(next(clock)))
    atoms = cluster()
    opt = search(atoms, patience=None, walltime=2.0)
    opt.run(fmax=1e-3)
    assert opt.status == "walltime"
    assert 5 < opt.n_evaluations < 200
    assert atoms.get_potential_energy() == pytest.approx(opt.best_energy, abs=1e-9)


def test_walltime_ends_a_relaxation(cluster, monkeypatch):
    clock = iter(np.arange(0.0, 1e4, 0.01))
    monkeypatch.setattr(time, "monotonic", lambda: float(next(clock)))
    opt = LearnedHop(cluster(), max_hops=0, walltime=0.1, logfile=None)
    assert not opt.run(fmax=1e-12)
    assert opt.status == "walltime"


@pytest.mark.parametrize("call", [1, 5, 60])
def test_interrupt_keeps_the_best(make, cluster, tmp_path, call):
    atoms = cluster(broken_from=call, error=KeyboardInterrupt())
    opt = make(atoms, restart=tmp_path / "r.json", patience=None)
    opt_error = KeyboardInterrupt
    if not make.searches and call > 20:
        pytest.skip("converged before")
    with pytest.raises(opt_error):
        opt.run(fmax=1e-3)
    assert opt.status == "interrupted"
    assert (tmp_path / "r.json").exists()
    if call > 1:
        atoms.calc.broken_from = None
        assert atoms.get_potential_energy() == opt.best_energy


@pytest.mark.parametrize("seed", [0, 7, 2**40 + 3])
def test_same_seed_same_path(search, cluster, seed):
    one, two = cluster(), cluster()
    first, second = search(one, seed=seed), search(two, seed=seed)
    first.run(fmax=0.01, steps=150)
    second.run(fmax=0.01, steps=150)
    np.testing.assert_array_equal(one.positions, two.positions)
    assert first.best_energy == second.best_energy


def test_fresh_seeds_differ_and_are_told(search, cluster):
    one, two = search(cluster(), seed=None), search(cluster(), seed=None)
    assert one.seed != two.seed
    one.run(fmax=0.01, steps=80)
    again = search(cluster(), seed=one.seed)
    again.run(fmax=0.01, steps=80)
    assert one.best_energy == again.best_energy


def test_log_tells_stage_hops_and_best(search, cluster, tmp_path):
    log = tmp_path / "log"
    opt = search(cluster(), logfile=log)
    opt.run(fmax=0.01, steps=200)
    header, *lines = log.read_text().splitlines()
    assert "weights learned_hop, seed 1, length scale 1.12 A, energy scale 1 eV" in header
    stages = [line.split()[-3] for line in lines]
    assert set(stages) == {"search", "relax", "check"} and stages.count("check") == 1 and stages[-1] == "check"
    assert [int(line.split()[-2]) for line in lines][-1] == opt.n_hops
    assert float(lines[-1].split()[-1]) == pytest.approx(opt.best_energy, abs=1e-6)


def build_basin_hopping(params, config):
    return basin_hopping(kT=params["kT"], max_relax_steps=config)


class BasinHopping(LearnedOptimizer):
    """What it takes to make an ASE optimizer of any entry of the table."""

    def _search_policy(self):
        return Policy(build_basin_hopping, {"kT": 0.8}, 200)


def test_any_optimizer_of_the_table_searches(cluster):
    atoms = cluster()
    opt = BasinHopping(atoms, seed=0, logfile=None, max_hops=3, **SCALES)
    assert opt.run(fmax=0.01, steps=1500)
    assert opt.n_hops == 3
    assert opt.status == "converged"
    assert atoms.get_potential_energy() == pytest.approx(opt.minima[0].energy)


@pytest.mark.parametrize(("budget", "kept"), [(0, 0), (1, 0), (2, 1), (10, 5), (40, 20), (500, 25), (5000, 100)])
def test_reserve(budget, kept):
    assert reserve(budget) == kept


def test_hops_of_a_network_are_counted(cluster):
    opt = Learn2Hop(cluster(), seed=1, logfile=None, length_scale=1.12, energy_scale=1.0)
    opt.run(fmax=1e-3, steps=400)
    assert 3 < opt.n_hops < 100
    classical = Learn2Hop(cluster(), weights=None, seed=1, logfile=None, length_scale=1.12, energy_scale=1.0)
    classical.run(fmax=1e-3, steps=200)
    assert classical.n_hops == 0
