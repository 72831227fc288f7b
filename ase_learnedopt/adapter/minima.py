"""The distinct minima that one run has met. Layer 3.

Told apart by energy and, for clusters, by the principal moments of the atoms, which neither rotation nor permutation
of like atoms changes.
"""

from dataclasses import asdict, dataclass

import numpy as np


@dataclass
class Minimum:
    """Describes one local minimum."""

    energy: float  # eV, what the forces belong to
    positions: np.ndarray  # [n_rows, 3] Angstrom
    first_seen: int  # evaluation at which it was first reached
    times_seen: int
    without_smearing: float | None = None  # eV, the other energy of a calculator that gives two


class Minima:
    """Collects minima, merging what is the same within `window` eV."""

    def __init__(self, window: float, rows: np.ndarray | None):
        self.window = window
        self._rows = rows  # [n_rows] bool, rows whose moments are compared; None: energies alone
        self._records: list[Minimum] = []
        self._energies = np.zeros(0)

    def add(
        self, energy: float, positions: np.ndarray, evaluation: int, again: bool = True, plain: float | None = None
    ) -> Minimum:
        """Records a minimum and returns its record; `again`: a minimum met before counts as met once more."""
        for k in np.flatnonzero(np.abs(self._energies - energy) < self.window):
            record = self._records[k]
            if self._same(record.positions, positions):
                record.times_seen += again
                if energy < record.energy:
                    record.energy, record.positions, record.without_smearing = energy, positions.copy(), plain
                    self._energies[k] = energy
                return record
        record = Minimum(energy, positions.copy(), evaluation, 1, plain)
        self._records.append(record)
        self._energies = np.append(self._energies, energy)
        return record

    def correct(self, positions: np.ndarray, wrong: float, right: float, plain: float | None = None) -> None:
        """Gives a minimum of a wrong energy in eV its right one; one that has none, infinity, is dropped."""
        for k in np.flatnonzero(np.abs(self._energies - wrong) < self.window):
            if self._same(self._records[k].positions, positions):
                self._records[k].energy, self._records[k].without_smearing = right, plain
        self._records = [record for record in self._records if np.isfinite(record.energy)]
        self._energies = np.array([record.energy for record in self._records])

    def _same(self, a: np.ndarray, b: np.ndarray) -> bool:
        if self._rows is None:
            return True
        moments = self._moments(a)
        return bool(np.max(np.abs(moments - self._moments(b))) <= 0.01 * np.max(moments))

    def _moments(self, positions: np.ndarray) -> np.ndarray:
        offset = positions[self._rows] - positions[self._rows].mean(axis=0)
        return np.linalg.eigvalsh(offset.T @ offset)

    def sorted(self) -> list[Minimum]:
        """Returns the records, lowest energy first."""
        return sorted(self._records, key=lambda record: record.energy)

    def datafy(self) -> list[dict]:
        """Returns the records in the order they were met, as plain data."""
        return [asdict(record) for record in self._records]

    def undatafy(self, data: list[dict]) -> None:
        """Takes over what `datafy` returned."""
        self._records = [Minimum(**record) for record in data]
        self._energies = np.array([record.energy for record in self._records])
