"""What LearnedHop carries from one evaluation to the next, its constants, and what its heads read of both. Layer 1."""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ..geometry import has_element
from ..types import System
from .deform import Deformation
from .exchange import ExchangeModel
from .foresight import Foresight
from .kinds import is_cluster, is_compound, is_mixed
from .policy import count, squash
from .portfolio import EXCHANGE, STEERED, Portfolio
from .relax import RelaxState
from .symmetry import Operations

N_DEAD_ENDS = 16
"""Runs whose lowest energies are remembered."""
SAME_ENERGY = 2e-3
"""Energy scales within which two minima count as one."""
MOST_KINDS = 3
"""Elements that a model of the energy tells apart at most: it has some ten parameters for every pair of them."""
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
    molecules: bool = True  # whether molecules move as one; False: only atoms, where bonds are to be made and broken
    molecules_shaken: int = 2  # that a local shake moves together
    turn: float = 1.5  # radians that a shake turns a molecule, each component of the rotation vector
    soft_tolerance: float = 0.3  # factor on the tolerance where molecules move
    best_tolerance: float = 0.1  # likewise, below the lowest energy of the run
    more: float = 0.4  # probability that a relocation moves one more atom; none of a compound
    atom_temperature: float = 0.75  # in neighbours
    site_temperature: float = 0.4  # in neighbours
    exchange_temperature: float = 0.1
    give_up: float = 2.3  # log odds that a minimum would be rejected, from which on its relaxation is not ended
    imagined: int = 128  # rows up to which hops are tried in a model of the energy first; 0: never
    kinds: int = 2  # elements that this model tells apart
    learn_from: int = 3  # evaluations before it is used
    trust: float = 0.3  # mean square error of the forces it foretold, over their own, up to which it is used
    margin: float = 1.0  # errors of its forecasts that a hop may be higher than what would be accepted
    same: float = 0.02  # energy scales within which a forecast is where the search is
    imagined_kT: float = 0.05  # of clusters, where hops in vain cost nothing
    imagined_patience: float = 3.6  # factor on the patience there
    most_imagined: int = 50  # hops in a row that are tried for nothing
    imagined_steps: int = 300
    ahead: int = 1  # evaluations of a relaxation after which it asks the model where to
    steps_ahead: int = 40
    foreseen_tolerance: float = 4.0  # factor on the tolerance where the model is trusted in full
    foreseen_best_tolerance: float = 1.5  # likewise, below all energies so far
    full_trust: float = 0.1  # as trust
    longest_ahead: float = 0.5  # longest move of one atom that the model proposes within a relaxation
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
    foresight: Foresight | None  # None where nothing is imagined
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
    softness: jax.Array  # [] energy scale of what a hop moves as one, molecules or atoms, in that of the atoms
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
    known = jnp.any(jnp.abs(state.dead_ends - state.run_best) < SAME_ENERGY * energy_unit(state))
    hops = hops * jnp.where(is_trusted(config, state), config.imagined_patience, 1.0)
    return jnp.where(is_cluster(system), hops, config.other_patience) * jnp.where(known, config.known_patience, 1.0)


def temperature(config: LearnedHopConfig, state: LearnedHopState):
    """Returns kT of the acceptance, `[]` in energy scales."""
    of_cluster = jnp.where(is_trusted(config, state), config.imagined_kT, config.kT)
    return jnp.where(is_cluster(state.system), of_cluster, config.other_kT)


def count_kinds(species) -> int:
    """Returns how many elements a model of the energy is to tell apart: those of `species` `[n]`, three at most."""
    return min(max(len(set(np.asarray(species)[np.asarray(species) >= 0].tolist())), 1), MOST_KINDS)


def foresees(config: LearnedHopConfig, system: System) -> bool:
    """Says whether hops in a system of this size are tried in a model of the energy; there is none of moving cells."""
    return len(system.species) <= config.imagined and system.cell_factor is None


def is_trusted(config: LearnedHopConfig, state: LearnedHopState):
    """Returns `[]` bool: whether the model of the energy has foretold forces well enough to be asked."""
    if state.foresight is None:
        return jnp.zeros((), bool)
    model = state.foresight.model
    well = (model.error < config.trust * model.size) & (state.n_evaluations >= config.learn_from)
    return well & (state.softness == 1.0)  # forces within molecules, which it foretells, say nothing of those between


def energy_unit(state: LearnedHopState):
    """Returns what energies of minima are measured in, `[]` eV."""
    return state.system.energy_scale * state.softness


def acceptable(config, state):
    """Returns the highest energy `[]` eV at which the untrained head accepts a minimum; infinity at first."""
    return state.current_energy + temperature(config, state) * state.luck * energy_unit(state)


def give_up_features(config, state, relax, size, decrease):
    """Returns the features `[len(GIVE_UP_FEATURES)]` of a step whose gradient promises a `decrease` `[]` eV."""
    dtype, system = state.positions.dtype, state.system
    scale = energy_unit(state)
    above = jnp.where(jnp.isfinite(state.current_energy), (relax.value - state.current_energy) / scale, 0.0)
    beyond = above - temperature(config, state) * state.luck
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
                    jnp.log(size / state.softness + 1e-4) / 5.0,
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
        gap = (state.relax.value - reference) / energy_unit(state)
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
