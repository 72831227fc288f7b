"""Labels as integers or probabilities, checked where they are not traced. Layer 2."""

import jax
import jax.numpy as jnp
import numpy as np


def is_integer(labels) -> bool:
    """Whether labels are numbers of classes and not probabilities."""
    return jnp.issubdtype(labels.dtype, jnp.integer) or labels.dtype == bool


def is_concrete(value) -> bool:
    """Whether a value can be looked at, since nothing traces it."""
    return not isinstance(value, jax.core.Tracer)


def check_labels(labels, shape: tuple[int, ...]) -> None:
    """Checks labels against the shape of the logits.

    Raises:
      ValueError: another shape, numbers that are no classes, or what are no probabilities.
    """
    n_classes, integer = shape[-1], is_integer(labels)
    wanted = shape[:-1] if integer else shape
    if labels.shape != wanted:
        kind = "integers" if integer else "probabilities"
        raise ValueError(f"labels has the shape {labels.shape}; logits {shape} need {kind} {wanted}")
    if not is_concrete(labels) or not labels.size:
        return
    values = np.asarray(labels)  # sums of jax's arrays are traced within a function that is, though these are constant
    low, high = float(values.min()), float(values.max())
    if integer and (low < 0 or high >= n_classes):
        raise ValueError(
            f"labels range from {low:g} to {high:g}; with {n_classes} classes they are 0 to {n_classes - 1}"
        )
    if not integer and not (low >= 0.0 and np.allclose(values.sum(axis=-1), 1.0, atol=1e-3)):
        raise ValueError("labels are no probabilities: they must not be negative, and sum to 1 for every example")


def probabilities(labels, n_classes: int):
    """Returns labels `[n]` or `[n, n_classes]` as probabilities `[n, n_classes]`.

    Raises:
      ValueError: from `check_labels`.
    """
    labels = jnp.asarray(labels)
    check_labels(labels, (labels.shape[0] if labels.ndim else 0, n_classes))
    return jax.nn.one_hot(labels, n_classes) if is_integer(labels) else labels
