"""Checks what builders of models were given. Layer 2."""

from collections.abc import Sequence
from numbers import Integral
from typing import Any

NORMS = (None, "batch", "layer")
"""What may normalise the signals of a network."""


def whole(name: str, value: Any) -> int:
    """Returns a whole number above zero.

    Raises:
      ValueError: it is none.
    """
    if not (isinstance(value, Integral) and int(value) > 0):
        raise ValueError(f"{name} is {value!r}; give a whole number above zero")
    return int(value)


def norm_of(norm: str | None) -> str | None:
    """Returns the norm.

    Raises:
      ValueError: it is unknown.
    """
    if norm not in NORMS:
        raise ValueError(f"norm is {norm!r}; give one of {', '.join(map(repr, NORMS))}")
    return norm


def shape_of(input_shape: Sequence[int] | None) -> tuple[int, int, int] | None:
    """Returns the shape `(height, width, channels)` of an image, or None.

    Raises:
      ValueError: it is no such shape.
    """
    if input_shape is None:
        return None
    sizes = tuple(input_shape)
    if len(sizes) != 3 or not all(isinstance(size, Integral) and int(size) > 0 for size in sizes):
        raise ValueError(f"input_shape is {input_shape!r}; give (height, width, channels), such as (28, 28, 1)")
    height, width, channels = map(int, sizes)
    return height, width, channels
