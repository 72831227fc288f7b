"""LearnedRelax as an ASE optimizer: an everyday relaxation in fewer force calls. Layer 3."""

from pathlib import Path
from typing import IO, Any

from ..optimizers.learned import load_policy
from ..optimizers.learned_relax import LearnedRelaxConfig
from .optimizer import LearnedOptimizer


class LearnedRelax(LearnedOptimizer):
    """Relaxes to the nearest local minimum, in place of `BFGS`, `LBFGS` or `FIRE`.

    Limited-memory BFGS with a model of the Hessian and steps that can be learned; one evaluation of energy and forces
    a step, no line search. Constraints, cell filters, bands and dimers as with ASE's own optimizers.

    Args:
      atoms: anything that ASE's optimizers take.
      restart: JSON file to write the state to and, where it exists, to continue from: the same path as uninterrupted.
      logfile: file, name, '-' for standard output or None.
      trajectory: name or open Trajectory.
      append_trajectory: whether to append to an existing trajectory.
      weights: path of a weights file, or None for springs and steps as they are before training.
      config: constants in place of those that come with the weights, but for `maxstep`.
      walltime: seconds that one run may take.
      length_scale: Angstrom, typical bond length; from the elements if None.
      energy_scale: eV, typical bond energy; from the elements if None.
      maxstep: Angstrom, longest move of one atom in a step, 0.2 if None.
      **kwargs: `master`, `comm`, `loginterval` of ASE's base class.

    Raises:
      ValueError: a keyword has an impossible value, or there are no such weights.
      TypeError: a keyword of searches.
      ase.optimize.optimize.RestartError: the restart file cannot be continued from.

    Example:
      >>> opt = LearnedRelax(atoms, trajectory="opt.traj")
      >>> opt.run(fmax=0.05, steps=200)
    """

    def __init__(
        self,
        atoms,
        restart: str | Path | None = None,
        logfile: IO | str | Path | None = "-",
        trajectory: Any = None,
        append_trajectory: bool = False,
        *,
        weights: str | Path | None = None,
        config: LearnedRelaxConfig | None = None,
        walltime: float | None = None,
        length_scale: float | None = None,
        energy_scale: float | None = None,
        maxstep: float | None = None,
        **kwargs,
    ):
        if searching := kwargs.keys() & {"max_hops", "patience", "target_energy"}:
            raise TypeError(
                f"LearnedRelax has no keyword {', '.join(sorted(searching))}: it never hops; use LearnedHop"
            )
        self.weights = "none" if weights is None else str(weights)
        self._relaxation = load_policy("learned_relax", self.weights, config)
        super().__init__(
            atoms, restart, logfile, trajectory, append_trajectory, max_hops=0, patience=None, walltime=walltime,
            length_scale=length_scale, energy_scale=energy_scale, maxstep=maxstep, **kwargs,
        )  # fmt: skip

    def todict(self) -> dict:
        """Returns what describes the run in a trajectory: plain numbers and strings."""
        return {**super().todict(), "weights": self.weights}
