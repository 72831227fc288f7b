"""Networks that give logits, as pairs of functions, and the table of those that are built by name. Layer 2."""

from collections.abc import Callable

from .base import Model, as_model
from .mlp import mlp

MODELS: dict[str, Callable[..., Model]] = {"mlp": mlp}
"""Builders by name. All work without arguments."""

__all__ = ["MODELS", "Model", "as_model", "mlp"]
