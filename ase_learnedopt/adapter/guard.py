"""Which geometries a search may evaluate: none with fused atoms, once it has seen one without. Layer 3.

The start is evaluated as it is, and atoms that overlap there may come apart step by step.
"""

import numpy as np
from ase import Atoms

from ..neighbors import nearest_pairs
from ..sanity import MIN_DISTANCE
from .convert import fixed_atoms
from .scales import contact_radii

MOST_REFUSED = 200
"""Proposals in a row that are refused before it is the user's turn to say what atoms may do."""
DENSE, TYPICAL = 0.6, 0.9
"""Contacts to the nearest neighbour (median): with less than the first a start has other contacts than its scales say,
and the second is what most structures have."""


class Guard:
    """Judges geometries of one run.

    Args:
      atoms: what is moved; its present positions are the start.
      min_distance: contacts below which two atoms count as fused; 0: nothing is refused.

    Attributes:
      n_refused: proposals refused in a row.
    """

    def __init__(self, atoms: Atoms, min_distance: float = MIN_DISTANCE):
        self.min_distance, self.n_refused = min_distance, 0
        self._movable = np.ones(len(atoms), bool)  # distances between atoms that cannot move are the user's
        self._movable[fixed_atoms(atoms)] = False
        self._seen_sane, self._last = False, np.inf
        self._start: tuple[np.ndarray, ...] = atoms.positions.copy(), atoms.cell.array.copy()
        self._shortening: dict[float, float] = {}

    def contact(self, atoms: Atoms, length_scale: float) -> float:
        """Returns the shortest distance in contacts, infinity where none is below `min_distance` of the start's."""
        return self._shortest(atoms.positions, atoms.cell.array, atoms, length_scale, self.min_distance)

    def is_sane(self, atoms: Atoms, length_scale: float) -> bool:
        """Says whether no two atoms are fused."""
        return self.contact(atoms, length_scale) >= self._limit(atoms, length_scale)

    def allows(self, atoms: Atoms, length_scale: float) -> bool:
        """Says whether a proposal may be evaluated.

        Args:
          atoms: at the proposal.
          length_scale: Angstrom, mean contact of the atoms.

        Raises:
          ValueError: too many in a row were refused.
        """
        contact = self.contact(atoms, length_scale)
        coming_apart = not self._seen_sane and contact >= self._last
        if contact >= self._limit(atoms, length_scale) or coming_apart:
            self.n_refused = 0
            return True
        self.n_refused += 1
        if self.n_refused > MOST_REFUSED:
            raise ValueError(
                f"the last {MOST_REFUSED} geometries proposed have two atoms nearer than {self.min_distance:g} "
                f"contacts, of {length_scale:.3g} A: give the right length_scale, or a smaller min_distance"
            )
        return False

    def evaluated(self, atoms: Atoms, length_scale: float) -> bool:
        """Notes that a geometry was evaluated; returns whether it is sane."""
        self._last = self.contact(atoms, length_scale)
        sane = self._last >= self._limit(atoms, length_scale)
        self._seen_sane = self._seen_sane or sane
        return sane

    def comes_apart(self, atoms: Atoms, length_scale: float, forces: np.ndarray) -> bool:
        """Says whether the two nearest atoms repel each other; fused ones that do not lie in a hole of the potential.

        Args:
          atoms: the geometry.
          length_scale: Angstrom.
          forces: `[n_atoms, 3]` eV/Angstrom.
        """
        first, second, ratio = self._ratios(atoms.positions, atoms.cell.array, atoms, length_scale, 1.0)
        if not len(ratio):
            return True
        i, j = first[k := int(ratio.argmin())], second[k]
        away = atoms.get_distance(i, j, mic=bool(atoms.pbc.any()), vector=True)
        return bool((forces[j] - forces[i]) @ away > 0)

    def datafy(self) -> dict:
        """Returns what a restart needs."""
        return {"seen_sane": self._seen_sane, "last": self._last, "start": self._start}

    def undatafy(self, data: dict) -> None:
        """Takes over what `datafy` returned."""
        self._seen_sane, self._last = data["seen_sane"], data["last"]
        self._start = tuple(np.asarray(array) for array in data["start"])

    def _limit(self, atoms: Atoms, length_scale: float) -> float:
        """Returns the contacts below which atoms are fused: fewer where the start is denser than the scales allow."""
        if length_scale not in self._shortening:
            positions, cell = self._start
            nearest = self._nearest(positions, cell, atoms, length_scale)
            typical = float(np.median(nearest)) if len(nearest) else 1.0
            self._shortening[length_scale] = 1.0 if typical > DENSE else typical / TYPICAL
        return self.min_distance * self._shortening[length_scale]

    def _shortest(self, positions, cell, atoms: Atoms, length_scale: float, cutoff: float) -> float:
        if not np.isfinite(positions).all():
            return -np.inf
        ratio = self._ratios(positions, cell, atoms, length_scale, cutoff)[2]
        return float(ratio.min(initial=np.inf))

    def _nearest(self, positions, cell, atoms: Atoms, length_scale: float) -> np.ndarray:
        """Returns the contacts from each atom to its nearest neighbour, as far as there is one within a contact."""
        first, second, ratio = self._ratios(positions, cell, atoms, length_scale, 1.0)
        nearest = np.ones(len(atoms))
        np.minimum.at(nearest, first, ratio)
        np.minimum.at(nearest, second, ratio)
        return nearest[self._movable]

    def _ratios(self, positions, cell, atoms: Atoms, length_scale: float, cutoff: float):
        """Returns the pairs within a cutoff of so many contacts, and their distances in contacts."""
        radii = contact_radii(atoms.numbers, length_scale)
        first, second, distance = nearest_pairs(positions, cell, atoms.pbc, 2.0 * cutoff * float(radii.max(initial=0)))
        kept = self._movable[first] | self._movable[second]
        first, second = first[kept], second[kept]
        ratio = distance[kept] / (radii[first] + radii[second])
        inside = ratio <= cutoff
        return first[inside], second[inside], ratio[inside]
