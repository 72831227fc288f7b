"""ASE's `GPMin` in random restarts: local relaxations along a Gaussian process of energies and forces.

Garijo del Rio, Mortensen & Jacobsen, Phys. Rev. B 100, 104103 (2019). Each start has a process of its own, since its
matrix has a row for each coordinate of each evaluation. What is not worth finishing is not finished: see `run`.
"""

import contextlib
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
from ase import Atoms
from ase.optimize import BFGS
from ase.optimize.gpmin.gpmin import GPMin

from ..counting import CountingCalculator, EvaluationFailed, Evaluator
from ..problems import Problem
from .common import apart, fresh_start, scales

DEFAULTS = {
    "scale": 0.4,  # Angstrom
    "fmax": 0.05,  # eV/Angstrom
    "fmin": 0.005,  # eV/Angstrom
    "worth": 0.3,  # eV
    "maxstep": 0.2,  # Angstrom
    "steps": 60,
}


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
        where GPMin gives up (length scales), and `steps`, the evaluations that GPMin has for a start.
    """
    settings = DEFAULTS if scaled is None else _in_units(scaled, *scales(problem, atoms))
    attempt = 0
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        while True:
            atoms = apart(problem, atoms)
            atoms.calc = CountingCalculator(evaluator)
            with contextlib.suppress(EvaluationFailed):
                _relax(atoms, evaluator, settings)
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


def _relax(atoms: Atoms, evaluator: Evaluator, settings: Mapping[str, Any]) -> None:
    """Relaxes one start as far as it is worth; a hit asks for an energy right to a millielectronvolt."""
    local = GPMin(atoms, logfile=None, scale=settings["scale"])
    last = evaluator.n_evaluations + settings["steps"]
    for fmax in (settings["fmax"], settings["fmin"]):
        if not _relaxes(local, fmax, evaluator, last):
            BFGS(atoms, logfile=None, maxstep=settings["maxstep"]).run(fmax=fmax, steps=settings["steps"])
        if atoms.get_potential_energy() > evaluator.best_energy + settings["worth"]:
            return


def _relaxes(local: GPMin, fmax: float, evaluator: Evaluator, last: int) -> bool:
    """Goes on with GPMin; returns whether it got there, not to its limit or to one of its errors."""
    try:
        for converged in local.irun(fmax=fmax):
            if converged or evaluator.n_evaluations >= last:
                return converged
    except EvaluationFailed:
        raise
    except (RuntimeError, np.linalg.LinAlgError):  # no descent, a model not minimized, a matrix not positive
        pass
    return False
