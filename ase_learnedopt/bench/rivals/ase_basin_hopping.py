"""ASE's `BasinHopping`, with one of ASE's local optimizers."""

import contextlib
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
from ase import Atoms
from ase.optimize import BFGS, FIRE, LBFGS, BFGSLineSearch
from ase.optimize.basin import BasinHopping

from ..counting import CountingCalculator, EvaluationFailed, Evaluator
from ..problems import Problem
from .common import fresh_start, numpy_seed, scales

OPTIMIZERS = {"BFGS": BFGS, "FIRE": FIRE, "LBFGS": LBFGS, "BFGSLineSearch": BFGSLineSearch}
ENDLESS = 10**9
"""Hops; the evaluator ends the run."""


def run(problem: Problem, atoms: Atoms, evaluator: Evaluator, seed: int, *, scaled: Mapping[str, Any] | None = None):
    """Runs ASE's basin hopping until `RunEnded`.

    Args:
      problem: what is searched.
      atoms: the start.
      evaluator: counts and ends.
      seed: of NumPy's global stream, which ASE draws from.
      scaled: None: ASE's defaults (FIRE). Else `optimizer`, `dr` (length scales), `kT` (energy scales), `fmax` (energy
        scales per length scale) and `maxstep` of the optimizer (length scales).
    """
    settings: dict[str, Any] = {}
    if scaled is not None:
        length, energy = scales(problem, atoms)
        local = partial(OPTIMIZERS[scaled["optimizer"]], maxstep=scaled["maxstep"] * length)
        settings = {
            "optimizer": local,
            "dr": scaled["dr"] * length,
            "temperature": scaled["kT"] * energy,
            "fmax": scaled["fmax"] * energy / length,
        }
    silent: dict[str, Any] = {
        "logfile": None,
        "trajectory": None,
        "optimizer_logfile": None,
        "local_minima_trajectory": None,
    }
    attempt = 0
    with numpy_seed(seed), np.errstate(over="ignore", invalid="ignore"):
        while True:
            atoms = atoms.copy()
            atoms.calc = CountingCalculator(evaluator)
            with contextlib.suppress(EvaluationFailed), _Hopping(atoms, **settings, **silent) as hopping:
                hopping.run(ENDLESS)
            attempt += 1
            atoms = fresh_start(problem, seed, attempt)


class _Hopping(BasinHopping):
    """Refuses a hop whose relaxation fails, as its loop is made for: ASE's own lets the error end the run."""

    def get_energy(self, positions):
        try:
            return super().get_energy(positions)
        except EvaluationFailed:
            if not hasattr(self, "energy"):
                raise
            return None
