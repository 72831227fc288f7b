"""The states that searches begin with, in NumPy: one structure pays more for compiling `init` than for all its steps.

Layer 1. They are what `init` of `learned_hop`, `learn2hop` and `learned_relax` returns in float64, to rounding, and
tests hold them together: who changes one changes both.
"""

from typing import Any

import numpy as np

from ..geometry import is_pinned
from ..types import STEP, System
from .deform import Deformation
from .exchange import N_PAIR_FEATURES, ExchangeModel
from .foresight import init_foresight
from .hop_state import N_DEAD_ENDS, LearnedHopConfig, LearnedHopState, foresees
from .host_random import split, to_normal, uniforms
from .kinds import SIMILAR
from .learn2hop import INVERSE_CURVATURE, Learn2HopState, rotation_rows
from .learn2hop_features import MOMENTUM_DECAYS, SQUARE_DECAYS, Draws, Moments
from .learn2hop_network import Learn2HopConfig
from .learned_relax import LearnedRelaxConfig, LearnedRelaxState, first_scale, memory
from .policy import HOP_FEATURES, PRIOR
from .portfolio import (
    ARMS,
    EXPONENT,
    PLAY_NOISE,
    PRIOR_COMPOUND,
    PRIOR_MIXED,
    PRIOR_ONE_ELEMENT,
    SHAKE,
    SPREAD,
    STRENGTH,
    Portfolio,
)
from .relax import RelaxState
from .symmetry import NONE, OPERATIONS, Operations
from .units import BONDED, LONGEST, SHORTEST, SOFT

FEW = 32
"""Atoms whose distances are looked at before all are."""


def start_learned_hop(params: dict, config: LearnedHopConfig, key, system: System, budget: float) -> LearnedHopState:
    """Returns the first state of a run, all of it NumPy arrays, from a system and a key `[2]` that are."""
    key, key_arm = split(key)
    n = len(system.positions)
    arm, deformation = _first_play(params["restart"], key_arm, system)
    molecular = config.molecules and _all_molecules(system)
    scale = config.inverse_curvature * float(system.length_scale) ** 2 / float(system.energy_scale)
    state: dict[str, Any] = {
        **start_fields(key, system),
        "budget": _real(budget),
        "relax": start_relaxation(system.positions, scale, config.memory),
        "foresight": init_foresight(config.kinds, float, np, params[PRIOR]) if foresees(config, system) else None,
        "metric": np.eye(3 * n) if n <= config.modelled else None,
        "deforming": np.asarray(deformation.strength > 0 and not molecular),
        "deformation": deformation,
        "strength_factor": _real(1.0),
        "exponent_factor": _real(1.0),
        "n_hops": _whole(0),
        "n_restarts": _whole(0),
        "current_positions": system.positions,
        "current_energy": _real(np.inf),
        "run_best": _real(np.inf),
        "stall": _whole(0),
        "dead_ends": np.full(N_DEAD_ENDS, np.inf),
        "move": _whole(SHAKE),
        "softness": _real(SOFT if molecular else 1.0),
        "gave_up": np.zeros((), bool),
        "portfolio": Portfolio(*_arrays(np.full(len(ARMS), np.inf), _whole(arm))),
        "operations": Operations(*_arrays(np.full(len(OPERATIONS), np.inf), _whole(NONE))),
        "exchange": ExchangeModel(*_arrays(np.eye(N_PAIR_FEATURES), np.zeros(N_PAIR_FEATURES))),
        "pair_features": np.zeros(N_PAIR_FEATURES),
        "luck": _real(0.0),
    }
    return LearnedHopState(**state)


def start_learn2hop(params: dict, config: Learn2HopConfig, key, system: System, budget: float) -> Learn2HopState:
    """Returns the first state of a run, all of it NumPy arrays, from a system and a key `[2]` that are."""
    del params
    key, key_frame = split(key)
    n = len(system.positions)
    turns = config.variant == "cartesian"
    momenta = np.zeros((len(MOMENTUM_DECAYS), n, 3)), np.zeros((len(SQUARE_DECAYS), n))
    scale = INVERSE_CURVATURE * float(system.length_scale) ** 2 / float(system.energy_scale)
    state: dict[str, Any] = {
        **start_fields(key, system),
        "budget": _real(budget),
        "moments": Moments(*_arrays(*momenta, np.zeros((n, 3)))),
        "newton": start_relaxation(system.positions, scale, config.memory),
        "last_energy": _real(np.inf),
        "since_best": _whole(0),
        "since_hop": _whole(0),
        "draws": Draws(*_arrays(np.zeros(n), _real(0.0))),
        "press": np.zeros(n),
        "arrived": np.zeros((), bool),
        "frame": np.array(rotation_rows(to_normal(uniforms(key_frame, 4)))) if turns else np.eye(3),
    }
    return Learn2HopState(**state)


def start_learned_relax(params: dict, config: LearnedRelaxConfig, key, system: System, budget) -> LearnedRelaxState:
    """Returns the first state of a relaxation, all of it NumPy arrays."""
    del budget
    n = system.positions.shape[0]
    metric: Any = np.eye(3 * n) if n <= config.modelled else None
    relax = start_relaxation(system.positions, float(first_scale(params, config, system)), memory(config, n))
    arrived: Any = np.zeros((), bool)
    return LearnedRelaxState(**start_fields(key, system), arrived=arrived, relax=relax, metric=metric)


def start_fields(key, system: System) -> dict[str, Any]:
    """Returns the fields every optimizer state starts with, see `base.common_fields`."""
    return {
        "system": system,
        "positions": system.positions,
        "best_positions": system.positions,
        "best_energy": _real(np.inf),
        "n_evaluations": _whole(0),
        "event": _whole(STEP),
        "pending": np.zeros((), bool),
        "key": key,
    }


def start_relaxation(positions, inverse_curvature: float, memory: int) -> RelaxState:
    """Returns what `relax.relax_init` returns."""
    zeros, history = np.zeros(positions.shape), np.zeros((memory, *positions.shape))
    numbers = np.zeros(memory), _real(inverse_curvature), _whole(0), _whole(0)
    return RelaxState(*_arrays(positions, zeros, _real(np.inf), history, history, *numbers))


def _first_play(head: dict, key, system: System) -> tuple[int, Deformation]:
    """Returns the arm and the deformation that `portfolio.play` begins a run with."""
    atoms = system.species >= 0
    moves = np.asarray(atoms & system.movable)
    by_size = np.argsort(system.radii[moves])
    radii, species = np.asarray(system.radii)[moves][by_size], np.asarray(system.species)[moves][by_size]
    is_mixed = bool(np.any((species[1:] != species[:-1]) & (radii[1:] <= SIMILAR * radii[:-1])))
    is_compound = bool(len(radii) and radii[-1] > SIMILAR * radii[0])
    is_cluster = not (np.any(system.pbc) or is_pinned(system, np))
    features = dict.fromkeys(HOP_FEATURES, 0.0)
    features["log n_atoms"] = float(np.log(max(np.sum(atoms), 1.0))) / 5.0
    features["mixed"] = float(is_mixed)
    features["periodic"] = float(np.any(system.pbc))
    hidden = np.tanh(np.array(list(features.values())) @ head["hidden_weights"] + head["hidden_bias"])
    correction = hidden @ head["output_weights"] + head["output_bias"]
    prior = PRIOR_COMPOUND if is_compound else PRIOR_MIXED if is_mixed else PRIOR_ONE_ELEMENT
    arm = int(np.argmax(np.log(prior) + correction[: len(ARMS)]))
    strength, exponent, spread = np.array([STRENGTH[arm], EXPONENT[arm], SPREAD[arm]]) * np.exp(correction[len(ARMS) :])
    (for_arm,), (for_shape,) = PLAY_NOISE
    normals = to_normal(uniforms(key, for_arm + for_shape)[for_arm:])
    return arm, Deformation(*_arrays(_real(strength * is_cluster), _real(exponent), _ellipsoid(normals, spread)))


def _all_molecules(system: System) -> bool:
    """Returns what `units.all_molecules` returns of a cluster."""
    atoms = np.asarray(system.species >= 0)
    positions, radii = np.asarray(system.positions)[atoms], np.asarray(system.radii)[atoms]
    n = len(radii)
    few = np.linalg.norm(positions[:FEW, None] - positions[None], axis=-1) / (radii[:FEW, None] + radii[None, :])
    np.fill_diagonal(few, 1.0)
    if n < 4 or np.any((few < BONDED) & ((few < SHORTEST) | (few > LONGEST))):
        return False  # as of random atoms, where what follows need not be imported
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components
    from scipy.spatial import cKDTree

    first, second = cKDTree(positions).query_pairs(2.0 * BONDED * radii.max(), output_type="ndarray").T
    ratio = np.linalg.norm(positions[first] - positions[second], axis=1) / (radii[first] + radii[second])
    bonded = ratio < BONDED
    graph = coo_array((bonded[bonded], (first[bonded], second[bonded])), shape=(n, n))
    size = np.bincount(label := connected_components(graph, directed=False)[1])[label]
    odd = bonded & ((ratio < SHORTEST) | (ratio > LONGEST))
    return bool(np.all((size > 1) & (2 * size <= n)) and not np.any(odd))


def _ellipsoid(normals: np.ndarray, spread: float) -> np.ndarray:
    """Returns what `deform.ellipsoid` returns."""
    log_axes = spread * (normals[:3] - normals[:3].mean())
    first = normals[3:6] / np.sqrt(np.sum(normals[3:6] ** 2) + 1e-12)
    second = normals[6:9] - np.sum(normals[6:9] * first) * first
    second = second / np.sqrt(np.sum(second**2) + 1e-12)
    frame = np.stack([first, second, np.cross(first, second)])
    return (frame.T * np.exp(log_axes)) @ frame


def _real(value) -> np.ndarray:
    return np.asarray(value, float)


def _whole(value: int) -> np.ndarray:
    return np.asarray(value, np.int32)


def _arrays(*values) -> tuple[Any, ...]:
    """Returns the values: the fields of a state are annotated as arrays of jax, which these are not yet."""
    return values
