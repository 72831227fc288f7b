"""Whether what an optimizer knows still holds: a known geometry must have the energy that it had. Layer 3.

Between two runs, or before a restart, users change calculators, their settings, the cell, or the zero of energy.
"""

from typing import Any

import numpy as np

from .energies import as_number
from .moving import Moving
from .stages import SAME


class SameSurface(Moving):
    """Compares energies before a run goes on; a base of `TwoStageRun`, which has the rest of the attributes."""

    _energy: float
    _left_at: Any  # [n_dofs], where the last run left the atoms; None before
    _expected: float | None  # eV, what a restart file says of `_awaiting`; None where there is none or it was compared

    def _set_stages(self) -> None:
        """Sets `_rows`, scales and fresh `_stages`."""
        raise NotImplementedError

    def _put_back(self) -> None:
        """Takes the atoms to the bits of a restart file that has just been read, where it has them."""
        raise NotImplementedError

    def changed_energy(self) -> str | None:
        """Says in a sentence if a geometry evaluated by an earlier run has another energy now, None if not.

        The atoms are moved to where a restart file wants them. Calculators of ASE remember the energy asked for here,
        so that the run that follows need not evaluate it again.
        """
        self._put_back()
        if self._expected is not None and not np.array_equal(self._awaiting, self.optimizable.get_x()):
            self._move_back(self._awaiting)
        known = self._known_energy(self.optimizable.get_x())
        if known is None or not self._rows.has_objective:
            return None
        try:
            energy = as_number(self.optimizable.get_value())
        except Exception:  # noqa: BLE001 the run meets it, too, and says so
            return None
        if abs(energy - known) <= SAME * self._stages.scales[1]:
            return None
        return (
            f"the energy of the same geometry was {known:.6f} eV and is {energy:.6f} eV now: another calculator, cell "
            "or zero of energy"
        )

    def _known_energy(self, x: np.ndarray) -> float | None:
        """Returns the finite energy in eV that a geometry had in an earlier run, None if there is none."""
        energy = self._expected
        if energy is None and self._left_at is not None:
            if self._evaluated and np.array_equal(x, self._awaiting):
                energy = self._energy
            elif self._stages.best_x is not None and np.array_equal(x, self._stages.best_x):
                energy = self._stages.best_energy
        return energy if energy is not None and np.isfinite(energy) else None

    def _begin_anew_if_changed(self) -> None:
        """Keeps of what is known only what is still true, where the atoms or their energies are others than before."""
        # ASE asks only once whether the calculator gives free energies.
        getattr(self.optimizable, "__dict__", {}).pop("_use_force_consistent_energy", None)
        x, best = self.optimizable.get_x(), self._stages.best_x
        if self._left_at is not None and not np.array_equal(self._left_at, x):
            self._begin_anew()  # at the place that someone else has moved the atoms to
            return
        changed = self.changed_energy()
        if changed is not None:
            self.logfile.write(f"{type(self).__name__}:  {changed}; begins anew\n")
            if best is not None:
                self._move_back(best)
            self._begin_anew()
        self._expected = None

    def _begin_anew(self) -> None:
        evaluations = self._stages.n_evaluations
        self._set_stages()
        self._stages.n_evaluations = evaluations
        self._awaiting, self._evaluated = None, False
