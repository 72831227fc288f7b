"""BEACON of the package ase-gpatom on clusters: a Gaussian process of energies and forces. Needs ase-gpatom.

Kaappa, Garijo del Rio & Jacobsen, Phys. Rev. B 103, 174114 (2021): the best structures so far, these
rattled, and random ones are relaxed in the model; of what comes out the one with the lowest bound is evaluated.
"""

import contextlib
import tempfile
import warnings
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import CalculationFailed
from ase.data import covalent_radii
from ase.optimize import BFGS

from ..counting import EvaluationFailed, Evaluator, RunEnded
from ..problems import Problem
from .beacon_kernel import fast_kernel
from .common import apart, fresh_start, numpy_seed, require_cluster
from .their_units import Finishing, TheirUnits

ENDLESS = 10**9
"""Evaluations; the evaluator ends the run."""
CANDIDATES = {"best": 2, "rattled": 4, "all": 10}
WORTH = {"worth": 0.2, "near": 0.5}
"""See `Finishing`: a model that learns from forces gets nearer to a minimum than one of energies."""
LAST_FMAX, LAST_STEPS = 0.05, 30
"""Of the relaxation with true forces: energy scales per length scale, and evaluations."""


def run(problem: Problem, atoms: Atoms, evaluator: Evaluator, seed: int):
    """Runs BEACON until `RunEnded`; an iteration costs one evaluation, and more where a structure is worth it.

    Args:
      problem: a cluster.
      atoms: the start, the first of the two structures that the model begins with.
      evaluator: counts and ends.
      seed: of NumPy's global stream, which BEACON draws from.

    Raises:
      ValueError: ase-gpatom is missing, or the problem is periodic.
    """
    require_cluster("beacon", problem, atoms)
    try:
        import gpatom as _  # noqa: F401
    except ImportError as error:
        raise ValueError("beacon needs ase-gpatom: pip install 'ase-learnedopt[rivals]'") from error
    units = TheirUnits(problem, atoms, evaluator)
    starts = _Starts(problem, units, seed)
    first = [units.to_theirs(apart(problem, atoms)), starts.get()]
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder), numpy_seed(seed), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            _search(units, init_atoms=first, **_modules(first[0], starts)).run()
        except Exception as error:  # BEACON takes the end of a run for a failure, tries again and gives up
            if units.ended:
                raise RunEnded from error
            if isinstance(error, CalculationFailed) or type(error) is Exception:  # no geometry that it tried will do
                raise EvaluationFailed(str(error)) from error
            raise


def _search(units: TheirUnits, **modules: Any):
    """Returns BEACON, which goes on from what it evaluates to the minimum where that is worth it."""
    from gpatom.beacon.beacon import BEACON

    finishing = Finishing(units, **WORTH)
    fmax = LAST_FMAX * units.energy_scale / units.length_scale

    class Search(BEACON):
        def calculate_properties(self, atoms, attatch_calc=True):
            super().calculate_properties(atoms, attatch_calc)
            if finishing.is_worth(atoms):
                BFGS(atoms, logfile=None).run(fmax=fmax, steps=LAST_STEPS)
                finishing.remember(atoms)

    return Search(calculator=units, ndft=ENDLESS, nsur=CANDIDATES["all"], **modules)


class _Starts:
    """Generates the problem's starts, which calculators that fail for scattered atoms can do."""

    def __init__(self, problem: Problem, units: TheirUnits, seed: int):
        self._problem, self._units, self._seed, self._attempt = problem, units, seed, 0

    def get(self) -> Atoms:
        self._attempt += 1
        return self._units.to_theirs(apart(self._problem, fresh_start(self._problem, self._seed, self._attempt)))


def _modules(theirs: Atoms, starts: _Starts) -> dict[str, Any]:
    """Returns what BEACON is put together from, all but the numbers of candidates as it comes."""
    from gpatom.beacon.beacon import Checker, InitatomsGenerator, LowerBound, SurrogateOptimizer
    from gpatom.beacon.str_gen import AtomsInsideBoxRelaxer, RandomBox
    from gpatom.gpfp.atoms_gp_interface import Model
    from gpatom.gpfp.fingerprint import FingerPrint
    from gpatom.gpfp.gp import GaussianProcess
    from gpatom.gpfp.hpfitter import HpFitInterface, PriorDistributionLogNormal
    from gpatom.gpfp.prior import CalculatorPrior, RepulsivePotential

    # The larger of the volumes that its own generator of boxes takes, three times that of the atoms.
    edge = (3.0 * np.sum(4.0 / 3.0 * np.pi * covalent_radii[theirs.numbers] ** 3)) ** (1.0 / 3.0)
    box = [(0.5 * (length - edge), 0.5 * (length + edge)) for length in theirs.cell.lengths()]
    random = RandomBox(theirs, box=box, relaxer=AtomsInsideBoxRelaxer(box, covrad_inside=[False] * 3))
    return {
        "model": Model(
            gp=GaussianProcess(
                hp={"scale": 1000.0, "weight": 100.0},
                prior=CalculatorPrior(RepulsivePotential()),
                kernel=fast_kernel(),
            ),
            fp=FingerPrint(fp_args={"aweight": 1.0}),
            hp_optimizer=HpFitInterface(scale_prior=PriorDistributionLogNormal(), fit_scale_interval=5),
        ),
        "initatomsgen": InitatomsGenerator(
            random, rgen=starts, nrattle=CANDIDATES["rattled"], nbest=CANDIDATES["best"]
        ),
        "surropt": SurrogateOptimizer(fmax=0.05, relax_steps=100),
        "checker": Checker(dist_limit=1e-3, rlimit=0.6),
        "acq": LowerBound(kappa=2.0),
    }
