"""pele's basin hopping around its compiled L-BFGS, on any cluster. Needs the package pele."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from ase import Atoms

from ..counting import Evaluator
from ..problems import Problem
from .common import contain, container_radius, fresh_start, numpy_seed, scales

ENDLESS = 10**9
"""Hops; the evaluator ends the run."""


def run(problem: Problem, atoms: Atoms, evaluator: Evaluator, seed: int, *, scaled: Mapping[str, Any] | None = None):
    """Runs pele's basin hopping until `RunEnded`, which its compiled code lets through.

    Args:
      problem: a cluster.
      atoms: the start.
      evaluator: counts and ends.
      seed: of NumPy's global stream, which pele draws from.
      scaled: None: what pele's systems use, a step of 0.6 and a temperature of 1.0, both adaptive. Else `stepsize`,
        `maxstep` (length scales), `kT`, `maxErise` (energy scales), `tol` (rms gradient of a coordinate, energy scales
        per length scale), `interval` (hops between two adjustments of the step, None: never) and `memory` of L-BFGS.

    Raises:
      ValueError: pele is missing, or the problem is periodic.
    """
    if atoms.pbc.any():
        raise ValueError(f"pele_basin_hopping is for clusters, {problem.name} is periodic: choose another method")
    try:
        from pele.basinhopping import BasinHopping
        from pele.optimize import lbfgs_cpp
    except ImportError as error:
        raise ValueError("pele_basin_hopping needs pele: pip install 'ase-learnedopt[bench]'") from error
    potential = _potential(evaluator)
    length, energy = scales(problem, atoms)
    local: dict[str, Any] = {}
    if scaled is not None:
        local = {
            "tol": scaled["tol"] * energy / length,
            "maxstep": scaled["maxstep"] * length,
            "maxErise": scaled["maxErise"] * energy,
            "M": scaled["memory"],
            "H0": 0.01 * length**2 / energy,
        }
    attempt = 0
    with numpy_seed(seed):
        while True:
            take_step, kT = _default_step(), 1.0
            if scaled is not None:
                take_step, kT = _scaled_step(scaled, length, container_radius(problem, atoms)), scaled["kT"] * energy
            hopping = BasinHopping(
                atoms.positions.ravel(),
                potential,
                take_step,
                temperature=kT,
                quench=lambda x: lbfgs_cpp(x, potential, **local),
                outstream=None,
            )
            hopping.run(ENDLESS)
            attempt += 1
            atoms = fresh_start(problem, seed, attempt)


def _potential(evaluator: Evaluator):
    """Returns the evaluator as one of pele's potentials."""
    from pele.potentials import BasePotential

    class Counting(BasePotential):
        def getEnergyGradient(self, coords):  # noqa: N802  pele's name
            energy, forces = evaluator.evaluate(np.reshape(coords, (-1, 3)))
            return energy, -forces.reshape(-1)

        def getEnergy(self, coords):  # noqa: N802  pele's name
            return self.getEnergyGradient(coords)[0]

    return Counting()


def _default_step():
    """Returns the step that `pele.systems.BaseSystem.get_takestep` makes."""
    from pele.takestep import AdaptiveStepsizeTemperature, RandomDisplacement

    return AdaptiveStepsizeTemperature(RandomDisplacement(stepsize=0.6))


def _scaled_step(scaled: Mapping[str, Any], length: float, radius: float):
    """Returns pele's random displacement after evaporated atoms have been brought back, adaptive or not."""
    from pele.takestep import AdaptiveStepsize, RandomDisplacement

    class Contained(RandomDisplacement):
        def takeStep(self, coords, **kwargs):  # noqa: N802  pele's name
            coords[:] = contain(coords.reshape(-1, 3), radius).reshape(-1)
            super().takeStep(coords, **kwargs)

    step = Contained(stepsize=scaled["stepsize"] * length)
    return step if scaled["interval"] is None else AdaptiveStepsize(step, interval=scaled["interval"])
