"""Double precision where it is needed, whatever the flags of jax say. Layer 0."""

from contextlib import AbstractContextManager

import jax


def double_precision() -> AbstractContextManager:
    """Returns a context in which jax computes in float64, on this thread only."""
    if hasattr(jax, "enable_x64"):
        return jax.enable_x64(True)
    from jax.experimental import enable_x64  # type: ignore[attr-defined]  # where it was before jax 0.8

    return enable_x64(True)
