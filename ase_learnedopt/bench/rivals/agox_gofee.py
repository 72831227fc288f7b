"""GOFEE of the package agox on clusters: a Gaussian process, and relaxations in its lower confidence bound. Needs agox.

Bisbo & Hammer, Phys. Rev. Lett. 124, 086102 (2020). The modules and their settings are those of agox's `GOFEEConfig`,
run one after the other in this process, without ray. `model="local"` puts agox's sparse process of local environments
(Ronne et al., J. Chem. Phys. 157, 174115, 2022) in the place of the one of global fingerprints; it needs dscribe, too.
"""

import atexit
import contextlib
import io
import tempfile
import warnings
from typing import Any
from unittest.mock import patch

import ase.constraints
import numpy as np
from ase import Atoms
from ase.constraints import constraint

from ..counting import Evaluator, RunEnded
from ..problems import Problem
from .common import numpy_seed, require_cluster
from .their_units import Finishing, TheirUnits

ENDLESS = 10**9
"""Iterations; the evaluator ends the run."""
CANDIDATES = {0: [10, 0], 5: [2, 8]}
"""Random and rattled ones of an iteration, from iteration 0 and from iteration 5 on."""
LAST_FMAX, LAST_STEPS = 0.05, 40
"""Of the relaxation with true forces: energy scales per length scale, and evaluations."""


def run(problem: Problem, atoms: Atoms, evaluator: Evaluator, seed: int, *, model: str = "global"):
    """Runs GOFEE until `RunEnded`; each iteration costs two evaluations, and more where a structure is worth it.

    Args:
      problem: a cluster.
      atoms: what it is made of; GOFEE builds its own starts.
      evaluator: counts and ends.
      seed: of NumPy's global stream, which agox draws from.
      model: "global" or "local".

    Raises:
      ValueError: agox or, for the local model, dscribe is missing, or the problem is periodic.
    """
    require_cluster("agox_gofee", problem, atoms)
    # agox 3.11 imports from ase.constraints what ASE 3.29 has only in its submodule.
    for name in ("IndexedConstraint", "slice2enlist"):
        if not hasattr(ase.constraints, name):
            setattr(ase.constraints, name, getattr(constraint, name))
    try:
        from agox import AGOX

        if model == "local":
            import dscribe as _  # noqa: F401
    except ImportError as error:
        raise ValueError(f"agox_gofee needs {error.name}: pip install 'ase-learnedopt[rivals]'") from error
    units = TheirUnits(problem, atoms, evaluator)
    # Its models start a cluster of ray even where they are told not to use one.
    alone = patch("agox.utils.ray.pool_user.get_ray_pool", return_value=(None, {"CPU": 1}))
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder), _quiet(), numpy_seed(seed):
        with alone:
            search = AGOX(*_modules(units, atoms, model), report=False)
        try:
            search.run(ENDLESS)
        finally:
            atexit.unregister(search.on_failure)  # which would tell of a failure when Python ends


@contextlib.contextmanager
def _quiet():
    with contextlib.redirect_stdout(_Nowhere()), np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


class _Nowhere(io.StringIO):
    def write(self, text: str) -> int:
        return len(text)


def _modules(units: TheirUnits, atoms: Atoms, model: str) -> list[Any]:
    """Returns what `GOFEE` of agox puts together."""
    from agox.acquisitors import LowerConfidenceBoundAcquisitor
    from agox.collectors import StandardCollector
    from agox.databases import Database
    from agox.environments import Environment
    from agox.generators import RandomGenerator, RattleGenerator
    from agox.models.descriptors import Fingerprint
    from agox.postprocessors import CenteringPostProcess, RelaxPostprocess
    from agox.samplers import KMeansSampler

    cell = units.to_theirs(atoms).cell
    where = {"confinement_cell": np.eye(3) * units.box, "confinement_corner": (cell.lengths() - units.box) / 2.0}
    environment = Environment(template=Atoms(cell=cell), numbers=list(atoms.numbers), print_report=False, **where)
    walls = environment.get_constraints()
    database = Database("gofee.db", order=5)
    surrogate = _local_model(environment, database) if model == "local" else _global_model(environment, database)
    sampler = KMeansSampler(Fingerprint(environment=environment), database=database, sample_size=10, max_energy=5.0)
    rattle = RattleGenerator(n_rattle=len(atoms) // 4, rattle_amplitude=3.0, **environment.get_confinement())
    collector = StandardCollector(
        generators=[RandomGenerator(**environment.get_confinement()), rattle],
        sampler=sampler,
        environment=environment,
        num_candidates=CANDIDATES,
        order=1,
    )
    bound = LowerConfidenceBoundAcquisitor(model=surrogate, kappa=2.0, order=3)
    relaxation = RelaxPostprocess(
        model=bound.get_acquisition_calculator(),
        optimizer_run_kwargs={"fmax": 0.05, "steps": 100},
        constraints=walls,
        start_relax=2,
        order=2,
    )
    evaluation = _evaluation(units, walls)
    return [collector, relaxation, CenteringPostProcess(order=2.5), bound, evaluation, database]


def _global_model(environment, database):
    """Returns the model of `GlobalGPRConfig`."""
    from agox.models.descriptors import Fingerprint
    from agox.models.GPR import GPR
    from agox.models.GPR.kernels import RBF, Constant, Noise
    from agox.models.GPR.priors import Repulsive

    class Scalar(GPR):
        def _log_marginal_likelihood_gradient(self, theta):
            # agox 3.11 makes a float of an array with one element, which NumPy 2.4 refuses.
            likelihood, gradient = super()._log_marginal_likelihood_gradient(theta)
            return np.sum(likelihood), gradient

    beta = 0.01
    shapes = Constant(beta, (beta, beta)) * RBF() + Constant(1 - beta, (1 - beta, 1 - beta)) * RBF()
    kernel = Constant(5000, (1, 1e5)) * shapes + Noise(0.01, (0.01, 0.01))
    descriptor = Fingerprint(environment=environment)
    return Scalar(descriptor=descriptor, kernel=kernel, database=database, prior=Repulsive(), use_ray=False)


def _local_model(environment, database):
    """Returns the model of `LocalGPRConfig`, with the uncertainty that the bound needs."""
    from agox.models.descriptors import SOAP
    from agox.models.GPR import SparseGPR
    from agox.models.GPR.kernels import RBF, Constant
    from agox.models.GPR.priors import Repulsive
    from agox.utils.sparsifiers import CUR

    return SparseGPR(
        database=database,
        kernel=Constant(1.0) * RBF(20.0),
        descriptor=SOAP.from_species(environment.get_all_species(), r_cut=6.0, nmax=3, lmax=2, sigma=1.0),
        prior=Repulsive(),
        n_optimize=0,
        sparsifier=CUR(1000),
        sigma_E=0.01,
        centralize=True,
        train_uncertainty=True,
        use_ray=False,
    )


def _evaluation(units: TheirUnits, walls):
    """Returns agox's evaluator, one step of BFGS, which goes on to the minimum where that is worth it."""
    from agox.evaluators import LocalOptimizationEvaluator

    finishing = Finishing(units)
    step = {"fmax": 0.05, "steps": 1}
    last = {"fmax": LAST_FMAX * units.energy_scale / units.length_scale, "steps": LAST_STEPS}

    class Evaluation(LocalOptimizationEvaluator):
        def evaluate_candidate(self, candidate):
            done = self._relax(candidate, step)
            if done and finishing.is_worth(candidate):
                repeated = len(self.evaluated_candidates) - 1
                done = self._relax(candidate, last)
                del self.evaluated_candidates[repeated]  # the first of a relaxation is the last of the one before
                finishing.remember(candidate)
            return done

        def _relax(self, candidate, how) -> bool:
            self.optimizer_run_kwargs = how
            with contextlib.redirect_stderr(_Nowhere()):  # it prints a traceback where a run ends
                done = super().evaluate_candidate(candidate)
            if units.ended:  # agox takes it for a failure
                raise RunEnded
            return done

    return Evaluation(units, constraints=walls, order=4)
