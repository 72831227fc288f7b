"""How the atoms of a run are moved: as far as constraints follow, and never to numbers that are none. Layer 3."""

from typing import Any

import numpy as np

from . import checks
from .convert import Rows
from .followed import MAX_HALVINGS
from .gathered import gathered
from .placing import Placement, is_plain, place
from .stages import Stages


class Moving:
    """Moves atoms; a base of `TwoStageRun`, which has the rest of the attributes."""

    optimizable: Any
    logfile: Any
    _rows: Rows
    _stages: Stages
    _awaiting: Any  # [n_dofs], the geometry that was evaluated last or is to be next; None before
    _evaluated: bool  # whether `_energy` and `_gradient` belong to it

    def _move_to(self, x: np.ndarray) -> None:
        """Moves the atoms, half as far as long as a constraint cannot follow: fixed bond lengths may fail to."""
        here, before = self.optimizable.get_x(), Placement(self.optimizable)
        if np.array_equal(x, here):
            self._awaiting, self._evaluated = here, False
            return
        if self._stages.best_x is not None and np.array_equal(x, self._stages.best_x):
            self._move_back(x)
            return
        for halvings in range(MAX_HALVINGS + 1):
            try:
                self.optimizable.set_x(here + 0.5**halvings * (x - here) if halvings else x)
                there = self.optimizable.get_x()
                checks.require_numbers(there)
                break
            except Exception:  # constraints raise what they like, or give numbers that are none
                before.restore()
                if halvings == MAX_HALVINGS:
                    raise
        self._awaiting, self._evaluated = there, False

    def _move_back(self, x: np.ndarray) -> None:
        """Moves the atoms to where they have been, if they are not there."""
        if np.array_equal(x, self.optimizable.get_x()):
            return
        place(self._rows, self.optimizable, x)
        self._awaiting, self._evaluated = self.optimizable.get_x(), False

    def _bring_back(self) -> None:
        """Moves fragments that are too far away to feel the others, and says so."""
        atoms = self._rows.atoms
        found = None if atoms is None or not is_plain(self._rows) else gathered(atoms, self._stages.scales[0])
        if found is None:
            return
        positions, far = found
        self._move_to(positions.reshape(-1))
        which = f"atom {far[0]} is" if len(far) == 1 else f"{len(far)} atoms ({far[0]} ... {far[-1]}) are"
        self.logfile.write(
            f"{type(self).__name__}:  {which} too far away to feel the others: brought back before the search begins\n"
        )
