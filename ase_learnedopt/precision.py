"""Double precision where it is needed, whatever the flags of jax say. Layer 0."""

from contextlib import AbstractContextManager

import jax

from .forked import require_not_forked


def double_precision() -> AbstractContextManager:
    """Returns a context in which jax computes in float64, on this thread only.

    Raises:
      RuntimeError: this process was forked from one that had used jax.
    """
    require_not_forked()
    if hasattr(jax, "enable_x64"):
        return jax.enable_x64(True)
    from jax.experimental import enable_x64  # type: ignore[attr-defined]  # where it was before jax 0.8

    return enable_x64(True)
