"""Multilayer perceptrons, with and without layer norm. Layer 2."""

from collections.abc import Sequence
from functools import lru_cache

import jax
import jax.numpy as jnp
import numpy as np

from .base import Model

EPSILON = 1e-5
"""Added to the variance in layer norm (Ba, Kiros & Hinton, arXiv:1607.06450)."""


def mlp(hidden: Sequence[int] = (128,), layer_norm: bool = False) -> Model:
    """Builds a perceptron of rectified layers; examples of any shape are flattened.

    Weights are normal with variance 2 / n_inputs (He et al., arXiv:1502.01852), and 1 / n_inputs in the last layer, so
    that logits begin near one in size; biases are zero.

    Args:
      hidden: width of every hidden layer; none: a linear model.
      layer_norm: whether what enters each rectifier is normalised, then scaled and shifted by learned numbers.

    Raises:
      ValueError: a width that is no whole number above zero.
    """
    sizes = np.atleast_1d(np.asarray(hidden, dtype=object)).tolist()
    if not all(isinstance(size, int | np.integer) and size > 0 for size in sizes):
        raise ValueError(f"hidden is {hidden!r}; give the widths of hidden layers, whole numbers such as (128, 64)")
    return _mlp(tuple(map(int, sizes)), bool(layer_norm))


@lru_cache(maxsize=64)
def _mlp(hidden: tuple[int, ...], layer_norm: bool) -> Model:
    def init(key, x, n_classes: int):
        widths = (int(np.prod(x.shape[1:])), *hidden, n_classes)
        params = {}
        for i, key_layer in enumerate(jax.random.split(key, len(widths) - 1)):
            gain = 2.0 if i < len(hidden) else 1.0
            weights = jax.random.normal(key_layer, (widths[i], widths[i + 1]), jnp.float32)
            layer = {"weights": weights * (gain / widths[i]) ** 0.5, "bias": jnp.zeros(widths[i + 1], jnp.float32)}
            if layer_norm and i < len(hidden):
                layer["scale"] = jnp.ones(widths[i + 1], jnp.float32)
            params[f"layer_{i}"] = layer
        return params

    def apply(params, x):
        first = params["layer_0"]["weights"]
        x = x.reshape(x.shape[0], -1).astype(first.dtype)
        for i in range(len(hidden)):
            layer = params[f"layer_{i}"]
            x = jax.nn.relu(_normalised(layer, x @ layer["weights"]) if layer_norm else _shifted(layer, x))
        return _shifted(params[f"layer_{len(hidden)}"], x)

    return Model(init, apply)


def _shifted(layer, x):
    return x @ layer["weights"] + layer["bias"][None, :]


def _normalised(layer, x):
    x = x - jnp.mean(x, axis=-1, keepdims=True)
    x = x * jax.lax.rsqrt(jnp.mean(x * x, axis=-1, keepdims=True) + EPSILON)
    return x * layer["scale"][None, :] + layer["bias"][None, :]
