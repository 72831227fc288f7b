"""Strict numerics for every test; double precision where a test asks for `dtype`."""

import jax
import numpy as np
import pytest
from helpers import precision

from ase_learnedopt.adapter.compiled import reads_programs_back


@pytest.fixture(autouse=True)
def strict_promotion():
    with jax.numpy_rank_promotion("raise"), jax.numpy_dtype_promotion("strict"):
        yield


@pytest.fixture(scope="session", autouse=True)
def programs_kept(tmp_path_factory):
    """Keeps what takes long to compile in files, because many modules run the same optimizers on the same systems.

    Not with jax 0.6.0, which reads loops back broken.
    """
    if not reads_programs_back():
        return
    jax.config.update("jax_compilation_cache_dir", str(tmp_path_factory.mktemp("programs")))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.3)


@pytest.fixture(scope="module", autouse=True)
def fresh_programs():
    """Drops what a module has compiled: a process that keeps tens of thousands of programs runs out of memory maps."""
    yield
    jax.clear_caches()


@pytest.fixture(params=["float64"])
def dtype(request):
    """The precision a test runs in: float64 unless parametrized, with `indirect=True`, over others."""
    with precision(request.param):
        yield np.dtype(request.param)
