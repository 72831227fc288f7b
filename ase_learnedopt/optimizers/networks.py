"""Small perceptrons whose last layer starts at zero, so that an untrained policy is the classical one. Layer 1."""

import jax
import jax.numpy as jnp

HIDDEN = 16


def head_shapes(n_inputs: int, n_outputs: int) -> dict[str, tuple[int, ...]]:
    """Returns the shape of every array of a head."""
    return {
        "hidden_weights": (n_inputs, HIDDEN),
        "hidden_bias": (HIDDEN,),
        "output_weights": (HIDDEN, n_outputs),
        "output_bias": (n_outputs,),
    }


def init_head(key, n_inputs: int, n_outputs: int, dtype=jnp.float32) -> dict:
    """Draws a head: LeCun-normal hidden layer, zero last layer (so its output is zero whatever it reads)."""
    zeros = {name: jnp.zeros(shape, dtype) for name, shape in head_shapes(n_inputs, n_outputs).items()}
    hidden = jax.random.normal(key, (n_inputs, HIDDEN), dtype) / float(n_inputs) ** 0.5
    return {**zeros, "hidden_weights": hidden}


def apply_head(head: dict, features):
    """Returns the outputs `[..., n_outputs]` of a head at features `[..., n_inputs]`."""
    cast = {name: value.astype(features.dtype) for name, value in head.items()}
    hidden = features @ cast["hidden_weights"]
    hidden = jnp.tanh(hidden + jnp.broadcast_to(cast["hidden_bias"], hidden.shape))
    output = hidden @ cast["output_weights"]
    return output + jnp.broadcast_to(cast["output_bias"], output.shape)
