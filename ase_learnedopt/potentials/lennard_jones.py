"""Lennard-Jones atoms, `4 epsilon [(sigma/r)^12 - (sigma/r)^6]`. Layer 1.

Jones, Proc. R. Soc. London A 106, 463 (1924).
"""

import jax.numpy as jnp

from ..types import Neighbors, PotentialFn, System
from .pairs import Images, find_pairs
from .scales import Scales


def lennard_jones(
    epsilon: float = 1.0,
    sigma: float = 1.0,
    cutoff: float | None = None,
    images: Images = None,
    core: float | None = 0.3,
) -> PotentialFn:
    """Builds Lennard-Jones energy and forces; every row with an element is the same kind of atom.

    Args:
      epsilon: eV, depth of the well.
      sigma: Angstrom, where the pair energy is zero.
      cutoff: Angstrom, the pair energy is cut here and shifted to be zero there (as ASE's calculator does); None: all
        pairs, for clusters.
      images: None for clusters, "nearest" where twice the cutoff fits into the cell, or images on each side.
      core: in sigma; below this distance the pair energy goes on linearly in r^2 with continuous value and slope, so
        that colliding random starts stay finite in float32. None: exact everywhere.

    Returns:
      `(positions [n_atoms, 3], system, neighbors=None) -> (energy [] eV, forces [n_atoms, 3] eV/Angstrom)`. The energy
      is NaN where the cell needs more images than given.

    Raises:
      ValueError: if periodic images or neighbour rows come without a cutoff.
    """
    shift = 0.0 if cutoff is None else (sigma / cutoff) ** 12 - (sigma / cutoff) ** 6

    def potential(positions, system: System, neighbors: Neighbors | None = None):
        pairs = find_pairs(positions, system, neighbors, images, cutoff)
        valid = pairs.valid if cutoff is None else pairs.valid & (pairs.square < cutoff**2)
        square = jnp.where(valid, pairs.square, jnp.inf)
        if core is not None:
            square = jnp.maximum(square, (core * sigma) ** 2)
        inverse = sigma**2 / square
        attraction = inverse * inverse * inverse
        repulsion = attraction * attraction
        slope = (attraction - 2.0 * repulsion) * inverse  # of the pair energy in r^2, over 12 epsilon / sigma^2
        value = repulsion - attraction
        if shift:
            value = jnp.where(valid, value - shift, 0.0)
        if core is not None:
            below = jnp.minimum(pairs.square - (core * sigma) ** 2, 0.0)
            value = value + (3.0 / sigma**2) * slope * below
        energy = 2.0 * epsilon * jnp.sum(value)
        return pairs.checked(energy), pairs.contract((24.0 * epsilon / sigma**2) * slope)

    return potential


def lennard_jones_scales(epsilon: float = 1.0, sigma: float = 1.0) -> Scales:
    """Returns the contact distance 2^(1/6) sigma and the well depth."""
    bond = 2.0 ** (1.0 / 6.0) * sigma
    return Scales(length_scale=bond, energy_scale=epsilon, radii=(0.5 * bond,))
