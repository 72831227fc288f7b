"""Hops tried in the model of the energy: what they save, what they leave alone, and what is remembered of them."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import lennard_jones, make_system, precision

from ase_learnedopt.optimizers.foresight import ALIKE, N_KNOWN, came_true, init_foresight, recall, remember
from ase_learnedopt.optimizers.hop_relaxation import advance_relaxation, fresh_relaxation
from ase_learnedopt.optimizers.hop_state import LearnedHopConfig, foresees, is_trusted
from ase_learnedopt.optimizers.imagine import imagine
from ase_learnedopt.optimizers.learned_hop import learned_hop
from ase_learnedopt.optimizers.policy import warm_start
from ase_learnedopt.types import HOP, MINIMUM, MODEL

LOWEST = -44.326801
"""Energy of the icosahedron of thirteen Lennard-Jones atoms."""
FE = 50


@cache
def _searches(imagined, n_seeds=8):
    """Returns energies and events `[n_seeds, FE]` of searches for LJ13, and their forecasts."""
    config = LearnedHopConfig(imagined=imagined, kinds=1)
    optimizer = learned_hop(None, config)

    def one(key):
        start = jax.random.uniform(key, (13, 3), minval=-1.8, maxval=1.8)
        system = make_system(np.zeros((13, 3)))
        system = system._replace(positions=system.positions.at[:13].set(start))

        def step(state, _):
            energy, forces = lennard_jones(state.positions, state.system)
            forecast = jnp.inf if state.foresight is None else state.foresight.forecast
            new = optimizer.update(state, energy, forces)
            return new, (energy, optimizer.advance(state, energy, forces).event, forecast)

        return jax.lax.scan(step, optimizer.init(key, system), None, length=FE)[1]

    with precision("float64"):
        keys = jax.random.split(jax.random.PRNGKey(3), n_seeds)  # one by one: together each waits for all
        return jax.tree.map(np.asarray, jax.jit(lambda k: jax.lax.map(one, k))(keys))


def _evaluations(imagined):
    energies = _searches(imagined)[0]
    hit = energies < LOWEST + 1e-3
    return np.where(hit.any(axis=1), hit.argmax(axis=1) + 1, FE)


@pytest.mark.slow
def test_saves_evaluations():
    assert np.mean(_evaluations(128)) < 0.6 * np.mean(_evaluations(0))


@pytest.mark.slow
def test_forecasts_come_true():
    energies, events, forecasts = _searches(128)
    arrived = (events == MINIMUM) & np.isfinite(forecasts)
    assert arrived.sum() > 30
    assert np.median(np.abs(energies - forecasts)[arrived]) < 0.1


def _state(config, positions, evaluations=30, **changes):
    """Returns the state of a search at a cluster it has relaxed, with a model that has seen so many geometries."""
    optimizer, system = learned_hop(None, config), make_system(positions)
    state = optimizer.init(jax.random.PRNGKey(0), system)

    def step(state, _):
        return optimizer.update(state, *lennard_jones(state.positions, state.system)), None

    return jax.jit(lambda s: jax.lax.scan(step, s, None, length=evaluations)[0])(state)._replace(**changes)


def _cluster():
    grid = np.array([[i, j, k] for i in range(3) for j in range(2) for k in range(2)]) * 1.12
    return grid + 0.02 * np.random.default_rng(0).normal(size=grid.shape)


CONFIG = LearnedHopConfig(kinds=1)


@cache
def _searched():
    return _state(CONFIG, _cluster())


def test_a_model_not_trusted_changes_nothing():
    with precision("float64"):
        state = _searched()
        model = state.foresight.model._replace(error=10.0 * state.foresight.model.size + 1.0)
        state = state._replace(
            foresight=state.foresight._replace(model=model),
            event=jnp.asarray(HOP, jnp.int32),
            n_evaluations=jnp.asarray(50, jnp.int32),
        )
        assert not bool(is_trusted(CONFIG, state))
        after = imagine(CONFIG, warm_start(), state)
        np.testing.assert_array_equal(after.positions, state.positions)
        assert not bool(after.pending)
        assert not np.isfinite(after.foresight.forecast)
        assert np.all(np.isnan(after.foresight.asked))


@pytest.mark.parametrize(("stretch", "in_vain"), [(1.0, True), (1.1, False)])
def test_a_hop_to_nothing_is_in_vain(stretch, in_vain):
    """Back to where the search is a hop is in vain; down from a stretched cluster it is worth its evaluations."""
    with precision("float64"):
        state = _searched()
        model = state.foresight.model._replace(error=jnp.asarray(0.0), size=jnp.asarray(1.0))
        here = stretch * state.best_positions
        state = state._replace(
            foresight=state.foresight._replace(model=model, known=jnp.full_like(state.foresight.known, jnp.nan)),
            positions=here,
            current_energy=state.best_energy,
            current_positions=here,
            event=jnp.asarray(HOP, jnp.int32),
            n_evaluations=jnp.asarray(50, jnp.int32),
            deforming=jnp.zeros((), bool),
            pending=jnp.zeros((), bool),
        )
        after = imagine(CONFIG, warm_start(), state)
        assert bool(after.pending) == bool(after.gave_up) == in_vain
        assert int(after.foresight.n_imagined) == int(in_vain)
        assert bool(np.isfinite(after.foresight.forecast)) != in_vain


@pytest.mark.parametrize(
    ("error", "best", "rms", "ends"),
    [
        (0.01, False, 0.1, True),
        (0.2, False, 0.1, False),  # trusted, and not in full
        (10.0, False, 0.1, False),
        (0.01, True, 0.1, False),
        (0.01, True, 0.045, True),
        (0.2, True, 0.045, False),
        (0.01, False, 0.2, False),
        (10.0, False, 0.03, True),
    ],
)
def test_where_the_model_is_used_only_the_lowest_minimum_is_relaxed_to_the_end(error, best, rms, ends):
    with precision("float64"):
        state = _searched()
        size = jnp.asarray(1.0)
        model = state.foresight.model._replace(error=error * size, size=size)
        state = state._replace(
            foresight=state.foresight._replace(model=model),
            relax=fresh_relaxation(CONFIG, state.system, state.positions),
            deforming=jnp.zeros((), bool),
            pending=jnp.zeros((), bool),
            n_evaluations=jnp.asarray(50, jnp.int32),
            current_energy=jnp.asarray(np.inf),
            best_energy=jnp.asarray(-10.0),
        )
        energy = jnp.asarray(-11.0 if best else -9.0)
        unit = state.system.energy_scale / state.system.length_scale
        forces = jnp.where((state.system.species >= 0)[:, None], rms / np.sqrt(3.0) * unit, 0.0)
        forces = jnp.broadcast_to(forces, state.positions.shape)
        after = advance_relaxation(CONFIG, warm_start(), state, energy, forces)
        assert (int(after.event) == MINIMUM) == ends
        imagined = advance_relaxation(CONFIG, warm_start(), state, energy, forces, imagined=True)
        assert (int(imagined.event) == MINIMUM) == (rms < CONFIG.tolerance)


def test_hops_in_vain_in_a_row_are_bounded():
    config = LearnedHopConfig(kinds=1, most_imagined=3)
    with precision("float64"):
        state = _state(config, _cluster(), 60)
        assert int(state.foresight.n_imagined) <= 3
        assert not bool(state.pending)


@pytest.mark.parametrize(("config", "expected"), [(LearnedHopConfig(), True), (LearnedHopConfig(imagined=13), False)])
def test_only_small_systems_are_imagined(config, expected):
    with precision("float64"):
        system = make_system(_cluster())
        state = learned_hop(None, config).init(jax.random.PRNGKey(0), system)
        assert foresees(config, system) == expected == (state.foresight is not None)
        cell = system._replace(cell_factor=jnp.asarray(12.0))
        assert not foresees(config, cell)


def test_what_was_paid_for_is_remembered():
    with precision("float64"):
        foresight = init_foresight(1, jnp.float64)
        rows = np.random.default_rng(0).normal(size=(N_KNOWN + 3, foresight.asked.shape[0])) * 10.0
        for k, row in enumerate(rows):
            foresight = remember(foresight._replace(asked=jnp.asarray(row)), jnp.asarray(float(k)))
        for k, row in enumerate(rows):
            known, outcome = recall(foresight, jnp.asarray(row + 0.9 * ALIKE))
            assert bool(known) == (k >= 3)
            if k >= 3:
                assert float(outcome) == k
        assert not bool(recall(foresight, jnp.asarray(rows[-1] + 1.1 * ALIKE))[0])
        free = foresight._replace(n_imagined=jnp.asarray(2, jnp.int32), asked=jnp.asarray(rows[0]))
        jax.tree.map(np.testing.assert_array_equal, remember(free, jnp.asarray(1.0)), free)


def test_error_of_forecasts():
    with precision("float64"):
        system, minimum = make_system(_cluster()), jnp.ones((), bool)
        foresight = init_foresight(1, jnp.float64)._replace(forecast=jnp.asarray(-10.0))
        for _ in range(30):
            foresight = came_true(foresight, jnp.asarray(-9.9), system, minimum)
        np.testing.assert_allclose(foresight.error, 0.1, atol=1e-3)
        unforeseen = foresight._replace(forecast=jnp.asarray(jnp.inf))
        assert float(came_true(unforeseen, jnp.asarray(-9.0), system, minimum).error) == float(foresight.error)
        assert float(came_true(foresight, jnp.asarray(-9.0), system, ~minimum).error) == float(foresight.error)


def test_within_a_relaxation_the_tilt_is_right():
    """Where the model and its tilt agree with the energy to first order, a relaxed geometry stays where it is."""
    with precision("float64"):
        state = _state(CONFIG, _cluster(), 25)
        model = state.foresight.model._replace(error=jnp.asarray(0.0), size=jnp.asarray(1.0))
        state = state._replace(
            foresight=state.foresight._replace(model=model),
            relax=state.relax._replace(gradient=jnp.zeros_like(state.positions), n_rejected=jnp.zeros((), jnp.int32)),
            event=jnp.asarray(MODEL, jnp.int32),
            pending=jnp.ones((), bool),
            deforming=jnp.zeros((), bool),
        )
        after = imagine(CONFIG, warm_start(), state)
        np.testing.assert_allclose(after.positions, state.relax.positions, atol=1e-6)
