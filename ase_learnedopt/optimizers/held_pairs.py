"""Distances that constraints hold, kept by moves in a model of the energy. Layer 1.

Held directions say where a geometry may go at once. A bond of fixed length turns on the way, so that a long straight
move stretches it. Here each pair is brought back along the direction that it had, as constraints do with the move when
it is made, and all pairs at once: M-SHAKE (Kraeutler, van Gunsteren, Huenenberger, J. Comput. Chem. 22, 501 (2001)).
"""

import jax
import jax.numpy as jnp

from ..geometry import minimum_image
from ..types import System

ROUNDS = 6
"""Of corrections; what is left then is less than models know."""
LEAST_ALONG = 0.2
"""Share of its length that a pair keeps along the direction that it had, or it is corrected as if it did."""
SAME = 1e-9
"""Share of a pair's stiffness below which it holds nothing that other pairs do not."""


def keeps_distances(system: System, here):
    """Returns the function that moves positions `[n_atoms, 3]` to where held pairs are as far apart as at `here`."""
    pairs = system.held_pairs
    if pairs is None:
        return lambda positions: positions
    first, second = pairs.atoms[:, 0], pairs.atoms[:, 1]
    apart = here[first] - here[second]
    vectors = minimum_image(apart, system.cell, system.pbc)
    square = jnp.sum(vectors**2, axis=1)
    length = jnp.sqrt(jnp.maximum(square, (1e-3 * system.length_scale) ** 2))
    along = vectors / length[:, None]
    n = jnp.arange(len(length))
    slopes = jnp.zeros((len(length), *here.shape), here.dtype).at[n, first].add(along).at[n, second].add(-along)
    coupling = jnp.einsum("pai,a,qai->pq", slopes, pairs.inverse_masses, slopes)
    some = jnp.max(coupling) > 0.0
    regular = coupling + jnp.where(some, SAME * jnp.max(coupling), 1.0) * jnp.eye(len(length), dtype=here.dtype)
    inverse = jnp.linalg.inv(regular)

    def one_round(_, positions):
        now = positions[first] - positions[second] - apart + vectors
        kept = jnp.maximum(jnp.sum(along * now, axis=1), LEAST_ALONG * length)
        lacks = 0.5 * (square - jnp.sum(now**2, axis=1)) / kept
        lacks = jnp.clip(lacks, -length, length)  # turned by more than a right angle it cannot come back
        return positions + jnp.einsum("pai,a,p->ai", slopes, pairs.inverse_masses, inverse @ lacks)

    def corrected(positions):
        return jax.lax.fori_loop(0, ROUNDS, one_round, positions)

    return lambda positions: jax.lax.cond(some, corrected, lambda same: same, positions)


def held_energy(keep, energy):
    """Returns an energy, and its gradient, of positions before the function `keep` of `keeps_distances` moves them."""

    def held(positions):
        there, pull_back = jax.vjp(keep, positions)
        value, gradient = energy(there)
        return value, pull_back(gradient)[0]

    return held
