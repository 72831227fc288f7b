"""The parts a hop is made of: deformation, surroundings, moves, the exchange model, the portfolio."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import SYSTEMS, make_system, precision
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from ase_learnedopt.geometry import APART, minimum_image, pair_distances, pushed_apart, random_start
from ase_learnedopt.neighbors import neighbor_rows
from ase_learnedopt.optimizers import exchange, moves, portfolio
from ase_learnedopt.optimizers.deform import Deformation, deformation_value_and_gradient, ellipsoid
from ase_learnedopt.optimizers.environment import environment
from ase_learnedopt.optimizers.noise import to_normal, uniforms
from ase_learnedopt.optimizers.policy import warm_start

HEADS = warm_start()


def _noise(seed, *shapes):
    return uniforms(jax.random.PRNGKey(seed), jnp.float64, *shapes)


def _icosahedron(species=0):
    golden = (1 + 5**0.5) / 2
    shell = [[0, s, t * golden] for s in (-1, 1) for t in (-1, 1)]
    corners = np.array([np.roll(v, k) for v in shell for k in range(3)]) / np.sqrt(1 + golden**2)
    return make_system(1.08 * np.concatenate([[[0, 0, 0]], corners]), species)


@pytest.mark.parametrize("spread", [0.0, 0.5])
@pytest.mark.parametrize("exponent", [2.0, 4.0])
def test_deformation_gradient_is_the_slope_of_its_value(dtype, spread, exponent):
    system = make_system(**SYSTEMS["mixed"])
    metric = ellipsoid(to_normal(_noise(0, (9,))[0]), spread)
    deformation = Deformation(jnp.asarray(2.5), jnp.asarray(exponent), metric)

    def value(positions):
        return deformation_value_and_gradient(deformation, positions, system.species >= 0, 1.1, 0.7)

    np.testing.assert_allclose(jnp.linalg.det(metric), 1.0, rtol=1e-9)
    slope = jax.grad(lambda positions: value(positions)[0])(system.positions)
    np.testing.assert_allclose(value(system.positions)[1], slope, atol=1e-9)
    assert np.abs(slope).max() > 0.1


def test_icosahedron_has_twelve_and_six_neighbours(dtype):
    system = _icosahedron()
    surroundings = environment(system.positions, system)
    np.testing.assert_allclose(surroundings.coordination, [12] + [6] * 12 + [0], atol=1e-6)


@pytest.mark.parametrize("name", ["lj13", "mixed", "periodic", "slab"])
def test_surroundings_from_rows_are_those_from_all_pairs(dtype, name):
    system = make_system(**SYSTEMS[name])
    n = int(np.sum(np.asarray(system.species) >= 0))
    system = system._replace(
        **{key: getattr(system, key)[:n] for key in ("positions", "species", "movable", "radii")},
        cell=4.0 * system.cell,
    )
    rows = neighbor_rows(np.asarray(system.positions), np.asarray(system.cell), np.asarray(system.pbc), 4.0)
    pairs = environment(system.positions, system)
    listed = environment(system.positions, system, jax.tree.map(jnp.asarray, rows))
    for mine, other in zip(pairs, listed, strict=True):
        np.testing.assert_allclose(mine, other, atol=1e-9)


@settings(max_examples=8, deadline=None, derandomize=True)
@given(seed=st.integers(0, 1000))
def test_surroundings_do_not_change_under_rotation_translation_permutation(seed):
    with precision("float64"):
        system = make_system(**SYSTEMS["mixed"])
        rng = np.random.default_rng(seed)
        order = rng.permutation(len(system.species))
        turned = np.asarray(system.positions) @ Rotation.from_rotvec(rng.normal(size=3)).as_matrix().T + rng.normal(
            size=3
        )
        other = system._replace(species=system.species[order], radii=system.radii[order])
        features = environment(system.positions, system).features
        np.testing.assert_allclose(environment(jnp.asarray(turned[order]), other).features, features[order], atol=1e-9)


@pytest.mark.parametrize("name", ["lj13", "periodic", "slab"])
def test_random_start_is_where_it_says(dtype, name):
    system = make_system(**SYSTEMS[name])
    n = int(np.sum(np.asarray(system.species) >= 0))
    drawn = np.asarray(random_start(jax.random.PRNGKey(3), system))
    fixed = ~np.asarray(system.movable)
    np.testing.assert_array_equal(drawn[fixed], np.asarray(system.positions)[fixed])
    assert np.all(np.any(drawn != np.asarray(system.positions), axis=1)[~fixed])
    if name == "lj13":
        volume = n * (2 * float(system.radii[0])) ** 3 / np.sqrt(2)
        radius = (2 * volume * 3 / (4 * np.pi)) ** (1 / 3)
        assert 0.6 * radius < np.linalg.norm(drawn[:n], axis=1).max() <= radius
    if name == "periodic":
        turns = drawn[:n] @ np.linalg.inv(system.cell)
        assert turns.min() >= 0 and turns.max() <= 1


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), name=st.sampled_from(["lj13", "mixed", "periodic", "slab"]))
def test_atoms_pushed_apart_overlap_no_more(seed, name):
    with precision("float64"):
        system = make_system(**SYSTEMS[name])
        start = random_start(jax.random.PRNGKey(seed), system)
        apart = jax.jit(pushed_apart)(start, system)
        before, after = (_nearest(positions, system) for positions in (start, apart))
        stays = np.asarray((system.species < 0) | ~system.movable)
        np.testing.assert_array_equal(apart[stays], start[stays])
        assert after >= min(before, 0.9 * APART)


def test_atoms_that_do_not_overlap_are_left_where_they_are(dtype):
    system = _icosahedron()
    np.testing.assert_array_equal(pushed_apart(system.positions, system), system.positions)


def _nearest(positions, system):
    """Returns the smallest distance of two atoms, of which one can move, in contacts."""
    atoms, moves = np.asarray(system.species >= 0), np.asarray(system.movable)
    pairs = np.triu(atoms[:, None] & atoms[None, :] & (moves[:, None] | moves[None, :]), 1)
    contact = system.radii[:, None] + system.radii[None, :]
    return float(np.asarray(pair_distances(positions, positions, system.cell, system.pbc) / contact)[pairs].min())


def test_nearest_images_agree_with_a_search_over_images(dtype):
    cell = np.array([[4.0, 0, 0], [0.7, 4.4, 0], [0.3, -0.4, 5.0]])
    positions = np.random.default_rng(0).uniform(-8, 8, (10, 3))
    shifts = np.array([[i, j, 0] for i in range(-6, 7) for j in range(-6, 7)]) @ cell
    apart = positions[None, :, :] - positions[:, None, :]
    true = np.linalg.norm(apart[:, :, None, :] + shifts, axis=-1).min(axis=-1)
    pbc = jnp.array([True, True, False])
    mine = pair_distances(jnp.asarray(positions), jnp.asarray(positions), jnp.asarray(cell), pbc)
    near = true < 2.0
    np.testing.assert_allclose(np.asarray(mine)[near], true[near], atol=1e-9)
    rounded = minimum_image(jnp.asarray(apart), jnp.asarray(cell), pbc)
    np.testing.assert_allclose(np.linalg.norm(rounded, axis=-1), mine, atol=1e-9)


@pytest.mark.parametrize("seed", range(4))
def test_relocation_moves_one_atom_to_a_free_contact(dtype, seed):
    system = _icosahedron()
    surroundings = environment(system.positions, system)
    noise = _noise(seed, *moves.relocation_noise(len(system.species)))
    moved = moves.relocate(noise, HEADS["relocate"], system.positions, system, surroundings, 0.0, 0.5, 0.5)
    changed = np.flatnonzero(np.any(np.asarray(moved != system.positions), axis=1))
    assert len(changed) == 1
    assert changed[0] != 0, "the centre is the best bound atom"
    others = np.delete(np.arange(13), changed[0])
    distances = np.linalg.norm(np.asarray(moved)[changed[0]] - np.asarray(moved)[others], axis=1)
    contact = 2 * float(system.radii[0])
    np.testing.assert_allclose(distances.min(), contact, rtol=1e-9)
    way = np.linalg.norm(np.asarray(moved - system.positions)[changed[0]])
    assert way > moves.OWN_SITE * contact, "its own site is no new one"


@pytest.mark.parametrize("name", ["lj13", "mixed", "slab"])
def test_relocation_goes_on_to_other_atoms_that_can_move(dtype, name):
    system = make_system(**SYSTEMS[name])
    surroundings = environment(system.positions, system)
    noise = _noise(3, *moves.relocation_noise(len(system.species)))
    relocate = partial(moves.relocate, noise, HEADS["relocate"], system.positions, system, surroundings)
    one, many = (np.any(np.asarray(relocate(more, 0.5, 0.5) != system.positions), axis=1) for more in (0.0, 1.0))
    assert one.sum() == 1
    assert many.sum() == min(moves.MOST_RELOCATED, np.asarray(system.movable).sum())
    assert many[one].all(), "the first of them is the same"
    assert not many[~np.asarray(system.movable)].any()


def test_neighbourhood_shake_moves_the_neighbours_of_one_atom(dtype):
    system = make_system(**SYSTEMS["slab"])
    center, normals = _noise(0, (14,), (14, 3))
    amplitude = jnp.full((14,), 0.3)
    shaken = moves.shake_neighborhood(center, normals, system.positions, system, amplitude, 3)
    changed = np.any(np.asarray(shaken != system.positions), axis=1)
    assert changed.sum() == 3
    assert not changed[~np.asarray(system.movable)].any()


def test_exchange_swaps_one_unlike_pair_and_nothing_in_one_element(dtype):
    noise = _noise(1, *exchange.exchange_noise(14))
    model = exchange.init_model(jnp.float64)
    for name, swaps in (("mixed", True), ("lj13", False)):
        system = make_system(**SYSTEMS[name])
        surroundings = environment(system.positions, system)
        swapped, _ = exchange.exchange(noise, HEADS["exchange"], model, system.positions, system, surroundings, 0.3)
        changed = np.flatnonzero(np.any(np.asarray(swapped != system.positions), axis=1))
        assert len(changed) == (2 if swaps else 0)
        if swaps:
            assert len(set(np.asarray(system.species)[changed])) == 2
            np.testing.assert_array_equal(swapped[changed[0]], system.positions[changed[1]])


def test_exchange_model_learns_a_linear_rule(dtype):
    rng = np.random.default_rng(0)
    truth = rng.normal(size=exchange.N_PAIR_FEATURES)
    model = exchange.init_model(jnp.float64)
    for _ in range(300):
        features = 0.5 * rng.normal(size=exchange.N_PAIR_FEATURES)
        model = exchange.observe(model, jnp.asarray(features), jnp.asarray(features @ truth), True)
    np.testing.assert_allclose(np.linalg.solve(model.precision, model.response), truth, atol=0.1)
    ignored = exchange.observe(model, jnp.ones(exchange.N_PAIR_FEATURES), jnp.asarray(3.0), False)
    np.testing.assert_array_equal(ignored.precision, model.precision)


def test_pair_energy_is_the_dot_product_with_the_features(dtype):
    rng = np.random.default_rng(1)
    site = jnp.asarray(rng.normal(size=(3, 5)))
    coefficients = jnp.asarray(rng.normal(size=exchange.N_PAIR_FEATURES))
    table = exchange._pair_energy(coefficients, site)
    for a in range(5):
        features = exchange._pair_features(jnp.broadcast_to(site[:, a : a + 1], (3, 5)), site)
        np.testing.assert_allclose(table[a], features @ coefficients, atol=1e-12)


@pytest.mark.parametrize(("name", "favourite"), [("lj13", "compact"), ("mixed", "ellipsoid")])
def test_portfolio_starts_with_its_prior_and_follows_what_it_finds(dtype, name, favourite):
    system = make_system(**SYSTEMS[name])
    start = portfolio.init_portfolio(jnp.float64)
    silent = jnp.zeros(len(portfolio.ARMS) + 3)

    def shares(state):
        noise = _noise(0, (400, 3), (400, 10))
        arms = jax.vmap(lambda *n: portfolio.play(n, state, system, silent, explore=True)[0].arm)(*noise)
        return np.bincount(arms, minlength=len(portfolio.ARMS)) / 400

    first, _ = portfolio.play(_noise(5, (3,), (10,)), start, system, silent, explore=False)
    assert portfolio.ARMS[int(first.arm)] == favourite
    lowest = jnp.asarray(np.where(np.arange(3) == int(first.arm), -10.0, -14.0))
    played = start._replace(lowest=lowest)
    in_vain = portfolio.found(start._replace(arm=first.arm), jnp.asarray(jnp.inf), in_vain=True)
    for state in (played, in_vain):
        assert shares(state)[int(first.arm)] < 0.5 * shares(start)[int(first.arm)]
    given_up = portfolio.found(start._replace(arm=first.arm), jnp.asarray(jnp.inf), in_vain=False)
    np.testing.assert_array_equal(given_up.lowest, start.lowest)
    later = portfolio.found(in_vain, jnp.asarray(-14.0), in_vain=False)
    assert float(later.lowest[int(first.arm)]) == -14.0


@pytest.mark.parametrize("name", ["periodic", "slab"])
def test_what_is_not_a_cluster_is_not_deformed(dtype, name):
    system = make_system(**SYSTEMS[name])
    strong = jnp.concatenate([jnp.array([9.0, 0.0, 0.0]), jnp.ones(3)])
    _, deformation = portfolio.play(_noise(0, (3,), (10,)), portfolio.init_portfolio(jnp.float64), system, strong, True)
    assert float(deformation.strength) == 0.0
