"""The model Hessian of a cell filter: against springs written out bond by bond, and what it saves."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.filters import ExpCellFilter, FrechetCellFilter, UnitCellFilter
from ase.optimize import BFGS

from ase_learnedopt import LearnedRelax
from ase_learnedopt.adapter.convert import describe, resolve_scales, to_system
from ase_learnedopt.optimizers.cell_model import GROUND, REACH_OF_STEP, cell_measure, deformation
from ase_learnedopt.optimizers.model_hessian import CONSTANTS, inverse_model_hessian, untrained_springs

FILTERS = {
    "Frechet": FrechetCellFilter,
    "factor of one": lambda atoms: FrechetCellFilter(atoms, exp_cell_factor=1.0),
    "unit cell": UnitCellFilter,
    "exponential": ExpCellFilter,
    "in the plane": lambda atoms: FrechetCellFilter(atoms, mask=[1, 1, 0, 0, 0, 1]),
}


def _strained(repeats=2, strain=0.04, seed=0):
    atoms = bulk("Cu", cubic=True) * (repeats, repeats, repeats)
    atoms.set_cell(
        atoms.cell @ (np.eye(3) + strain * np.random.default_rng(seed).normal(size=(3, 3))), scale_atoms=True
    )
    atoms.rattle(0.1, seed=seed)
    atoms.calc = EMT()
    return atoms


def _system(target):
    rows = describe(target, target.__ase_optimizable__())
    x = target.get_positions().ravel()
    return jax.tree.map(jnp.asarray, to_system(rows, x, *resolve_scales(rows, None, None)))


def _spring_energy(rows, atoms, cell, factor):
    """Returns the energy `[]` of the springs of an untrained model for small changes of all rows `[n + 3, 3]`."""
    n = len(atoms)
    images = [np.array(steps) for steps in itertools.product((-1, 0, 1), repeat=3)]
    nearest = {}
    for i, j in itertools.product(range(n), repeat=2):
        d = atoms[j] - atoms[i]
        nearest[i, j] = d - np.round(d @ np.linalg.inv(cell)) @ cell
    bonds = [
        (i, j, d + steps @ cell) for (i, j), d in nearest.items() for steps in images if i != j or np.any(steps != 0)
    ]
    shortest = sorted(min(np.linalg.norm(d) for a, _, d in bonds if a == i) for i in range(n))[(n - 1) // 2]
    energy = jnp.zeros(())
    for i, j, d in bonds:
        length = np.linalg.norm(d)
        k = min(np.exp(CONSTANTS["decay"] * (1.0 - length / shortest)), 5.0)
        stretch = rows[j] - rows[i] + rows[n:] @ d / factor
        along = jnp.sum(stretch * d) / length
        energy = energy + 0.25 * k * (along**2 + CONSTANTS["transverse"] * jnp.sum(stretch**2))
    return energy + 0.5 * CONSTANTS["ground"] * jnp.sum(rows[:n] ** 2)


def test_model_is_that_of_springs_between_all_images(dtype):
    atoms = bulk("Cu", cubic=True)
    atoms.set_cell(atoms.cell @ np.array([[1.0, 0.1, 0.0], [0.0, 1.1, 0.0], [0.05, 0.0, 0.9]]), scale_atoms=True)
    atoms.rattle(0.1, seed=1)
    system = _system(FrechetCellFilter(atoms, exp_cell_factor=3.0))
    metric = np.asarray(inverse_model_hessian(untrained_springs(), system.positions, system))
    hessian = np.array(
        jax.hessian(lambda r: _spring_energy(r.reshape(-1, 3), atoms.positions, atoms.cell.array, 3.0))(jnp.zeros(21))
    )
    ground = GROUND * np.trace(hessian[12:, 12:]) / 9.0
    hessian[12:, 12:] += ground * np.eye(9)
    np.testing.assert_allclose(metric[:21, :21], np.linalg.inv(hessian), rtol=1e-5, atol=1e-7)
    in_numpy = inverse_model_hessian(
        untrained_springs(), np.asarray(system.positions), jax.tree.map(np.asarray, system), np
    )
    np.testing.assert_allclose(in_numpy, metric, rtol=1e-9, atol=1e-12)


@pytest.mark.filterwarnings("ignore:Use FrechetCellFilter:DeprecationWarning", "ignore:logm result:RuntimeWarning")
@pytest.mark.parametrize("name", FILTERS)
def test_strained_cells_relax_in_half_the_evaluations(name):
    ours, theirs = _strained(), _strained()
    ours_opt = LearnedRelax(FILTERS[name](ours), logfile=None)
    theirs_opt = BFGS(FILTERS[name](theirs), logfile=None)
    assert ours_opt.run(fmax=0.01, steps=200) and theirs_opt.run(fmax=0.01, steps=500)
    assert abs(ours.get_potential_energy() - theirs.get_potential_energy()) < 0.01
    assert ours_opt.nsteps <= 0.5 * theirs_opt.nsteps


@pytest.mark.parametrize("kept", ["hydrostatic_strain", "constant_volume"])
def test_deformations_stay_of_the_kind_that_a_filter_allows(kept):
    atoms = _strained()
    cell, volume = atoms.cell.array.copy(), atoms.get_volume()
    assert LearnedRelax(FrechetCellFilter(atoms, **{kept: True}), logfile=None).run(fmax=0.02, steps=200)
    change = np.linalg.solve(cell, atoms.cell.array)
    if kept == "constant_volume":
        assert abs(atoms.get_volume() / volume - 1.0) < 1e-3
    else:
        np.testing.assert_allclose(change, change[0, 0] * np.eye(3), atol=1e-6)


def test_deformation_is_counted_from_the_start():
    atoms = _strained(1)
    target = FrechetCellFilter(atoms)
    system = _system(target)
    assert np.allclose(deformation(np.asarray(system.positions), system, np), np.eye(3))
    stretched = np.eye(3) + 0.01 * np.random.default_rng(1).normal(size=(3, 3))
    rows = target.get_positions()
    rows[-3:] += float(system.cell_factor) * (stretched - np.eye(3))
    moved = np.asarray(system.positions).copy()
    moved[: len(rows)] = rows
    target.set_positions(rows)
    np.testing.assert_allclose(deformation(moved, system, np), target.deform_grad(), atol=1e-3)


def test_a_step_of_the_cell_is_measured_by_how_far_it_moves_atoms():
    system = _system(FrechetCellFilter(_strained()))
    measure = np.asarray(cell_measure(system))[:, 0]
    np.testing.assert_allclose(measure[:32], 1.0)
    np.testing.assert_allclose(measure[32:35], REACH_OF_STEP * float(system.length_scale) / 32.0)
    assert cell_measure(_system(_strained())) is None
