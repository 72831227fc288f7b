"""The base of all learned ASE optimizers: its keywords, what it shows, and its restart files. Layer 3."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import numpy as np
from ase.filters import UnitCellFilter
from ase.optimize.optimize import RestartError

from ..forked import require_not_forked
from ..optimizers.host_start import start_learned_relax
from ..optimizers.learned_relax import LearnedRelaxConfig, learned_relax, untrained_relaxation
from ..sanity import MIN_DISTANCE
from . import checks
from .compiled import Policy
from .convert import describe, resolve_scales
from .evaluable import evaluable
from .loop import TwoStageRun
from .minima import Minimum
from .restart_file import RestartFile, read_restart
from .stages import Stages

FORMAT = "ase-learnedopt restart 2"


class LearnedOptimizer(TwoStageRun):
    """Searches with a learned policy, then relaxes the best structure to `fmax`; with `max_hops=0` only relaxes.

    One step is one evaluation of energy and forces. A share of `steps` is kept for the relaxation, which starts when
    the search has ended by any of its limits. After `run` the atoms hold the lowest structure found. On Ctrl-C the
    atoms go to the lowest structure, `status` is set, the restart file written, and KeyboardInterrupt raised again.

    Subclasses say what searches in `_search_policy`, and the parameters and constants that relax in `_relaxation`.

    Args:
      atoms: Atoms, or a filter; with `max_hops=0` anything that ASE's optimizers take.
      restart: JSON file to write the state to and, where it exists, to continue from: the same path as uninterrupted.
      logfile: file, name, '-' for standard output or None.
      trajectory: name or open Trajectory.
      append_trajectory: whether to append to an existing trajectory.
      seed: of the random stream; None draws one, see the attribute `seed`.
      max_hops: hops that end the search; 0: a local relaxation and no search.
      target_energy: eV, energy that ends the search.
      patience: hops without a new best that end the search.
      walltime: seconds that one run may take.
      length_scale: Angstrom, typical bond length; if None from the elements, corrected by the first forces of a search.
      energy_scale: eV, typical bond energy; likewise.
      maxstep: Angstrom, longest move of one atom in a step of a relaxation. Default 0.2, but within a search a
        quarter of the length scale. Hops are not steps.
      min_distance: share of the contact distance (a typical bond) below which two atoms count as fused. A search
        evaluates no such geometry if it can help it, and returns none. 0: no such limit.
      **kwargs: `master`, `comm`, `loginterval` of ASE's base class.

    Attributes:
      status: what ended the last run: converged, target, patience, walltime, budget, interrupted; None before.
      seed: the seed in use.
      calculator_error: what was wrong with the lowest energy, which a search asks the calculator for once more at its
        end, without its history (`calc.reset()`); None where it holds. A wrong energy is dropped for the next lowest.
      fresh_calculator: a function that makes a new calculator for that check, if there is one.

    Raises:
      ValueError: a keyword has an impossible value; nothing to optimize; hops asked of rows that are no atoms.
      RuntimeError: this process was forked from one that had used jax.
      ase.optimize.optimize.RestartError: the restart file cannot be continued from.
    """

    _relaxation: tuple[dict, LearnedRelaxConfig] = (untrained_relaxation(), LearnedRelaxConfig())

    def __init__(
        self,
        atoms,
        restart: str | Path | None = None,
        logfile: IO | str | Path | None = "-",
        trajectory: Any = None,
        append_trajectory: bool = False,
        *,
        seed: int | None = None,
        max_hops: int | None = None,
        target_energy: float | None = None,
        patience: int | None = 200,
        walltime: float | None = None,
        length_scale: float | None = None,
        energy_scale: float | None = None,
        maxstep: float | None = None,
        min_distance: float = MIN_DISTANCE,
        **kwargs,
    ):
        require_not_forked()
        checks.require_min_distance(min_distance)
        length_scale, energy_scale = (
            checks.positive("length_scale", length_scale),
            checks.positive("energy_scale", energy_scale),
        )
        maxstep = checks.positive("maxstep", maxstep)
        self._limits = checks.Limits(max_hops, target_energy, patience, walltime)
        self._given_scales, self._given_maxstep, self._given_seed = (length_scale, energy_scale), maxstep, seed
        self.min_distance = min_distance
        self._fixed_scales = length_scale is not None, energy_scale is not None
        self.maxstep = self.defaults["maxstep"] if maxstep is None else maxstep
        self.status: str | None = None
        self.calculator_error: str | None = None
        self.fresh_calculator: Callable[[], Any] | None = None
        self._running = self._resumed = self._finished = self._watched = self._evaluated = False
        self._run_start = self._n_failures = self._wanted = 0
        self._awaiting = self._left_at = self._expected = self._geometry = self._ended = self._end_before = None
        super().__init__(atoms, restart, logfile, trajectory, append_trajectory, **kwargs)
        self._restart_file = RestartFile(restart, self.comm.rank == 0)

    def _search_policy(self) -> Policy | None:
        """Returns what searches, None for a class that only relaxes."""
        return None

    def _relax_policy(self) -> Policy:
        """Returns what relaxes the best structure, without hops."""
        params, config = self._relaxation
        return Policy(learned_relax, params, replace(config, maxstep=self.maxstep), start_learned_relax)

    @property
    def best_energy(self) -> float:
        """Returns the lowest energy evaluated, eV; infinity before the first evaluation."""
        return self._stages.best_energy

    @property
    def best_evaluation(self) -> int:
        """Returns the number of the evaluation that gave the lowest energy, 0 before the first."""
        return self._stages.best_evaluation

    @property
    def minima(self) -> list[Minimum]:
        """Returns the distinct local minima met, lowest energy first."""
        return self._stages.minima.sorted()

    @property
    def length_scale(self) -> float:
        """Returns the typical bond length in use, Angstrom."""
        return self._stages.scales[0]

    @property
    def energy_scale(self) -> float:
        """Returns the typical bond energy in use, eV."""
        return self._stages.scales[1]

    @property
    def n_hops(self) -> int:
        """Returns the number of hops made."""
        return self._stages.n_hops

    @property
    def n_evaluations(self) -> int:
        """Returns the number of evaluations of energy and forces made."""
        return self._stages.n_evaluations

    @property
    def has_failed(self) -> bool:
        """Returns whether the last evaluation gave no energy; a search goes on with another hop."""
        return self._n_failures > 0

    def initialize(self) -> None:
        """Starts afresh. Evaluates and moves nothing."""
        self.seed = checks.resolve_seed(self._given_seed, self.comm)
        self._set_stages()

    def _set_stages(self) -> None:
        self.optimizable = evaluable(self.optimizable)
        self._rows = describe(self.atoms, self.optimizable)
        search = None if self._limits.max_hops == 0 else self._search_policy()
        if search is not None and not (self._rows.has_atoms and self._rows.has_objective):
            raise ValueError(f"a {type(self.atoms).__name__} has no atoms that could hop: use max_hops=0 to relax it")
        scales = resolve_scales(self._rows, *self._given_scales)
        self._stages = Stages(
            self._rows, (search, self._relax_policy()), scales, self._limits, self._fixed_scales, self.min_distance
        )

    def todict(self) -> dict[str, Any]:
        """Returns what describes the run in a trajectory: plain numbers and strings."""
        own = {"seed": self.seed, "length_scale": self.length_scale, "energy_scale": self.energy_scale}
        return {**super().todict(), **own, **vars(self._limits)}

    def _datafy(self, nsteps: int) -> dict:
        stages = self._stages.datafy()
        stages["n_evaluations"] -= int(self._evaluated)  # the awaited geometry will be evaluated again
        return {
            "format": FORMAT,
            "optimizer": type(self).__name__,
            "n_dofs": self._rows.n_dofs,
            "seed": self.seed,
            "scales": [self.length_scale, self.energy_scale],
            "orig_cell": np.array(self.atoms.orig_cell) if isinstance(self.atoms, UnitCellFilter) else None,
            "nsteps": nsteps,
            "run_start": self._run_start,
            "finished": self._finished,
            "ended": self._ended,
            "awaiting": self._awaiting,
            "energy": self._energy if self._evaluated else None,
            "geometry": self._bits(),
            "stages": stages,
        }

    def _bits(self) -> dict[str, np.ndarray] | None:
        """Returns the atoms as they are under a cell filter, on the way through which the last bit is lost."""
        if not isinstance(self.atoms, UnitCellFilter):
            return None
        return {"cell": self.atoms.atoms.cell.array, "positions": self.atoms.atoms.positions}

    def _put_back(self) -> None:
        if self._geometry is not None and isinstance(self.atoms, UnitCellFilter):
            self.atoms.atoms.set_cell(self._geometry["cell"])
            self.atoms.atoms.positions[:] = self._geometry["positions"]
        self._geometry = None

    def read(self) -> None:
        """Continues from the restart file. Evaluates and moves nothing.

        Raises:
          RestartError: the file cannot be read, or is of another class or version.
          ValueError: the file is of another size.
        """
        assert self.restart is not None
        data = read_restart(self.restart)
        name, n_dofs = type(self).__name__, self.optimizable.ndofs()
        way_out = f"delete or rename {self.restart} to start afresh"
        if not isinstance(data, dict) or data.get("format") != FORMAT or data.get("optimizer") != name:
            raise RestartError(f"{self.restart} was not written by this version of {name}: {way_out}")
        if data.get("n_dofs") != n_dofs:
            sizes = f"{data['n_dofs'] / 3:g} atoms or rows, but there are {n_dofs / 3:g} here"
            raise ValueError(f"{self.restart} is of {sizes}: {way_out}")
        try:
            self.seed, self._given_scales = data["seed"], tuple(data["scales"])
            if data["orig_cell"] is not None and isinstance(self.atoms, UnitCellFilter):
                self.atoms.orig_cell = data["orig_cell"]
            self._set_stages()
            self._stages.undatafy(data["stages"], self.optimizable.get_x())
            self.nsteps, self._run_start, self._awaiting = data["nsteps"], data["run_start"], data["awaiting"]
            self._geometry = data.get("geometry")
            self._resumed, self._expected = not data["finished"], data.get("energy")
            self._end_before = data.get("ended")
        except (KeyError, TypeError, ValueError) as error:
            raise RestartError(f"{self.restart} cannot be continued from ({error}): {way_out}") from error
