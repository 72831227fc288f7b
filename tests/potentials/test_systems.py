"""Named systems come with the potential and the scales that fit them."""

import jax
import numpy as np
import pytest

from ase_learnedopt.potentials import SCALES, cluster_system, natural_scales


@pytest.mark.parametrize(
    ("name", "parameter_set", "species", "contact", "energy_scale"),
    [
        ("lj38", None, [38], 2 ** (1 / 6), 1.0),
        ("Ag32Cu6", "rossi-unverified", [32, 6], (2.8921 + 2.5562) / 2, 0.52),
        ("Pd3Au3", None, [3, 3], (2.7485 + 2.884) / 2, 0.63),
        ("sw-si64", None, [64], 2.35, 2.1683),
    ],
)
def test_named_systems(name, parameter_set, species, contact, energy_scale):
    potential, system = cluster_system(name, jax.random.PRNGKey(0), parameter_set=parameter_set)
    assert np.bincount(system.species).tolist() == species
    assert system.positions.dtype == system.length_scale.dtype == np.float32
    assert float(system.length_scale) == pytest.approx(contact, rel=1e-6)
    assert float(system.radii[0] + system.radii[-1]) == pytest.approx(contact, rel=1e-6)
    assert float(system.energy_scale) == pytest.approx(energy_scale, abs=0.01)
    energy, forces = jax.jit(potential)(system.positions, system)
    assert np.isfinite(energy)
    assert np.all(np.isfinite(forces))
    assert potential is cluster_system(name, parameter_set=parameter_set)[0]


def test_silicon_has_the_density_of_the_crystal():
    _, system = cluster_system("sw-si64")
    np.testing.assert_allclose(system.cell, np.eye(3) * 10.862, rtol=1e-6, atol=0)
    assert np.all(system.pbc)


@pytest.mark.parametrize("name", SCALES)
def test_scales_describe_the_dimer(name):
    scales = natural_scales(name)
    assert scales.radii == pytest.approx((scales.length_scale / 2,))
    assert scales.energy_scale > 0


@pytest.mark.parametrize(("name", "message"), [("water", "no system 'water'"), ("Ag32Cu6", "rossi-unverified")])
def test_errors(name, message):
    with pytest.raises(ValueError, match=message):
        cluster_system(name)
