"""The Gupta potential of metals and their alloys: pair repulsion and the square root of a density. Layer 1.

Second-moment approximation of tight binding: Gupta, Phys. Rev. B 23, 6265 (1981); Cleri & Rosato, Phys. Rev. B 48, 22
(1993), eq. 7-9:

    E = sum_i [ sum_j A exp(-p (r/r0 - 1)) - sqrt( sum_j xi^2 exp(-2 q (r/r0 - 1)) ) ]

with both sums over all j != i, so that each bond counts twice in A.
"""

import jax.numpy as jnp
import numpy as np

from ..types import Neighbors, PotentialFn, System
from .gupta_table import GuptaTable, gupta_table
from .pairs import Images, find_pairs, of_pair
from .scales import Scales
from .switching import check_switch, switch


def gupta(
    elements=("Cu",),
    parameter_set: str | None = None,
    cutoff: float | None = None,
    switch_from: float | None = None,
    images: Images = None,
) -> PotentialFn:
    """Builds Gupta energy and forces; species k of a system is `elements[k]`.

    The exponentials are finite at any distance, so colliding atoms need no special care: the energy is exact, and only
    atoms closer than 1e-6 Angstrom, where the direction is lost, repel each other less and less.

    Args:
      elements: chemical symbols, or a `GuptaTable` of one's own.
      parameter_set: name of a set of parameters; None: the verified one for these elements, see `gupta_table`.
      cutoff: Angstrom, where both sums end; None: all pairs, for clusters.
      switch_from: Angstrom, both exponentials fall smoothly to zero from here to `cutoff`; None: 0.85 cutoffs.
      images: None for clusters, "nearest" where twice the cutoff fits into the cell, or images on each side.

    Returns:
      `(positions [n_atoms, 3], system, neighbors=None) -> (energy [] eV, forces [n_atoms, 3] eV/Angstrom)`. The energy
      is NaN where the cell needs more images than given or a species has no parameters.

    Raises:
      ValueError: if there are no parameters, or periodic images or neighbour rows come without a cutoff.
    """
    table = elements if isinstance(elements, GuptaTable) else gupta_table(elements, parameter_set)
    begin = check_switch(switch_from, cutoff)
    strengths = (table.A * np.exp(table.p), table.xi**2 * np.exp(2.0 * table.q), table.p / table.r0, table.q / table.r0)

    def potential(positions, system: System, neighbors: Neighbors | None = None):
        pairs = find_pairs(positions, system, neighbors, images, cutoff)
        a, b, p, q = (of_pair(column, pairs, system.species) for column in strengths)
        distance = jnp.sqrt(jnp.where(pairs.valid, jnp.maximum(pairs.square, 1e-12), 1.0))
        repulsion = jnp.where(pairs.valid, a * jnp.exp(-p * distance), 0.0)
        overlap = jnp.where(pairs.valid, b * jnp.exp(-2.0 * q * distance), 0.0)
        repulsion_slope, overlap_slope = -p * repulsion, -2.0 * q * overlap
        if cutoff is not None:
            weight, weight_slope = switch(distance, begin, cutoff)
            repulsion_slope = repulsion_slope * weight + repulsion * weight_slope
            overlap_slope = overlap_slope * weight + overlap * weight_slope
            repulsion, overlap = repulsion * weight, overlap * weight
        density = jnp.sum(overlap, axis=0)
        bound = density > 0
        root = jnp.sqrt(jnp.where(bound, density, 1.0))  # an atom alone has no density and no slope either
        energy = jnp.sum(repulsion) - jnp.sum(jnp.where(bound, root, 0.0))
        half = jnp.where(bound, 0.5 / root, 0.0)
        slope = 2.0 * repulsion_slope - (half[None, :] + pairs.of_neighbor(half)) * overlap_slope
        energy = jnp.where(jnp.all(system.species < len(table.elements)), energy, jnp.nan)
        return pairs.checked(energy), pairs.contract(slope / distance)

    return potential


def gupta_scales(elements=("Cu",), parameter_set: str | None = None) -> Scales:
    """Returns r0 / 2 of every element as its radius, and the mean over elements of a bond's length and energy.

    The bond energy is a sixth of the energy of an atom with twelve neighbours at their best distance: with
    a = 12 A, b = sqrt(12) xi and x = r/r0 - 1, `a exp(-p x) - b exp(-q x)` has its minimum where
    `exp(-(p - q) x) = b q / (a p)`, of depth `b exp(-q x) (1 - q / p)`.
    """
    table = elements if isinstance(elements, GuptaTable) else gupta_table(elements, parameter_set)
    A, xi, p, q, r0 = (np.diag(column) for column in (table.A, table.xi, table.p, table.q, table.r0))
    a, b = 12.0 * A, np.sqrt(12.0) * xi
    stretch = -np.log(b * q / (a * p)) / (p - q)
    depth = b * np.exp(-q * stretch) * (1.0 - q / p)
    return Scales(float(r0.mean()), float(depth.mean() / 6.0), tuple(float(r) for r in 0.5 * r0))
