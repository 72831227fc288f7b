"""Which distances the constraints of atoms hold, in the shape that optimizers know them. Layer 3."""

from typing import Any

import numpy as np
from ase import Atoms
from ase.constraints import FixBondLengths, FixInternals

from ..types import HeldPairs


def held_pairs(atoms: Atoms, n_rows: int, size: int) -> HeldPairs:
    """Returns the pairs of atoms at fixed distances in `n_rows` rows, for a system padded to `size`.

    Pairs that do not fit in are left out: moves in models are cut short where constraints end elsewhere.
    """
    pairs = np.array(sorted({pair for constraint in atoms.constraints for pair in _pairs_of(constraint, len(atoms))}))
    pairs = pairs.reshape(-1, 2).astype(np.int32)[:n_rows]
    masses = atoms.get_masses()
    rows: Any = np.pad(pairs, ((0, n_rows - len(pairs)), (0, 0)))
    inverse_masses: Any = np.pad(masses.min(initial=np.inf) / masses, (0, size - len(atoms)))
    return HeldPairs(rows, inverse_masses)


def _pairs_of(constraint, n_atoms: int) -> list[tuple[int, int]]:
    """Returns the pairs `(i, j)`, `i < j`, of which one constraint fixes the distance."""
    if isinstance(constraint, FixBondLengths):
        found = [tuple(pair) for pair in constraint.pairs]
    elif isinstance(constraint, FixInternals):
        bonds = {tuple(sorted(indices)) for _, indices in constraint.bonds}
        ends = [
            (i, k) for _, (i, j, k) in constraint.angles if {tuple(sorted((i, j))), tuple(sorted((j, k)))} <= bonds
        ]  # two bonds and the angle between them
        found = [*bonds, *ends]
    else:
        return []
    index = np.asarray(found, int).reshape(-1, 2) % n_atoms
    return [(int(i), int(j)) for i, j in np.sort(index, axis=1) if i != j]
