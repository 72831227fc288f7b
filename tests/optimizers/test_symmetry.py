"""Symmetric starts: that they have the symmetry they were drawn with, and only where it is possible."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import SYSTEMS, make_system, precision
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from ase_learnedopt.geometry import minimum_image, random_start
from ase_learnedopt.optimizers import lattice, symmetry
from ase_learnedopt.optimizers.noise import uniforms
from ase_learnedopt.optimizers.symmetry import OPERATIONS, START_NOISE, init_operations, relaxed, symmetric_start

N_ROWS = 110
TURN = {"2-fold axis": 2, "3-fold axis": 3, "4-fold axis": 4, "5-fold axis": 5}


draw_start = jax.jit(symmetric_start)
draw_translations = jax.jit(lattice.random_translations)


def _system(species, pbc=False, edge=9.0):
    n = len(species)
    cell = edge * np.eye(3) if pbc else None
    system = make_system(np.zeros((n, 3)), 0, cell=cell, pbc=pbc, n_rows=N_ROWS)
    return system._replace(species=system.species.at[:n].set(jnp.asarray(species, jnp.int32)))


def _start(system, seed, lowest=None):
    dtype = system.positions.dtype
    key, key_noise = jax.random.split(jax.random.PRNGKey(seed))
    operations = init_operations(dtype)
    if lowest is not None:
        operations = operations._replace(lowest=jnp.asarray(lowest, dtype))
    return draw_start(key, uniforms(key_noise, dtype, *START_NOISE), operations, system)


def _matrix(operation):
    if operation == "none":
        return np.eye(3)
    if operation == "inversion":
        return -np.eye(3)
    if operation == "reflection":
        return np.diag([1.0, 1.0, -1.0])
    angle = 2 * np.pi / TURN[operation]
    return np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1.0]])


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), counts=st.lists(st.integers(1, 30), min_size=1, max_size=3))
def test_an_operation_maps_a_cluster_onto_itself(seed, counts):
    species = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    with precision("float64"):
        positions, operation = _start(_system(species), seed)
    positions = np.asarray(positions)[: len(species)]
    turned = positions @ _matrix(OPERATIONS[int(operation)]).T
    for element in range(len(counts)):
        mine = species == element
        distances = cdist(positions[mine], turned[mine])
        assert distances.min(axis=0).max() < 1e-6 and distances.min(axis=1).max() < 1e-6


def test_every_operation_is_drawn_and_those_that_found_less_are_drawn_less(dtype):
    system = _system([0] * 13)
    drawn = np.bincount([int(_start(system, seed)[1]) for seed in range(200)], minlength=len(OPERATIONS))
    assert drawn.min() > 0
    known = np.full(len(OPERATIONS), 10.0 * float(system.energy_scale))
    known[3] = 0.0
    assert np.mean([int(_start(system, seed, known)[1]) == 3 for seed in range(200)]) > 0.7


def test_only_the_operation_of_the_start_is_credited(dtype):
    operations = init_operations(dtype)._replace(last=jnp.asarray(2, jnp.int32))
    once = relaxed(operations, jnp.asarray(-3.0, dtype), jnp.asarray(True))
    again = relaxed(once, jnp.asarray(-2.0, dtype), jnp.asarray(True))
    assert float(again.lowest[2]) == -3.0 and np.isinf(np.delete(np.asarray(again.lowest), 2)).all()
    unchanged = relaxed(operations, jnp.asarray(-3.0, dtype), jnp.asarray(False))
    assert np.isinf(np.asarray(unchanged.lowest)).all()


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    counts=st.sampled_from([(64,), (16, 32), (12,), (9, 27), (8,), (100,), (30, 60, 15)]),
    skew=st.booleans(),
)
def test_translations_map_a_cell_onto_itself_and_are_a_group(seed, counts, skew):
    rng = np.random.default_rng(seed)
    species = rng.permutation(np.repeat(np.arange(len(counts)), counts))
    with precision("float64"):
        system = _system(species, pbc=True)
        if skew:
            system = system._replace(cell=system.cell + jnp.asarray(rng.normal(size=(3, 3))))
        kinds = symmetry._by_element(system)
        noise = uniforms(jax.random.split(jax.random.PRNGKey(seed))[1], jnp.float64, *START_NOISE)
        shifts, n_copies = draw_translations(noise[2:], kinds.counts, system)
        positions = _start(system, seed)[0]
        shifts = np.asarray(shifts)[: int(n_copies)]
        assert len(species) / len(shifts) <= lattice.MOST_FREE and all(count % len(shifts) == 0 for count in counts)

        def apart(a, b):
            away = minimum_image(jnp.asarray(b[None] - a[:, None]), system.cell, system.pbc)
            return np.linalg.norm(np.asarray(away), axis=-1)

        assert np.all(np.sum(apart(shifts, shifts) < 1e-6, axis=1) == 1), "no translation comes twice"
        for shift in shifts:
            assert apart(shifts + shift, shifts).min(axis=1).max() < 1e-6
            for element in range(len(counts)):
                mine = np.asarray(positions)[: len(species)][species == element]
                assert apart(mine + shift, mine).min(axis=1).max() < 1e-6


@pytest.mark.parametrize("counts", [(67,), (31, 37), (7, 60), (1,)])
def test_a_cell_whose_atoms_can_be_no_copies_is_filled_at_random(dtype, counts):
    system = _system(np.repeat(np.arange(len(counts)), counts), pbc=True)
    assert not bool(symmetry.can_be_copies(system))
    key = jax.random.split(jax.random.PRNGKey(5))[0]
    np.testing.assert_allclose(_start(system, 5)[0], random_start(key, system))


@pytest.mark.parametrize("name", ["slab", "padded"])
def test_what_is_fixed_and_what_is_no_atom_stays(dtype, name):
    system = make_system(**SYSTEMS["slab" if name == "slab" else "lj13"])
    if name == "padded":
        system = system._replace(species=system.species.at[-2:].set(-1))
    stays = np.asarray((system.species < 0) | ~system.movable)
    positions = np.asarray(_start(system, 1)[0])
    assert stays.any() and np.isfinite(positions).all()
    np.testing.assert_array_equal(positions[stays], np.asarray(system.positions)[stays])
