"""Relaxations imagined in the model of the energy: hops are tried before they are paid for. Layer 1.

A hop just proposed is relaxed in the model, by the same relaxation as always. Where it comes to nothing worth having it
was in vain, and another one is proposed; else the first evaluation is at the minimum foretold. Within a relaxation the
next evaluation is at the minimum of the model, tilted so that its gradient is right where the relaxation is.
"""

import jax
import jax.numpy as jnp

from ..geometry import free_part, has_element, pushed_apart
from ..types import MODEL
from .deform import deformation_value_and_gradient
from .energy_features import features, list_pairs
from .energy_model import WILD, mean_coefficients
from .foresight import recall
from .held_pairs import held_energy, keeps_distances
from .hop_relaxation import advance_relaxation, fresh_relaxation
from .hop_state import acceptable, energy_unit, is_trusted
from .local import rms_gradient
from .model_energy import model_energy

NEAR = 0.9
"""Share of the shortest distance learned from, below which the model is not followed."""


def imagine(config, params, state):
    """Returns a state with a proposal that the model has improved, or with a hop that it found to be in vain.

    Args:
      config, params: constants and heads.
      state: with a hop or a fresh start just proposed, or in the middle of a relaxation where the event is MODEL.
    """
    if state.foresight is None:
        return state
    system, model = state.system, state.foresight.model
    coefficients = mean_coefficients(model)
    within = state.event == MODEL
    here = _gradient(state)
    wild = rms_gradient(system, here) > WILD  # atoms overlap in a gas: the prior knows better where they go
    begins = within & (state.n_evaluations == 1) & state.deforming & wild
    trusted = is_trusted(config, state) & ~(within & (state.relax.n_rejected > 0))
    known = jnp.isfinite(state.current_energy) & ~within

    def energy(positions):
        return model_energy(model, coefficients, positions, system, config.kinds)

    apart = jax.lax.cond(begins, lambda p: pushed_apart(p, system), lambda p: p, state.relax.positions)
    origin = jnp.where(within, apart, state.positions)
    values, slopes = jax.vmap(energy)(jnp.stack([state.current_positions, origin]))
    unshifted = jnp.where(jnp.isfinite(model.zero), model.zero, 0.0)
    offset = jnp.where(known, state.current_energy - values[0], unshifted)
    tilt = jnp.where(within & ~begins, here - slopes[1], 0.0)
    if system.held is not None:  # calculators tell no forces along held directions: there the model is believed
        tilt = free_part(system, tilt)
    keep = keeps_distances(system, jnp.where(within, state.relax.positions, state.positions))

    def tilted(positions):
        value, gradient = energy(positions)
        return value + offset + jnp.sum(tilt * (positions - origin)), gradient + tilt

    last = _relaxed(
        config, params, _first(config, state, origin, within, begins | trusted), held_energy(keep, tilted),
        jnp.where(within & ~begins, config.steps_ahead, config.imagined_steps),
    )  # fmt: skip
    there = keep(last.relax.positions)
    read = features(there, system, config.kinds)
    judged = _judged(config, state, last._replace(relax=last.relax._replace(positions=there)), read, known)
    new = _chosen(within, _gone_on(config, state, last, begins, keep), judged)
    pairs = list_pairs(new.positions, system)
    shortest = jnp.min(jnp.where(pairs.valid, pairs.ratio, jnp.inf))  # a move cut short may lead into an overlap
    clear = shortest > NEAR * model.nearest
    if system.held is not None:  # constraints may lead a hop into an overlap: not evaluated if the model discards it
        clear = clear | (new.pending & ~within)
    found = jnp.isfinite(last.relax.value) & jnp.all(jnp.isfinite(new.positions)) & clear
    return _chosen((begins | trusted) & found, new, _chosen(within, state, _unforeseen(state)))


def _chosen(condition, new, old):
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), new, old)


def _unforeseen(state):
    """Returns the state with a hop of which nothing is foretold."""
    nothing = state.foresight._replace(
        n_imagined=jnp.zeros((), jnp.int32),
        forecast=jnp.full_like(state.foresight.forecast, jnp.inf),
        asked=jnp.full_like(state.foresight.asked, jnp.nan),
    )
    return state._replace(foresight=nothing)


def _first(config, state, origin, within, allowed):
    """Returns the state that a relaxation in the model begins with; it is pending where none is `allowed` `[]` bool."""
    nothing, metric = jnp.full_like(state.current_energy, jnp.inf), state.metric
    if metric is not None:  # of a hop there is none yet
        metric = jnp.where(within, metric, jnp.eye(metric.shape[0], dtype=metric.dtype))
    return state._replace(
        positions=origin,
        relax=fresh_relaxation(config, state.system, origin),
        current_energy=jnp.where(within, nothing, state.current_energy),
        metric=metric,
        pending=~allowed,
    )


def _gradient(state):
    """Returns the gradient `[n_atoms, 3]` of the energy where the relaxation is, without that of a deformation."""
    system = state.system
    deformation = state.deformation._replace(
        strength=state.deformation.strength * state.strength_factor,
        exponent=state.deformation.exponent * state.exponent_factor,
    )
    _, slope = deformation_value_and_gradient(
        deformation, state.relax.positions, has_element(system), system.length_scale, system.energy_scale
    )
    return state.relax.gradient - jnp.where(state.deforming, free_part(system, slope), 0.0)


def _relaxed(config, params, first, energy, steps):
    """Returns the state at the end of at most so many steps of a relaxation in a model.

    energy: from positions to eV and eV/Angstrom.
    """

    def step(carry):
        state, n = carry
        value, gradient = energy(state.positions)
        return advance_relaxation(config, params, state, value, -gradient, imagined=True), n + 1

    begin = first, jnp.zeros((), jnp.int32)
    return jax.lax.while_loop(lambda carry: ~carry[0].pending & (carry[1] < steps), step, begin)[0]


def _gone_on(config, state, last, begins, keep):
    """Returns the state within a relaxation with the next geometry to evaluate."""
    system = state.system
    move = free_part(system, last.relax.positions - state.relax.positions)
    longest = jnp.sqrt(jnp.max(jnp.sum(move * move, axis=1)))
    at_most = jnp.where(begins, jnp.inf, config.longest_ahead * system.length_scale)
    positions = state.relax.positions + move * jnp.minimum(1.0, at_most / jnp.maximum(longest, 1e-9))
    positions = keep(positions)
    fresh = fresh_relaxation(config, system, positions)
    return state._replace(
        positions=positions,
        relax=_chosen(begins, fresh, state.relax),
        deforming=state.deforming & ~begins,
    )


def _judged(config, state, last, asked, known):
    """Returns the state with the first geometry to evaluate, or with a hop in vain, for which nothing is paid."""
    foresight, system, unit = state.foresight, state.system, energy_unit(state)
    forecast, arrived = last.relax.value, last.pending & ~last.gave_up
    recalled, outcome = recall(foresight, asked)
    recalled = recalled & arrived
    high = forecast > acceptable(config, state) + config.margin * foresight.error * unit
    same = jnp.abs(forecast - state.current_energy) < config.same * unit
    accepted = recalled & (outcome <= acceptable(config, state)) & (jnp.abs(outcome - forecast) < 0.05 * unit)
    accepted = accepted & ~(known & (jnp.abs(outcome - state.current_energy) < config.same * unit))
    in_vain = known & (last.gave_up | (arrived & (high | same | recalled)))
    free = (in_vain | accepted) & (foresight.n_imagined < config.most_imagined)
    relax = fresh_relaxation(config, system, last.relax.positions)
    value = jnp.where(accepted, outcome, forecast)
    return state._replace(
        positions=last.relax.positions,
        relax=relax._replace(value=jnp.where(free, value, relax.value)),
        deforming=jnp.zeros((), bool),
        gave_up=free & ~accepted,
        pending=free,
        foresight=foresight._replace(
            n_imagined=jnp.where(free, foresight.n_imagined + 1, 0).astype(jnp.int32),
            forecast=jnp.where(arrived & ~free, forecast, jnp.inf),
            asked=jnp.where(arrived, asked, jnp.nan),
        ),
    )
