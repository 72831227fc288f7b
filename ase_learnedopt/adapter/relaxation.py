"""A plain local relaxation as an `Optimizer`: the quasi-Newton core, one step after another, no hops. Layer 3."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ..optimizers.base import common_fields, compose, record
from ..optimizers.host_start import start_fields, start_relaxation
from ..optimizers.model_hessian import inverse_model_hessian
from ..optimizers.relax import RelaxState, relax_init, relax_step
from ..types import Optimizer, System

BOND_INVERSE_CURVATURE = 0.014
"""Of a bond at its minimum, in length scales squared per energy scale: 1/72 for Lennard-Jones."""
BONDS_PER_ATOM = 12
"""An atom in a metal is held by so many; without a model the first step is divided by it."""


@dataclass(frozen=True)
class RelaxationConfig:
    """Sets what is compiled in."""

    memory: int = 50  # curvature pairs kept
    large_memory: int = 20  # in systems of more than `large` rows
    large: int = 512
    modelled: int = 128  # rows up to which a model of the Hessian is made: it costs a dense inverse
    refresh: int = 8  # steps between two models


class RelaxationState(NamedTuple):
    """Carries a relaxation; the first eight fields are those of every optimizer."""

    system: System
    positions: jax.Array
    best_positions: jax.Array
    best_energy: jax.Array
    n_evaluations: jax.Array
    event: jax.Array
    pending: jax.Array
    key: jax.Array
    relax: RelaxState
    metric: jax.Array | None  # [3 * n_atoms, 3 * n_atoms] the model of the inverse Hessian


def relaxation(params: dict, config: RelaxationConfig) -> Optimizer:
    """Builds a relaxation whose longest move of one row is `params["maxstep"]` `[]` Angstrom."""

    def init(key, system, budget=jnp.inf):
        del budget
        n, dtype = system.positions.shape[0], system.positions.dtype
        metric = jnp.eye(3 * n, dtype=dtype) if n <= config.modelled else None
        relax = relax_init(system.positions, _scale(config, system), _memory(config, n))
        return RelaxationState(**common_fields(key, system), relax=relax, metric=metric)

    def advance(state, energy, forces):
        gradient = jnp.where(state.system.movable[:, None], -forces, 0.0)
        metric = state.metric
        if metric is not None:
            due = state.relax.n_steps % config.refresh == 0
            metric = jax.lax.cond(due, inverse_model_hessian, lambda *_: metric, state.positions, state.system)
        relax, proposal = relax_step(state.relax, state.positions, energy, gradient, params["maxstep"], metric=metric)
        return state._replace(**{**record(state, energy), "positions": proposal, "relax": relax, "metric": metric})

    return compose(init, advance)


def start_relaxation_alone(params, config: RelaxationConfig, key, system: System, budget) -> RelaxationState:
    """Returns what `relaxation(params, config).init` returns, of NumPy arrays: nothing to compile."""
    del params, budget
    n = system.positions.shape[0]
    metric: Any = np.eye(3 * n) if n <= config.modelled else None
    relax = start_relaxation(system.positions, float(_scale(config, system)), _memory(config, n))
    return RelaxationState(**start_fields(key, system), relax=relax, metric=metric)


def _scale(config: RelaxationConfig, system: System):
    """Returns the inverse curvature `[]` that the first step is taken with."""
    scale = BOND_INVERSE_CURVATURE * system.length_scale**2 / system.energy_scale
    return scale if system.positions.shape[0] <= config.modelled else scale / BONDS_PER_ATOM


def _memory(config: RelaxationConfig, n_rows: int) -> int:
    return config.memory if n_rows <= config.large else config.large_memory
