"""Energies against independent programs and published numbers."""

import cases
import jax
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.lj import LennardJones
from ase.calculators.morse import MorsePotential
from ase.cluster import Icosahedron, Octahedron
from ase.optimize import LBFGS

from ase_learnedopt.adapter.calculators import Gupta, PotentialCalculator, StillingerWeber
from ase_learnedopt.potentials import emt, gupta_sets, gupta_table, reference_minimum
from ase_learnedopt.potentials.emt import CUTOFF
from ase_learnedopt.precision import double_precision

PAIRS = {
    "lennard_jones open": ("lennard_jones", {"epsilon": 0.7, "sigma": 2.3}, LennardJones, {"rc": 1e3}, None),
    "lennard_jones cut": ("lennard_jones", {"epsilon": 0.7, "sigma": 2.3, "cutoff": 6.0}, LennardJones, {"rc": 6.0}, 1),
    "morse open": ("morse", {"r0": 2.6, "rho0": 4.0}, MorsePotential, {"rcut1": 99.0, "rcut2": 100.0}, None),
    "morse cut": ("morse", {"r0": 2.6, "cutoff": 2.7 * 2.6, "switch_from": 1.9 * 2.6}, MorsePotential, {}, 1),
}


@pytest.mark.parametrize("case", PAIRS)
@pytest.mark.parametrize("pbc", [(True, True, True), (True, False, True)])
def test_pair_potentials_equal_those_of_ase(case, pbc):
    name, parameters, rival, extra, periodic = PAIRS[case]
    pbc = pbc if periodic else False
    system = cases.random_system(cases.OPEN[name], 4, cell=cases.TILTED, pbc=pbc)
    atoms = Atoms("Ar4", system.positions, cell=cases.TILTED, pbc=pbc)
    theirs = atoms.copy()
    atoms.calc = PotentialCalculator(name, **parameters)
    if name == "lennard_jones":
        shared = {"epsilon": 0.7, "sigma": 2.3, "smooth": False}
    else:
        shared = {"r0": 2.6, "rho0": parameters.get("rho0", 6.0)}
    theirs.calc = rival(**shared, **extra)
    # ASE shifts the pair energy to zero at its cutoff, which at 1000 Angstrom is 1e-16.
    assert atoms.get_potential_energy() == pytest.approx(theirs.get_potential_energy(), rel=1e-10)
    np.testing.assert_allclose(atoms.get_forces(), theirs.get_forces(), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(atoms.get_stress(), theirs.get_stress(), rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("elements", [("Pt",), ("Cu", "Ag"), ("Al", "Ni", "Pd", "Au")])
@pytest.mark.parametrize("pbc", [False, (True, False, True)])
def test_emt_equals_that_of_ase(elements, pbc):
    system = cases.random_system(cases.Case("emt", {"elements": elements}, CUTOFF), 4, cell=cases.TILTED, pbc=pbc)
    atoms = Atoms([elements[k % len(elements)] for k in range(4)], system.positions, cell=cases.TILTED, pbc=pbc)
    atoms.calc = EMT()
    species = np.array([elements.index(symbol) for symbol in atoms.symbols], np.int32)
    neighbors = cases.rows_for(system, CUTOFF + 0.1) if atoms.pbc.any() else None
    with double_precision():
        energy, forces = jax.jit(emt(elements))(system.positions, system._replace(species=species), neighbors)
    assert float(energy) == pytest.approx(atoms.get_potential_energy(), rel=1e-11)
    np.testing.assert_allclose(forces, atoms.get_forces(), rtol=1e-9, atol=1e-10)


def test_emt_of_atoms_alone_is_that_of_ase():
    atoms = Atoms("Cu3", [[0, 0, 0], [0, 0, 2.5], [0, 0, 20]])
    ours = atoms.copy()
    atoms.calc, ours.calc = EMT(), PotentialCalculator("emt")
    assert ours.get_potential_energy() == pytest.approx(atoms.get_potential_energy(), rel=1e-12)
    np.testing.assert_allclose(ours.get_forces(), atoms.get_forces(), rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("palladium", "energy"),
    [
        ((0, 1, 2), -18.893036),  # two of them opposite: C2v; Pittaway et al., J. Phys. Chem. C 113, 9141 (2009)
        ((0, 2, 4), -18.776212),  # one face: C3v
    ],
)
def test_gupta_pd3au3(palladium, energy):
    corners = 2.75 / np.sqrt(2) * np.array([[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]])
    atoms = Atoms(["Pd" if k in palladium else "Au" for k in range(6)], corners)
    atoms.calc = Gupta("pittaway-dft-fit")
    LBFGS(atoms, logfile=None).run(fmax=1e-4)
    assert atoms.get_potential_energy() == pytest.approx(energy, abs=1e-6)


COHESION = {  # eV per atom that Cleri & Rosato, Phys. Rev. B 48, 22 (1993), fitted to
    "Ni": 4.435, "Cu": 3.544, "Rh": 5.752, "Pd": 3.936, "Ag": 2.960, "Ir": 6.93, "Pt": 5.853, "Au": 3.779, "Al": 3.339,
    "Pb": 2.04,
}  # fmt: skip


@pytest.mark.parametrize("element", COHESION)
def test_gupta_cohesive_energies(element):
    atoms = bulk(element, "fcc", a=np.sqrt(2) * gupta_table([element]).r0[0, 0])
    atoms.calc = Gupta()
    assert atoms.get_potential_energy() == pytest.approx(-COHESION[element], rel=5e-3)


def test_silicon_crystal():
    atoms = bulk("Si", a=5.431)
    atoms.calc = StillingerWeber()
    assert atoms.get_potential_energy() / 2 == pytest.approx(-4.336600, abs=1e-6)
    assert np.abs(atoms.get_stress()).max() < 1e-4  # the lattice constant is the potential's own


def silicon_triplets(positions):
    """Computes the energy of a cluster by the paper's equations, one triplet at a time."""
    epsilon, sigma, a, lam, gamma, A, B = 2.1683, 2.0951, 1.8, 21.0, 1.2, 7.049556277, 0.6022245584
    vectors = positions[None] - positions[:, None]
    r = np.linalg.norm(vectors, axis=2) / sigma
    n, energy = len(r), 0.0
    for i in range(n):
        near = [j for j in range(n) if j != i and r[i, j] < a]
        energy += sum(0.5 * A * (B * r[i, j] ** -4 - 1) * np.exp(1 / (r[i, j] - a)) for j in near)
        for j in near:
            for k in (k for k in near if k > j):
                cosine = vectors[i, j] @ vectors[i, k] / (r[i, j] * r[i, k] * sigma**2)
                energy += lam * np.exp(gamma / (r[i, j] - a) + gamma / (r[i, k] - a)) * (cosine + 1 / 3) ** 2
    return epsilon * energy


def test_silicon_equals_the_sum_over_triplets():
    system = cases.random_system(cases.OPEN["stillinger_weber"], 14)
    atoms = Atoms("Si14", system.positions, calculator=StillingerWeber())
    assert atoms.get_potential_energy() == pytest.approx(silicon_triplets(system.positions), rel=1e-10)


@pytest.mark.parametrize(
    ("name", "start"),
    [
        ("lj13", Icosahedron("Ar", 2, latticeconstant=1.55)),
        ("lj38", Octahedron("Ar", 4, cutoff=1, latticeconstant=1.55)),
        ("lj55", Icosahedron("Ar", 3, latticeconstant=1.55)),
    ],
)
def test_lennard_jones_minima(name, start):
    atoms = Atoms(start.numbers, start.positions, calculator=PotentialCalculator("lennard_jones"))
    LBFGS(atoms, logfile=None, maxstep=0.05).run(fmax=1e-4, steps=200)
    assert atoms.get_potential_energy() == pytest.approx(reference_minimum(name), abs=2e-6)


def test_reference_minima():
    energies = [reference_minimum(f"lj{n}") for n in range(2, 151)]
    assert np.all(np.diff(energies) < 0)
    assert reference_minimum("Ag32Cu6") == pytest.approx(-101.2932)
    with pytest.raises(ValueError, match="lj151"):
        reference_minimum("lj151")


@pytest.mark.parametrize(
    ("elements", "expected"),
    [
        (("Cu",), "cleri-rosato"),
        (("Au", "Pd"), "pittaway-dft-fit"),
        (("Co",), "fe-co-ni"),
        (("Ag", "Au"), "ag-au-average"),
    ],
)
def test_default_parameters_are_verified(elements, expected):
    table = gupta_table(elements)
    assert table.parameter_set == expected
    assert gupta_sets()[expected]["verified"]
    np.testing.assert_array_equal(table.xi, table.xi.T)


@pytest.mark.parametrize(
    ("elements", "name", "message"),
    [
        (("Ag", "Cu"), None, "rossi-unverified"),
        (("Cu", "Au"), None, "there are cleri-rosato: Ni-Ni"),
        (("Xe",), None, "no verified Gupta parameter set for Xe"),
        (("Cu",), "nonsense", "nonsense"),
        (("Cu", "Ag"), "cleri-rosato", "has no Cu-Ag"),
        (("Cu", "Cu"), None, "different symbols"),
        ((), None, "different symbols"),
    ],
)
def test_missing_parameters_are_named(elements, name, message):
    with pytest.raises(ValueError, match=message):
        gupta_table(elements, name)
