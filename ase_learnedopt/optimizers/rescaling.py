"""A search goes on in other scales, with all that it has learned expressed in them. Layer 1, NumPy only."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..types import System
from .energy_model import learn
from .exchange import N_PAIR_FEATURES, ExchangeModel
from .foresight import init_foresight
from .hop_state import LearnedHopConfig, LearnedHopState
from .host_start import start_relaxation
from .policy import PRIOR


def rescaled_state(
    config: LearnedHopConfig, params: dict, state: LearnedHopState, system: System, evaluations: Sequence[tuple]
) -> LearnedHopState:
    """Returns the state of a search in the scales of `system`.

    The model of the energy learns again from all evaluations, in their order, which is exact. The relaxation under way
    begins again where it is.

    Args:
      config, params: constants and heads.
      state: in the old scales, all of it NumPy arrays.
      system: the same system in the new ones.
      evaluations: positions `[n_atoms, 3]` Angstrom, energy in eV and gradient `[n_atoms, 3]` eV/Angstrom of each.
    """
    foresight = state.foresight
    if foresight is not None:
        known = init_foresight(config.kinds, float, np, params[PRIOR])
        model: Any = known.model
        for positions, energy, gradient in evaluations:
            model = learn(model, positions, np.asarray(energy), gradient, system, config.kinds, np)
        foresight = known._replace(model=model, n_imagined=foresight.n_imagined)
    curvature = config.inverse_curvature * float(system.length_scale) ** 2 / float(system.energy_scale)
    nothing: Any = (np.eye(N_PAIR_FEATURES), np.zeros(N_PAIR_FEATURES))
    return state._replace(
        system=state.system._replace(
            radii=system.radii, length_scale=system.length_scale, energy_scale=system.energy_scale
        ),
        relax=start_relaxation(np.asarray(state.positions), curvature, config.memory),
        foresight=foresight,
        exchange=ExchangeModel(*nothing),
    )
