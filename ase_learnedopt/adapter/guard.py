"""Which geometries a search may evaluate: none with fused atoms, once it has seen one without. Layer 3.

The start is evaluated as it is, and atoms that overlap there may come apart step by step.
"""

import numpy as np
from ase import Atoms

from ..sanity import MIN_DISTANCE, contacts
from .held import fixed_atoms
from .scales import contact_radii

MOST_REFUSED = 200
"""Proposals in a row that are refused before it is the user's turn to say what atoms may do."""
DENSE, TYPICAL = 0.6, 0.9
"""Contacts to the nearest neighbour (median): with less than the first a start has other contacts than its scales say,
and the second is what most structures have."""


class Guard:
    """Judges the geometries that one search moves its atoms to.

    Args:
      atoms: what is moved; its present positions are the start.
      min_distance: contacts below which two atoms count as fused; 0: nothing is refused.
    """

    def __init__(self, atoms: Atoms, min_distance: float = MIN_DISTANCE):
        self._atoms, self._min_distance = atoms, min_distance
        self._movable = np.ones(len(atoms), bool)  # distances between atoms that cannot move are the user's
        self._movable[fixed_atoms(atoms)] = False
        self._seen_sane, self._last, self._n_refused = False, np.inf, 0
        self._start: tuple[np.ndarray, ...] = atoms.positions.copy(), atoms.cell.array.copy()
        self._limits: dict[float, float] = {}  # length scale: contacts below which atoms are fused

    def is_sane(self, length_scale: float) -> bool:
        """Says whether no two atoms are fused; `length_scale` is the mean contact in Angstrom, here and below."""
        return self._closest(length_scale) >= self._limit(length_scale)

    def allows(self, length_scale: float) -> bool:
        """Says whether the present geometry, a proposal, may be evaluated.

        Raises:
          ValueError: too many in a row were refused.
        """
        coming_apart = not self._seen_sane and self._closest(length_scale) >= self._last
        if self.is_sane(length_scale) or coming_apart:
            self._n_refused = 0
            return True
        self._n_refused += 1
        if self._n_refused > MOST_REFUSED:
            raise ValueError(
                f"the last {MOST_REFUSED} geometries proposed have two atoms nearer than {self._min_distance:g} "
                f"contacts, of {length_scale:.3g} A: give the right length_scale, or a smaller min_distance"
            )
        return False

    def evaluated(self, length_scale: float) -> bool:
        """Notes that the present geometry was evaluated; returns whether it is sane."""
        self._last = self._closest(length_scale)
        sane = self._last >= self._limit(length_scale)
        self._seen_sane = self._seen_sane or sane
        return sane

    def comes_apart(self, length_scale: float, forces: np.ndarray) -> bool:
        """Says whether the two nearest atoms repel each other; fused ones that do not lie in a hole of the potential.

        Args:
          length_scale: Angstrom.
          forces: `[n_atoms, 3]` eV/Angstrom.
        """
        first, second, ratio = self._contacts(self._atoms.positions, self._atoms.cell.array, length_scale, 1.0)
        if not len(ratio):
            return True
        i, j = first[k := int(ratio.argmin())], second[k]
        away = self._atoms.get_distance(i, j, mic=bool(self._atoms.pbc.any()), vector=True)
        return bool((forces[j] - forces[i]) @ away > 0)

    def datafy(self) -> dict:
        """Returns what a restart needs."""
        return {"seen_sane": self._seen_sane, "last": self._last, "start": self._start}

    def undatafy(self, data: dict) -> None:
        """Takes over what `datafy` returned."""
        self._seen_sane, self._last = data["seen_sane"], data["last"]
        self._start = tuple(np.asarray(array) for array in data["start"])

    def _limit(self, length_scale: float) -> float:
        """Returns the contacts below which atoms are fused: fewer where the start is denser than the scales allow."""
        if length_scale not in self._limits:
            positions, cell = self._start
            first, second, ratio = self._contacts(positions, cell, length_scale, 1.0)
            nearest = np.ones(len(self._atoms))
            np.minimum.at(nearest, first, ratio)
            np.minimum.at(nearest, second, ratio)
            typical = float(np.median(nearest[self._movable])) if self._movable.any() else 1.0
            shorter = 1.0 if typical > DENSE else typical / TYPICAL
            self._limits[length_scale] = self._min_distance * shorter
        return self._limits[length_scale]

    def _closest(self, length_scale: float) -> float:
        """Returns the shortest distance in contacts, infinity where none is below `min_distance`."""
        positions = self._atoms.positions
        if not np.isfinite(positions).all():
            return -np.inf
        ratio = self._contacts(positions, self._atoms.cell.array, length_scale, self._min_distance)[2]
        return float(ratio.min(initial=np.inf))

    def _contacts(self, positions: np.ndarray, cell: np.ndarray, length_scale: float, cutoff: float):
        """Returns what `sanity.contacts` does, without pairs of atoms that cannot move."""
        radii = contact_radii(self._atoms.numbers, length_scale)
        first, second, ratio = contacts(positions, radii, cell, self._atoms.pbc, cutoff)
        kept = self._movable[first] | self._movable[second]
        return first[kept], second[kept], ratio[kept]
