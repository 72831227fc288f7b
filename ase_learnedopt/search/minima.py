"""The distinct minima of one or more searches, in memory and in an `ase.db` SQLite file.

Layer 4. Every change is one SQLite transaction, so a killed process leaves a readable file, and adding a record again
changes nothing, so a resumed search repairs whatever its predecessor had no time to write.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.db import connect

from ..adapter import energies
from .file_fields import for_ase_files, join
from .fingerprint import REACH, TOLERANCE, difference, fingerprint, typical_bond
from .kept import copy_atoms, remember

ENERGY_WINDOW = 0.005
"""eV, default energy difference up to which two minima may be the same."""


@dataclass
class Minimum:
    """Describes one distinct minimum."""

    energy: float  # eV, what the forces belong to
    atoms: Atoms  # with all fields of the start, but for those that a file it was read from could not hold
    sightings: dict[str, int] = field(default_factory=dict)  # "label:evaluation of the first sight" -> times seen
    id: int | None = None  # row of the file

    @property
    def times_seen(self) -> int:
        """Returns how often it was reached, over all searches."""
        return sum(self.sightings.values())

    @property
    def evaluation(self) -> int:
        """Returns the evaluation at which a search first saw it, the earliest of all searches."""
        return min(int(key.rpartition(":")[2]) for key in self.sightings)

    @property
    def label(self) -> str:
        """Returns the labels of the searches that saw it, comma-separated."""
        return ",".join(sorted({key.rpartition(":")[0] for key in self.sightings}))


class MinimaDatabase:
    """Collects distinct minima: two are the same within an energy window and a tolerance of their fingerprints.

    Args:
      path: SQLite file, made when the first minimum is added, re-opened if it exists; None: memory only.
      energy_window: eV.
      tolerance: Angstrom, see `fingerprint.same`; by default `TOLERANCE` typical bonds.
      bond: Angstrom, typical bond; by default from covalent radii.

    Raises:
      ValueError: the file is no ase.db file of minima.
    """

    def __init__(
        self,
        path: str | Path | None = None,
        *,
        energy_window: float = ENERGY_WINDOW,
        tolerance: float | None = None,
        bond: float | None = None,
    ):
        self.energy_window, self.tolerance, self.bond = energy_window, tolerance, bond
        self.path = None if path is None else Path(path).absolute()
        self._minima: list[Minimum] = []
        self._energies = np.zeros(0)
        self._prints: dict[int, dict] = {}
        self._where: dict[str, int] = {}
        # ase's lock file would outlive a killed process and block its successor; SQLite locks by itself.
        self._db = None if path is None else connect(str(self.path), type="db", use_lock_file=False)
        if self.path is not None and self.path.exists():
            for minimum in _read(self.path):
                self._append(minimum)

    def __len__(self) -> int:
        return len(self._minima)

    def __iter__(self):
        return iter(self.sorted())

    def sorted(self) -> list[Minimum]:
        """Returns the minima, lowest energy first."""
        return [self._minima[k] for k in np.argsort(self._energies, kind="stable")]

    def add(
        self,
        atoms: Atoms,
        energy: float,
        evaluation: int,
        times_seen: int = 1,
        label: str = "",
        without_smearing: float | None = None,
    ) -> Minimum:
        """Records a sighting and returns its minimum; a later call with the same label and evaluation updates it.

        Args:
          atoms: the structure; copied, without its calculator.
          energy: eV, what the forces belong to.
          evaluation: evaluation at which this search first saw it.
          times_seen: how often this search has seen it so far.
          label: name of the search, such as `seed 0`; ase.db takes no bare number.
          without_smearing: eV, the other energy of a calculator that gives two.
        """
        key = f"{label}:{evaluation}"
        k = self._where.get(key)
        k = self._find(atoms, energy) if k is None else k
        if k is None:
            minimum = Minimum(float(energy), _bare(atoms, energy, without_smearing), {key: int(times_seen)})
            self._append(minimum)
            self._write(minimum, structure=True)
            return minimum
        minimum = self._minima[k]
        lower = energy < minimum.energy
        if lower or minimum.sightings.get(key, 0) < times_seen:
            self._where[key] = k
            minimum.sightings[key] = max(int(times_seen), minimum.sightings.get(key, 0))
            if lower:
                minimum.energy, minimum.atoms = float(energy), _bare(atoms, energy, without_smearing)
                self._energies[k] = energy
                self._prints.pop(k, None)
            self._write(minimum, structure=lower)
        return minimum

    def find(self, atoms: Atoms, energy: float) -> Minimum | None:
        """Returns the minimum that a structure of a given energy in eV belongs to, None if there is none."""
        k = self._find(atoms, energy)
        return None if k is None else self._minima[k]

    def drop(self, label: str, evaluation: int) -> None:
        """Forgets a sighting, and its minimum where no other search has seen it."""
        k = self._where.get(f"{label}:{evaluation}")
        if k is None:
            return
        minimum = self._minima[k]
        del minimum.sightings[f"{label}:{evaluation}"]
        if minimum.sightings:
            del self._where[f"{label}:{evaluation}"]
            self._write(minimum, structure=False)
            return
        if self._db is not None and minimum.id is not None:
            self._db.delete([minimum.id])
        left = [other for other in self._minima if other is not minimum]
        self._minima, self._energies, self._prints, self._where = [], np.zeros(0), {}, {}
        for other in left:
            self._append(other)

    def merge(self, paths: Iterable[str | Path]) -> None:
        """Adds the minima of other files; the same search counts once however often it is merged."""
        for path in paths:
            for other in _read(Path(path)):
                for key, times in other.sightings.items():
                    label, _, evaluation = key.rpartition(":")
                    plain = energies.without_smearing(other.atoms, other.energy)
                    self.add(other.atoms, other.energy, int(evaluation), times, label, plain)

    def _append(self, minimum: Minimum) -> None:
        self._where.update(dict.fromkeys(minimum.sightings, len(self._minima)))
        self._minima.append(minimum)
        self._energies = np.append(self._energies, minimum.energy)

    def _find(self, atoms: Atoms, energy: float) -> int | None:
        """Returns the nearest in energy among the minima that are the same structure."""
        gap = np.abs(self._energies - energy)
        near = [int(k) for k in np.argsort(gap, kind="stable") if gap[k] <= self.energy_window]
        if not near:
            return None
        bond = self.bond or typical_bond(atoms)
        limit = TOLERANCE * bond if self.tolerance is None else self.tolerance
        new = fingerprint(atoms, bond)
        for k in near:
            if k not in self._prints:
                if len(self._prints) > 500:
                    self._prints.clear()
                self._prints[k] = fingerprint(self._minima[k].atoms, bond)
            if difference(new, self._prints[k], REACH * bond) <= limit:
                return k
        return None

    def _write(self, minimum: Minimum, structure: bool) -> None:
        if self._db is None:
            return
        data: dict[str, Any] = {"sightings": minimum.sightings}
        atoms = None
        if structure:
            atoms, rest, _ = for_ase_files(minimum.atoms)
            data.update(energy=minimum.energy, fields=rest)
        pairs: dict[str, int | str] = {"evaluation": minimum.evaluation, "times_seen": minimum.times_seen}
        if minimum.label:
            pairs["label"] = minimum.label
        if minimum.id is None:
            minimum.id = self._db.write(atoms, key_value_pairs=pairs, data=data)
        else:
            self._db.update(minimum.id, atoms=atoms, data=data, **pairs)


def _bare(atoms: Atoms, energy: float, plain: float | None) -> Atoms:
    """Returns a copy that has no results but the energy."""
    copy = copy_atoms(atoms)
    remember(copy, energy, plain=plain)
    return copy


def _read(path: Path) -> list[Minimum]:
    """Reads all minima of a file."""
    if not path.exists():
        raise ValueError(f"there is no file of minima {path}")
    try:
        return [_minimum(row) for row in connect(str(path), type="db", use_lock_file=False).select()]
    except Exception as error:
        raise ValueError(f"{path} is no ase.db file of minima written by this package: {error}") from error


def _minimum(row: Any) -> Minimum:
    """Returns what a row describes."""
    atoms, data = row.toatoms(), row.data
    join(atoms, data.get("fields", ""))
    return Minimum(data.get("energy", row.energy), atoms, dict(data["sightings"]), row.id)
