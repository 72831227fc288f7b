"""Random blocks drawn in one call and shaped to need, because every separate call costs compile time. Layer 1."""

from math import prod

import jax
import jax.numpy as jnp


def uniforms(key, dtype, *shapes) -> list:
    """Draws uniforms in (0, 1), one array for each of `shapes`, from a single call of the generator."""
    sizes = [prod(shape) for shape in shapes]
    block = jax.random.uniform(key, (sum(sizes),), dtype, minval=1e-7, maxval=1.0)
    ends = [sum(sizes[: k + 1]) for k in range(len(sizes))]
    return [block[end - size : end].reshape(shape) for size, end, shape in zip(sizes, ends, shapes, strict=True)]


def to_normal(uniform):
    """Turns uniforms into standard normals."""
    return jax.scipy.special.ndtri(jnp.minimum(uniform, 1.0 - 1e-7))


def to_gumbel(uniform):
    """Turns uniforms into standard Gumbel noise: the argmax of logits plus this is a sample of their softmax."""
    return -jnp.log(-jnp.log(jnp.minimum(uniform, 1.0 - 1e-7)))


def to_direction(uniform):
    """Turns pairs of uniforms `[..., 2]` into unit vectors `[..., 3]`, evenly spread over the sphere."""
    height = 2.0 * uniform[..., 0] - 1.0
    angle = 2.0 * jnp.pi * uniform[..., 1]
    ring = jnp.sqrt(jnp.maximum(1.0 - height * height, 0.0))
    return jnp.stack([ring * jnp.cos(angle), ring * jnp.sin(angle), height], axis=-1)
