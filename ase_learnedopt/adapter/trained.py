"""The base of ASE optimizers that have weights. Layer 3."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from ..optimizers.learned import LEARNED, load_policy
from .compiled import Policy
from .optimizer import LearnedOptimizer


class TrainedOptimizer(LearnedOptimizer):
    """Searches with the optimizer `architecture` of the table `LEARNED`.

    Args:
      atoms: Atoms, or a filter around them; with `max_hops=0` anything that ASE's optimizers take.
      weights: name of shipped weights, path of a weights file, or None for the untrained, classical policy.
      config: constants in place of those that come with the weights.
      **kwargs: see `LearnedOptimizer`.

    Raises:
      ValueError: no such weights, damaged ones, or those of another architecture, version or config.
    """

    architecture: ClassVar[str]
    _start: ClassVar[Callable | None] = None
    _build: ClassVar[Callable | None] = None  # in place of the table's
    _renew: ClassVar[Callable | None] = None
    _imagine: ClassVar[Callable | None] = None
    _rescale: ClassVar[Callable | None] = None
    _sees_neighbors: ClassVar[bool] = False  # in every step

    def __init__(
        self,
        atoms,
        restart=None,
        logfile="-",
        trajectory=None,
        append_trajectory: bool = False,
        *,
        weights: str | Path | None = None,
        config: Any = None,
        **kwargs,
    ):
        self.weights = "none" if weights is None else str(weights)
        self._params, self._config = load_policy(self.architecture, self.weights, config)
        super().__init__(atoms, restart, logfile, trajectory, append_trajectory, **kwargs)

    def _search_policy(self) -> Policy:
        config = replace(self._config, **self._for_structure())
        own = type(self)
        build = own._build or LEARNED[self.architecture].build
        renew = None if own._renew is None else partial(own._renew, config)
        return Policy(
            build, self._params, config, own._start, own._sees_neighbors, renew, own._imagine, own._rescale,
            self._given_maxstep,
        )  # fmt: skip

    def _for_structure(self) -> dict[str, Any]:
        """Returns the constants that batches want otherwise, or that depend on the structure."""
        return {}

    def _settings(self) -> str:
        return f"weights {self.weights}, {super()._settings()}"

    def todict(self) -> dict:
        """Returns what describes the run in a trajectory: plain numbers and strings."""
        return {**super().todict(), "weights": self.weights}
