"""The deformation a relaxation may start on: a confining form about the centroid that rounds or flattens a cluster.

Layer 1. The objective becomes `E + strength * eps * sum_i ((x_i - c)^T M (x_i - c) / sigma^2)^(p / 2)` after the
two-phase local searches of Locatelli & Schoen, Comput. Optim. Appl. 21, 55 (2002), with a centroid form for a pair term
(they agree for p = 2, where `sum_i |x_i - c|^2 = (1/n) sum_{i<j} r_ij^2`). Periodic systems are never deformed.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp


class Deformation(NamedTuple):
    """Sets strength, exponent and shape of the confining form."""

    strength: jax.Array  # [] in energy scales; 0 for none
    exponent: jax.Array  # [] p
    metric: jax.Array  # [3, 3] symmetric, determinant 1: the identity is a sphere


def deformation_value_and_gradient(deformation: Deformation, positions, atoms, length_scale, energy_scale):
    """Returns the added energy `[]` eV and its gradient `[n_atoms, 3]` for atoms `[n_atoms]` bool.

    The gradient is exact for the centroid of `atoms`: contributions through the centroid add up to a uniform shift.
    """
    weight = atoms.astype(positions.dtype)[:, None]
    count = jnp.maximum(jnp.sum(weight), 1.0)
    centroid = jnp.sum(weight * positions, axis=0) / count
    offset = weight * (positions - centroid[None, :]) / length_scale
    pulled = offset @ deformation.metric
    square = jnp.sum(offset * pulled, axis=1) + 1e-6
    power = jnp.exp(0.5 * deformation.exponent * jnp.log(square))
    scale = deformation.strength * energy_scale
    slope = scale * deformation.exponent * (power / square)[:, None] * pulled / length_scale
    slope = weight * (slope - jnp.sum(slope, axis=0)[None, :] / count)
    return scale * jnp.sum(weight[:, 0] * power), slope


def ellipsoid(normals, spread):
    """Builds a metric `[3, 3]` of determinant 1 from normals `[9]`: a random frame, log axes drawn with `spread`."""
    log_axes = spread * normals[:3]
    log_axes = log_axes - jnp.mean(log_axes)
    first = normals[3:6] / jnp.sqrt(jnp.sum(normals[3:6] ** 2) + 1e-12)
    second = normals[6:9] - jnp.sum(normals[6:9] * first) * first
    second = second / jnp.sqrt(jnp.sum(second**2) + 1e-12)
    frame = jnp.stack([first, second, jnp.cross(first, second)])
    return (frame.T * jnp.exp(log_axes)[None, :]) @ frame
