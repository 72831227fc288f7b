"""Distances that constraints hold: moves in models go where those of ASE end."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.emt import EMT
from ase.constraints import FixAtoms, FixBondLength, FixBondLengths, FixInternals, FixLinearTriatomic
from helpers import precision

from ase_learnedopt import LearnedHop
from ase_learnedopt.adapter.held_pairs import held_pairs
from ase_learnedopt.optimizers.held_pairs import held_energy, keeps_distances
from ase_learnedopt.types import System


def water():
    """Returns a molecule held rigid by its bonds and the angle between them."""
    atoms = molecule("H2O")
    bonds = [[atoms.get_distance(0, i), [0, i]] for i in (1, 2)]
    atoms.set_constraint(FixInternals(bonds=bonds, angles_deg=[[atoms.get_angle(1, 0, 2), [1, 0, 2]]]))
    return atoms


def with_bonds(atoms, pairs):
    atoms.set_constraint(FixBondLengths(pairs))
    return atoms


def chain():
    return with_bonds(Atoms("C6OAu3", 0.3 * np.arange(30.0).reshape(10, 3)), [(i, i + 1) for i in range(9)])


def crystal():
    """Returns a cell of which one held bond crosses the border."""
    atoms = bulk("Cu", cubic=True) * (2, 2, 2)
    atoms.positions += 0.3
    return with_bonds(atoms, [(0, 1), (0, atoms.get_all_distances(mic=True)[0, 20:].argmin() + 20)])


STRUCTURES = {
    "water": water,
    "methane, rigid": lambda: with_bonds(molecule("CH4"), [(i, j) for i in range(5) for j in range(i)]),
    "a chain": chain,
    "from the end": lambda: with_bonds(molecule("C6H6"), [(0, -1), (3, -3)]),
    "over the border": crystal,
}  # fmt: skip


def system_of(atoms, n_rows=24):
    """Returns what moves of held pairs read of a system, with two rows of padding."""
    positions = np.pad(atoms.positions, ((0, 2), (0, 0)))
    return System(
        positions=positions, species=np.zeros(len(positions), np.int32), cell=atoms.cell.array, pbc=atoms.pbc,
        movable=np.ones(len(positions), bool), radii=np.ones(len(positions)), length_scale=np.array(1.5),
        energy_scale=np.array(1.0), held_pairs=held_pairs(atoms, n_rows, len(positions)),
    )  # fmt: skip


@pytest.mark.parametrize("name", STRUCTURES)
def test_moves_end_where_constraints_end(name):
    atoms = STRUCTURES[name]()
    system = system_of(atoms)
    move = np.random.default_rng(0).normal(0, 0.1, atoms.positions.shape)
    with precision("float64"):
        there = np.asarray(keeps_distances(system, system.positions)(system.positions + np.pad(move, ((0, 2), (0, 0)))))
    atoms.set_positions(atoms.positions + move)
    np.testing.assert_allclose(there[:-2], atoms.positions, atol=1e-6)
    assert np.all(there[-2:] == 0.0)


@pytest.mark.parametrize("name", STRUCTURES)
def test_the_gradient_is_that_of_the_energy(name):
    system = system_of(STRUCTURES[name]())
    springs = np.random.default_rng(1).normal(size=system.positions.shape)

    def energy(positions):
        return jnp.sum(springs * positions**2), 2.0 * springs * positions

    with precision("float64"):
        held = held_energy(keeps_distances(system, system.positions), energy)
        x = system.positions + np.random.default_rng(2).normal(0, 0.05, system.positions.shape)
        expected = jax.grad(lambda x: held(x)[0])(x)
        np.testing.assert_allclose(held(x)[1], expected, atol=1e-9)


def test_an_impossible_move_is_bounded():
    """Turned by more than a right angle, a bond cannot come back along the direction that it had."""
    system = system_of(with_bonds(Atoms("Cu2", [[0, 0, 0], [2.5, 0, 0]]), [(0, 1)]))
    turned = np.array([[0.0, 0, 0], [-1e-3, 9.0, 0], [0, 0, 0], [0, 0, 0]])
    with precision("float64"):
        assert np.abs(keeps_distances(system, system.positions)(turned)).max() < 20.0


@pytest.mark.parametrize(
    ("constraint", "pairs"),
    [
        (FixBondLength(3, 1), [(1, 3)]),
        (FixBondLengths([(0, -1), (7, 0), (2, 1)]), [(0, 7), (1, 2)]),
        ([FixBondLength(0, 1), FixBondLengths([(1, 2)])], [(0, 1), (1, 2)]),
        (FixInternals(bonds=[[2.0, [4, 0]]], angles_deg=[[90.0, [4, 0, 1]]]), [(0, 4)]),
        (FixInternals(bonds=[[2.0, [4, 0]], [2.0, [0, 1]]], angles_deg=[[90.0, [4, 0, 1]]]), [(0, 1), (0, 4), (1, 4)]),
        (FixInternals(bonds=[[2.0, [4, 0]]], dihedrals_deg=[[90.0, [4, 0, 1, 2]]]), [(0, 4)]),
        (FixInternals(bonds=[[None, [4, 0]]]), [(0, 4)]),
        (FixLinearTriatomic([(0, 1, 2)]), []),
        (FixAtoms([0, 1]), []),
        ([], []),
    ],
)
def test_which_pairs_are_held(constraint, pairs):
    atoms = Atoms("Cu8", np.random.default_rng(0).normal(0, 3, (8, 3)))
    atoms.set_constraint(constraint)
    found = held_pairs(atoms, 8, 8).atoms
    assert [tuple(pair) for pair in found[: len(pairs)].tolist()] == pairs
    assert np.all(found[len(pairs) :] == 0)
    assert len(held_pairs(atoms, 1, 8).atoms) == 1  # no more than there is room for


@pytest.mark.slow
@pytest.mark.parametrize("pairs", [[(0, 1)], [(0, 1), (2, 3)]])
def test_searches_hop_with_bonds_held(pairs):
    corners = 2.6 * np.array(np.meshgrid(*[[0.0, 1.0]] * 3)).reshape(3, -1).T
    atoms = with_bonds(Atoms("Cu8", corners + np.random.default_rng(5).normal(0, 0.25, (8, 3))), pairs)
    atoms.calc = EMT()
    before = [atoms.get_distance(*pair) for pair in pairs]
    opt = LearnedHop(atoms, seed=5, patience=None, logfile=None)
    opt.run(fmax=0.01, steps=200)
    assert opt.n_hops >= 58  # half of the hops without constraints
    np.testing.assert_allclose([atoms.get_distance(*pair) for pair in pairs], before, atol=1e-8)
