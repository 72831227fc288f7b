"""What a search foresees: its model of the energy, what it foretold, the minima it need not pay for again. Layer 1."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from ..types import System
from .energy_features import n_features
from .energy_model import EnergyModel, init_energy_model

N_KNOWN = 64
"""Hops paid for whose outcome is remembered."""
ALIKE = 0.1
"""Largest difference of a feature between two geometries that count as the same."""
FIRST_ERROR = 0.5
"""Energy scales that the energy of a minimum is foretold to, before it is known how well."""


class Foresight(NamedTuple):
    """Holds what is known before an evaluation."""

    model: EnergyModel
    n_imagined: jax.Array  # [] int32, hops imagined in vain since the last evaluation
    forecast: jax.Array  # [] eV of the minimum that the relaxation under way goes to, infinity where none is foretold
    error: jax.Array  # [] energy scales, how far forecasts were wrong of late
    asked: jax.Array  # [n_features] of the geometry that the relaxation under way began with; NaN where not imagined
    known: jax.Array  # [N_KNOWN, n_features] of those before
    energies: jax.Array  # [N_KNOWN] eV that they came to, infinity where their relaxation was given up


def init_foresight(kinds: int, dtype, xp=jnp, priors=None) -> Foresight:
    """Returns what is known before the first evaluation; the arguments are those of `init_energy_model`."""
    k, nothing = n_features(kinds), xp.full((), xp.inf, dtype)
    known = xp.full((N_KNOWN, k), xp.nan, dtype)
    energies = xp.full((N_KNOWN,), xp.inf, dtype)
    model = init_energy_model(kinds, dtype, xp, priors)
    error = xp.full((), FIRST_ERROR, dtype)
    return Foresight(model, xp.zeros((), xp.int32), nothing, error, xp.full((k,), xp.nan, dtype), known, energies)


def came_true(foresight: Foresight, energy, system: System, minimum) -> Foresight:
    """Returns the foresight after the minimum `[]` bool of an energy `[]` eV that may have been foretold."""
    wrong = jnp.abs(energy - foresight.forecast) / system.energy_scale
    error = 0.8 * foresight.error + 0.2 * jnp.minimum(wrong, 3.0)
    return foresight._replace(error=jnp.where(minimum & jnp.isfinite(wrong), error, foresight.error))


def remember(foresight: Foresight, energy) -> Foresight:
    """Returns the foresight after the relaxation under way came to an energy `[]` eV, infinity if it was given up."""
    paid = (foresight.n_imagined == 0) & jnp.all(jnp.isfinite(foresight.asked))
    known = jnp.concatenate([foresight.asked[None], foresight.known[:-1]])
    energies = jnp.concatenate([energy[None], foresight.energies[:-1]])
    return foresight._replace(
        known=jnp.where(paid, known, foresight.known), energies=jnp.where(paid, energies, foresight.energies)
    )


def recall(foresight: Foresight, asked):
    """Returns `[]` bool, whether a geometry with these features `[n_features]` is known, and its outcome `[]` eV."""
    far = jnp.max(jnp.abs(foresight.known - asked[None]), axis=1)
    far = jnp.where(jnp.isnan(far), jnp.inf, far)
    nearest = jnp.argmin(far)
    return far[nearest] < ALIKE, foresight.energies[nearest]
