"""Where the constraints of a search's atoms let its moves go, on a copy of them. Layer 3."""

import numpy as np
from ase import Atoms

from ..types import HeldPairs
from .convert import Rows, padded_size, to_rows
from .held import MOST_NUMBERS, SAME, adjusted_forces, held_directions, holds
from .held_pairs import held_pairs
from .placing import is_plain

MAX_HALVINGS = 10
"""Of a move that a constraint cannot follow."""


class HeldDirections:
    """Knows where the constraints of the atoms of a search let them move.

    Args:
      atoms: whose constraints these are; they are copied.
      size: rows of the padded system.
    """

    def __init__(self, atoms: Atoms, size: int):
        self._atoms, self._size = atoms.copy(), size

    @classmethod
    def for_rows(cls, rows: Rows, size: int) -> "HeldDirections | None":
        """Returns what holds the rows of an Optimizable, None where `FixAtoms` at most does or too little is known."""
        atoms = rows.atoms
        if atoms is None or not is_plain(rows):
            return None
        held = held_directions(atoms)
        return None if not held.shape[1] or held.size > MOST_NUMBERS else cls(atoms, size)

    def directions(self, positions: np.ndarray, known: np.ndarray | None = None) -> np.ndarray:
        """Returns orthonormal directions `[3 * size, n]` that are held at `positions` `[size, 3]`, and zeros.

        `known`: such directions of another geometry, returned where they are still the right ones. There are never
        more than of these, so that nothing is compiled anew.
        """
        self._place(positions)
        if known is not None and self._are_held(known):
            return known
        held = held_directions(self._atoms)
        wanted = padded_size(held.shape[1]) if known is None else known.shape[1]
        padded = np.zeros((3 * self._size, wanted))
        padded[: len(held), : held.shape[1]] = held[:, :wanted]
        return padded

    def pairs(self, n_rows: int) -> HeldPairs:
        """Returns the pairs of atoms that are held at their distances, in so many rows."""
        return held_pairs(self._atoms, n_rows, self._size)

    def follow(self, here: np.ndarray, there: np.ndarray) -> np.ndarray:
        """Returns where a move `[size, 3]` comes to from `here`: half as far as long as constraints cannot follow."""
        if not np.isfinite(there).all():
            return there
        for halvings in range(MAX_HALVINGS + 1):
            self._place(here)
            try:
                self._atoms.set_positions((here + 0.5**halvings * (there - here))[: len(self._atoms)])
            except Exception:  # noqa: BLE001, S112  a constraint may raise what it likes
                continue
            if np.isfinite(self._atoms.positions).all():
                return to_rows(self._atoms.positions.reshape(-1), self._size)
        return here

    def _place(self, positions: np.ndarray) -> None:
        self._atoms.set_positions(positions[: len(self._atoms)], apply_constraint=False)

    def _are_held(self, known: np.ndarray) -> bool:
        """Says whether no constraint leaves a force along the directions alone."""
        weights = np.random.default_rng(1).normal(size=known.shape[1])
        force = (known @ weights).reshape(-1, 3)[: len(self._atoms)]
        for constraint in self._atoms.constraints:
            if holds(constraint, self._atoms):
                force = adjusted_forces(constraint, self._atoms, force)
        return bool(np.linalg.norm(force) <= SAME * np.linalg.norm(weights))
