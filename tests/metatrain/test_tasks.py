"""Families of tasks: what a key draws, how it is padded, what is known of it, what is refused."""

from functools import partial

import jax
import numpy as np
import pytest

from ase_learnedopt.metatrain.tasks import FAMILIES, Task, draw_batch, draw_start, pad, rows_for
from ase_learnedopt.potentials import Scales, make_system, morse, reference_minimum

OPTIONS = {
    "lennard_jones": {"sizes": [13, 19]},
    "gupta": {"elements": ["Pd", "Pt"], "sizes": [13], "fractions": [0.0, 0.5, 0.52]},
    "morse": {"sizes": [13], "ranges": [3, 14]},
    "stillinger_weber": {"sizes": [8, 9], "densities": [1.0, 1.1]},
    "emt": {"elements": ["Cu", "Ag"], "sizes": [13]},
    "emt_crystals": {"elements": ["Pd"]},
    "emt_slabs": {"elements": ["Cu", "Pd"], "on_top": "Pd"},
}
KEYS = jax.random.split(jax.random.PRNGKey(3), 4)


def tasks(family, **options):
    return FAMILIES[family](**{**OPTIONS[family], **options})


@pytest.mark.parametrize("family", FAMILIES)
def test_a_key_is_a_start(family):
    for task in tasks(family)[:2]:
        one, again, other = (task.draw(key) for key in (KEYS[0], KEYS[0], KEYS[1]))
        assert one.positions.shape == (task.n_atoms, 3)
        np.testing.assert_array_equal(one.positions, again.positions)
        assert not np.allclose(one.positions, other.positions)
        energy, forces = jax.jit(task.potential)(one.positions, one)
        assert np.isfinite(energy)
        assert np.isfinite(forces).all()


@pytest.mark.parametrize("family", FAMILIES)
def test_padding_changes_no_energy(family):
    task = tasks(family)[0]
    batch = draw_batch(task, KEYS)
    assert batch.species.shape == (4, rows_for(task.n_atoms))
    plain, padded = task.draw(KEYS[1]), draw_batch(task, KEYS, rows=task.n_atoms + 11)
    energies, forces = jax.vmap(task.potential)(padded.positions, padded)
    energy, force = task.potential(plain.positions, plain)
    np.testing.assert_allclose(energies[1], energy, rtol=1e-4)
    np.testing.assert_allclose(forces[1, : task.n_atoms], force, rtol=1e-4, atol=1e-3 * np.abs(force).max())
    assert not forces[:, task.n_atoms :].any()
    assert not padded.movable[:, task.n_atoms :].any()


def test_names_are_unique_and_say_what_it_is():
    assert [t.name for t in tasks("lennard_jones")] == ["lj13", "lj19"]
    assert [t.name for t in tasks("gupta")] == ["Pt13", "Pd6Pt7", "Pd7Pt6"]
    assert [t.name for t in tasks("gupta", elements=["Cu"])] == ["Cu13"]
    assert [t.name for t in tasks("morse")] == ["morse13-rho3", "morse13-rho14"]
    assert [t.name for t in tasks("stillinger_weber")] == ["si8", "si8-density1.1", "si9", "si9-density1.1"]
    assert [t.name for t in tasks("stillinger_weber", start="liquid", densities=[1])] == ["si8-liquid", "si9-liquid"]


def test_what_compiles_together_shares_a_potential():
    for family in ("lennard_jones", "gupta"):
        assert len({t.potential for t in tasks(family)}) == len({t.potential for t in tasks(family) + tasks(family)})
    assert len({t.potential for t in tasks("gupta")}) == 1
    assert len({t.potential for t in tasks("morse")}) == 2


def test_references():
    assert tasks("lennard_jones")[1].reference == reference_minimum("lj19")
    known = tasks("gupta", elements=["Ag", "Cu"], sizes=[38], fractions=[32 / 38], parameter_set="rossi-unverified")
    assert known[0].name == "Ag32Cu6"
    assert known[0].reference == reference_minimum("Ag32Cu6")
    assert tasks("morse")[0].reference is None


def test_density_sets_the_cell():
    one, denser = (task.draw(KEYS[0]) for task in tasks("stillinger_weber")[:2])
    volumes = [float(np.linalg.det(system.cell)) for system in (one, denser)]
    assert volumes[0] / volumes[1] == pytest.approx(1.1, rel=1e-5)


def test_a_melt_is_a_liquid():
    (task,) = tasks("stillinger_weber", sizes=[64], densities=[1.0], start="liquid")
    system = draw_batch(task, KEYS, rows=64)
    energies = np.asarray(jax.vmap(task.potential)(system.positions, system)[0]) / 64
    # Liquid Stillinger-Weber silicon at this density and temperature: about -3.6 eV an atom, the crystal has -4.3366.
    assert np.all(energies > -3.9)
    assert np.all(energies < -3.2)
    assert not np.allclose(system.positions[0], system.positions[1])


@pytest.mark.parametrize(
    ("family", "options", "message"),
    [
        ("lennard_jones", {"sizes": [1000]}, "lj1000"),
        ("gupta", {"elements": ["Pd", "Pt", "Au"]}, "one or two elements, not Pd, Pt, Au"),
        ("gupta", {"fractions": [1.5]}, "must be between 0 and 1"),
        ("gupta", {"elements": ["Ag", "Cu"]}, "no verified Gupta parameter set"),
        ("stillinger_weber", {"start": "solid"}, "start is 'solid'; give random or liquid"),
    ],
)
def test_bad_options(family, options, message):
    with pytest.raises(ValueError, match=message):
        tasks(family, **options)


def test_too_few_rows():
    with pytest.raises(ValueError, match="lj13 has 13 atoms, more than rows=8"):
        draw_batch(tasks("lennard_jones")[0], KEYS, rows=8)


def test_a_family_of_ones_own(monkeypatch):
    def mine(sizes):
        potential = morse(rho0=4.0)
        systems = [make_system([0] * n, Scales(1.0, 1.0, (0.5,))) for n in sizes]
        return [Task(f"mine{len(s.species)}", potential, partial(draw_start, s)) for s in systems]

    monkeypatch.setitem(FAMILIES, "mine", mine)
    (task,) = FAMILIES["mine"](sizes=[5])
    assert draw_batch(task, KEYS).species.tolist()[0] == [0] * 5 + [-1] * 3
    assert pad(task.draw(KEYS[0]), 5).positions.shape == (5, 3)
