"""Networks that give logits, as pure functions, and the table of those that are built by name. Layer 2."""

from .base import Model, as_model, in_training
from .mlp import mlp
from .table import MODELS

__all__ = ["MODELS", "Model", "as_model", "in_training", "mlp"]
