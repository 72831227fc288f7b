"""What is compiled, how, and what is not."""

import jax
import numpy as np
import pytest
from numpy.testing import assert_allclose

from ase_learnedopt.adapter import LearnedHop, compiled
from ase_learnedopt.optimizers.host_start import start_learned_relax
from ase_learnedopt.optimizers.learned_relax import LearnedRelaxConfig, learned_relax, untrained_relaxation


def test_options_that_xla_has_given_up_are_left_out():
    double = compiled._jit(lambda x: 2 * x, {"xla_no_such_option": True})
    assert double(2) == double(2) == 4


def test_other_errors_of_the_compiler_are_told():
    with pytest.raises(Exception, match="xla_backend_optimization_level"):
        compiled._jit(lambda x: 2 * x, {"xla_backend_optimization_level": "much"})(2)


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
