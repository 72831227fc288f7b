"""The temperature that makes probabilities honest after training; not the beta that one trains with. Layer 2."""

import numpy as np

RANGE = (1e-2, 1e2)
"""Of temperatures: classes that are told apart without a mistake would want zero."""


def calibrate_temperature(logits, labels, sample_weight=None) -> float:
    """Finds the temperature T by which to divide logits, for the least cross-entropy of softmax(logits / T).

    The cross-entropy is convex in 1 / T, and its derivative by it is the mean of E[z] - z_y, which bisection
    brings to zero (temperature scaling: Guo, Pleiss, Sun & Weinberger, arXiv:1706.04599).

    Args:
      logits: `[n, n_classes]`, of examples that were not trained on.
      labels: `[n]` integers.
      sample_weight: `[n]`; None: all alike.

    Returns:
      The temperature, within `RANGE`: above 1 where the classifier was too sure.

    Raises:
      ValueError: no examples, labels that do not fit, or logits that are not finite.
    """
    logits, labels = checked_logits(logits, labels)
    if labels.dtype.kind not in "iub" or labels.min() < 0 or labels.max() >= logits.shape[1]:
        raise ValueError(f"labels must be integers from 0 to {logits.shape[1] - 1}")
    weight = np.ones(len(labels)) if sample_weight is None else np.asarray(sample_weight, np.float64)
    distance = logits - logits.max(axis=1, keepdims=True)
    chosen = distance[np.arange(len(labels)), labels.astype(int)]

    def too_sure(temperature: float) -> bool:
        share = np.exp(distance / temperature)
        expected = np.sum(share * distance, axis=1) / np.sum(share, axis=1)
        return bool(np.sum(weight * (expected - chosen)) > 0.0)

    low, high = np.log(RANGE)
    for _ in range(60):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if too_sure(float(np.exp(middle))) else (low, middle)
    return float(np.exp(0.5 * (low + high)))


def checked_logits(logits, labels) -> tuple[np.ndarray, np.ndarray]:
    """Returns logits `[n, n_classes]` in float64 and labels `[n]` as arrays.

    Raises:
      ValueError: no examples, shapes that do not fit, or logits that are not finite.
    """
    logits, labels = np.asarray(logits, np.float64), np.asarray(labels)
    if logits.ndim != 2 or labels.shape != logits.shape[:1] or not labels.size:
        raise ValueError(
            f"logits {logits.shape} and labels {labels.shape} must be [n, n_classes] and [n], n above zero"
        )
    if not np.isfinite(logits).all():
        raise ValueError("logits are not finite")
    return logits, labels
