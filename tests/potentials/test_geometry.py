"""The geometries agree with one another, and what must not matter does not."""

from itertools import product

import cases
import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from ase_learnedopt.potentials import gupta_table, images_for, lennard_jones, morse, natural_scales
from ase_learnedopt.potentials.emt_table import PARAMETERS
from ase_learnedopt.precision import double_precision
from ase_learnedopt.types import System

ALL = ("lennard_jones", "morse", "gupta of two", "emt of three", "stillinger_weber")


def repeated(system: System, times) -> System:
    """Returns a supercell, the first copy first."""
    cells = np.array(sorted(product(*map(range, times)), key=lambda step: (step != (0, 0, 0), step)))
    positions = (system.positions[None] + (cells @ system.cell)[:, None]).reshape(-1, 3)
    copied = {name: np.tile(getattr(system, name), len(cells)) for name in ("species", "movable", "radii")}
    return system._replace(positions=positions, cell=system.cell * np.array(times)[:, None], **copied)


@pytest.mark.parametrize("name", ALL)
def test_small_tilted_cell_equals_its_supercell(name):
    case = cases.CUT[name]
    small = cases.random_system(case, 4, cell=cases.TILTED, pbc=True)
    large = repeated(small, (3, 3, 3))
    with double_precision():
        images = images_for(small.cell, small.pbc, case.cutoff)
        dense = jax.jit(case.build(images))(small.positions, small)
        rows = jax.jit(case.build())(small.positions, small, cases.rows_for(small, case.cutoff))
        assert images_for(large.cell, large.pbc, case.cutoff) == (0, 0, 0)
        nearest = jax.jit(case.build("nearest"))(large.positions, large)
        for other, copies in ((rows, 1), (nearest, 27)):
            assert float(other[0]) == pytest.approx(copies * float(dense[0]), rel=1e-10)
            np.testing.assert_allclose(other[1][:4], dense[1], rtol=1e-8, atol=1e-9 * np.abs(dense[1]).max())


@pytest.mark.parametrize("pbc", list(product([False, True], repeat=3)))
def test_every_combination_of_open_directions(pbc):
    case = cases.CUT["gupta of two"]
    system = cases.random_system(case, 5, seed=4, cell=cases.TILTED, pbc=True)._replace(pbc=np.array(pbc))
    unwrapped = system.positions + 4.0 * np.outer(np.arange(5) - 2, np.array(pbc) @ cases.TILTED)
    many = list(product(*[range(-3, 4) if p else (0,) for p in pbc]))
    with double_precision():
        potential = jax.jit(case.build(images_for(system.cell, pbc, case.cutoff)))
        energy, forces = potential(system.positions, system)
        moved_energy, moved_forces = potential(unwrapped, system)
        rows_energy, rows_forces = jax.jit(case.build())(
            unwrapped, system, cases.rows_for(system._replace(positions=unwrapped), 5.0)
        )
    brute = gupta_by_hand(system, np.array(many), case.parameters["elements"])
    assert float(energy) == pytest.approx(brute, rel=1e-10)
    for other in (moved_energy, rows_energy):
        assert float(other) == pytest.approx(brute, rel=1e-10)
    for other in (moved_forces, rows_forces):
        np.testing.assert_allclose(other, forces, rtol=1e-7, atol=1e-8)


def gupta_by_hand(system, cells, elements):
    """Computes the energy with loops over cells; the quintic switch runs from 4.25 to 5 Angstrom."""
    table, total = gupta_table(elements), 0.0
    for i, a in enumerate(system.species):
        repulsion = density = 0.0
        for j, b in enumerate(system.species):
            for cell in cells:
                r = np.linalg.norm(system.positions[j] + cell @ system.cell - system.positions[i])
                if r == 0 or r >= 5.0:
                    continue
                t = np.clip((r - 4.25) / 0.75, 0, 1)
                weight, x = 1 - 10 * t**3 + 15 * t**4 - 6 * t**5, r / table.r0[a, b] - 1
                repulsion += weight * table.A[a, b] * np.exp(-table.p[a, b] * x)
                density += weight * table.xi[a, b] ** 2 * np.exp(-2 * table.q[a, b] * x)
        total += repulsion - np.sqrt(density)
    return total


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("geometry", ["open", "nearest", "rows"])
def test_rows_without_an_element_count_for_nothing(name, geometry):
    case = cases.OPEN[name] if geometry == "open" else cases.CUT[name]
    cell, pbc = (None, False) if geometry == "open" else (cases.TILTED * 3.2, True)
    system = cases.random_system(case, 10, cell=cell, pbc=pbc)
    extra = np.array([[0.0, 0.0, 0.0], [np.pi, 1e4, -3.0], [*system.positions[2]]])
    padded = system._replace(
        positions=np.insert(system.positions, 4, extra, axis=0),
        species=np.insert(system.species, 4, [-1, -1, -1]),
        radii=np.insert(system.radii, 4, np.ones(3)),
        movable=np.insert(system.movable, 4, np.ones(3, bool)),
    )
    real = padded.species >= 0
    with double_precision():
        potential = jax.jit(case.build("nearest" if geometry == "nearest" else None))
        rows = [cases.rows_for(s, case.cutoff) if geometry == "rows" else None for s in (system, padded)]
        energy, forces = potential(system.positions, system, rows[0])
        padded_energy, padded_forces = jax.device_get(potential(padded.positions, padded, rows[1]))
    assert float(padded_energy) == pytest.approx(float(energy), rel=1e-12)
    np.testing.assert_allclose(padded_forces[real], forces, rtol=1e-10, atol=1e-12)
    assert np.all(padded_forces[~real] == 0)


@pytest.mark.parametrize("name", ALL)
def test_single_precision_agrees(name):
    case = cases.CUT[name]
    double = cases.random_system(case, 20, cell=cases.TILTED * 2.6, pbc=True)
    single = cases.random_system(case, 20, cell=cases.TILTED * 2.6, pbc=True, dtype="float32")
    with double_precision():
        energy, forces = jax.jit(case.build("nearest"))(double.positions, double)
    single_energy, single_forces = jax.jit(case.build("nearest"))(single.positions, single)
    assert single_energy.dtype == single_forces.dtype == np.float32
    np.testing.assert_allclose(single_energy, energy, rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(single_forces, forces, rtol=1e-4, atol=1e-5 * np.abs(forces).max())


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("distance", [1e-3, 0.0])
def test_colliding_atoms_stay_finite_in_single_precision(name, distance):
    case = cases.OPEN[name]
    system = cases.random_system(case, 10, dtype="float32")
    system.positions[1] = system.positions[0] + np.float32([distance * case.scales.length_scale, 0, 0])
    potential = jax.jit(case.build())
    energy, forces = potential(system.positions, system)
    assert np.isfinite(energy)
    assert np.all(np.isfinite(forces))
    assert distance == 0 or forces[1, 0] > 1.0 > -1.0 > forces[0, 0]  # they repel


def test_core_changes_nothing_outside():
    system = cases.random_system(cases.OPEN["lennard_jones"], 2)
    with double_precision():
        soft, exact = (jax.jit(lennard_jones(core=core)) for core in (0.3, None))
        for r, same in ((0.301, True), (1.1, True), (0.29, False)):
            positions = np.array([[0.0, 0, 0], [r, 0, 0]])
            (energy, forces), (true_energy, true_forces) = soft(positions, system), exact(positions, system)
            assert (float(energy) == pytest.approx(float(true_energy), rel=1e-12)) == same
            assert bool(np.allclose(forces, true_forces, rtol=1e-12)) == same


@pytest.mark.parametrize("name", ALL)
def test_an_atom_alone_feels_nothing(name):
    case = cases.OPEN[name]
    system = cases.random_system(case, 1, dtype="float32")
    energy, forces = jax.jit(case.build())(system.positions, system)
    free = np.float32(-PARAMETERS["Al"][0]) if case.potential == "emt" else 0.0  # EMT counts from the crystal
    assert float(energy) == free
    np.testing.assert_array_equal(forces, np.zeros((1, 3)))


def test_untrusted_geometry_gives_nan():
    case = cases.CUT["lennard_jones"]
    system = cases.random_system(case, 4, cell=np.eye(3) * 9.9, pbc=True, dtype="float32")
    wider = system._replace(cell=system.cell * np.float32(1.02))
    for images, there, finite in (
        (None, system, False),
        ("nearest", system, False),
        ("nearest", wider, True),
        ((1, 1, 1), system, True),
    ):
        energy, _ = jax.jit(case.build(images))(there.positions, there)
        assert np.isfinite(energy) == finite
    metal = cases.random_system(cases.OPEN["gupta of two"], 4, dtype="float32")
    energy, _ = jax.jit(cases.OPEN["gupta"].build())(metal.positions, metal)
    assert np.isnan(energy)  # two species, parameters for one


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda s: lennard_jones(images="nearest")(s.positions, s), "need a finite cutoff"),
        (lambda s: morse()(s.positions, s, cases.rows_for(s, 3.0)), "need a finite cutoff"),
        (lambda s: lennard_jones(cutoff=3.0, images=(1, 1))(s.positions, s), r"not \(1, 1\)"),
        (lambda s: morse(cutoff=3.0, switch_from=3.0), "switch_from=3.0 must lie between"),
        (lambda s: morse(switch_from=3.0), "needs a cutoff"),
        (lambda s: images_for(np.eye(3), (True, True, True), None), "finite cutoff"),
        (lambda s: natural_scales("buckingham"), "no potential 'buckingham'"),
    ],
)
def test_errors(make, message):
    system = cases.random_system(cases.OPEN["lennard_jones"], 3, dtype="float32")
    with pytest.raises(ValueError, match=message):
        make(system)


COMPILED = {name: jax.jit(cases.OPEN[name].build()) for name in ALL}


@pytest.mark.parametrize("name", ALL)
@settings(max_examples=8, deadline=None, derandomize=True)
@given(
    angles=st.lists(st.floats(-3.0, 3.0), min_size=3, max_size=3),
    translation=st.lists(st.floats(-20.0, 20.0), min_size=3, max_size=3),
    mirror=st.booleans(),
    order=st.permutations(range(9)),
)
def test_rotation_translation_permutation(name, angles, translation, mirror, order):
    system = cases.random_system(cases.OPEN[name], 9)
    rotation = Rotation.from_euler("xyz", angles).as_matrix() * (-1.0 if mirror else 1.0)
    order = np.array(order)
    moved = (system.positions @ rotation.T + np.array([translation]))[order]
    with double_precision():
        energy, forces = jax.device_get(COMPILED[name](system.positions, system))
        moved_energy, moved_forces = COMPILED[name](moved, system._replace(species=system.species[order]))
    assert float(moved_energy) == pytest.approx(float(energy), rel=1e-10, abs=1e-10)
    np.testing.assert_allclose(moved_forces, (forces @ rotation.T)[order], rtol=1e-8, atol=1e-9 * np.abs(forces).max())
    np.testing.assert_allclose(np.sum(forces, axis=0), 0.0, atol=1e-10 * np.abs(forces).max())
