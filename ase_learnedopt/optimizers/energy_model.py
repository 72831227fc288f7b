"""A model of the energy that is learned within the run, from every evaluation. Layer 1.

Bayesian linear regression (Bishop 2006, section 3.3) of energies and forces on the features of `energy_features`. What
is kept of all evaluations is one triangular matrix, the square root of the precision of the coefficients beside their
mean, brought up to date by a QR decomposition (the square-root information filter, Bierman, Factorization Methods for
Discrete Sequential Estimation, 1977): float32 is enough for it. How far the model can be trusted is measured by how
well it foretold the forces of late, each before it was learned from.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy.linalg import solve_triangular

from ..geometry import free_part
from ..types import System
from .energy_features import feature_gradients, features, list_pairs, morse_coefficients, n_features

FORCE_NOISE = 0.05
FORCE_ERROR = 0.1
"""What the model leaves unexplained of a force: so many energy scales per length scale, and this share of it."""
WILD, HOPELESS = 20.0, 50.0
"""Energy scales per length scale: forces above the first count for ever less, above the second (rms) for nothing."""
ENERGY_NOISE = 0.1
"""Energy scales."""
PRECISION = 0.01
"""Of the coefficients where nothing was learned before."""
PRIORS = {1: "one kind", 2: "two kinds", 3: "three kinds"}
"""What the priors that can be learned are called, by the kinds of atoms that are told apart."""
CALM, TELLING = 3.0, 0.15
"""Rms force between which it tells whether the model is right."""
RECENT = 0.1
"""Weight of the last evaluation in the error."""


class EnergyModel(NamedTuple):
    """Holds what the coefficients are known by, and how well forces were foretold."""

    root: jax.Array  # [n_features + 1, n_features + 1] upper triangle, the last column belongs to the mean
    zero: jax.Array  # [] eV, the first energy, from which all are counted; infinity before
    error: jax.Array  # [] mean square error of forces foretold of late, in their noise
    size: jax.Array  # [] mean square of the same forces, likewise
    nearest: jax.Array  # [] contacts, the shortest distance learned from


def morse_priors() -> dict[str, np.ndarray]:
    """Returns by the names of `PRIORS` what is known if nothing was learned before: a Morse potential of all pairs."""
    return {name: _morse_prior(kinds).astype(np.float32) for kinds, name in PRIORS.items()}


def init_energy_model(kinds: int, dtype, xp=jnp, priors=None) -> EnergyModel:
    """Returns a model that knows only its prior.

    Args:
      kinds: of atoms that are told apart.
      dtype: of its arrays.
      xp: jax.numpy, or numpy.
      priors: square roots `[n_features + 1, n_features + 1]` of what is known, by the names of `PRIORS`; None, or
        more kinds than have one: a Morse potential between all pairs.
    """
    root = _morse_prior(kinds) if priors is None or kinds not in PRIORS else priors[PRIORS[kinds]]
    zero = xp.zeros((), dtype)
    return EnergyModel(xp.asarray(root, dtype), xp.full((), xp.inf, dtype), zero, zero, xp.ones((), dtype))


def _morse_prior(kinds: int) -> np.ndarray:
    k = n_features(kinds)
    root = np.sqrt(PRECISION) * np.eye(k + 1)
    root[:k, k] = root[:k, :k] @ morse_coefficients(kinds)
    return root


def mean_coefficients(model: EnergyModel, xp=jnp):
    """Returns the mean of the coefficients, `[n_features]`."""
    solve = jax.scipy.linalg.solve_triangular if xp is jnp else solve_triangular
    return solve(model.root[:-1, :-1], model.root[:-1, -1])


def learn(model: EnergyModel, positions, energy, gradient, system: System, kinds: int, xp=jnp) -> EnergyModel:
    """Returns the model after one more evaluation.

    Args:
      model: before it.
      positions: `[n_atoms, 3]` Angstrom.
      energy: `[]` eV; one that is not finite teaches nothing.
      gradient: `[n_atoms, 3]` eV/Angstrom, zero in rows that do not move.
      system: says what the rows are.
      kinds: of atoms that are told apart.
      xp: jax.numpy, or numpy.
    """
    dtype, moves = positions.dtype, (system.movable & (system.species >= 0)).astype(positions.dtype)
    n_moving = xp.maximum(xp.sum(moves), 1.0)
    p = features(positions, system, kinds, xp)
    slopes = feature_gradients(positions, system, kinds, xp) * system.length_scale
    if system.held is not None:
        slopes, gradient = free_part(system, slopes, xp), free_part(system, gradient, xp)
    g = gradient * (system.length_scale / system.energy_scale)
    zero = xp.where(xp.isfinite(model.zero), model.zero, energy)
    square = xp.sum(g * g, axis=1)
    mean_square = xp.sum(moves * square) / n_moving
    weight = moves / (FORCE_NOISE**2 + FORCE_ERROR**2 * square * (1.0 + square / WILD**2))
    wrong = xp.tensordot(mean_coefficients(model, xp), slopes, 1) - g
    error = xp.sum(weight[:, None] * wrong * wrong) / (3.0 * n_moving)
    size = xp.sum(weight * square) / (3.0 * n_moving)

    of_energy = 1.0 / xp.sqrt(ENERGY_NOISE**2 + mean_square)
    of_forces = xp.sqrt(weight)[:, None]
    rows = xp.concatenate([slopes, g[None]]) * of_forces[None]
    row = xp.append(p, (energy - zero) / system.energy_scale) * of_energy
    stacked = xp.concatenate([model.root, row[None], rows.reshape(len(rows), -1).T])
    root = xp.linalg.qr(stacked, mode="r")
    telling = (mean_square < CALM**2) & (mean_square > TELLING**2)
    pairs = list_pairs(positions, system, xp)
    shortest = xp.min(xp.where(pairs.valid, pairs.ratio, xp.inf))

    def recent(old, new):
        return xp.where(telling, (1.0 - RECENT) * old + RECENT * xp.minimum(new, 100.0), old)

    nearest = xp.where(mean_square < WILD**2, xp.minimum(model.nearest, shortest), model.nearest)
    learned = EnergyModel(root, zero, recent(model.error, error), recent(model.size, size), nearest)
    usable = xp.isfinite(energy) & (mean_square < HOPELESS**2) & xp.all(xp.isfinite(root))
    return jax.tree.map(lambda new, old: xp.where(usable, new, old).astype(dtype), learned, model)
