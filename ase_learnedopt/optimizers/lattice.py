"""Random lattices of translations that a periodic cell can be made of, so that few of its atoms are free. Layer 1.

All lattices that contain a given one are known by matrices in Hermite normal form (Santoro & Mighell, Acta Cryst. A28,
284, 1972).
"""

import jax
import jax.numpy as jnp

from ..geometry import has_element, minimum_image
from ..types import System
from .noise import to_gumbel

MOST_COPIES = 64
"""Of an atom, itself included."""
FREE_ATOMS = 8.0
SPREAD = 0.7
"""How many atoms are free: a log-normal about this number, with this deviation of its logarithm."""
MOST_FREE = 24.0
"""With more free atoms a start is hardly likelier to become a crystal than without copies."""
N_DRAWN = 4
"""Lattices drawn for a start; the one whose shortest translation is longest is used."""
LATTICE_NOISE = (MOST_COPIES,), (N_DRAWN, 2, MOST_COPIES), (N_DRAWN, 3)
"""Shapes of the uniforms that `random_translations` needs."""


def numbers_of_copies(counts, system: System):
    """Returns `[MOST_COPIES]` bool: which numbers, from one on, divide all `counts` `[n_atoms]` of the elements."""
    number = jnp.arange(1, MOST_COPIES + 1, dtype=jnp.int32)
    divides = (counts[None, :] % number[:, None] == 0) | ~has_element(system)[None, :]
    n_atoms = jnp.sum(has_element(system), dtype=jnp.int32)
    few = (n_atoms > number) & (n_atoms <= int(MOST_FREE) * number)
    return jnp.all(divides, axis=1) & few


def random_translations(noise, counts, system: System):
    """Draws a lattice.

    Args:
      noise: uniforms of the shapes `LATTICE_NOISE`.
      counts: `[n_atoms]` int32, atoms of each atom's element.
      system: says what the cell is.

    Returns:
      Translations `[MOST_COPIES, 3]` Angstrom, the first of them zero, and how many there are `[]` int32: one where no
      number of copies is possible.
    """
    for_number, for_axes, for_shears = noise
    dtype = for_number.dtype
    number = jnp.arange(1, MOST_COPIES + 1, dtype=jnp.int32)
    possible = numbers_of_copies(counts, system)
    free = jnp.sum(has_element(system).astype(dtype)) / number.astype(dtype)
    logits = -0.5 * (jnp.log(jnp.maximum(free, 1.0) / FREE_ATOMS) / SPREAD) ** 2
    drawn = number[jnp.argmax(jnp.where(possible, logits + to_gumbel(for_number), -jnp.inf))]
    n_copies = jnp.where(jnp.any(possible), drawn, 1)

    def one(for_axes, for_shears):
        vectors = _translations(n_copies, for_axes, for_shears) @ system.cell
        vectors = minimum_image(vectors, system.cell, system.pbc)
        others = (number > 1) & (number <= n_copies)
        return vectors, jnp.min(jnp.where(others, jnp.sum(vectors * vectors, axis=1), jnp.inf))

    vectors, shortest = jax.vmap(one)(for_axes, for_shears)
    return vectors[jnp.argmax(shortest)], n_copies


def _translations(n_copies, for_axes, for_shears):
    """Returns fractional translations `[MOST_COPIES, 3]`; those from `n_copies` on repeat.

    They are the `z H^-1` of integer rows `z` with `H = [[a, 0, 0], [b, c, 0], [d, e, f]]`, of the determinant `a c f =
    n_copies`; of every class of such `z` one lies in the box of `a`, `c` and `f`.
    """
    dtype = for_shears.dtype
    number = jnp.arange(1, MOST_COPIES + 1, dtype=jnp.int32)
    a = _divisor(n_copies, for_axes[0])
    c = _divisor(n_copies // a, for_axes[1])
    f = n_copies // a // c
    b = jnp.floor(for_shears[0] * c.astype(dtype))
    d, e = jnp.floor(for_shears[1] * f.astype(dtype)), jnp.floor(for_shears[2] * f.astype(dtype))
    index = number - 1
    z = [x.astype(dtype) for x in (index % a, (index // a) % c, (index // (a * c)) % f)]
    third = z[2] / f.astype(dtype)
    second = (z[1] - e * third) / c.astype(dtype)
    first = (z[0] - b * second - d * third) / a.astype(dtype)
    return jnp.stack([first, second, third], axis=1)


def _divisor(of, uniforms):
    """Draws one of the divisors of an integer, by uniforms `[MOST_COPIES]`."""
    number = jnp.arange(1, MOST_COPIES + 1, dtype=jnp.int32)
    return number[jnp.argmax(jnp.where(of % number == 0, uniforms, -1.0))]
