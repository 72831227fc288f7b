"""What is compiled, how, and what is not."""

from functools import partial
from types import SimpleNamespace

import jax
import numpy as np
import pytest
from numpy.testing import assert_allclose

from ase_learnedopt.adapter import LearnedHop, compiled
from ase_learnedopt.adapter.compiled import Policy
from ase_learnedopt.adapter.method import LearnedMethod
from ase_learnedopt.optimizers.hop_relaxation import with_model
from ase_learnedopt.optimizers.hop_state import LearnedHopConfig
from ase_learnedopt.optimizers.host_start import start_learned_relax
from ase_learnedopt.optimizers.imagine import imagine
from ase_learnedopt.optimizers.learned_hop import learned_hop, unmodelled_hop
from ase_learnedopt.optimizers.learned_relax import LearnedRelaxConfig, learned_relax, untrained_relaxation
from ase_learnedopt.optimizers.policy import warm_start
from ase_learnedopt.types import MODEL


def test_options_that_xla_has_given_up_are_left_out():
    double = compiled._jit(lambda x: 2 * x, {"xla_no_such_option": True})
    assert double(2) == double(2) == 4


def test_other_errors_of_the_compiler_are_told():
    with pytest.raises(Exception, match="xla_backend_optimization_level"):
        compiled._jit(lambda x: 2 * x, {"xla_backend_optimization_level": "much"})(2)


@pytest.mark.parametrize(
    ("version", "folder", "n_warnings"), [("0.6.0", "programs", 1), ("0.6.0", None, 0), ("0.6.1", "programs", 0)]
)
def test_a_cache_that_comes_back_broken_is_warned_of(monkeypatch, recwarn, version, folder, n_warnings):
    fake = SimpleNamespace(__version__=version, config=SimpleNamespace(jax_compilation_cache_dir=folder))
    monkeypatch.setattr(compiled, "jax", fake)
    compiled._warn_of_broken_cache()
    assert len([w for w in recwarn if "install a newer jax" in str(w.message)]) == n_warnings


@pytest.mark.usefixtures("dtype")
@pytest.mark.parametrize("config", [LearnedRelaxConfig(), LearnedRelaxConfig(modelled=0, large=1)])
def test_start_of_a_relaxation_is_its_init(cluster, config):
    opt = LearnedHop(cluster(), logfile=None)
    system, key = opt._stages._system(cluster().positions.ravel()), np.zeros(2, np.uint32)
    expected = jax.jit(learned_relax(untrained_relaxation(), config).init)(key, system)
    found = start_learned_relax(untrained_relaxation(), config, key, system, np.inf)
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        assert a.dtype == b.dtype
        assert_allclose(a, b, rtol=1e-15)


@pytest.mark.parametrize(("imagined", "evaluations", "atol"), [(0, 60, 1e-6), (128, 8, 0.02)])
def test_models_made_in_numpy_lead_where_compiled_ones_do(cluster, imagined, evaluations, atol):
    # Of a relaxation of hundreds of steps in a model of the energy rounding changes the last hundredths.
    atoms = cluster()
    system = LearnedHop(atoms, logfile=None)._stages._system(atoms.positions.ravel())
    config = LearnedHopConfig(unrolled=False, imagined=imagined)
    policies = (
        Policy(learned_hop, warm_start(), config),
        Policy(unmodelled_hop, warm_start(), config, renew=partial(with_model, config, xp=np), imagine=imagine),
    )
    compiled_ones, made_in_numpy = (
        LearnedMethod(policy, system, atoms.positions.size, np.array([0, 3], np.uint32), np.inf) for policy in policies
    )
    events, x = [], atoms.positions.ravel()
    for _ in range(evaluations):
        atoms.positions = x.reshape(-1, 3)
        energy, gradient = atoms.get_potential_energy(), -atoms.get_forces().ravel()
        for method in (compiled_ones, made_in_numpy):
            method.update(x, gradient, energy)
            events.append(method.event)
            while method.pending:
                method.hop()
        assert_allclose(made_in_numpy.compute_step(x), compiled_ones.compute_step(x), atol=atol)
        x = x + compiled_ones.compute_step(x)
    assert events[::2] == events[1::2]
    assert events.count(MODEL) > 4 or imagined
