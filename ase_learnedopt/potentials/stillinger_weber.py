"""The Stillinger-Weber potential of silicon, at the cost of a pair potential. Layer 1.

Stillinger & Weber, Phys. Rev. B 31, 5262 (1985), eq. 2.3-2.6, without a list of triplets. With
`f_j = exp(gamma sigma / (r_j - a sigma))` and unit vectors `u_j` to the neighbours of one atom, cos = u_j . u_k gives

    sum_{j<k} f_j f_k (cos + 1/3)^2 = 1/2 [ |T|^2 + 2/3 |v|^2 + 1/9 s^2 - 16/9 sum_j f_j^2 ]

with the sums over neighbours `T = sum f u u^T`, `v = sum f u` and `s = sum f`.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from ..types import Neighbors, PotentialFn, System
from .pairs import Images, Pairs, find_pairs
from .scales import Scales


class SiliconParameters(NamedTuple):
    """Holds the constants of the potential: those of the `Si.sw` file distributed with LAMMPS, table I of the paper.

    The paper's energy unit of 50 kcal/mol is 2.1682 eV; the file's 2.1683 makes the crystal -2 epsilon = -4.3366 eV.
    """

    epsilon: float = 2.1683  # eV
    sigma: float = 2.0951  # Angstrom
    a: float = 1.80  # cutoff in sigma
    lam: float = 21.0
    gamma: float = 1.20
    A: float = 7.049556277
    B: float = 0.6022245584


def stillinger_weber(
    parameters: SiliconParameters = SiliconParameters(),  # noqa: B008, an immutable tuple
    images: Images = None,
) -> PotentialFn:
    """Builds Stillinger-Weber energy and forces; every row with an element is silicon.

    The core grows like r^-4 only, so colliding random starts stay finite in float32 as they are; atoms closer than 1e-6
    Angstrom, where the direction is lost, repel each other less and less.

    Args:
      parameters: constants.
      images: None for clusters, "nearest" where twice the cutoff of 3.77 Angstrom fits into the cell, or images on each
        side.

    Returns:
      `(positions [n_atoms, 3], system, neighbors=None) -> (energy [] eV, forces [n_atoms, 3] eV/Angstrom)`. The energy
      is NaN where the cell needs more images than given.
    """
    cutoff = parameters.a * parameters.sigma

    def potential(positions, system: System, neighbors: Neighbors | None = None):
        pairs = find_pairs(positions, system, neighbors, images, cutoff)
        radial = _radial(pairs, parameters)
        return _combine(pairs, radial, parameters)

    return potential


class _Radial(NamedTuple):
    """Holds functions of one distance, `[n_neighbors, n_atoms]`, zero beyond the cutoff."""

    inverse: jax.Array  # 1 / r
    pair: jax.Array  # phi_2
    pair_slope: jax.Array
    f: jax.Array
    f_slope: jax.Array


def _radial(pairs: Pairs, parameters: SiliconParameters) -> _Radial:
    """Evaluates eq. 2.3 and the radial factor of eq. 2.5; smooth to all orders at the cutoff."""
    epsilon, sigma, a, _, gamma, A, B = parameters
    # At 0.999 cutoffs the exponentials are 1e-242: nothing is lost, and 1 / (r - a sigma) stays finite.
    inside = pairs.valid & (pairs.square < (0.999 * a * sigma) ** 2)
    inverse = jax.lax.rsqrt(jnp.where(inside, jnp.maximum(pairs.square, 1e-12), sigma**2))
    gap = sigma * inverse / (1.0 - a * sigma * inverse)
    decay = jnp.where(inside, jnp.exp(gap), 0.0)
    f = jnp.where(inside, jnp.exp(gamma * gap), 0.0)
    gap_slope = -gap * gap / sigma
    ratio = sigma * inverse
    power = B * (ratio * ratio) * (ratio * ratio)
    pair = (A * epsilon) * (power - 1.0) * decay
    pair_slope = pair * gap_slope - (4.0 * A * epsilon) * power * inverse * decay
    return _Radial(inverse, pair, pair_slope, f, gamma * gap_slope * f)


def _combine(pairs: Pairs, radial: _Radial, parameters: SiliconParameters):
    """Adds the pair and the three-body terms; every force is a sum over the neighbours of its own atom."""
    strength = parameters.lam * parameters.epsilon
    f = radial.f
    x, y, z = (component * radial.inverse for component in pairs.components)
    fx, fy, fz = f * x, f * y, f * z
    terms = (f, f * f, fx, fy, fz, fx * x, fy * y, fx * y, fx * z, fy * z)
    s, ff, vx, vy, vz, xx, yy, xy, xz, yz = (jnp.sum(term, axis=0) for term in terms)
    zz = s - xx - yy  # unit vectors: the trace of T is s
    tensor = xx * xx + yy * yy + zz * zz + 2.0 * (xy * xy + xz * xz + yz * yz)
    angular = tensor + (2.0 / 3.0) * (vx * vx + vy * vy + vz * vz) + s * s / 9.0 - (16.0 / 9.0) * ff
    energy = 0.5 * jnp.sum(radial.pair) + (0.5 * strength) * jnp.sum(angular)

    def both(per_atom, sign=1.0):
        return per_atom[None, :] + sign * pairs.of_neighbor(per_atom)

    xx, yy, zz, xy, xz, yz, s = (both(term) for term in (xx, yy, zz, xy, xz, yz, s))
    wx, wy, wz = ((2.0 / 3.0) * both(term, -1.0) for term in (vx, vy, vz))
    tx, ty, tz = xx * x + xy * y + xz * z, xy * x + yy * y + yz * z, xz * x + yz * y + zz * z
    along_t, along_w = tx * x + ty * y + tz * z, wx * x + wy * y + wz * z
    turn = strength * f * radial.inverse
    steepness = strength * radial.f_slope * (along_t + along_w + s / 9.0 - (32.0 / 9.0) * f)
    radially = radial.pair_slope + steepness - turn * (2.0 * along_t + along_w)
    forces = [
        jnp.sum(radially * u + turn * (2.0 * t + w), axis=0) for u, t, w in ((x, tx, wx), (y, ty, wy), (z, tz, wz))
    ]
    return pairs.checked(energy), jnp.stack(forces, axis=1)


def stillinger_weber_scales(parameters: SiliconParameters = SiliconParameters()) -> Scales:  # noqa: B008
    """Returns the bond length of the crystal and epsilon: each atom owns two of its four bonds and -2 epsilon."""
    bond = 2.35 * parameters.sigma / 2.0951
    return Scales(length_scale=bond, energy_scale=parameters.epsilon, radii=(0.5 * bond,))
