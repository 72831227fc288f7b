"""ASE's `GPMin` in random restarts: local relaxations along a Gaussian process of energies and forces.

Garijo del Rio, Mortensen & Jacobsen, Phys. Rev. B 100, 104103 (2019). Each start has a process of its own, or several,
since its matrix has a row for each coordinate of each evaluation. What is not worth it is not finished: see `run`.
"""

import contextlib
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import CalculationFailed
from ase.optimize import BFGS
from ase.optimize.gpmin.gpmin import GPMin

from ..counting import CountingCalculator, EvaluationFailed, Evaluator
from ..problems import Problem
from .common import apart, fresh_start, scales

DEFAULTS = {
    "scale": 0.4,  # Angstrom
    "fmax": 0.1,  # eV/Angstrom
    "fmin": 0.01,  # eV/Angstrom
    "worth": 0.3,  # eV
    "maxstep": 0.2,  # Angstrom
    "memory": 50,
}
RENEWALS, LAST_STEPS = 3, 60
HOPELESS = 10
"""Starts after which a calculator that has never worked is taken not to work."""


def run(problem: Problem, atoms: Atoms, evaluator: Evaluator, seed: int, *, scaled: Mapping[str, Any] | None = None):
    """Runs GPMin from one start after the other until `RunEnded`; atoms that overlap are first pushed apart.

    Args:
      problem: what is searched.
      atoms: the first start.
      evaluator: counts and ends.
      seed: of the starts; nothing else is random.
      scaled: None: GPMin's own scale, and forces, energies and steps usual in ASE. Else `scale` of the kernel (length
        scales), `fmax` to which every start is relaxed, `fmin` to which those are that end within `worth` (energy
        scales) of the lowest energy so far (both energy scales per length scale), `maxstep` of the BFGS that goes on
        where GPMin gives up (length scales), and `memory`, the evaluations after which it forgets.
    """
    settings = DEFAULTS if scaled is None else _in_units(scaled, *scales(problem, atoms))
    attempt = 0
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        while True:
            atoms = apart(problem, atoms)
            atoms.calc = CountingCalculator(evaluator)
            try:
                _Relaxation(atoms, evaluator, settings).relax()
            except EvaluationFailed:
                pass
            except CalculationFailed:  # before there was any energy
                if attempt >= HOPELESS:
                    raise
            attempt += 1
            atoms = fresh_start(problem, seed, attempt)


def _in_units(scaled: Mapping[str, Any], length: float, energy: float) -> dict[str, Any]:
    units = {
        "scale": length,
        "fmax": energy / length,
        "fmin": energy / length,
        "worth": energy,
        "maxstep": length,
    }
    return {name: value * units.get(name, 1) for name, value in scaled.items()}


class _Relaxation:
    """Relaxes one start: a new process takes the place of one that has become large, BFGS that of one that fails."""

    def __init__(self, atoms: Atoms, evaluator: Evaluator, settings: Mapping[str, Any]):
        self._atoms, self._evaluator, self._settings = atoms, evaluator, settings
        self._renew()

    def _renew(self) -> None:
        self._local = GPMin(self._atoms, logfile=None, scale=self._settings["scale"])
        self._full = self._evaluator.n_evaluations + self._settings["memory"]

    def relax(self) -> None:
        """Relaxes as far as it is worth; a hit asks for an energy right to a millielectronvolt."""
        for fmax in (self._settings["fmax"], self._settings["fmin"]):
            self._lowest = self._atoms.get_potential_energy(), self._atoms.positions.copy()
            if not any(self._relaxes(fmax) for _ in range(RENEWALS)):
                BFGS(self._atoms, logfile=None, maxstep=self._settings["maxstep"]).run(fmax=fmax, steps=LAST_STEPS)
            if self._atoms.get_potential_energy() > self._evaluator.best_energy + self._settings["worth"]:
                return

    def _relaxes(self, fmax: float) -> bool:
        """Goes on with GPMin; returns whether it got there before it became too large or failed in a known way."""
        # No descent, a model not minimized, a geometry far off that the calculator fails for; a matrix not positive.
        with contextlib.suppress(RuntimeError, np.linalg.LinAlgError):
            for converged in self._local.irun(fmax=fmax):
                self._lowest = min(
                    self._lowest, (self._atoms.get_potential_energy(), self._atoms.positions.copy()), key=lambda x: x[0]
                )
                if converged:
                    return True
                if self._evaluator.n_evaluations >= self._full:
                    break
        self._atoms.positions = self._lowest[1]
        self._renew()
        return False
