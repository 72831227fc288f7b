"""A search in other scales knows what it would know had it begun in them."""

from dataclasses import replace
from functools import cache

import jax.numpy as jnp
import numpy as np
import pytest
from helpers import lennard_jones, make_system, precision

from ase_learnedopt.optimizers.energy_model import init_energy_model, learn, mean_coefficients
from ase_learnedopt.optimizers.host_start import start_learned_hop
from ase_learnedopt.optimizers.learned import load_policy
from ase_learnedopt.optimizers.model_energy import model_energy
from ase_learnedopt.optimizers.rescaling import rescaled_state
from ase_learnedopt.optimizers.scale_evidence import scaled

KEPT = ("best_energy", "best_positions", "positions", "current_energy", "run_best", "n_evaluations", "key", "deforming")


@cache
def search(length, energy, kinds=1):
    """Returns constants, parameters, a state in wrong scales, the system in right ones, and what was evaluated."""
    params, config = load_policy("learned_hop", "learned_hop")
    config = replace(config, kinds=kinds)
    rng = np.random.default_rng(5)
    with precision("float64"):
        x = np.array([[i, j, k] for i in range(3) for j in range(2) for k in range(2)]) * 1.12
        right = make_system(x, [0, 1] * 6 if kinds == 2 else 0, fixed=(0,))
        evaluations = []
        for spread in (0.15, 0.1, 0.05, 0.02):
            moved = np.asarray(right.positions + spread * rng.normal(size=right.positions.shape))
            value, forces = lennard_jones(jnp.asarray(moved), right)
            gradient = np.where(np.asarray(right.movable)[:, None], -np.asarray(forces), 0.0)
            evaluations.append((moved, float(value), gradient))
        right = right._replace(**{k: np.asarray(v) for k, v in right._asdict().items() if v is not None})
    state = start_learned_hop(params, config, np.array([3, 7], np.uint32), scaled(right, length, energy), 100.0)
    positions, lowest, _ = evaluations[-1]
    state = state._replace(
        positions=positions,
        best_positions=positions,
        best_energy=np.asarray(lowest),
        current_energy=np.asarray(lowest + 1.0),
        run_best=np.asarray(lowest),
        n_evaluations=np.asarray(4, np.int32),
        foresight=state.foresight._replace(n_imagined=np.asarray(3, np.int32)),
    )
    return config, params, state, right, evaluations


@pytest.mark.parametrize(("length", "energy", "kinds"), [(2.0, 0.1, 1), (0.6, 30.0, 1), (1.4, 3.0, 2)])
def test_model_is_that_learned_in_the_new_scales(length, energy, kinds):
    config, params, state, right, evaluations = search(length, energy, kinds)
    found = rescaled_state(config, params, state, right, evaluations).foresight
    assert found.n_imagined == 3
    with precision("float64"):
        system = right._replace(**{k: jnp.asarray(v) for k, v in right._asdict().items() if v is not None})
        expected = init_energy_model(kinds, jnp.float64, jnp, params["prior"])
        for x, value, gradient in evaluations:
            expected = learn(expected, jnp.asarray(x), jnp.asarray(value), jnp.asarray(gradient), system, kinds)
        information = expected.root.T @ expected.root
        np.testing.assert_allclose(found.model.root.T @ found.model.root, information, rtol=1e-8, atol=1e-8)
        for name in ("zero", "error", "size", "nearest"):
            np.testing.assert_allclose(getattr(found.model, name), getattr(expected, name), rtol=1e-8, err_msg=name)
        shaken = evaluations[-1][0] + 0.03 * np.random.default_rng(1).normal(size=evaluations[0][0].shape)
        of_both = [
            model_energy(model, mean_coefficients(model, np), jnp.asarray(shaken), system, kinds)
            for model in (found.model._replace(root=np.asarray(found.model.root)), expected)
        ]
        for a, b in zip(*of_both, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6)


def test_what_is_physical_is_kept():
    config, params, state, right, evaluations = search(2.0, 0.1)
    found = rescaled_state(config, params, state, right, evaluations)
    for name in KEPT:
        np.testing.assert_array_equal(getattr(found, name), getattr(state, name), err_msg=name)
    for name in ("radii", "length_scale", "energy_scale", "species", "movable"):
        np.testing.assert_array_equal(getattr(found.system, name), getattr(right, name), err_msg=name)


def test_relaxation_begins_again_as_one_in_the_new_scales():
    config, params, state, right, evaluations = search(2.0, 0.1)
    found = rescaled_state(config, params, state, right, evaluations).relax
    fresh = start_learned_hop(params, config, state.key, right, 100.0).relax
    np.testing.assert_array_equal(found.positions, state.positions)
    for name in ("inverse_curvature", "n_steps", "n_rejected", "weights", "value"):
        np.testing.assert_array_equal(getattr(found, name), getattr(fresh, name), err_msg=name)


def test_without_a_model_of_the_energy():
    config, params, state, right, evaluations = search(2.0, 0.1)
    assert rescaled_state(config, params, state._replace(foresight=None), right, evaluations).foresight is None
