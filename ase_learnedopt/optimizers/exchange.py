"""Exchange of two unlike atoms, chosen by a model of the energy change that is learned within the run. Layer 1.

A Bayesian linear regression (Bishop 2006, eqs. 3.50-3.51) of the energy change on six features of the pair of sites,
fed with the exchanges already paid for; its coefficients are Thompson-sampled (Thompson 1933), the pair is then drawn
by a softmax. A system of one element is simply never exchanged.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from ..geometry import has_element
from ..types import System
from .environment import Environment
from .kinds import SIMILAR
from .networks import apply_head
from .noise import to_gumbel, to_normal

N_PAIR_FEATURES = 7
NOISE = 0.3
"""Standard deviation, in energy scales, of what the model leaves unexplained."""
MAX_SITES = 64
"""Pairs are scored among at most this many atoms, drawn anew at each exchange."""


class ExchangeModel(NamedTuple):
    """Holds the posterior over the coefficients."""

    precision: jax.Array  # [N_PAIR_FEATURES, N_PAIR_FEATURES]
    response: jax.Array  # [N_PAIR_FEATURES] precision times mean


def init_model(dtype) -> ExchangeModel:
    """Returns the prior: coefficients of mean zero and variance one, in energy scales."""
    return ExchangeModel(jnp.eye(N_PAIR_FEATURES, dtype=dtype), jnp.zeros((N_PAIR_FEATURES,), dtype))


def observe(model: ExchangeModel, features, energy_change, where) -> ExchangeModel:
    """Adds, if `where`, an exchange with `features` `[N_PAIR_FEATURES]` and `energy_change` `[]` in energy scales."""
    features = jnp.where(where, features, 0.0)
    energy_change = jnp.where(where, jnp.clip(energy_change, -5.0, 5.0), 0.0)
    return ExchangeModel(
        model.precision + features[:, None] * features[None, :] / NOISE**2,
        model.response + features * energy_change / NOISE**2,
    )


def exchange_noise(n_atoms: int) -> tuple:
    """Returns the shapes of the uniforms that `exchange` needs."""
    return (N_PAIR_FEATURES,), (n_atoms,), (n_atoms,)


def exchange(noise, head, model: ExchangeModel, positions, system: System, surroundings: Environment, temperature):
    """Swaps the positions of two unlike movable atoms of similar size.

    Every site proposes its best partner under sampled coefficients plus noise on both sites; the head has its say in
    the choice among these pairs. Returns the new positions `[n_atoms, 3]` and the features `[N_PAIR_FEATURES]` of the
    pair that was swapped.
    """
    n = positions.shape[0]
    for_coefficients, for_first, for_second = noise
    eligible = has_element(system) & system.movable
    n_sites = min(n, MAX_SITES)
    sites = jnp.arange(n) if n <= MAX_SITES else jax.lax.top_k(jnp.where(eligible, for_first, -1.0), n_sites)[1]
    species, eligible = system.species[sites], eligible[sites]
    radii = system.radii[sites]
    similar = jnp.maximum(radii[:, None], radii[None, :]) <= SIMILAR * jnp.minimum(radii[:, None], radii[None, :])
    allowed = eligible[:, None] & eligible[None, :] & (species[:, None] < species[None, :]) & similar

    coefficients = _sample(model, to_normal(for_coefficients))
    site = jnp.stack([surroundings.coordination / 12.0, surroundings.unlike, surroundings.place])[:, sites]
    energy = _pair_energy(coefficients, site)
    luck = to_gumbel(for_first[sites])[:, None] + to_gumbel(for_second[sites])[None, :]
    score = jnp.where(allowed, luck - energy / temperature, -jnp.inf)
    partner = jnp.argmax(score, axis=1)
    features = _pair_features(site, site[:, partner])
    score = jnp.max(score, axis=1) + apply_head(head, features)[:, 0]
    first = jnp.argmax(score)
    a, b = sites[first], sites[partner[first]]
    row = jnp.arange(n)[:, None]
    swapped = jnp.where(row == a, positions[b][None, :], jnp.where(row == b, positions[a][None, :], positions))
    return jnp.where(jnp.any(allowed), swapped, positions), features[first]


def _sample(model: ExchangeModel, normals):
    """Draws coefficients `[N_PAIR_FEATURES]` from the posterior."""
    root = jnp.linalg.cholesky(model.precision)
    mean = jax.scipy.linalg.cho_solve((root, True), model.response)
    return mean + jax.scipy.linalg.solve_triangular(root.T, normals, lower=False)


def _pair_features(first, second):
    """Returns features `[n_pairs, N_PAIR_FEATURES]` of exchanging atoms at sites described by `[3, n_pairs]` each."""
    step, way = first[0] - second[0], first[2] - second[2]
    return jnp.stack([step, first[1], second[1], way, step * way, first[1] * second[1], jnp.ones_like(step)], axis=-1)


def _pair_energy(c, site):
    """Returns `[n_sites, n_sites]` the model's energy change, the dot product of `c` with `_pair_features`."""
    step = site[0][:, None] - site[0][None, :]
    way = site[2][:, None] - site[2][None, :]
    first, second = site[1][:, None], site[1][None, :]
    return c[0] * step + c[1] * first + c[2] * second + way * (c[3] + c[4] * step) + c[5] * first * second + c[6]
