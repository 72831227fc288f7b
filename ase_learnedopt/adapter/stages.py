"""The two stages of a run: a search by hops, then a relaxation of the best structure. Layer 3.

Knows nothing of ASE's loop: it takes an evaluation and says where to go next.
"""

from typing import Any, NamedTuple

import numpy as np

from ..sanity import MIN_DISTANCE
from ..types import HOP, MINIMUM, MODEL, RESTART, System
from .checks import Limits, key_from_seed
from .compiled import Policy
from .convert import Rows, padded_size, to_rows, to_system
from .energies import without_smearing
from .followed import HeldDirections
from .guard import Guard
from .method import LearnedMethod
from .minima import Minima
from .scale_learning import scale_learner

SEARCH, RELAX = "search", "relax"
DEEPEST = 20.0
"""Energy scales for each atom below the lowest minimum: more than any structure can gain, so no energy of one."""
SUSPICIOUS = 1.0
"""Energy scales for each atom below the lowest minimum from which on an energy is asked for once more."""
CONFIRMED = 2
"""Such energies that held, from which on no more are asked for."""
SAME_MINIMUM = 2e-3
"""Energy scales within which two minima may be the same."""
SAME = 0.02
"""Energy scales to which the energy of the best structure must hold when it is asked for afresh."""
LONGEST_HOP = 500
"""Evaluations without a minimum that count as a hop without a new best: a network may wander, or sit where it is."""
SAVED = (
    "last_minimum",
    "stage",
    "search_end",
    "n_hops",
    "hops_since_best",
    "lowest_minimum",
    "n_evaluations",
    "best_energy",
    "best_x",
    "_best_is_sane",
    "_checked",
    "best_evaluation",
    "n_confirmed",
)


class Room(NamedTuple):
    """Says what a run has left."""

    search: float  # evaluations that the search may still use
    total: float  # evaluations left in all
    time_is_up: bool  # for the search


class Stages:
    """Holds the state of both stages, and what they have found.

    Attributes:
      stage: search or relax.
      search_end: what ended the search: target, patience, max_hops, walltime or budget; None while it runs.
      scales: length scale in Angstrom and energy scale in eV, as the search has them now.
      best_energy: eV, the lowest evaluated. best_x: `[n_dofs]` there. best_evaluation: number of that evaluation.
    """

    def __init__(
        self,
        rows: Rows,
        policies: tuple[Policy | None, Policy],
        scales: tuple[float, float],
        limits: Limits,
        fixed: tuple[bool, bool] = (True, True),
        min_distance: float = MIN_DISTANCE,
    ):
        self._rows, self.scales, self._limits, self._fixed = rows, scales, limits, fixed
        self._search_policy, self._relax_policy = policies
        clusters = rows.atoms is not None and rows.has_atoms and not rows.atoms.pbc.any()
        self.minima = Minima(SAME_MINIMUM * scales[1], rows.index >= 0 if clusters else None)
        self.searches = self._search_policy is not None
        self._guard = None if rows.atoms is None or not self.searches else Guard(rows.atoms, min_distance)
        self._held = HeldDirections.for_rows(rows, padded_size(rows.n_rows))
        self._best_is_sane, self._in_a_hole, self._hopped = False, False, False
        self.stage = SEARCH if self.searches else RELAX
        self.search_end: str | None = None
        self.n_confirmed = self.best_evaluation = self.n_hops = self.hops_since_best = self.n_evaluations = (
            self.last_minimum
        ) = 0
        self.lowest_minimum = self.best_energy = float("inf")
        self.best_x: np.ndarray | None = None
        self._checked = np.inf
        self._before: tuple[np.ndarray, float, np.ndarray] | None = None  # the last good evaluation of the search
        self._search: LearnedMethod | None = None
        self._relax: LearnedMethod | None = None

    def record(self, x: np.ndarray, energy: float) -> None:
        """Counts an evaluation of the present geometry and keeps the lowest one without fused atoms."""
        self.n_evaluations += 1
        sane = self._is_sane(np.isfinite(energy))
        better = energy < self.best_energy if sane == self._best_is_sane else sane
        if np.isfinite(energy) and better:
            self.best_energy, self.best_x, self._best_is_sane = energy, x.copy(), sane
            self.best_evaluation = self.n_evaluations

    def _is_sane(self, has_forces: bool) -> bool:
        """Returns whether no atoms are fused in the geometry just evaluated, and notes if they are for good."""
        if self._guard is None:
            return True
        sane = self._guard.evaluated(self.scales[0])
        self._in_a_hole = False
        if not sane and has_forces:
            forces = self._rows.atoms.get_forces(apply_constraint=False)  # type: ignore[union-attr]
            self._in_a_hole = not self._guard.comes_apart(self.scales[0], forces)
        return sane

    def refuses(self) -> bool:
        """Says whether the present geometry, just proposed, is not to be evaluated."""
        if self._guard is None or (self.stage != SEARCH and self._relax is None):
            return False
        return not self._guard.allows(self.scales[0])

    def propose_instead(self, x: np.ndarray) -> np.ndarray:
        """Returns another geometry `[n_dofs]` in place of one that was refused, for no evaluation."""
        method = self._search if self.stage == SEARCH else self._relax
        assert method is not None
        method.update(x, np.zeros_like(x), np.inf)
        return self._next_of_search(x) if self.stage == SEARCH else x + method.compute_step(x)

    def seems_wrong(self, x: np.ndarray, energy: float) -> bool:
        """Says whether an energy is so low that a search asks the calculator for it once more, without its history."""
        unit, drop, slope = self._drop(x, energy)
        doubtful = SUSPICIOUS * unit < drop - slope <= DEEPEST * unit  # beyond that it has failed
        return self.searches and self.n_confirmed < CONFIRMED and doubtful

    def require_sane(self, x: np.ndarray, energy: float) -> None:
        """Raises ValueError for an energy that no structure has: a potential where atoms overlap, a failed cycle."""
        unit, drop, slope = self._drop(x, energy)
        if np.isfinite(drop) and drop > DEEPEST * unit + slope:
            each = drop * self.scales[1] / unit
            raise ValueError(
                f"an energy of {energy:g} eV is {drop:.4g} eV below those before, {each:.3g} eV for each atom: the "
                "calculator fails there, as many do where atoms overlap"
            )

    def _drop(self, x: np.ndarray, energy: float) -> tuple[float, float, float]:
        """Returns an energy scale for each atom, how far an energy is below those before, and what slopes promised."""
        drop, slope = self.lowest_minimum - energy, 0.0
        if np.isinf(self.lowest_minimum) and self._before is not None:
            # Walls between atoms flatten on the way down, so no move gains more than their slope promised.
            there, before, gradient = self._before
            drop, slope = before - energy, float(np.linalg.norm(gradient) * np.linalg.norm(x - there))
        return np.count_nonzero(self._rows.index >= 0) * self.scales[1], drop, slope

    def found(self, x: np.ndarray, energy: float, again: bool = True) -> None:
        """Records a local minimum; `again`: not the refinement of one that was counted."""
        if energy < self.best_energy and self._best_is_sane:
            return  # no structure, or it would be the best
        plain = None if self._rows.atoms is None else without_smearing(self._rows.atoms, energy)
        self.minima.add(energy, to_rows(x, self._rows.n_rows), self.n_evaluations, again, plain)

    @property
    def needs_check(self) -> bool:
        """Whether there is a best energy that was not yet asked for afresh."""
        return bool(np.isfinite(self.best_energy)) and self._checked != self.best_energy

    def check(self, energy: float) -> bool:
        """Takes the energy of the best structure from a calculator without history; returns whether it is the same.

        Where it is not, the best structure is the lowest of all minima, this one with its right energy among them.
        """
        assert self.best_x is not None
        if abs(energy - self.best_energy) <= SAME * self.scales[1]:
            self._checked = self.best_energy
            return True
        plain = None if self._rows.atoms is None else without_smearing(self._rows.atoms, energy)
        self.minima.correct(to_rows(self.best_x, self._rows.n_rows), self.best_energy, energy, plain)
        known = [(record.energy, record.positions.reshape(-1)[: self._rows.n_dofs]) for record in self.minima.sorted()]
        self.best_energy, self.best_x = min([(energy, self.best_x), *known], key=lambda pair: pair[0])
        self._checked = energy
        return False

    def propose(self, x: np.ndarray, energy: float, gradient: np.ndarray, seed: int, room: Room) -> np.ndarray:
        """Absorbs an evaluation and returns the geometry `[n_dofs]` to evaluate next."""
        if self.stage == SEARCH:
            return self._search_step(x, np.inf if self._in_a_hole else energy, gradient, seed, room)
        if self.searches and room.total <= 1:
            return self.best_x if self.best_x is not None else x
        return self._relax_step(x, energy, gradient)

    def _search_step(self, x, energy, gradient, seed, room) -> np.ndarray:
        if self._search is None:
            assert self._search_policy is not None
            key, budget = key_from_seed(seed), room.search + 1
            policy, system = self._search_policy, self._system(x)
            learner = scale_learner(policy, system, self._fixed)
            self._search = LearnedMethod(policy, system, self._rows.n_dofs, key, budget, learner, self._held)
        self._search.update(x, gradient, energy)
        self.scales = float(self._search.system.length_scale), float(self._search.system.energy_scale)
        self.minima.window = SAME_MINIMUM * self.scales[1]
        if np.isfinite(energy):
            self._before = x.copy(), energy, np.array(gradient)
        if self._search.event == MINIMUM:
            self.found(x, energy)
        if self._search.event == MINIMUM or self.n_evaluations - self.last_minimum > LONGEST_HOP:
            better = energy < self.lowest_minimum - 1e-3 * self.scales[1]
            self.hops_since_best = 0 if better else self.hops_since_best + 1
            self.lowest_minimum = min(energy, self.lowest_minimum)
            self.last_minimum = self.n_evaluations
        self.search_end = self._reason_to_end(room)
        if self.search_end is not None:
            return self._turn_to_relaxation(x, energy, gradient)
        return self._next_of_search(x)

    def _next_of_search(self, x) -> np.ndarray:
        assert self._search is not None
        while self._search.pending:
            self._search.hop()
        self._hopped = self._hopped or self._search.event in (HOP, RESTART)
        return x + self._search.compute_step(x)

    def _reason_to_end(self, room: Room) -> str | None:
        assert self._search is not None
        limits = self._limits
        if limits.target_energy is not None and self.best_energy <= limits.target_energy:
            return "target"
        if limits.patience is not None and self.hops_since_best > limits.patience:
            return "patience"
        at_minimum = self._search.event == MINIMUM or (self._search.pending and self._search.event != MODEL)
        if limits.max_hops is not None and at_minimum and self.n_hops >= limits.max_hops:
            return "max_hops"
        if room.time_is_up:
            return "walltime"
        return "budget" if room.search < 1 else None

    def count_hop(self) -> None:
        """Counts the hop that the present geometry comes from, if it does: one that is evaluated."""
        self.n_hops += self._hopped
        self._hopped = False

    def _turn_to_relaxation(self, x, energy, gradient) -> np.ndarray:
        self.stage, self._relax = RELAX, None
        if self.best_x is None or np.array_equal(self.best_x, x):
            return self._relax_step(x, energy, gradient)
        return self.best_x

    def _relax_step(self, x, energy, gradient) -> np.ndarray:
        if self._relax is None:
            key = key_from_seed(0)  # relaxations draw nothing
            system, n = self._system(x), self._rows.n_dofs
            self._relax = LearnedMethod(self._relax_policy, system, n, key, np.inf, held=self._held)
        self._relax.update(x, gradient, energy if self._rows.has_objective else 0.0)
        return x + self._relax.compute_step(x)

    def back_to_search(self, x: np.ndarray) -> np.ndarray | None:
        """Takes up a search that only its budget of evaluations or time had ended; returns where to go, or None."""
        if self.stage == SEARCH or self._search is None or self.search_end not in ("budget", "walltime"):
            return None
        self.stage, self.search_end = SEARCH, None
        return self._next_of_search(x)

    def _system(self, x) -> System:
        system = to_system(self._rows, x, *self.scales)
        if self._held is None:
            return system
        held: Any = self._held.directions(np.asarray(system.positions))
        pairs: Any = self._held.pairs(held.shape[1])
        return system._replace(held=held, held_pairs=pairs)

    def datafy(self) -> dict:
        """Returns everything as plain data and arrays."""
        methods = {"search": self._search, "relax": self._relax}
        return {
            **{name: getattr(self, name) for name in SAVED},
            **{f"{name}_state": None if method is None else method.datafy() for name, method in methods.items()},
            "minima": self.minima.datafy(),
            "guard": None if self._guard is None else self._guard.datafy(),
        }

    def undatafy(self, data: dict, x: np.ndarray) -> None:
        """Takes over what `datafy` returned; `x` `[n_dofs]` only gives the shape.

        Raises:
          KeyError, TypeError, ValueError: the data are not of these stages.
        """
        for name in SAVED:
            setattr(self, name, data[name])
        self.minima.undatafy(data["minima"])
        if self._guard is not None and data["guard"] is not None:
            self._guard.undatafy(data["guard"])
        system, n = self._system(x), self._rows.n_dofs
        if data["search_state"] is not None:
            if self._search_policy is None:
                raise ValueError("it is of a search, but this is a relaxation")
            policy, state = self._search_policy, data["search_state"]
            learner = scale_learner(policy, system, self._fixed)
            self._search = LearnedMethod.undatafy(state, policy, system, n, learner, self._held)
        if data["relax_state"] is not None:
            self._relax = LearnedMethod.undatafy(data["relax_state"], self._relax_policy, system, n, held=self._held)
