"""The network of Learn2Hop: its inputs' and outputs' names, its shapes, and what a training begins with. Layer 1."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from .learn2hop_features import SCALARS, VECTORS, WAY_UNIT

VARIANTS = ("equivariant", "cartesian")
HOP_OUTPUTS = ("press", "kick", "return to best")
"""Written by the part `hop` of the parameters; the part `move` writes factors on vectors and a log-magnitude."""
LOG_MAGNITUDES = (-7.0, 2.0)
"""Bounds of an atom's log-magnitude: its steps span four orders."""
KICK = 1.5
"""Length scales: of every component of a random move whose output is 1."""
OFF = -0.1
"""Outputs of press, kick and return before training: none happens, but training is near enough to try them all."""
HOP_RULES = (
    # output, slope, input, offset
    ("press", 1.2, "exp -evaluations since hop / 40", -0.4),
    ("kick", 0.3, "at a minimum", -0.4),
    ("return to best", 0.7, "at a minimum", -0.7),
)
"""What `basin_hops` does; at a minimum the input is 3, and so the kick 0.75 length scales per component.

The offsets are as far below zero as the outputs are to rise above it, so that training can try other rules without the
relaxations in between failing.
"""


@dataclass(frozen=True)
class Learn2HopConfig:
    """Sets the architecture, and the lengths of steps in length scales.

    Raises:
      ValueError: an unknown variant.
    """

    variant: str = "equivariant"
    hidden: tuple[int, ...] = (24, 24)  # widths of the layers
    step: float = 0.05  # length of a move whose factor and magnitude are one
    maxstep: float = 1.0  # longest move of one atom, but for returns to the best geometry
    memory: int = 6  # curvature pairs of the quasi-Newton step

    def __post_init__(self) -> None:
        if self.variant not in VARIANTS:
            raise ValueError(f"variant is {self.variant!r}; give one of {', '.join(VARIANTS)}")
        object.__setattr__(self, "hidden", tuple(self.hidden))  # a list, as read from a file


def think(params, config, frame, scalars, vectors):
    """Computes what the network writes.

    Args:
      params: its arrays, as `param_shapes` lists them.
      config: its architecture.
      frame: `[3, 3]` the rotation in which a cartesian network sees the structure.
      scalars: `[len(SCALARS), n_atoms]`.
      vectors: `[len(VECTORS), n_atoms, 3]`.

    Returns:
      The move `[n_atoms, 3]` in units of `config.step`, the press `[n_atoms]` and the kick `[n_atoms, 1]` in units of
      `PULL` and `KICK`, and the share of the way to the best geometry that is gone at once, `[n_atoms, 1]` from 0 to 1.
    """
    n, dtype = scalars.shape[1], scalars.dtype
    cartesian = config.variant == "cartesian"
    inputs = scalars
    if cartesian:
        inputs = jnp.concatenate([scalars, jnp.moveaxis(vectors @ frame, 2, 1).reshape(-1, n)])
    hidden = inputs
    for k in range(len(config.hidden)):
        hidden = jnp.tanh(_layer(params[f"layer{k}"], hidden, dtype))
    last = jnp.concatenate([inputs, hidden])  # the outputs also read the inputs themselves
    factors = _layer(params["move"], last, dtype)
    magnitude = jnp.exp(jnp.clip(3.0 * factors[-1], *LOG_MAGNITUDES))[:, None]
    # Exactly zero below a threshold, so that a minimum can be reached and stayed at.
    press, kick, home = jnp.maximum(_layer(params["hop"], last, dtype), 0.0)
    kick, home = kick[:, None], jnp.minimum(2.0 * home, 1.0)[:, None]
    if cartesian:
        return magnitude * (factors[:-1].T @ frame.T), press, kick, home
    return magnitude * jnp.sum(factors[:-1, :, None] * vectors, axis=0), press, kick, home


def _layer(layer, inputs, dtype):
    """Returns a layer's outputs `[n_outputs, n_atoms]` before its nonlinearity."""
    product = layer["weights"].astype(dtype).T @ inputs
    return product + jnp.broadcast_to(layer["bias"].astype(dtype)[:, None], product.shape)


def param_shapes(config: Learn2HopConfig) -> dict[str, dict[str, tuple[int, ...]]]:
    """Returns the shape of every array of the network, layer by layer."""
    n_inputs, n_factors = len(SCALARS), len(VECTORS)
    if config.variant == "cartesian":
        n_inputs, n_factors = n_inputs + 3 * len(VECTORS), 3
    widths = (n_inputs, *config.hidden)
    shapes = {f"layer{k}": (widths[k], widths[k + 1]) for k in range(len(config.hidden))}
    shapes["move"] = (n_inputs + widths[-1], n_factors + 1)
    shapes["hop"] = (n_inputs + widths[-1], len(HOP_OUTPUTS))
    return {name: {"weights": shape, "bias": shape[1:]} for name, shape in shapes.items()}


def random(config: Learn2HopConfig, seed: int = 0) -> dict:
    """Draws parameters, LeCun-normal in every layer, with biases of zero but for press, kick and return."""
    shapes = param_shapes(config)
    keys = jax.random.split(jax.random.PRNGKey(seed), len(shapes))
    params = {
        name: {
            "weights": jax.random.normal(key, layer["weights"]) / float(layer["weights"][0]) ** 0.5,
            "bias": jnp.zeros(layer["bias"]),
        }
        for key, (name, layer) in zip(keys, shapes.items(), strict=True)
    }
    params["hop"]["bias"] = params["hop"]["bias"] + OFF
    return params


def silent(config: Learn2HopConfig) -> dict:
    """Returns parameters of zeros but for the quasi-Newton step: what `descent` does, in NumPy.

    Raises:
      ValueError: a cartesian network, which has no such parameters.
    """
    if config.variant == "cartesian":
        raise ValueError("a cartesian network must be trained: give weights, or use the equivariant variant")
    shapes = param_shapes(config)
    params = {
        name: {key: np.zeros(shape, np.float32) for key, shape in layer.items()} for name, layer in shapes.items()
    }
    params["move"]["bias"][VECTORS.index("quasi-Newton step")] = WAY_UNIT / config.step
    return params


def basin_hops(config: Learn2HopConfig, seed: int = 0) -> dict:
    """Draws parameters that hop by hand-written rules: basin hopping, which training can improve on.

    Quasi-Newton steps to a minimum; there back to the best one unless this is it, and a kick of every atom; for 44
    evaluations after a kick the steps are drawn to round structures. The hidden layers are drawn but not read.

    Raises:
      ValueError: a cartesian network, in which no such parameters are known.
    """
    if config.variant == "cartesian":
        raise ValueError("a cartesian network cannot start with hops, which need quasi-Newton steps: start with random")
    params = descent(config, seed)
    weights, bias = params["hop"]["weights"], params["hop"]["bias"]
    for output, slope, reads, offset in HOP_RULES:
        column = HOP_OUTPUTS.index(output)
        weights = weights.at[SCALARS.index(reads), column].set(slope)
        bias = bias.at[column].set(offset)
    return params | {"hop": {"weights": weights, "bias": bias}}


def descent(config: Learn2HopConfig, seed: int = 0) -> dict:
    """Draws parameters whose last layers read nothing: quasi-Newton steps and nothing else.

    A cartesian network has no such parameters, since what it writes is not a factor: they are `random`.
    """
    params = random(config, seed)
    if config.variant == "cartesian":
        return params
    move, hop = params["move"], params["hop"]
    bias = move["bias"].at[VECTORS.index("quasi-Newton step")].set(WAY_UNIT / config.step)
    move = {"weights": jnp.zeros_like(move["weights"]), "bias": bias}
    return params | {"move": move, "hop": hop | {"weights": jnp.zeros_like(hop["weights"])}}
