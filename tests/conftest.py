"""Strict numerics for every test; double precision where a test asks for `dtype`."""

import jax
import numpy as np
import pytest
from helpers import precision


@pytest.fixture(autouse=True)
def strict_promotion():
    with jax.numpy_rank_promotion("raise"), jax.numpy_dtype_promotion("strict"):
        yield


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
