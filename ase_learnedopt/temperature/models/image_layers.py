"""What the networks for images share. Layer 2."""

import jax.numpy as jnp

from .flax_modules import linen

MOMENTUM = 0.9
"""Of the running averages of batch norm (Ioffe & Szegedy, arXiv:1502.03167), per step."""


def images_of(x, shape: tuple[int, int, int] | None):
    """Returns examples as images `[n, height, width, channels]` float32.

    Args:
      x: images, those of one channel also `[n, height, width]`; with a shape `[n, ...]` of as many numbers.
      shape: of an image; None: as it comes.

    Raises:
      ValueError: another shape.
    """
    if shape is not None and x[0].size == shape[0] * shape[1] * shape[2]:
        x = x.reshape(-1, *shape)
    elif shape is None and x.ndim == 3:
        x = x[..., None]
    if x.ndim != 4 or (shape is not None and x.shape[1:] != shape):
        wanted = "[n, height, width, channels]" if shape is None else f"[n, ...] of the input_shape {shape}"
        raise ValueError(
            f"x has the shape {x.shape}; images are {wanted}. Rows of numbers become images with "
            "input_shape=(height, width, channels) in the builder of the network"
        )
    return x.astype(jnp.float32)


def normalised(x, norm: str | None, train: bool):
    """Returns signals `[..., channels]` normalised over the batch or over channels, then scaled and shifted."""
    if norm == "batch":
        return linen.BatchNorm(use_running_average=not train, momentum=MOMENTUM, epsilon=1e-5)(x)
    return linen.LayerNorm(epsilon=1e-5)(x) if norm == "layer" else x


def convolution(x, channels: int, size: int, stride: int = 1, *, bias: bool = False, gain: float = 2.0):
    """Returns a convolution with a square kernel of odd size, its weights normal with variance gain / n_inputs."""
    layer = linen.Conv(
        channels,
        (size, size),
        strides=stride,
        padding=size // 2,
        use_bias=bias,
        kernel_init=linen.initializers.variance_scaling(gain, "fan_in", "normal"),
    )
    return layer(x)


def logits_of_images(x, n_classes: int):
    """Returns logits `[n, n_classes]` from the mean of signals `[n, height, width, channels]` over the image."""
    start = linen.initializers.variance_scaling(1.0, "fan_in", "normal")
    return linen.Dense(n_classes, kernel_init=start, name="logits")(jnp.mean(x, axis=(1, 2)))
