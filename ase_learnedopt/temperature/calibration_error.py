"""How far a classifier's confidence is from its accuracy. Layer 2."""

import numpy as np

from .calibration import checked_logits

N_BINS = 15
"""Of confidence, equally wide."""


def calibration_error(logits, labels, sample_weight=None) -> float:
    """Computes the expected calibration error: the mean distance of confidence and accuracy over bins of confidence.

    As in Guo, Pleiss, Sun & Weinberger, arXiv:1706.04599, eq. 3, with `N_BINS` bins.

    Args:
      logits: `[n, n_classes]`, of which the softmax is taken: `beta * z` of a network trained at beta.
      labels: `[n]` integers.
      sample_weight: `[n]`; None: all alike.

    Returns:
      A number from 0 to 1.

    Raises:
      ValueError: no examples, labels that do not fit, or logits that are not finite.
    """
    logits, labels = checked_logits(logits, labels)
    weight = np.ones(len(labels)) if sample_weight is None else np.asarray(sample_weight, np.float64)
    confidence = 1.0 / np.exp(logits - logits.max(axis=1, keepdims=True)).sum(axis=1)
    right = logits.argmax(axis=1) == labels
    bins = np.minimum((confidence * N_BINS).astype(int), N_BINS - 1)
    excess = np.bincount(bins, weight * (confidence - right), N_BINS)
    return float(np.abs(excess).sum() / weight.sum())
