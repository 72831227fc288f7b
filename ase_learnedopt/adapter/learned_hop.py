"""LearnedHop as an ASE optimizer: the default search of this package. Layer 3."""

from pathlib import Path
from typing import Any

import numpy as np

from ..optimizers.hop_relaxation import with_model
from ..optimizers.hop_state import LearnedHopConfig, count_kinds
from ..optimizers.host_start import start_learned_hop
from ..optimizers.imagine import imagine
from ..optimizers.learned_hop import unmodelled_hop
from ..optimizers.rescaling import rescaled_state
from .trained import TrainedOptimizer


def _renewed(config, state):
    """Returns `with_model` in NumPy: compiled it would take longer than most searches spend on it."""
    return with_model(config, state, xp=np)


class LearnedHop(TrainedOptimizer):
    """Searches by deformed relaxations, relaxations and hops, then relaxes the best structure to `fmax`.

    Args:
      atoms: Atoms, or a filter around them; with `max_hops=0` anything that ASE's optimizers take.
      weights: name of shipped weights, path of a weights file, or None for the untrained, classical policy.
      config: constants of the classical policy.
      **kwargs: see `LearnedOptimizer`.

    Example:
      >>> opt = LearnedHop(atoms, seed=0, trajectory="opt.traj")
      >>> opt.run(fmax=0.05, steps=5000)
      >>> opt.best_energy, opt.status, len(opt.minima)
    """

    architecture = "learned_hop"
    _build = staticmethod(unmodelled_hop)
    _start = staticmethod(start_learned_hop)
    _renew = staticmethod(_renewed)
    _imagine = staticmethod(imagine)
    _rescale = staticmethod(rescaled_state)

    def _for_structure(self) -> dict[str, Any]:
        # Written out it gains nothing for one structure, and is longer to compile.
        return {"unrolled": False, "kinds": count_kinds(self._rows.numbers)}

    def __init__(
        self,
        atoms,
        restart=None,
        logfile="-",
        trajectory=None,
        append_trajectory: bool = False,
        *,
        weights: str | Path | None = "learned_hop",
        config: LearnedHopConfig | None = None,
        **kwargs,
    ):
        super().__init__(
            atoms, restart, logfile, trajectory, append_trajectory, weights=weights, config=config, **kwargs
        )
