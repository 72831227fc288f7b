"""SciPy's `basinhopping` around its L-BFGS-B.

As it comes, it takes positions in Angstrom and energies in eV, so its own `stepsize` of 0.5 and `T` of 1.0 are in these
units. Tuned, both are in the scales of the problem, and atoms that have evaporated are brought back before each step.
"""

import inspect
from collections.abc import Mapping
from typing import Any

import numpy as np
from ase import Atoms
from scipy.optimize import basinhopping

from ..counting import Evaluator
from ..problems import Problem
from .common import contain, container_radius, fresh_start, scales

ENDLESS = 10**9
"""Hops; the evaluator ends the run."""


def run(problem: Problem, atoms: Atoms, evaluator: Evaluator, seed: int, *, scaled: Mapping[str, Any] | None = None):
    """Runs SciPy's basin hopping until `RunEnded`.

    Args:
      problem: what is searched.
      atoms: the start.
      evaluator: counts and ends.
      seed: of the hops.
      scaled: None: SciPy's defaults. Else `stepsize` (length scales), `kT` (energy scales), `gtol` (energy scales per
        length scale), `interval` (hops between two adjustments of the step, None: never) and `memory` of L-BFGS-B.
    """
    stream = np.random.default_rng(seed)
    named = "rng" if "rng" in inspect.signature(basinhopping).parameters else "seed"
    settings: dict[str, Any] = {named: stream}
    minimizer: dict[str, Any] = {"method": "L-BFGS-B", "jac": True}
    if scaled is not None:
        length, energy = scales(problem, atoms)
        minimizer["options"] = {"gtol": scaled["gtol"] * energy / length, "ftol": 0.0, "maxcor": scaled["memory"]}
        settings["T"] = scaled["kT"] * energy
        settings["take_step"] = _Shake(scaled["stepsize"] * length, container_radius(problem, atoms), stream)
        settings["interval"] = scaled["interval"] or ENDLESS

    def energy_and_gradient(x):
        energy, forces = evaluator.evaluate(x.reshape(-1, 3))
        return energy, -forces.reshape(-1)

    attempt = 0
    while True:
        with np.errstate(over="ignore", invalid="ignore"):
            basinhopping(energy_and_gradient, atoms.positions.ravel(), ENDLESS, minimizer_kwargs=minimizer, **settings)
        attempt += 1
        atoms = fresh_start(problem, seed, attempt)


class _Shake:
    """Displaces every coordinate evenly, as SciPy's own step does; SciPy adjusts `stepsize`."""

    def __init__(self, stepsize: float, radius: float, stream: np.random.Generator):
        self.stepsize, self._radius, self._stream = stepsize, radius, stream

    def __call__(self, x: np.ndarray) -> np.ndarray:
        inside = contain(x.reshape(-1, 3), self._radius).reshape(-1)
        return inside + self._stream.uniform(-self.stepsize, self.stepsize, x.shape)
