"""A search evaluates no fused atoms that it can avoid, accepts none and returns none."""

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.calculator import all_changes
from ase.constraints import FixAtoms
from ase.io import read
from sick_calculators import CONTACT, DEPTH, Holed

from ase_learnedopt import LearnedHop
from ase_learnedopt.adapter import guard as module
from ase_learnedopt.adapter.guard import Guard
from ase_learnedopt.adapter.scales import contact_radii
from ase_learnedopt.sanity import closest_contact, is_sane
from ase_learnedopt.search.inputs import place, read_structure

SCALES = {"length_scale": CONTACT, "energy_scale": DEPTH}
LOWEST = -15.1541  # of nine atoms, in and outside of holes: from searches of 300 evaluations without the hole


def start(seed, n=9):
    atoms = place(read_structure(f"Cu{n}"), seed)
    atoms.calc = Holed()
    return atoms


def search(atoms, seed=0, steps=100, **kwargs):
    opt = LearnedHop(atoms, seed=seed, logfile=None, patience=None, **{**SCALES, **kwargs})
    opt.run(fmax=0.05, steps=steps)
    return opt


def shortest(positions):
    distance = np.linalg.norm(positions[:, None] - positions[None], axis=2)
    return distance[np.triu_indices(len(positions), 1)].min()


def test_hole_of_mg6o6():
    atoms = read(Path(__file__).parents[1] / "data" / "mg6o6_hole.extxyz")
    radii = contact_radii(atoms.numbers, None)
    assert closest_contact(atoms.positions, radii, atoms.cell.array, atoms.pbc) == pytest.approx(0.257 / 2.82, abs=0.01)
    assert not is_sane(atoms.positions, radii, atoms.cell.array, atoms.pbc)
    assert is_sane(atoms.positions, radii, atoms.cell.array, atoms.pbc, min_distance=0.0)


@pytest.mark.slow
def test_twenty_searches_return_the_lowest_sane_minimum():
    found = [search(start(seed), seed, 80) for seed in range(20)]
    assert all(shortest(opt.atoms.positions) > 0.5 * CONTACT for opt in found)
    energies = [opt.best_energy for opt in found]
    np.testing.assert_allclose(energies, LOWEST, atol=2e-3)


def test_no_fused_atoms_are_evaluated(monkeypatch):
    seen = []
    calculate = Holed.calculate

    def watch(self, atoms=None, properties=None, system_changes=all_changes):
        seen.append(shortest(atoms.positions))
        calculate(self, atoms, properties, system_changes)

    monkeypatch.setattr(Holed, "calculate", watch)
    for seed in (1, 2):
        opt = search(start(seed), seed, 80)
        assert opt.best_energy > -30.0 and all(minimum.energy > -30.0 for minimum in opt.minima)
    assert min(seen) > 0.5 * CONTACT


@pytest.mark.parametrize("distance", [0.06, 0.25])
def test_start_in_a_hole_is_left(distance):
    atoms = start(3)
    atoms.positions[1] = atoms.positions[0] + [distance * CONTACT, 0.0, 0.0]
    without, fallen = atoms.copy(), Holed()
    without.calc = fallen
    if distance < 0.1:  # else the atoms repel each other
        assert search(without, steps=30, min_distance=0).best_energy < -50.0  # or this would show nothing
    opt = search(atoms, steps=60)
    assert shortest(atoms.positions) > 0.5 * CONTACT and -20.0 < opt.best_energy < -8.0
    assert atoms.get_potential_energy() == pytest.approx(opt.best_energy)


def test_overlapping_start_comes_apart():
    """Where two atoms repel each other the start is relaxed, not thrown away."""

    class Stiff(Holed):
        hole = 0.0

    atoms = start(3)
    atoms.positions[1] = atoms.positions[0] + [0.3 * CONTACT, 0.0, 0.0]
    atoms.calc = Stiff()
    opt = search(atoms, steps=60)
    assert opt.best_evaluation > 1 and shortest(atoms.positions) > 0.5 * CONTACT


@pytest.mark.parametrize("value", [-0.1, 1.0, float("nan"), "near"])
def test_impossible_distance(value):
    with pytest.raises(ValueError, match="min_distance"):
        LearnedHop(start(0), min_distance=value)


def test_search_that_can_only_fuse_says_what_to_do(monkeypatch):
    monkeypatch.setattr(module, "MOST_REFUSED", 5)
    atoms = start(0)
    guard = Guard(atoms)
    assert guard.allows(CONTACT) and guard.evaluated(CONTACT)
    atoms.positions[1] = atoms.positions[0] + [0.3 * CONTACT, 0.0, 0.0]
    assert not any(guard.allows(CONTACT) for _ in range(5))
    with pytest.raises(ValueError, match=r"last 5 geometries .* 0.5 contacts.* min_distance"):
        guard.allows(CONTACT)


def test_fixed_atoms_may_be_as_near_as_they_are():
    atoms = start(0)
    atoms.positions[1] = atoms.positions[0] + [0.3 * CONTACT, 0.0, 0.0]
    assert not Guard(atoms).is_sane(CONTACT)
    atoms.set_constraint(FixAtoms([0, 1]))
    assert Guard(atoms).is_sane(CONTACT)
    assert search(atoms, steps=40).n_hops > 0


def test_images_count():
    atoms = Atoms("Cu2", [[0, 0, 0], [0, 0, 2.5]], cell=[9, 9, 5.0], pbc=True)
    guard = Guard(atoms)
    assert guard.is_sane(CONTACT)
    atoms.cell[2, 2] = 3.2  # 0.7 A from an image
    assert not guard.is_sane(CONTACT)


def test_contacts_of_a_start_denser_than_the_tables_say():
    """Reduced units under names of large atoms: a structure must not count as fused as a whole."""
    atoms = Atoms("Cs8", np.array(np.meshgrid(*[[0.0, 1.12]] * 3)).reshape(3, -1).T)
    assert Guard(atoms).is_sane(2.0 * contact_radii(atoms.numbers, None).mean())
