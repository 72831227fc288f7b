"""Whether the scales taken from tables are those of the forces, decided in the first evaluations of a search. Layer 3.

Tables know covalent bonds. Noble gases, reduced units and anything else that is named after an element without being
bonded like it has other lengths and energies, and a search in wrong scales takes up to a hundred times as long.
"""

from itertools import pairwise
from typing import Any

import jax
import numpy as np

from ..optimizers.energy_model import PRIORS, morse_priors
from ..optimizers.kinds import SIMILAR
from ..optimizers.policy import PRIOR
from ..optimizers.scale_evidence import disorder, scaled, weigh_scales
from ..types import System
from .compiled import Policy

MOST_LOOKS, MOST_ORDERED, MOST_KEPT = 8, 32, 64
"""Disordered and other geometries that are looked at, and evaluations within which they must come."""
SAME_LENGTH, SAME_ENERGY = 1.12, 2.5
"""Factors within which the scales are left as they are."""
WELL, FAIRLY, HARDLY = 0.1, 0.165, 0.3
"""Share of the forces left unexplained: up to the first they are of metals or rare gases, of which the prior knows."""
CONVINCING, STRONG, OVERWHELMING = 2.5, 1.5, 3.0
"""Gain at which other scales are believed: in all where they explain the forces well, else for each component."""
ORDERED, DILUTE = 0.15, 0.9
"""Disorder within which forces tell all: near a minimum they are small for another reason, in a gas there are few."""
PRESSED, DECISIVE = 0.85, 10.0
"""Contacts that half of the calm atoms have to the next one, below which they only repel each other: strong walls far
in look like weak ones farther out. All geometries are looked at then, and believed for a gain above the second."""

DEEPEST = 20.0
"""Energy scales for each atom that no geometry whose atoms do not overlap is above the best."""
MOSTLY_FREE = 0.4
"""Directions that an atom may be held along, in part or whole, for its force to tell of the scales."""
SMALL_MOVE, MANY_MOVES = 0.3, 6
"""Length scales that atoms move at most between two geometries that tell of a spring, and how many such moves tell."""
SOFT, STIFF = 4.0, 100.0
"""Stiffness along a move, energy scales per length scale squared: the stiffest of many moves is never as soft as the
first in metals, rare gases and covalent clusters, and commonly of the order of the second (`springs` of
benchmarks/scale_constants.py)."""


class ScaleLearner:
    """Watches the first evaluations of a search.

    Args:
      prior: `[n_features + 1, n_features + 1]` of the model of the energy for one kind of atoms.
      system: padded, in the scales of the tables.
      fixed: whether the length scale and the energy scale were given.

    Attributes:
      evaluations: positions, energy and gradient of each so far.
      looks: how many disordered ones were looked at; None when nothing more is to be decided. n_ordered: of the others.
      pressed: whether the scales are those of atoms that only repel each other, so that all geometries are looked at.
    """

    def __init__(self, prior: Any, system: System, fixed: tuple[bool, bool]):
        self._prior, self._fixed = np.asarray(prior, float), fixed
        self.evaluations: list[tuple[np.ndarray, float, np.ndarray]] = []
        self.pressed, self.n_ordered = False, 0
        self.looks: int | None = None if all(fixed) or not _of_one_size(system) else 0

    def look(self, system: System, positions: np.ndarray, energy: float, gradient: np.ndarray) -> System | None:
        """Takes an evaluation and returns the system in other scales where these are wrong.

        Args:
          system: in the present scales.
          positions: `[n_atoms, 3]` Angstrom.
          energy: eV.
          gradient: `[n_atoms, 3]` eV/Angstrom.
        """
        if self.looks is None or not np.isfinite(energy):
            return None
        self.evaluations.append((positions, energy, gradient))
        system = jax.tree.map(np.asarray, system)
        factors = None
        order = disorder(system, positions)
        ordered = order < ORDERED and not self.pressed
        if order < DILUTE and not (ordered and self.n_ordered >= MOST_ORDERED):
            self.looks += not (ordered or self.pressed)
            self.n_ordered += ordered
            factors = self._weigh(system, positions, gradient, ordered)
            factors = None if factors is not None and self._gains_too_much(system, factors[1]) else factors
        if self.looks is not None and (self.looks >= MOST_LOOKS or len(self.evaluations) >= MOST_KEPT):
            self.looks = None
        if factors is None and self.looks is not None:
            factors = self._weigh_springs(system)
        return None if factors is None else scaled(system, *factors)

    def datafy(self) -> dict:
        """Returns what a restart needs."""
        kept = [] if self.looks is None else self.evaluations
        return {"looks": self.looks, "n_ordered": self.n_ordered, "pressed": self.pressed, "evaluations": kept}

    def undatafy(self, data: dict) -> None:
        """Takes over what `datafy` returned."""
        self.looks, self.n_ordered, self.pressed = data["looks"], data["n_ordered"], data["pressed"]
        self.evaluations = [(np.asarray(x), float(energy), np.asarray(g)) for x, energy, g in data["evaluations"]]

    def _weigh(
        self, system: System, positions: np.ndarray, gradient: np.ndarray, ordered: bool
    ) -> tuple[float, float] | None:
        """Returns the factors by which the scales are wrong, None where they are not.

        ordered: whether forces may be small for being near a minimum, and tell of a higher energy scale only.
        """
        length_known, energy_known = self._fixed
        if system.held is not None:  # of these forces something was taken away
            share = np.sum(np.asarray(system.held) ** 2, axis=1).reshape(-1, 3).sum(axis=1)
            system = system._replace(movable=system.movable & (share < MOSTLY_FREE))
        found = weigh_scales(self._prior, system, positions, gradient, fix_length=length_known, fix_energy=energy_known)
        if found is None or found.misfit > HARDLY:
            return None
        each = STRONG if found.misfit <= FAIRLY else OVERWHELMING
        least = DECISIVE if self.pressed else CONVINCING
        believed = found.gain > (least if found.misfit <= WELL else each * found.n_data)
        far = max(found.length, 1.0 / found.length), max(found.energy, 1.0 / found.energy)
        wrong = far[0] > SAME_LENGTH or far[1] > SAME_ENERGY
        if ordered:
            return (found.length, found.energy) if believed and found.energy > SAME_ENERGY else None
        changes = believed and wrong
        self.pressed = found.nearest <= PRESSED and (changes or self.pressed)
        if found.misfit <= WELL and not wrong and not self.pressed:
            self.looks = None  # confirmed, and a later geometry might say something else
        return (found.length, found.energy) if changes else None

    def _gains_too_much(self, system: System, factor: float) -> bool:
        """Returns whether the best geometry is lower than any can be in an energy scale so many times the present one.

        Where atoms only repel each other the last energy says nothing of that.
        """
        energies = [energy for _, energy, _ in self.evaluations]
        n_atoms = np.count_nonzero(system.species >= 0)
        most = DEEPEST * n_atoms * factor * float(system.energy_scale)
        return bool(energies[-1] - min(energies) > most) and not self.pressed

    def _weigh_springs(self, system: System) -> tuple[float, float] | None:
        """Returns the factor of an energy scale that is far too high: every geometry seems a minimum then."""
        length, energy = float(system.length_scale), float(system.energy_scale)
        springs = np.array(springs_seen(self.evaluations, length)) * length**2 / energy
        if self._fixed[1] or len(springs) < MANY_MOVES or not 0.0 < max(springs) < SOFT:
            return None
        return 1.0, float(max(springs)) / STIFF


def springs_seen(evaluations: list[tuple[np.ndarray, float, np.ndarray]], length: float) -> list[float]:
    """Returns the stiffness (eV/Angstrom^2) along each move that is small beside the length scale, in Angstrom.

    Args:
      evaluations: positions, energy and gradient of each, in their order.
      length: length scale in Angstrom.
    """
    springs = []
    for (before, _, old), (here, _, new) in pairwise(evaluations):
        move = here - before
        if 1e-6 * length < np.linalg.norm(move, axis=1).max() < SMALL_MOVE * length:
            springs.append(float(np.sum(move * (new - old)) / np.sum(move * move)))
    return springs


def scale_learner(policy: Policy, system: System, fixed: tuple[bool, bool]) -> ScaleLearner | None:
    """Returns what watches a search for scales that are wrong; None where they are given, or nothing could tell.

    Args:
      policy: of the search. One whose prior was not learned has no idea which forces are likely.
      system: padded, in the scales of the tables.
      fixed: whether the length scale and the energy scale were given.
    """
    if policy.rescale is None or all(fixed):
        return None
    name = PRIORS[1]
    prior = policy.params[PRIOR][name]
    return None if np.array_equal(prior, morse_priors()[name]) else ScaleLearner(prior, system, fixed)


def _of_one_size(system: System) -> bool:
    """Whether one model of all pairs can be right: in ions and molecules the tables are."""
    radii = np.asarray(system.radii)[np.asarray(system.species) >= 0]
    return bool(len(radii) > 3 and radii.max() <= SIMILAR * radii.min())
