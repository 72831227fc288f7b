"""Softmax cross-entropy with an inverse temperature, exact for logits of any size. Layer 2.

After Agarwala, Pennington, Dauphin & Schoenholz, "Temperature check: theory and practice for training models with
softmax-cross-entropy losses", arXiv:2010.07344:

    l(z, y; beta) = logsumexp(beta z) - beta z_y
"""

import jax
import jax.numpy as jnp
import numpy as np

from .labels import check_labels, is_concrete, is_integer

REDUCTIONS = ("mean", "sum", "none")
LOWEST = -1e30
"""Of a logit below the largest: minus infinity, a class that is ruled out, has gradients of zero and not NaN."""


def softmax_xent(logits, labels, beta=1.0, reduction: str = "mean", where=None):
    """Computes the cross-entropy between labels and the softmax of `beta * logits`.

    Differences to the largest logit are taken before anything is multiplied, so that in float32 the digits of logits of
    1e4 survive, and gradients in logits and beta with them.

    Args:
      logits: `[..., n_classes]`.
      labels: integers `[...]`, or the probabilities of the classes `[..., n_classes]`: one-hot or soft.
      beta: `[]` inverse temperature, above zero; may be traced.
      reduction: "mean", "sum" or "none".
      where: `[...]` bool, which examples count; None: all.

    Returns:
      The loss, `[]`, or `[...]` with the reduction "none", where examples that do not count have a loss of zero. The
      mean over no example is zero.

    Raises:
      ValueError: an unknown reduction, shapes that do not fit, labels that are no classes or no probabilities, or a
        beta that is not above zero; values are looked at where they are not traced.
    """
    logits, labels = _as_arrays(logits, labels)
    _check(logits, labels, beta, reduction, where)
    beta = jnp.asarray(beta, logits.dtype)
    if where is not None:
        logits = jnp.where(where[..., None], logits, 0.0)  # or NaN in what does not count spoils the gradient
    distance = logits - jax.lax.stop_gradient(jnp.max(logits, axis=-1, keepdims=True))
    distance = jnp.maximum(distance, LOWEST)
    scaled = beta * distance
    log_sum = jnp.log(jnp.sum(jnp.exp(scaled), axis=-1))
    if is_integer(labels):
        chosen = jnp.take_along_axis(scaled, labels[..., None], axis=-1)[..., 0]
        loss = log_sum - chosen
    else:
        labels = labels.astype(logits.dtype)
        loss = log_sum * jnp.sum(labels, axis=-1) - jnp.sum(labels * scaled, axis=-1)
    return _reduce(loss, reduction, where)


def _reduce(loss, reduction: str, where):
    if where is not None:
        loss = jnp.where(where, loss, 0.0)
    if reduction == "none":
        return loss
    if reduction == "sum" or where is None:
        return jnp.sum(loss) if reduction == "sum" else jnp.mean(loss)
    n = jnp.sum(jnp.broadcast_to(where, loss.shape).astype(loss.dtype))
    return jnp.sum(loss) / jnp.maximum(n, 1.0)


def _as_arrays(logits, labels):
    logits = jnp.asarray(logits)
    if not jnp.issubdtype(logits.dtype, jnp.floating):
        logits = logits.astype(jnp.result_type(float))
    return logits, jnp.asarray(labels)


def _check(logits, labels, beta, reduction: str, where) -> None:
    if reduction not in REDUCTIONS:
        raise ValueError(f"reduction is {reduction!r}; give one of {', '.join(REDUCTIONS)}")
    if logits.ndim == 0:
        raise ValueError("logits is a single number; give [..., n_classes]")
    if jnp.ndim(beta) != 0:
        raise ValueError(f"beta has the shape {jnp.shape(beta)}; give one number")
    if is_concrete(beta) and not (np.isfinite(float(beta)) and float(beta) > 0.0):
        raise ValueError(f"beta is {float(beta):g}; an inverse temperature is above zero, such as 1.0")
    if where is not None and jnp.shape(where) != logits.shape[:-1]:
        raise ValueError(f"where has the shape {jnp.shape(where)}; logits {logits.shape} need {logits.shape[:-1]}")
    check_labels(labels, logits.shape)
