"""Forces and stresses are derivatives of the energy, in every geometry."""

from itertools import product

import cases
import jax
import numpy as np
import pytest
from ase import Atoms

from ase_learnedopt.adapter.calculators import Gupta, PotentialCalculator, StillingerWeber
from ase_learnedopt.potentials import images_for
from ase_learnedopt.precision import double_precision

GEOMETRIES = ("open", "nearest", "images", "rows")


def build(name, geometry):
    """Returns energy and forces as a function of positions, and positions, for a rattled system."""
    if geometry == "open":
        case = cases.OPEN[name]
        system, neighbors = cases.random_system(case, 12), None
        potential = case.build()
    else:
        case = cases.CUT[name]
        cell = cases.TILTED * (3.2 if geometry == "nearest" else 1.0)
        system = cases.random_system(case, 4 if geometry != "nearest" else 20, cell=cell, pbc=True)
        images = images_for(cell, system.pbc, case.cutoff)
        assert (images == (0, 0, 0)) == (geometry == "nearest")
        neighbors = cases.rows_for(system, case.cutoff + 0.1) if geometry == "rows" else None
        potential = case.build("nearest" if geometry == "nearest" else images)
    return (lambda positions: potential(positions, system, neighbors)), system.positions


@pytest.mark.parametrize(
    ("name", "geometry"),
    [
        *product(("lennard_jones", "morse", "gupta", "emt", "stillinger_weber"), GEOMETRIES),
        *product(("gupta of two", "gupta of three", "emt of three"), ("open", "rows")),
    ],
)
def test_forces_are_minus_the_gradient(name, geometry):
    with double_precision():
        evaluate, positions = build(name, geometry)
        evaluate = jax.jit(evaluate)
        _, forces = evaluate(positions)
        direction = np.random.default_rng(1).normal(size=positions.shape)
        step = 1e-5  # truncation 1e-10 and rounding 1e-15 / 1e-5, relative
        slope = (evaluate(positions + step * direction)[0] - evaluate(positions - step * direction)[0]) / (2 * step)
        assert np.abs(forces).max() > 0.01
        np.testing.assert_allclose(-np.sum(forces * direction), slope, rtol=1e-6)


@pytest.mark.parametrize("name", ["lennard_jones", "gupta of two", "emt of three", "stillinger_weber"])
def test_energy_can_be_differentiated(name):
    with double_precision():
        evaluate, positions = build(name, "images")
        forces = jax.jit(evaluate)(positions)[1]
        gradient = jax.jit(jax.grad(lambda x: evaluate(x)[0]))(positions)
        np.testing.assert_allclose(forces, -gradient, rtol=1e-9, atol=1e-9 * np.abs(forces).max())


CALCULATORS = {
    "lennard_jones": ("Ar", lambda: PotentialCalculator("lennard_jones", sigma=2.3, cutoff=5.0)),
    "morse": ("Ar", lambda: PotentialCalculator("morse", r0=2.6, cutoff=5.0)),
    "gupta": ("Cu", Gupta),
    "emt": ("Cu", lambda: PotentialCalculator("emt")),
    "stillinger_weber": ("Si", StillingerWeber),
}


@pytest.mark.parametrize("name", CALCULATORS)
def test_stress_is_the_strain_derivative(name):
    symbol, make = CALCULATORS[name]
    system = cases.random_system(cases.CUT[name], 4, cell=cases.TILTED, pbc=True)
    atoms = Atoms([symbol] * 4, system.positions, cell=cases.TILTED, pbc=True)
    atoms.calc = make()
    stress, step, numbers = atoms.get_stress(), 1e-5, []
    for i, j in ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1)):
        energies = []
        for sign in (1, -1):
            strain = np.eye(3)
            strain[i, j] += sign * step / 2
            strain[j, i] += sign * step / 2
            strained = atoms.copy()
            strained.set_cell(atoms.cell @ strain, scale_atoms=True)
            strained.calc = atoms.calc
            energies.append(strained.get_potential_energy())
        numbers.append((energies[0] - energies[1]) / (2 * step) / atoms.get_volume())
    np.testing.assert_allclose(stress, numbers, rtol=1e-6, atol=1e-7 * np.abs(stress).max())
