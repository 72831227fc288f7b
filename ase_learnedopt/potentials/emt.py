"""The effective medium theory of metals, with the parameters and cutoffs of ASE's calculator. Layer 1.

Jacobsen, Stoltze & Norskov, Surf. Sci. 366, 394 (1996). In the letters of ASE's `EMT`, with w the logistic cutoff:

    sigma1_i = sum_j n0_j/n0_i exp(-eta2_j (r - beta s0_j)) w(r),   ds_i = -log(sigma1_i / 12 gamma1_i) / (beta eta2_i)
    E = sum_i [ E0_i (1 + lambda_i ds_i) exp(-lambda_i ds_i) - E0_i + 6 V0_i exp(-kappa_i ds_i) ]
      - sum_ij V0_i/(2 gamma2_i) n0_j/n0_i exp(-kappa_j (r/beta - s0_j)) w(r)

Free atoms have the energy -E0.
"""

from math import log
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from ..types import Neighbors, PotentialFn, System
from .emt_table import BOHR, PARAMETERS, EMTTable, emt_table
from .pairs import Images, Pairs, find_pairs, of_pair, of_species
from .scales import Scales

BETA = 1.809
"""Nearest-neighbour distance over Wigner-Seitz radius of an fcc crystal, rounded as in ASE."""
_SHELLS = BETA * max(row[1] for row in PARAMETERS.values()) * BOHR * np.sqrt([1.0, 3.0, 4.0])
MIDPOINT = float(_SHELLS[1] + _SHELLS[2]) / 2.0
"""Angstrom, where the logistic cutoff is 1/2: between the third and fourth shell of the largest metal."""
STEEPNESS = log(1e4 - 1.0) / float(_SHELLS[2] - MIDPOINT)
"""1/Angstrom; 1e-4 is left at the fourth shell."""
CUTOFF = MIDPOINT + 0.5
"""Angstrom, where pairs end; the weight left there is below 1e-5."""


def emt(elements=("Cu",), images: Images = None) -> PotentialFn:
    """Builds EMT energy and forces; species k of a system is `elements[k]`.

    Args:
      elements: chemical symbols among Al, Ni, Cu, Pd, Ag, Pt, Au.
      images: None for clusters, "nearest" where twice the cutoff (5.88 Angstrom) fits into the cell, or images on each
        side.

    Returns:
      `(positions [n_atoms, 3], system, neighbors=None) -> (energy [] eV, forces [n_atoms, 3] eV/Angstrom)`. The energy
      is NaN where the cell needs more images than given or a species has no parameters.

    Raises:
      ValueError: if an element has no parameters.
    """
    table = emt_table(elements)
    gamma1, gamma2 = _gammas(table)
    ratio = table.n0[:, None] / table.n0[None, :]  # [neighbour, centre]
    density = _Exponential(np.exp(table.eta2 * BETA * table.s0)[:, None] * ratio, table.eta2)
    strength = -np.exp(table.kappa * table.s0)[:, None] * ratio * (table.V0 / (2.0 * gamma2))[None, :]
    bond = _Exponential(strength, table.kappa / BETA)

    def potential(positions, system: System, neighbors: Neighbors | None = None):
        pairs = find_pairs(positions, system, neighbors, images, CUTOFF)
        valid = pairs.valid & (pairs.square < CUTOFF**2)
        distance = jnp.sqrt(jnp.where(valid, jnp.maximum(pairs.square, 1e-12), 1.0))
        weight = jnp.where(valid, 1.0 / (1.0 + jnp.exp(STEEPNESS * (distance - MIDPOINT))), 0.0)
        fade = STEEPNESS * (weight - 1.0)  # logarithmic derivative of the weight
        at_centre, at_neighbor = density.evaluate(pairs, system.species, distance, weight, fade)
        to_centre, to_neighbor = bond.evaluate(pairs, system.species, distance, weight, fade)
        parameters = [of_species(column, system.species) for column in (*table, gamma1)]
        embedding, embedding_slope = _embedding(jnp.sum(at_centre.value, axis=0), *parameters)
        slope = to_centre.slope + to_neighbor.slope
        slope += embedding_slope[None, :] * at_centre.slope + pairs.of_neighbor(embedding_slope) * at_neighbor.slope
        energy = jnp.sum(jnp.where(system.species >= 0, embedding, 0.0)) + jnp.sum(to_centre.value)
        energy = jnp.where(jnp.all(system.species < len(table.E0)), energy, jnp.nan)
        return pairs.checked(energy), pairs.contract(slope / distance)

    return potential


class _Decay(NamedTuple):
    """Holds a function of the distance for every pair, and its derivative, `[n_neighbors, n_atoms]`."""

    value: Any
    slope: Any


class _Exponential(NamedTuple):
    """Holds `strength[neighbour, centre] exp(-rate[neighbour] r)`: what an atom contributes at another one."""

    strength: np.ndarray  # [n_elements, n_elements]
    rate: np.ndarray  # [n_elements] 1/Angstrom

    def evaluate(self, pairs: Pairs, species, distance, weight, fade) -> tuple[_Decay, _Decay]:
        """Returns what the neighbour contributes at the centre, and the centre at the neighbour, faded out."""
        if len(self.rate) == 1:
            value = float(self.strength[0, 0]) * jnp.exp(-float(self.rate[0]) * distance) * weight
            decay = _Decay(value, value * (fade - float(self.rate[0])))
            return decay, decay
        rate = of_species(self.rate, species)
        rates = jnp.broadcast_to(pairs.of_neighbor(rate), distance.shape), rate[None, :]
        strengths = of_pair(self.strength, pairs, species), of_pair(self.strength.T, pairs, species)
        values = [a * jnp.exp(-b * distance) * weight for a, b in zip(strengths, rates, strict=True)]
        here, there = (_Decay(v, v * (fade - b)) for v, b in zip(values, rates, strict=True))
        return here, there


def _embedding(sigma, E0, s0, V0, eta2, kappa, lambda_, n0, gamma1):
    """Returns the energy of atoms `[n_atoms]` in the density of their neighbours, and its slope; 0 for atoms alone."""
    del s0, n0
    dense = sigma > 0
    sigma = jnp.where(dense, sigma, 1.0)
    ds = -jnp.log(sigma / (12.0 * gamma1)) / (BETA * eta2)
    cohesion, repulsion = E0 * jnp.exp(-lambda_ * ds), 6.0 * V0 * jnp.exp(-kappa * ds)
    value = cohesion * (1.0 + lambda_ * ds) + repulsion
    slope = (cohesion * lambda_**2 * ds + kappa * repulsion) / (BETA * eta2 * sigma)
    return jnp.where(dense, value, 0.0) - E0, jnp.where(dense, slope, 0.0)


def _gammas(table: EMTTable) -> tuple[np.ndarray, np.ndarray]:
    """Returns the sums over three shells of an fcc crystal that make s0 its Wigner-Seitz radius, `[n_elements]`."""
    distances = BETA * table.s0[:, None] * np.sqrt([1.0, 2.0, 3.0])
    weights = np.array([12.0, 6.0, 24.0]) / 12.0 / (1.0 + np.exp(STEEPNESS * (distances - MIDPOINT)))
    beyond = distances - BETA * table.s0[:, None]
    gamma1 = np.sum(weights * np.exp(-table.eta2[:, None] * beyond), axis=1)
    return gamma1, np.sum(weights * np.exp(-table.kappa[:, None] / BETA * beyond), axis=1)


def emt_scales(elements=("Cu",)) -> Scales:
    """Returns half the crystal's bond of every element, and means of bond length and of a sixth of the cohesion."""
    table = emt_table(elements)
    bonds = BETA * table.s0
    return Scales(float(bonds.mean()), float(-table.E0.mean() / 6.0), tuple(float(bond) for bond in 0.5 * bonds))
