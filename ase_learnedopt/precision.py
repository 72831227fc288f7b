"""The settings of jax that results depend on, set around our own calls on this thread. Layer 0.

What users set globally holds for what they compute: it is set aside in here, and is as before afterwards.
"""

import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import cache
from typing import Any

import jax

from .forked import require_not_forked

OWN: dict[str, Any] = {
    "array_garbage_collection_guard": "allow",
    "check_tracer_leaks": False,
    "debug_infs": False,  # infinite energies and divisions by zero are meant, and chosen among afterwards
    "debug_key_reuse": False,
    "debug_nans": False,
    "default_matmul_precision": None,
    "default_prng_impl": "threefry2x32",  # other ones draw other numbers, from keys of other shapes
    "disable_jit": False,
    "eager_constant_folding": False,
    "enable_custom_prng": False,
    "error_checking_behavior_divide": "ignore",
    "error_checking_behavior_nan": "ignore",
    "error_checking_behavior_oob": "ignore",
    "legacy_prng_key": "allow",
    "no_execution": False,
    "no_tracing": False,
    "scan3": False,
    "thread_guard": False,
    "threefry_partitionable": True,
    "transfer_guard_device_to_device": "allow",
    "transfer_guard_device_to_host": "allow",
    "transfer_guard_host_to_device": "allow",  # an evaluation is a transfer
}
"""By name without the `jax_` before it; None is what jax has where nothing is set."""


def require_jax() -> None:
    """Checks that jax can compute in this process, and warns where it does not compute as elsewhere.

    Raises:
      RuntimeError: it was forked from one that had used jax.
      ValueError: jax is told to use devices that are not there.
    """
    require_not_forked()
    require_devices()
    if jax.config.values.get("jax_disable_most_optimizations"):  # of the whole process only
        warnings.warn(
            "JAX_DISABLE_MOST_OPTIMIZATIONS is set: a search takes another path than without it, from the same seed",
            RuntimeWarning,
            stacklevel=2,
        )


@cache
def require_devices() -> None:
    """Raises ValueError where jax is told to use devices that are not there."""
    errors = AssertionError, RuntimeError  # the first, without a word, where cuda is asked for and there is no GPU
    try:
        jax.devices("cpu")  # which is enough for searches
    except errors:
        try:
            jax.devices()
        except errors as error:
            platforms = getattr(jax.config, "jax_platforms", None)
            raise ValueError(
                f"JAX finds no device of the platforms {platforms!r} that it is told to use: unset JAX_PLATFORMS, or "
                "set it to 'cpu'"
            ) from error


@contextmanager
def own_settings() -> Iterator[None]:
    """Returns a context, or a decorator, in which the settings of jax are those of `OWN`, on this thread only.

    Raises:
      RuntimeError: this process was forked from one that had used jax.
      ValueError: jax is told to use devices that are not there.
    """
    require_not_forked()
    require_devices()
    with ExitStack() as stack:
        for name, value in OWN.items():
            if _value(name) not in (None, value):  # also None where this jax has none
                stack.enter_context(_setting(name, value))
        yield


@contextmanager
def double_precision() -> Iterator[None]:
    """Returns a context of `own_settings` in which jax computes in float64.

    Raises:
      RuntimeError: this process was forked from one that had used jax.
      ValueError: jax is told to use devices that are not there.
    """
    with own_settings(), _float64():
        yield


def _value(name: str) -> Any:
    value = getattr(jax.config, f"jax_{name}", getattr(jax.config, name, None))
    return getattr(value, "value", value)  # some are members of an Enum


def _setting(name: str, value: Any) -> AbstractContextManager:
    """Returns the context of a setting; those that jax does not show as `jax.NAME` are in its module of settings."""
    from jax._src import config

    return getattr(jax if hasattr(jax, name) else config, name)(value)


def _float64() -> AbstractContextManager:
    if hasattr(jax, "enable_x64"):
        return jax.enable_x64(True)
    from jax.experimental import enable_x64  # type: ignore[attr-defined]  # where it was before jax 0.8

    return enable_x64(True)
