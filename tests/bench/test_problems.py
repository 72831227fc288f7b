"""Problems: the same start for everyone, one energy in two guises, references that their structures reproduce."""

import jax
import numpy as np
import pytest
from ase.build import bulk, molecule
from ase.calculators.calculator import PropertyNotImplementedError
from ase.calculators.emt import EMT
from helpers import precision

from ase_learnedopt.adapter.convert import describe, resolve_scales
from ase_learnedopt.adapter.scales import contact_radii
from ase_learnedopt.bench.minima import stored_minimum
from ase_learnedopt.bench.problems import get_problem, list_problems
from ase_learnedopt.bench.starts import silicon_crystal
from ase_learnedopt.potentials import reference_minimum

OURS = ["lj13", "gupta-Ag7Cu6", "emt-Pt13", "sw-si64"]  # few sizes, because every size is compiled
CHEAP = [*OURS, "xtb-(H2O)6", "xtb-Si10"]
STORED = ["gupta-Ag7Cu6", "gupta-Ag32Cu6", "gupta-Pd19Pt19", "emt-Cu38", "emt-Pt13"]


@pytest.mark.parametrize("name", list_problems())
def test_every_listed_problem_can_be_built(name):
    problem = get_problem(name)
    assert problem.name == name
    assert problem.tolerance > 0
    assert problem.source
    assert (problem.potential is None) == (problem.system is None)
    assert problem.reference is not None or name.startswith("xtb")


@pytest.mark.parametrize("name", CHEAP)
def test_a_seed_is_a_start(name):
    problem = get_problem(name)
    one, again, other = problem.start(5), problem.start(5), problem.start(6)
    assert one.calc is None
    assert one == again
    assert not np.allclose(one.positions, other.positions)
    if problem.system is not None:
        system = problem.system(5)
        assert system.positions.dtype == np.float32
        np.testing.assert_array_equal(one.positions, system.positions)
        np.testing.assert_array_equal(one.pbc, system.pbc)
        np.testing.assert_array_equal(one.cell.array, system.cell)


@pytest.mark.parametrize("name", OURS)
@pytest.mark.parametrize(("dtype", "rtol"), [("float32", 1e-5), ("float64", 1e-10)])
def test_potential_and_calculator_agree(name, dtype, rtol):
    problem = get_problem(name)
    atoms, system = problem.start(0), problem.system(0)
    atoms.calc = problem.calculator()
    with precision(dtype):
        system = jax.tree.map(lambda x: np.asarray(x, dtype) if x.dtype == np.float32 else x, system)
        system = system._replace(cell=np.asarray(atoms.calc.cell, dtype))  # float32 cannot hold it
        energy, forces = jax.jit(problem.potential)(system.positions, system)
    assert atoms.get_potential_energy() == pytest.approx(float(energy), rel=rtol)
    np.testing.assert_allclose(forces, atoms.get_forces(), rtol=0, atol=rtol * np.abs(atoms.get_forces()).max())


def test_emt_has_the_energy_of_ase_and_the_scales_that_users_get():
    problem, atoms = get_problem("emt-Ag3Cu4"), get_problem("emt-Ag3Cu4").start(1)
    system = problem.system(1)
    length, energy = resolve_scales(describe(atoms, atoms.__ase_optimizable__()), None, None)
    assert (float(system.length_scale), float(system.energy_scale)) == pytest.approx((length, energy))
    np.testing.assert_allclose(system.radii, contact_radii(atoms.numbers, None), rtol=1e-6)
    theirs = atoms.copy()
    atoms.calc, theirs.calc = problem.calculator(), EMT()
    assert atoms.get_potential_energy() == pytest.approx(theirs.get_potential_energy(), rel=1e-11)
    np.testing.assert_allclose(atoms.get_forces(), theirs.get_forces(), rtol=1e-9, atol=1e-10)


def test_calculator_follows_positions_and_elements():
    atoms = stored_minimum("gupta-Ag7Cu6")
    lowest = atoms.get_potential_energy()
    atoms.calc = get_problem("gupta-Ag7Cu6").calculator()
    atoms.positions[0] += 0.1
    assert atoms.get_potential_energy() > lowest + 0.01
    atoms.positions[0] -= 0.1
    assert atoms.get_potential_energy() == pytest.approx(lowest, abs=1e-8)
    atoms.symbols[[0, 12]] = "Cu", "Ag"
    assert atoms.get_potential_energy() > lowest + 0.01
    atoms = stored_minimum("gupta-Ag7Cu6")[::-1]
    atoms.calc = get_problem("gupta-Ag7Cu6").calculator()
    assert atoms.get_potential_energy() == pytest.approx(lowest, abs=1e-8)


def test_calculator_that_was_reset_computes_anew():
    problem = get_problem("lj13")
    atoms = problem.start(1)
    atoms.calc = problem.calculator()
    energy = atoms.get_potential_energy()
    atoms.calc.reset()
    assert atoms.get_forces().shape == (13, 3) and atoms.get_potential_energy() == energy


@pytest.mark.parametrize(
    ("name", "atoms", "message"),
    [
        ("lj13", molecule("H2O"), "13 atoms of Ar, not OH2"),
        ("sw-si64", silicon_crystal(64) * (1, 1, 2), "64 atoms of Si"),
        ("sw-si64", bulk("Si", a=5.5, cubic=True) * 2, "one cell"),
    ],
)
def test_calculator_is_for_one_system(name, atoms, message):
    atoms.calc = get_problem(name).calculator()
    with pytest.raises(ValueError, match=message):
        atoms.get_potential_energy()


def test_calculator_knows_no_stress():
    atoms = silicon_crystal(64)
    atoms.calc = get_problem("sw-si64").calculator()
    with pytest.raises(PropertyNotImplementedError):
        atoms.get_stress()


@pytest.mark.parametrize("name", STORED)
def test_stored_minima_have_their_energy(name):
    problem, atoms = get_problem(name), stored_minimum(name)
    assert atoms.get_potential_energy() == problem.reference
    assert atoms.info["found_by"] in problem.source
    assert name in atoms.info["command"]
    assert sorted(atoms.numbers) == sorted(problem.start(0).numbers)
    atoms.calc = problem.calculator()
    assert atoms.get_potential_energy() == pytest.approx(problem.reference, abs=1e-8)
    assert np.sqrt(np.mean(atoms.get_forces() ** 2)) < 2e-6


@pytest.mark.parametrize("name", ["lj2", "lj150", "gupta-Ag7Cu6", "gupta-Ag32Cu6"])
def test_references_are_those_of_the_table(name):
    assert get_problem(name).reference == pytest.approx(reference_minimum(name.removeprefix("gupta-")), abs=5e-4)


def test_silicon_reference_is_the_crystal():
    problem, atoms = get_problem("sw-si64"), silicon_crystal(64)
    atoms.calc = problem.calculator()
    assert atoms.get_potential_energy() == pytest.approx(problem.reference, abs=1e-4)
    assert get_problem("sw-si63").reference is None


def test_a_composition_is_one_problem():
    one, other = get_problem("gupta-Cu6Ag3Ag4"), get_problem("gupta-Ag7Cu6")
    assert (one.name, one.reference) == (other.name, other.reference)
    assert one.start(0) == other.start(0)


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("gupta-Ag2Cu2", "rossi-unverified, not checked"),
        ("gupta-Pd2Pt2", "pd-pt-average"),
        ("gupta-Au3", "cleri-rosato"),
    ],
)
def test_gupta_parameters_are_named(name, label):
    assert label in get_problem(name).source
    assert get_problem(name).reference is None


@pytest.mark.slow
def test_liquid_silicon():
    problem = get_problem("sw-si64-liquid")
    atoms = problem.start(0)
    assert atoms.pbc.all()
    assert len(atoms) / atoms.get_volume() == pytest.approx(8 / 5.431**3, rel=1e-6)
    np.testing.assert_array_equal(atoms.positions, problem.system(0).positions)
    atoms.calc = problem.calculator()
    assert -3.60 < atoms.get_potential_energy() / 64 < -3.35
    waves = 2.0 * np.pi / 5.431 * np.array([[2, 2, 0], [2, 0, 2], [0, 2, 2], [1, 1, 1]])
    order = np.abs(np.exp(1j * atoms.positions @ waves.T).mean(axis=0))  # the crystal: 1 and 0.7; random: 0.1
    assert order.max() < 0.4
    assert not np.allclose(atoms.positions, problem.start(1).positions)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("lj151", "from lj2 to lj150"),
        ("lj1", "from lj2 to lj150"),
        ("LJ38", "did you mean lj38 or"),
        ("lj38x", "did you mean lj38"),
        ("water", "bench list"),
        ("gupta-XeKr", "no verified Gupta parameter set for Kr-Xe"),
        ("gupta-Ag32Qq6", "'Ag32Qq6' is no formula"),
        ("gupta-Ag", "2 to 1000 atoms"),
        ("emt-Fe13", "EMT has no Fe, only Al"),
        ("emt-", "did you mean"),
        ("sw-si5000", "1 to 1000 atoms"),
        ("sw-si63-liquid", "8, 64, 216"),
        ("chgnet-Qq4", "'Qq4' is no formula"),
    ],
)
def test_what_does_not_exist_says_why(name, message):
    with pytest.raises(ValueError, match=message):
        get_problem(name)


def test_missing_packages_are_named(monkeypatch):
    monkeypatch.setattr("ase_learnedopt.bench.problems.find_spec", lambda name: None)
    for name, extra in (("xtb-Si10", "xtb"), ("chgnet-Cu8", "chgnet")):
        with pytest.raises(ValueError, match=rf"ase-learnedopt\[{extra}\]"):
            get_problem(name).calculator()


def test_chgnet_gets_a_cell():
    atoms = get_problem("chgnet-Cu8").start(0)
    assert atoms.cell.rank == 3
    assert not atoms.pbc.any()
