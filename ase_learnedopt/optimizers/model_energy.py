"""The energy of the learned model and its gradient, for the many evaluations of a relaxation in it. Layer 1.

What `coefficients @ features` of `energy_features` is, summed over the features before anything else: every pair of
atoms is gone through once, whatever the number of features.
"""

import jax.numpy as jnp

from ..types import System
from .energy_features import (
    DENSITY_RATES,
    MIXING,
    NEAREST,
    RATES,
    Pairs,
    decays,
    embeddings,
    ending,
    exponentials,
    kind_of_atoms,
    list_pairs,
    mixes,
    pairs_of_kinds,
)
from .energy_model import EnergyModel

CORE = 4e3
"""Stiffness, in energy scales per contact squared, below all distances that were learned from."""


def model_energy(model: EnergyModel, coefficients, positions, system: System, kinds: int):
    """Returns the energy of a geometry in the model, and its gradient.

    Args:
      model: says below which distance nothing is known.
      coefficients: `[n_features]`, its mean.
      positions: `[n_atoms, 3]` Angstrom.
      system: says what the rows are.
      kinds: of atoms that are told apart.

    Returns:
      `[]` eV, counted from `model.zero`, and `[n_atoms, 3]` eV/Angstrom.
    """
    pairs, of_kind = list_pairs(positions, system), kind_of_atoms(system, kinds)
    end = 1 + len(RATES) * (kinds * (kinds + 1) // 2)
    of_pairs, of_densities = (
        _of_pairs(coefficients[1:end], pairs, of_kind),
        _of_densities(coefficients[end:], pairs, of_kind),
    )
    core = _core(model, pairs)
    value = coefficients[0] * jnp.sum(of_kind) + of_pairs[0] + of_densities[0] + core[0]
    along = (of_pairs[1] + of_densities[1] + core[1]) / pairs.distance
    gradient = -jnp.stack([jnp.sum(along * x, axis=1) for x in pairs.away], axis=1)
    return system.energy_scale * value, system.energy_scale * gradient


def _of_pairs(coefficients, pairs: Pairs, of_kind):
    """Returns what pair functions come to `[]`, and its slope `[n_atoms, n_atoms]` per Angstrom of all distances."""
    weights = coefficients.reshape(-1, len(RATES)) @ jnp.asarray(MIXING.T, coefficients.dtype)
    ratio, masks = jnp.maximum(pairs.ratio, NEAREST), pairs_of_kinds(of_kind)
    end, fall = ending(ratio)
    values, slopes = jnp.zeros_like(ratio), jnp.zeros_like(ratio)
    for k, (rate, decay) in enumerate(zip(RATES, decays(RATES, ratio), strict=True)):
        weight = sum(weights[p, k] * mask for p, mask in enumerate(masks))
        value = jnp.where(pairs.valid, weight * decay, 0.0)
        values, slopes = values + value, slopes - rate * value
    slope = jnp.where(pairs.ratio > NEAREST, (values * fall + slopes * end) / pairs.contact, 0.0)
    return 0.5 * jnp.sum(values * end), slope


def _of_densities(coefficients, pairs: Pairs, of_kind):
    """Returns the part of the embedded densities, and its slope, as `_of_pairs` does."""
    total, along = jnp.zeros_like(pairs.ratio[0, 0]), jnp.zeros_like(pairs.ratio)
    densities, thinning = exponentials(DENSITY_RATES, pairs)
    masks = mixes(of_kind)
    shape = (len(masks), 2, of_kind.shape[1], len(DENSITY_RATES))
    for mask, of_functions in zip(masks, coefficients.reshape(shape), strict=True):
        read = embeddings(jnp.sum(mask[None] * densities, axis=2))
        weights = [of_kinds.T @ of_kind.T for of_kinds in of_functions]  # [n_rates, n_atoms]
        total = total + sum(jnp.sum(w * value) for w, (value, _) in zip(weights, read, strict=True))
        push = sum(w * slope for w, (_, slope) in zip(weights, read, strict=True))
        along = along + mask * jnp.sum((push[:, :, None] + push[:, None, :]) * thinning, axis=0)
    return total, along


def _core(model: EnergyModel, pairs: Pairs):
    """Returns what keeps atoms from coming closer than what was learned from, and its slope, as `_of_pairs` does."""
    inside = jnp.where(pairs.valid, jnp.maximum(0.97 * model.nearest - pairs.ratio, 0.0), 0.0)
    return 0.25 * CORE * jnp.sum(inside * inside), -CORE * inside / pairs.contact
