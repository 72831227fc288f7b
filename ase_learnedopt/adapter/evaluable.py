"""What ASE makes of a target, so that its value can always be asked for. Layer 3.

ASE asks for the energy that forces belong to, of dimers (`MinModeAtoms`) too, which know of one energy only.
"""

import inspect
from typing import Any

import numpy as np
from ase.optimize.optimize import OptimizableAtoms
from ase.utils.abc import Optimizable


def evaluable(optimizable: Optimizable) -> Optimizable:
    """Returns the optimizable, or what stands for it where ASE cannot ask its atoms for an energy."""
    if not isinstance(optimizable, OptimizableAtoms):
        return optimizable
    known = inspect.signature(optimizable.atoms.get_potential_energy).parameters.values()
    takes = any(item.name == "force_consistent" or item.kind is item.VAR_KEYWORD for item in known)
    return optimizable if takes else OneEnergy(optimizable)


class OneEnergy(Optimizable):
    """Stands for the optimizable of a wrapper around atoms that has one energy."""

    def __init__(self, inner: Any):
        self._inner = inner

    def get_value(self) -> float:
        """Returns the energy in eV."""
        return self._inner.atoms.get_potential_energy()

    def ndofs(self) -> int:
        """Returns how many numbers are moved."""
        return self._inner.ndofs()

    def get_x(self) -> np.ndarray:
        """Returns them, `[n_dofs]` Angstrom."""
        return self._inner.get_x()

    def set_x(self, x: np.ndarray) -> None:
        """Moves to `[n_dofs]` Angstrom."""
        self._inner.set_x(x)

    def get_gradient(self) -> np.ndarray:
        """Returns what is to become zero, `[n_dofs]` eV/Angstrom."""
        return self._inner.get_gradient()

    def iterimages(self):
        """Returns the atoms that a trajectory shows."""
        return self._inner.iterimages()

    def converged(self, gradient: np.ndarray, fmax: float) -> bool:
        """Returns whether this is the end, for a dimer at a saddle point only."""
        return self._inner.converged(gradient, fmax)

    def gradient_norm(self, gradient: np.ndarray) -> float:
        """Returns the largest force, eV/Angstrom."""
        return self._inner.gradient_norm(gradient)
