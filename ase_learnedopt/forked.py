"""Tells a process that was forked after jax had begun to compute: there jax waits for threads that are not. Layer 0."""

import os
import sys
from pathlib import Path

_broken = False


def require_not_forked() -> None:
    """Checks that jax can compute in this process.

    Raises:
      RuntimeError: it was forked from one in which jax had computed, by us or by anybody else.
    """
    if _broken:
        raise RuntimeError(
            "this process was forked from one that had used JAX, whose threads are missing here, so it would wait for "
            "ever: start processes with multiprocessing.get_context('spawn'), or fork before anything is computed"
        )


def _note() -> None:
    global _broken  # noqa: PLW0603  of this process, as jax's threads are
    _broken = _broken or _has_devices()


def _has_devices() -> bool:
    """Whether jax has opened its devices, with their threads."""
    bridge = sys.modules.get("jax._src.xla_bridge")
    return bool(getattr(bridge, "_backends", bridge is not None))  # where a later jax hides it: whether it was imported


def _is_alone() -> bool:
    """Whether this process has a single thread; False where the system does not tell."""
    tasks = Path("/proc/self/task")
    return tasks.is_dir() and len(list(tasks.iterdir())) == 1


_broken = _is_alone() and _has_devices()  # imported too late to see the fork, but devices come with threads
if hasattr(os, "register_at_fork"):  # not so on Windows, which has no fork
    os.register_at_fork(after_in_child=_note)
