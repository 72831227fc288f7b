"""LearnedRelax: a quasi-Newton relaxation whose springs and steps are learned, one evaluation a step, no hops. Layer 1.

The core is limited-memory BFGS (`relax`) with a model of the Hessian as its metric (`model_hessian`). Learned are the
springs of that model and, at every step, a factor on the quasi-Newton step, the share of the longest move that may be
used, and the retreat after a step that raised the energy. All of it is linear in features: some forty numbers, which
can be read.
"""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ..types import Optimizer, System
from .base import common_fields, compose, record
from .cell_model import cell_measure
from .local import TOLERANCE, report, rms_gradient
from .model_hessian import BOND_FEATURES, BOND_OUTPUTS, CONSTANTS, inverse_model_hessian, untrained_springs
from .relax import RelaxState, relax_init, relax_step

CONTROL_FEATURES = (
    "one",
    "log rms gradient",
    "slope along the last step",
    "rise along the last step",
    "cosine of the last two gradients",
    "rejections",
    "log steps taken",
    "first step",
    "log length scale",
)
CONTROL_OUTPUTS = ("log step", "log share of the longest move", "log retreat")
RELAX_FEATURES = {"springs": tuple(CONSTANTS), "bond": BOND_FEATURES, "control": CONTROL_FEATURES}
RETREAT = 0.5
BONDS_PER_ATOM = 12
"""An atom in a metal is held by so many; without a model the first step is divided by it."""


@dataclass(frozen=True)
class LearnedRelaxConfig:
    """Sets what is compiled in."""

    maxstep: float = 0.2  # Angstrom, longest move of one row
    memory: int = 50  # curvature pairs kept
    large_memory: int = 20  # in systems of more than `large` rows
    large: int = 512
    modelled: int = 128  # rows up to which a model of the Hessian is made: it costs a dense inverse
    refresh: int = 8  # steps between two models


class LearnedRelaxState(NamedTuple):
    """Carries a relaxation; the first eight fields are those of every optimizer."""

    system: System
    positions: jax.Array
    best_positions: jax.Array
    best_energy: jax.Array
    n_evaluations: jax.Array
    event: jax.Array
    pending: jax.Array
    key: jax.Array
    arrived: jax.Array  # [] bool, the minimum has been reported
    relax: RelaxState
    metric: jax.Array | None  # [3 * n_atoms, 3 * n_atoms] the model of the inverse Hessian


def learned_relax(params: dict | None = None, config: LearnedRelaxConfig | None = None) -> Optimizer:
    """Builds the relaxation from its parameters (None: the untrained, classical one)."""
    config = config or LearnedRelaxConfig()
    params = untrained_relaxation() if params is None else params

    def init(key, system, budget=jnp.inf):
        del budget
        n, dtype = system.positions.shape[0], system.positions.dtype
        metric = jnp.eye(3 * n, dtype=dtype) if n <= config.modelled else None
        relax = relax_init(system.positions, first_scale(params, config, system), memory(config, n))
        arrived = jnp.zeros((), bool)
        return LearnedRelaxState(**common_fields(key, system), arrived=arrived, relax=relax, metric=metric)

    def advance(state, energy, forces):
        gradient = jnp.where(state.system.movable[:, None], -forces, 0.0)
        metric = state.metric
        if metric is not None:
            due = state.relax.n_steps % config.refresh == 0
            metric = jax.lax.cond(
                due, inverse_model_hessian, lambda *_: metric, params["springs"], state.positions, state.system
            )
        relax, proposal = controlled_step(params, config, state, energy, gradient, metric)
        seen = {**record(state, energy), **report(state, gradient, TOLERANCE)}
        return state._replace(**seen, positions=proposal, relax=relax, metric=metric)

    return compose(init, advance)


def controlled_step(params, config: LearnedRelaxConfig, state, energy, gradient, metric):
    """Returns the relaxation after an evaluation, and the next point `[n_atoms, 3]`."""
    features = control_features(state.relax, state.system, state.positions, energy, gradient)
    step, share, retreat = features @ params["control"]["weights"].astype(features.dtype)
    cap = config.maxstep * jnp.exp(jnp.minimum(share, 0.0))
    longest, measure = RETREAT * jnp.exp(retreat), cell_measure(state.system)
    return relax_step(
        state.relax, state.positions, energy, gradient, cap, jnp.exp(step), metric, True, longest, measure
    )


def control_features(relax: RelaxState, system: System, positions, energy, gradient):
    """Returns what the control of a step reads, `[len(CONTROL_FEATURES)]`, before the step is judged.

    Args:
      relax: the relaxation before the evaluation.
      system: says what the rows are.
      positions: `[n_atoms, 3]` Angstrom, evaluated.
      energy: `[]` eV there.
      gradient: `[n_atoms, 3]` eV/Angstrom there.
    """
    dtype = positions.dtype
    first = relax.n_steps == 0
    step = positions - relax.positions
    before, after = jnp.sum(step * relax.gradient), jnp.sum(step * gradient)
    size = jnp.maximum(jnp.abs(before), jnp.finfo(dtype).tiny)

    def bounded(value):
        return jnp.clip(jnp.where(first | ~jnp.isfinite(value), 0.0, value), -2.0, 2.0)

    square, square_before = jnp.sum(gradient * gradient), jnp.sum(relax.gradient * relax.gradient)
    cosine = jnp.sum(gradient * relax.gradient) / jnp.sqrt(square * square_before)
    return jnp.stack(
        [
            jnp.ones((), dtype),
            jnp.clip(jnp.log(rms_gradient(system, gradient) + 1e-6) / 5.0, -3.0, 3.0),
            bounded(after / size),
            bounded((energy - relax.value) / size + 0.5),  # zero where the slope had fallen evenly to zero
            bounded(cosine),
            jnp.minimum(relax.n_rejected.astype(dtype), 2.0),
            jnp.log1p(relax.n_steps.astype(dtype)) / 4.0,
            first.astype(dtype),
            jnp.log(system.length_scale),
        ]
    )


def untrained_relaxation() -> dict:
    """Returns parameters of the classical relaxation, NumPy arrays."""
    shape = len(CONTROL_FEATURES), len(CONTROL_OUTPUTS)
    return {"springs": untrained_springs(), "control": {"weights": np.zeros(shape, np.float32)}}


def relax_shapes() -> dict:
    """Returns the shape of every array of the parameters."""
    springs = {"logs": (len(CONSTANTS),), "bond": (len(BOND_FEATURES), len(BOND_OUTPUTS))}
    return {"springs": springs, "control": {"weights": (len(CONTROL_FEATURES), len(CONTROL_OUTPUTS))}}


def first_scale(params, config: LearnedRelaxConfig, system: System):
    """Returns the inverse curvature `[]` Angstrom^2/eV that the first step is taken with."""
    curvature = list(CONSTANTS).index("inverse curvature")
    log = params["springs"]["logs"][curvature].astype(system.positions.dtype)
    scale = np.e**log * system.length_scale**2 / system.energy_scale
    return scale if system.positions.shape[0] <= config.modelled else scale / BONDS_PER_ATOM


def memory(config: LearnedRelaxConfig, n_rows: int) -> int:
    """Returns the number of curvature pairs kept."""
    return config.memory if n_rows <= config.large else config.large_memory
