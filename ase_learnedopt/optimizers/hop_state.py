"""What LearnedHop carries from one evaluation to the next, its constants, and what its heads read of both. Layer 1."""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp

from ..geometry import has_element
from ..types import System
from .deform import Deformation
from .exchange import ExchangeModel
from .kinds import is_cluster, is_compound, is_mixed
from .policy import count, squash
from .portfolio import EXCHANGE, STEERED, Portfolio
from .relax import RelaxState
from .symmetry import Operations

N_DEAD_ENDS = 16
"""Runs whose lowest energies are remembered."""
SAME_ENERGY = 2e-3
"""Energy scales within which two minima count as one."""
FEWEST_ATOMS = 10
"""Smaller clusters are searched as patiently as this many atoms."""


@dataclass(frozen=True)
class LearnedHopConfig:
    """Sets the constants of the classical policy, in length scales and energy scales."""

    memory: int = 6  # curvature pairs kept
    modelled: int = 128  # rows up to which a model of the Hessian is made: it costs a dense inverse
    refresh: int = 8  # steps of a relaxation between two models
    tolerance: float = 0.033  # rms gradient of a minimum
    other_tolerance: float = 0.04  # of what is not a cluster
    max_relax_steps: int = 300
    maxstep: float = 0.15  # longest move of one atom in a relaxation
    inverse_curvature: float = 0.01  # of a fresh relaxation
    max_deform_steps: int = 200
    deform_tolerance: float = 1.0  # rms gradient that ends a deformation
    deform_start: float = 5.0  # the user's own start is deformed only above this rms gradient
    kT: float = 0.3
    other_kT: float = 0.1  # of what is not a cluster: cells, slabs, anything with fixed atoms
    shake: float = 0.4  # before a deformed relaxation
    plain_shake: float = 0.2  # before any other
    neighborhood: int = 12  # atoms that a local shake moves together
    local_shake: float = 0.25  # in a local shake
    fresh: float = 1.0  # factor on how often a hop is a fresh start; 0 stays near where it is, for glasses and defects
    wall: float = 0.35  # probability that a deformation is nearly a hard wall, with these factors
    wall_exponent: float = 2.0
    wall_strength: float = 1.3
    patience_per_atom: float = 1.1  # hops without a new best of the run, then restart
    known_patience: float = 0.3  # share of it where an earlier run has ended already
    compound_patience_per_atom: float = 4.0  # of clusters of compounds
    other_patience: float = 1000.0  # of what is not a cluster: its fresh starts are long ways up
    more: float = 0.4  # probability that a relocation moves one more atom; none of a compound
    atom_temperature: float = 0.75  # in neighbours
    site_temperature: float = 0.4  # in neighbours
    exchange_temperature: float = 0.1
    give_up: float = 2.3  # log odds that a minimum would be rejected, from which on its relaxation is not ended
    unrolled: bool = True  # the recursion over curvature pairs: faster in batches; False compiles sooner


class LearnedHopState(NamedTuple):
    """Carries a run; the first eight fields are those of every optimizer."""

    system: System
    positions: jax.Array  # [n_atoms, 3]
    best_positions: jax.Array  # [n_atoms, 3]
    best_energy: jax.Array  # []
    n_evaluations: jax.Array  # [] int32
    event: jax.Array  # [] int32
    pending: jax.Array  # [] bool
    key: jax.Array
    budget: jax.Array  # [] evaluations, infinity if unknown
    relax: RelaxState
    metric: jax.Array | None  # [3 * n_atoms, 3 * n_atoms] the model of the inverse Hessian
    deforming: jax.Array  # [] bool
    deformation: Deformation
    strength_factor: jax.Array  # [] on the deformation of this hop
    exponent_factor: jax.Array  # [] likewise
    n_hops: jax.Array  # [] int32
    n_restarts: jax.Array  # [] int32
    current_positions: jax.Array  # [n_atoms, 3] the accepted minimum
    current_energy: jax.Array  # [] eV, infinity before the first minimum of a run
    run_best: jax.Array  # [] eV, lowest minimum since the restart
    stall: jax.Array  # [] int32, hops since run_best fell
    dead_ends: jax.Array  # [N_DEAD_ENDS] eV, run_best of the last runs that ended, infinity where there is none
    move: jax.Array  # [] int32, the last move made
    gave_up: jax.Array  # [] bool, the relaxation was abandoned before its minimum
    portfolio: Portfolio
    operations: Operations
    exchange: ExchangeModel
    pair_features: jax.Array  # [N_PAIR_FEATURES] of the last exchange
    luck: jax.Array  # [] rise that the next minimum may have, in kT


def patience(config: LearnedHopConfig, state: LearnedHopState):
    """Returns the hops without a new best after which a run restarts, `[]`."""
    system = state.system
    n_movable = jnp.sum((has_element(system) & system.movable).astype(system.positions.dtype))
    each = jnp.where(is_compound(system), config.compound_patience_per_atom, config.patience_per_atom)
    hops = each * jnp.maximum(n_movable, FEWEST_ATOMS)
    known = jnp.any(jnp.abs(state.dead_ends - state.run_best) < SAME_ENERGY * system.energy_scale)
    return jnp.where(is_cluster(system), hops, config.other_patience) * jnp.where(known, config.known_patience, 1.0)


def temperature(config: LearnedHopConfig, system: System):
    """Returns kT of the acceptance, `[]` in energy scales."""
    return jnp.where(is_cluster(system), config.kT, config.other_kT)


def acceptable(config, state):
    """Returns the highest energy `[]` eV at which the untrained head accepts a minimum; infinity at first."""
    return state.current_energy + temperature(config, state.system) * state.luck * state.system.energy_scale


def give_up_features(config, state, relax, size, decrease):
    """Returns the features `[len(GIVE_UP_FEATURES)]` of a step whose gradient promises a `decrease` `[]` eV."""
    dtype, system = state.positions.dtype, state.system
    scale = system.energy_scale
    above = jnp.where(jnp.isfinite(state.current_energy), (relax.value - state.current_energy) / scale, 0.0)
    beyond = above - temperature(config, system) * state.luck
    promised = jnp.maximum(decrease, 0.0) / scale
    n_movable = jnp.maximum(jnp.sum(system.movable.astype(dtype)), 1.0)
    away = relax.positions - state.current_positions
    displaced = jnp.sqrt(jnp.sum(away * away) / n_movable) / system.length_scale
    moves = jnp.arange(len(STEERED), dtype=jnp.int32) == state.move
    return jnp.concatenate(
        [
            jnp.stack(
                [
                    squash(beyond) / 3.0,
                    squash(beyond - promised) / 3.0,
                    squash(beyond - 0.5 * promised) / 3.0,
                    squash(10.0 * (above - 0.5 * promised)) / 3.0,
                    jnp.log(promised + 1e-4) / 5.0,
                    jnp.log(displaced + 1e-4) / 5.0,
                    jnp.log(size + 1e-4) / 5.0,
                    jnp.log1p(relax.n_steps.astype(dtype)) / 4.0,
                    jnp.minimum(relax.n_rejected.astype(dtype), 2.0),
                    count(system),
                ]
            ),
            moves.astype(dtype),
        ]
    )


def step_features(state, relax, size, value, deforming):
    """Returns the features `[len(STEP_FEATURES)]` of one step of a relaxation."""
    dtype = state.positions.dtype
    system = state.system
    above = (value - jnp.where(jnp.isfinite(state.run_best), state.run_best, value)) / system.energy_scale
    curvature = relax.inverse_curvature * system.energy_scale / system.length_scale**2
    return jnp.stack(
        [
            jnp.log(size + 1e-6) / 5.0,
            squash(above) / 3.0,
            deforming.astype(dtype),
            jnp.log1p(relax.n_steps.astype(dtype)) / 4.0,
            jnp.log(curvature + 1e-9) / 5.0,
            relax.n_rejected.astype(dtype),
            count(system),
            state.n_evaluations.astype(dtype) / state.budget,
        ]
    )


def hop_features(state, change, config):
    """Returns the features `[len(HOP_FEATURES)]` of a minimum that lies `change` energy scales above the last."""
    dtype = state.positions.dtype
    system = state.system

    def above(reference):
        gap = (state.relax.value - reference) / system.energy_scale
        return squash(jnp.where(jnp.isfinite(gap), gap, 0.0)) / 3.0

    return jnp.stack(
        [
            squash(change) / 3.0,
            above(state.run_best),
            above(state.best_energy),
            state.stall.astype(dtype) / patience(config, state),
            jnp.log1p(state.n_hops.astype(dtype)) / 5.0,
            jnp.log1p(state.n_restarts.astype(dtype)) / 3.0,
            count(system),
            is_mixed(system).astype(dtype),
            jnp.any(system.pbc).astype(dtype),
            state.n_evaluations.astype(dtype) / state.budget,
            (state.deformation.strength > 0).astype(dtype),
            (state.move == EXCHANGE).astype(dtype),
        ]
    )
