"""Which atoms and directions the constraints of ASE hold, and that indices name the same atoms however written."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.constraints import (
    FixAtoms,
    FixBondLength,
    FixCartesian,
    FixConstraint,
    FixedLine,
    FixedPlane,
    FixScaled,
    FixSymmetry,
)
from ase.filters import FrechetCellFilter
from every_constraint import EVERY

from ase_learnedopt.adapter import LearnedHop
from ase_learnedopt.adapter.convert import describe, to_system
from ase_learnedopt.adapter.followed import HeldDirections
from ase_learnedopt.adapter.held import fixed_atoms, held_directions
from ase_learnedopt.geometry import free_part, is_pinned


class Blind(FixConstraint):
    """A user's own constraint, which says nothing of itself: atom 3 is on a line."""

    def adjust_positions(self, atoms, new):
        new[3, :2] = atoms.positions[3, :2]

    def adjust_forces(self, atoms, forces):  # noqa: ARG002
        forces[3, :2] = 0.0


def cell():
    """Returns eight atoms of copper, with three of them in a row."""
    atoms = bulk("Cu", a=3.7, cubic=True) * (2, 1, 1)
    atoms.rattle(0.1, seed=2)
    atoms.positions += 1.0
    atoms.positions[[1, 2]] = atoms.positions[0] + np.array([[1.3, 0.0, 0.0], [2.6, 0.0, 0.0]])
    return atoms


DIRECTIONS = {
    "FixedPlane": 2, "FixedLine": 4, "FixedMode": 1, "FixScaled": 4, "FixBondLength": 1, "FixBondLengths": 2,
    "FixInternals": 7,  # and no turns, in forces
    "FixLinearTriatomic": 4, "FixCom": 3, "FixSubsetCom": 3,
}  # fmt: skip
WHOLE = {
    "FixAtoms": [0, 7], "FixCartesian": [0, 7],
    "FixScaledParametricRelations": [0], "FixCartesianParametricRelations": [0],
}  # fmt: skip
HELD = {
    **{name: (make, DIRECTIONS.get(name, 0), WHOLE.get(name, [])) for name, make in EVERY.items()},
    "FixAtoms from the end": (lambda a: FixAtoms([-6, -1]), 0, [2, 7]),
    "FixAtoms by mask": (lambda a: FixAtoms(mask=[i in (2, 7) for i in range(8)]), 0, [2, 7]),
    "FixAtoms twice": (lambda a: [FixAtoms([2]), FixAtoms([-1, 2])], 0, [2, 7]),
    "FixCartesian, two": (lambda a: FixCartesian([0, -1], (True, True, False)), 4, []),
    "two that make a third": (lambda a: [FixedPlane(3, (0, 0, 1)), FixedLine(3, (0, 0, 1))], 0, [3]),
    "FixAtoms and FixedPlane": (lambda a: [FixAtoms([0]), FixedPlane([0, 1], (0, 0, 1))], 1, [0]),
    "FixScaled, all": (lambda a: FixScaled([0, -1]), 0, [0, 7]),
    "a user's own": (lambda a: Blind(), 2, []),
}


@pytest.mark.parametrize("name", HELD)
def test_what_constraints_hold(name):
    make, n_held, fixed = HELD[name]
    if "FixSymmetry" in name:
        pytest.importorskip("spglib")
    atoms = cell()
    atoms.set_constraint(make(atoms))
    atoms.calc = None  # nothing is evaluated
    held = held_directions(atoms)
    assert held.shape == (24, n_held)
    np.testing.assert_allclose(held.T @ held, np.eye(n_held), atol=1e-10)
    assert fixed_atoms(atoms).tolist() == fixed
    move = np.random.default_rng(0).normal(size=24)
    move -= held @ (held.T @ move)
    move.reshape(-1, 3)[fixed] = 0.0
    there = atoms.positions + 1e-5 * move.reshape(-1, 3)
    kept = atoms.copy()
    kept.set_positions(there)
    away = kept.positions - there
    away -= np.round(away @ np.linalg.inv(atoms.cell)) @ atoms.cell
    if name != "FixInternals":  # its forces have no part that turns the whole
        assert np.abs(away).max() < 1e-8


def test_symmetry_is_held():
    pytest.importorskip("spglib")
    atoms = bulk("Cu", a=3.7, cubic=True)
    atoms.set_constraint(FixSymmetry(atoms))
    assert fixed_atoms(atoms).tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("index", [[-1], [3], [False, False, False, True]])
def test_fixed_atoms_leave_the_cell_free(index):
    atoms = bulk("Cu", a=3.85, cubic=True)
    atoms.rattle(0.05, seed=1)
    atoms.calc = EMT()
    atoms.set_constraint(FixAtoms(index))
    assert LearnedHop(FrechetCellFilter(atoms), max_hops=0, logfile=None).run(fmax=0.01, steps=60)
    assert atoms.get_volume() == pytest.approx(46.26, abs=0.3)


@pytest.mark.parametrize(
    "constraint",
    [FixAtoms([-1, -2]), FixAtoms(mask=[False] * 6 + [True] * 2), FixCartesian([6, 7]), FixCartesian([-2, -1])],
)
def test_the_same_atoms_are_the_same_path(constraint, cluster, search):
    def path(constraint):
        atoms = cluster()
        atoms.set_constraint(constraint)
        opt = search(atoms, patience=None)
        opt.run(steps=60)
        return atoms.positions, opt.n_hops, opt.best_energy

    expected = path(FixAtoms([6, 7]))
    found = path(constraint)
    np.testing.assert_array_equal(found[0], expected[0])
    assert found[1:] == expected[1:] and found[1] > 5


def test_no_atoms_are_held():
    assert fixed_atoms(Atoms()).tolist() == []


@pytest.mark.parametrize(
    ("name", "pinned"),
    [
        ("FixAtoms", True),
        ("FixCartesian, two", True),
        ("FixedPlane", True),
        ("FixedMode", True),
        ("FixSubsetCom", True),
        ("FixCom", False),
        ("FixBondLengths", False),
        ("FixLinearTriatomic", False),
        ("Hookean", False),
    ],
)
def test_what_keeps_the_whole_where_it_is(name, pinned):
    """Such a structure is searched about where it is; any other one may be thrown anew."""
    atoms = cell()
    atoms.set_constraint(HELD[name][0](atoms))
    rows = describe(atoms, atoms.__ase_optimizable__())
    system = to_system(rows, atoms.positions.reshape(-1), 2.6, 0.6)
    directions = HeldDirections.for_rows(rows, 8)
    if directions is not None:
        system = system._replace(held=directions.directions(np.asarray(system.positions)))
    assert bool(is_pinned(system, np)) == pinned


def test_moves_are_freed_of_what_is_held():
    atoms = cell()
    atoms.set_constraint([FixAtoms([2]), FixBondLength(0, 4)])
    rows = describe(atoms, atoms.__ase_optimizable__())
    system = to_system(rows, atoms.positions.reshape(-1), 2.6, 0.6)
    system = system._replace(held=HeldDirections.for_rows(rows, 8).directions(np.asarray(system.positions)))
    move = free_part(system, np.random.default_rng(0).normal(size=(8, 3)), np)
    assert np.all(move[2] == 0.0)
    bond = atoms.get_distance(0, 4, mic=True, vector=True)
    assert abs((move[4] - move[0]) @ bond) < 1e-12
    np.testing.assert_allclose(free_part(system, move, np), move, atol=1e-12)


def test_thousands_of_atoms_are_not_probed_for_ever():
    """What 5,000 atoms of a constraint hold is not looked for: a matrix of 15,000 by 15,000 numbers would be."""
    atoms = bulk("Cu", cubic=True) * (11, 11, 10)
    asked = []

    class Counted(FixCartesian):
        def adjust_forces(self, atoms, forces):
            asked.append(1)
            super().adjust_forces(atoms, forces)

    atoms.set_constraint(Counted(range(len(atoms) // 2)))
    assert held_directions(atoms).shape == (3 * len(atoms), 0)
    assert len(asked) < 100
