"""Training of classifiers with an inverse temperature in the softmax: its loss, and what theory says of it. Layer 2."""

from .init_scale import offset_start, two_copies
from .losses import softmax_xent
from .theory import Diagnostics, diagnose

__all__ = ["Diagnostics", "diagnose", "offset_start", "softmax_xent", "two_copies"]
