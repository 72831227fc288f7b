"""Morse atoms, `epsilon [exp(-2 rho0 (r/r0 - 1)) - 2 exp(-rho0 (r/r0 - 1))]`. Layer 1.

Morse, Phys. Rev. 34, 57 (1929); as a model of clusters Doye & Wales, J. Chem. Soc., Faraday Trans. 93, 4233 (1997).
"""

import jax.numpy as jnp

from ..types import Neighbors, PotentialFn, System
from .pairs import Images, find_pairs
from .scales import Scales
from .switching import check_switch, switch


def morse(
    epsilon: float = 1.0,
    r0: float = 1.0,
    rho0: float = 6.0,
    cutoff: float | None = None,
    switch_from: float | None = None,
    images: Images = None,
) -> PotentialFn:
    """Builds Morse energy and forces; every row with an element is the same kind of atom.

    The pair energy is finite at any distance, so colliding atoms need no special care.

    Args:
      epsilon: eV, depth of the well.
      r0: Angstrom, distance of the minimum.
      rho0: decay; 3 is a soft metal, 6 resembles Lennard-Jones, 14 is sticky.
      cutoff: Angstrom, where the pair energy ends; None: all pairs, for clusters.
      switch_from: Angstrom, the pair energy falls smoothly to zero from here to `cutoff`; None: 0.85 cutoffs. ASE's
        calculator has 1.9 r0 and 2.7 r0.
      images: None for clusters, "nearest" where twice the cutoff fits into the cell, or images on each side.

    Returns:
      `(positions [n_atoms, 3], system, neighbors=None) -> (energy [] eV, forces [n_atoms, 3] eV/Angstrom)`. The energy
      is NaN where the cell needs more images than given.

    Raises:
      ValueError: if periodic images or neighbour rows come without a cutoff.
    """
    begin = check_switch(switch_from, cutoff)

    def potential(positions, system: System, neighbors: Neighbors | None = None):
        pairs = find_pairs(positions, system, neighbors, images, cutoff)
        distance = jnp.sqrt(jnp.where(pairs.valid, jnp.maximum(pairs.square, 1e-12 * r0**2), r0**2))
        decay = jnp.where(pairs.valid, jnp.exp(rho0 - (rho0 / r0) * distance), 0.0)
        value = decay * (decay - 2.0)
        slope = (-2.0 * rho0 / r0) * decay * (decay - 1.0)
        if cutoff is not None:
            weight, weight_slope = switch(distance, begin, cutoff)
            value, slope = value * weight, slope * weight + value * weight_slope
        energy = 0.5 * epsilon * jnp.sum(value)
        return pairs.checked(energy), pairs.contract(epsilon * slope / distance)

    return potential


def morse_scales(epsilon: float = 1.0, r0: float = 1.0) -> Scales:
    """Returns the distance of the minimum and the well depth."""
    return Scales(length_scale=r0, energy_scale=epsilon, radii=(0.5 * r0,))
