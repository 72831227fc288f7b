"""LearnedHop as an ASE optimizer: the default search of this package. Layer 3."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from ..optimizers.host_start import start_learned_hop
from ..optimizers.learned import LEARNED, load_learned
from ..optimizers.learned_hop import LearnedHopConfig, learned_hop
from .compiled import Policy
from .optimizer import LearnedOptimizer


class LearnedHop(LearnedOptimizer):
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
        self.weights = "none" if weights is None else str(weights)
        self._params, trained = load_policy(self.weights)
        self._config = config or trained
        super().__init__(atoms, restart, logfile, trajectory, append_trajectory, **kwargs)

    def _search_policy(self) -> Policy:
        config = replace(self._config, unrolled=False)  # one structure: nothing gained, and longer to compile
        if self._given_maxstep is not None:
            config = replace(config, maxstep=self._given_maxstep / self.length_scale)
        return Policy(learned_hop, self._params, config, start_learned_hop)

    def _settings(self) -> str:
        return f"weights {self.weights}, {super()._settings()}"

    def todict(self) -> dict:
        """Returns what describes the run in a trajectory: plain numbers and strings."""
        return {**super().todict(), "weights": self.weights}


def load_policy(weights: str) -> tuple[dict, LearnedHopConfig]:
    """Returns parameters and constants of shipped weights, a file, or "none".

    Raises:
      ValueError: no such weights, damaged ones, or those of another architecture or version.
    """
    if weights == "none":
        # Only the shapes matter: the heads' last layers are zero, so the others are never read.
        shapes = LEARNED["learned_hop"].shapes(LearnedHopConfig())
        untrained = {name: {key: np.zeros(n, np.float32) for key, n in head.items()} for name, head in shapes.items()}
        return untrained, LearnedHopConfig()
    params, config, _ = load_learned("learned_hop", weights)
    return params, config
