"""Starts whose ||beta z|| is chosen independently of beta, without another kernel. Layer 2.

After Agarwala, Pennington, Dauphin & Schoenholz, arXiv:2010.07344, who find that generalisation depends on it weakly
and on beta strongly. An offset keeps the network's derivatives as they are; two copies, the scheme of the paper's kind,
keep the mean of its kernel.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .theory import centred, rms

Apply = Callable[[Any, Any], Any]


def offset_start(apply: Apply, params: Any, x, beta: float = 1.0, target: float = 0.0) -> tuple[Apply, float]:
    """Returns a network with the logits of its start scaled: z = f(params) - (1 - a) f(params at the start).

    Args:
      apply: (params, x) -> logits `[n_examples, n_classes]`; not of a network with batch norm, which descends another.
      params: of the start; they are kept and evaluated with every call.
      x: `[n_examples, ...]` examples on which the magnitude is measured.
      beta: inverse temperature.
      target: rms over examples of the norm of P beta z at the start, P taking off the mean over classes; zero for
        logits of zero.

    Returns:
      The new `apply`, to be used with the same parameters, and `a`.

    Raises:
      ValueError: a target below zero, or one above zero for a network whose logits are zero.
    """
    if not (np.isfinite(target) and target >= 0.0):
        raise ValueError(f"target is {target:g}; the rms of beta z is zero or above")
    found = float(rms(centred(beta * apply(params, x)))) if target else 1.0
    if not (np.isfinite(found) and found > 0.0):
        raise ValueError(f"target is {target:g}, but the logits at the start are {found:g} and cannot be scaled to it")
    share, start = target / found, jax.tree.map(jnp.asarray, params)

    def shifted(params, x):
        return apply(params, x) - (1.0 - share) * jax.lax.stop_gradient(apply(start, x))

    return shifted, share


def two_copies(
    apply: Apply, params: Any, other: Any, is_last: Callable[[tuple[Any, ...]], bool], correlation: float
) -> tuple[Apply, Any]:
    """Returns the difference of two networks over sqrt(2) that share their start but for correlated last layers.

    Logits begin smaller by the factor sqrt(1 - correlation); the kernel keeps its mean.

    Args:
      apply: (params, x) -> logits.
      params: of the first copy.
      other: parameters drawn independently of `params`, of the same shapes.
      is_last: path of a leaf, as in `jax.tree_util.tree_map_with_path` -> whether it is of the last layer.
      correlation: of the weights of the two last layers, from -1 to 1.

    Returns:
      The new `apply` and its parameters, a pair of trees.

    Raises:
      ValueError: an impossible correlation, or no leaf that is of the last layer.
    """
    if not -1.0 <= correlation <= 1.0:
        raise ValueError(f"correlation is {correlation:g}; give a number from -1 to 1")
    paths = [path for path, _ in jax.tree_util.tree_leaves_with_path(params)]
    if not any(map(is_last, paths)):
        names = ", ".join(map(jax.tree_util.keystr, paths))
        raise ValueError(f"is_last is true for none of the parameters: {names}")

    def mix(path, mine, fresh):
        return correlation * mine + (1.0 - correlation**2) ** 0.5 * fresh if is_last(path) else mine

    def difference(pair, x):
        return (apply(pair[0], x) - apply(pair[1], x)) / 2.0**0.5

    return difference, (params, jax.tree_util.tree_map_with_path(mix, params, other))
