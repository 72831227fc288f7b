"""Learn2Hop: a small network for every atom says where it goes next; hops between minima are learned. Layer 1.

After Merchant, Metz, Schoenholz & Cubuk, "Learn2Hop: Learned Optimization on Rough Landscapes", ICML 2021,
arXiv:2107.09661. The network is the same for every atom and reads nothing of their number or order, so it carries over
to any size. Two variants of one architecture: `equivariant` reads numbers that no rotation changes and writes factors
on vectors that turn with the structure; `cartesian`, the paper's kind, reads and writes components, in a frame drawn at
random for each run.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ..types import HOP, MINIMUM, STEP, Optimizer, System
from .base import common_fields, compose, record
from .learn2hop_features import (
    LARGEST_GRADIENT,
    SCALARS,
    VECTORS,
    WAY_UNIT,
    Moments,
    Progress,
    init_moments,
    read,
    update_moments,
)
from .local import TOLERANCE, cap_rows, energy_gradient, rms_gradient
from .noise import to_normal, uniforms
from .relax import RelaxState, follow, relax_init

VARIANTS = ("equivariant", "cartesian")
LOG_MAGNITUDES = (-7.0, 2.0)
"""Bounds of an atom's log-magnitude: its steps span four orders."""
NOISE = -2.2
"""Of the untrained network, before the factor 3 and the exponential: so little that a minimum is reached, so much that
training feels it."""
INVERSE_CURVATURE = 0.01
"""Of the first quasi-Newton step, in length scales squared per energy scale; a Lennard-Jones bond has 1/72."""


@dataclass(frozen=True)
class Learn2HopConfig:
    """Sets the architecture, and the lengths of steps in length scales.

    Raises:
      ValueError: an unknown variant.
    """

    variant: str = "equivariant"
    hidden: tuple[int, ...] = (24, 24)  # widths of the layers
    step: float = 0.05  # length of a move whose factor and magnitude are one
    maxstep: float = 0.3  # longest move of one atom
    memory: int = 6  # curvature pairs of the quasi-Newton step

    def __post_init__(self) -> None:
        if self.variant not in VARIANTS:
            raise ValueError(f"variant is {self.variant!r}; give one of {', '.join(VARIANTS)}")
        object.__setattr__(self, "hidden", tuple(self.hidden))  # a list, as read from a file


class Learn2HopState(NamedTuple):
    """Carries a run; the first eight fields are those of every optimizer."""

    system: System
    positions: jax.Array  # [n_atoms, 3]
    best_positions: jax.Array  # [n_atoms, 3]
    best_energy: jax.Array  # []
    n_evaluations: jax.Array  # [] int32
    event: jax.Array  # [] int32
    pending: jax.Array  # [] bool
    key: jax.Array
    budget: jax.Array  # [] evaluations, infinity if unknown
    moments: Moments
    newton: RelaxState  # the geometries so far, for the quasi-Newton step
    last_energy: jax.Array  # [] eV
    since_best: jax.Array  # [] int32, evaluations
    arrived: jax.Array  # [] bool, the last evaluation was at a local minimum
    frame: jax.Array  # [3, 3] rotation in which the cartesian network sees the structure


def learn2hop(params: dict | None = None, config: Learn2HopConfig | None = None) -> Optimizer:
    """Builds the optimizer from the parameters of its network (None: untrained, which takes quasi-Newton steps)."""
    config = config or Learn2HopConfig()
    if params is None:
        params = silent(config) if config.variant == "equivariant" else random(config)

    def init(key, system, budget=jnp.inf):
        dtype = system.positions.dtype
        key, key_frame = jax.random.split(key)
        return Learn2HopState(
            **common_fields(key, system),
            budget=jnp.asarray(budget, dtype),
            moments=init_moments(system.positions),
            newton=relax_init(
                system.positions, INVERSE_CURVATURE * system.length_scale**2 / system.energy_scale, config.memory
            ),
            last_energy=jnp.full((), jnp.inf, dtype),
            since_best=jnp.zeros((), jnp.int32),
            arrived=jnp.zeros((), bool),
            frame=_random_rotation(key_frame, dtype) if config.variant == "cartesian" else jnp.eye(3, dtype=dtype),
        )

    def advance(state, energy, forces):
        system = state.system
        gradient = energy_gradient(system, forces)
        slope = cap_rows(gradient * system.length_scale / system.energy_scale, LARGEST_GRADIENT)
        progress = _progress(state, energy)
        moments = update_moments(state.moments, slope)
        newton, step = follow(state.newton, state.positions, gradient)
        seen = record(state, energy)
        ways = jnp.stack([step, seen["best_positions"] - state.positions]) / system.length_scale
        noise = jax.random.fold_in(state.key, state.n_evaluations)
        # Without the barrier the compiler works out the neighbourhoods again for every output of the first layer.
        inputs = jax.lax.optimization_barrier(read(noise, state.positions, system, slope, ways, moments, progress))
        move = cap_rows(config.step * _think(params, config, state.frame, *inputs), config.maxstep)
        move = jnp.where(system.movable[:, None], move, 0.0)
        low = rms_gradient(system, gradient) < TOLERANCE
        event = jnp.where(low, jnp.where(state.arrived, STEP, MINIMUM), jnp.where(state.arrived, HOP, STEP))
        return state._replace(
            **seen,
            newton=newton,
            positions=state.positions + move * system.length_scale,
            event=event.astype(jnp.int32),
            moments=moments._replace(last_move=move),
            last_energy=energy,
            since_best=progress.since_best.astype(jnp.int32),
            arrived=low,
        )

    return compose(init, advance)


def param_shapes(config: Learn2HopConfig) -> dict[str, dict[str, tuple[int, ...]]]:
    """Returns the shape of every array of the network, layer by layer."""
    n_inputs, n_outputs = len(SCALARS), len(VECTORS) + 2
    if config.variant == "cartesian":
        n_inputs, n_outputs = n_inputs + 3 * len(VECTORS), 5
    widths = (n_inputs, *config.hidden, n_outputs)
    names = [*(f"layer{k}" for k in range(len(config.hidden))), "output"]
    return {name: {"weights": (widths[k], widths[k + 1]), "bias": (widths[k + 1],)} for k, name in enumerate(names)}


def random(config: Learn2HopConfig, seed: int = 0) -> dict:
    """Draws parameters, LeCun-normal in every layer, with biases of zero but for the noise, which is small at first."""
    shapes = param_shapes(config)
    keys = jax.random.split(jax.random.PRNGKey(seed), len(shapes))
    params = {
        name: {
            "weights": jax.random.normal(key, layer["weights"]) / float(layer["weights"][0]) ** 0.5,
            "bias": jnp.zeros(layer["bias"]),
        }
        for key, (name, layer) in zip(keys, shapes.items(), strict=True)
    }
    params["output"]["bias"] = params["output"]["bias"].at[-1].set(-1.0)
    return params


def silent(config: Learn2HopConfig) -> dict:
    """Returns parameters of zeros but for the quasi-Newton step: what `descent` does, without any noise, in NumPy.

    Raises:
      ValueError: a cartesian network, which has no such parameters.
    """
    if config.variant == "cartesian":
        raise ValueError("a cartesian network must be trained: give weights, or use the equivariant variant")
    shapes = param_shapes(config)
    params = {
        name: {key: np.zeros(shape, np.float32) for key, shape in layer.items()} for name, layer in shapes.items()
    }
    params["output"]["bias"][[VECTORS.index("quasi-Newton step"), -1]] = WAY_UNIT / config.step, LOG_MAGNITUDES[0]
    return params


def descent(config: Learn2HopConfig, seed: int = 0) -> dict:
    """Draws parameters whose last layer reads nothing: quasi-Newton steps, nearly without noise.

    A cartesian network has no such parameters, since what it writes is not a factor: they are `random`.
    """
    params = random(config, seed)
    if config.variant == "cartesian":
        return params
    weights, bias = params["output"]["weights"], params["output"]["bias"]
    bias = bias.at[VECTORS.index("quasi-Newton step")].set(WAY_UNIT / config.step).at[-1].set(NOISE)
    return params | {"output": {"weights": jnp.zeros_like(weights), "bias": bias}}


def _think(params, config, frame, scalars, vectors, noise):
    """Returns the move `[n_atoms, 3]` that the network writes, in units of `config.step`."""
    n, dtype = scalars.shape[1], scalars.dtype
    cartesian = config.variant == "cartesian"
    inputs = scalars
    if cartesian:
        inputs = jnp.concatenate([scalars, jnp.moveaxis(vectors @ frame, 2, 1).reshape(-1, n)])
    for k in range(len(config.hidden)):
        inputs = jnp.tanh(_layer(params[f"layer{k}"], inputs, dtype))
    outputs = _layer(params["output"], inputs, dtype)
    magnitude, shaking = jnp.exp(jnp.clip(3.0 * outputs[-2:], *LOG_MAGNITUDES))[:, :, None]
    # An amplitude and not a factor: members that are perturbed must be able to stay at a minimum, too.
    shaken = (shaking - math.exp(LOG_MAGNITUDES[0])) * noise
    if cartesian:
        return magnitude * (outputs[:-2].T @ frame.T) + shaken
    return magnitude * jnp.sum(outputs[:-2, :, None] * vectors, axis=0) + shaken


def _layer(layer, inputs, dtype):
    """Returns a layer's outputs `[n_outputs, n_atoms]` before its nonlinearity."""
    product = layer["weights"].astype(dtype).T @ inputs
    return product + jnp.broadcast_to(layer["bias"].astype(dtype)[:, None], product.shape)


def _progress(state: Learn2HopState, energy) -> Progress:
    dtype, scale = energy.dtype, state.system.energy_scale
    first = state.n_evaluations == 0
    better = energy < state.best_energy
    steps = (state.n_evaluations + 1).astype(dtype)
    return Progress(
        used=steps / state.budget,
        n_evaluations=steps,
        above_best=jnp.where(first, 0.0, (energy - jnp.minimum(state.best_energy, energy)) / scale),
        change=jnp.where(first, 0.0, (energy - state.last_energy) / scale),
        since_best=jnp.where(better, 0, state.since_best + 1).astype(dtype),
    )


def rotation_rows(normals) -> list[list]:
    """Returns the rows of a rotation matrix, uniform over all of them, from four normals: those of a quaternion."""
    w, x, y, z = normals / (normals * normals).sum() ** 0.5
    return [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]


def _random_rotation(key, dtype):
    """Returns a rotation matrix `[3, 3]`."""
    (noise,) = uniforms(key, dtype, (4,))
    return jnp.stack([jnp.stack(row) for row in rotation_rows(to_normal(noise))])
