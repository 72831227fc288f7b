"""Potentials with random parameters, from which LearnedHop learns what energies are like. Layer 2.

Half of them are of the form of Gupta's (see `potentials.gupta`), the others are Morse potentials or of Lennard-Jones's
form with other exponents; of one to three kinds of atoms, which differ in size and in the strength of their bonds. None
is fitted to an element. The scales that a run is told are wrong by as much as those guessed from a structure.
"""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from ..potentials.scales import Scales
from ..types import System

SHARE_GUPTA, SHARE_MORSE = 0.55, 0.27
SIZES, STRENGTHS = 0.12, 0.25
"""How far the logarithms of the sizes of kinds, and of the strengths of their bonds, may lie from their means."""
WRONG_LENGTH, WRONG_ENERGY = 0.05, 0.35
"""Standard deviation of the logarithm of a scale that is told, about the right one."""
CORE = 0.7
"""Contacts below which a Lennard-Jones potential goes on as a straight line, so that random starts have forces."""


class RandomPotential(NamedTuple):
    """Holds the parameters of one potential, `[kinds, kinds]` where it depends on the pair; bonds are about 1 long."""

    form: Any  # [] 0: Gupta, 1: Morse, 2: Lennard-Jones
    contact: Any  # r0 of pairs, Angstrom
    repulsion: Any  # A, eV
    overlap: Any  # xi squared, eV^2
    steep: Any  # p
    flat: Any  # q
    depth: Any  # of the pair potentials, eV
    decay: Any  # rho0 of the Morse potential
    exponent: Any  # the lower one of Lennard-Jones's form


def draw_potential(rng: np.random.Generator, kinds: int) -> tuple[RandomPotential, Scales]:
    """Draws a potential, and the scales that a run is told.

    Args:
      rng: draws everything.
      kinds: of atoms.
    """

    def of_pairs(of_kind, spread):
        """Returns the geometric mean of both kinds, for unlike ones with an error of its own."""
        error = np.exp(rng.normal(0.0, spread, (kinds, kinds)) * (1.0 - np.eye(kinds)))
        return np.sqrt(np.outer(of_kind, of_kind) * error * error.T)

    size = np.exp(rng.uniform(-SIZES, SIZES, kinds)) if kinds > 1 else np.ones(1)
    size, strength = size / size.mean(), np.exp(rng.normal(0.0, STRENGTHS, kinds))
    steep, flat = rng.uniform(8.0, 18.0, kinds), rng.uniform(1.2, 4.2, kinds)
    p, q = of_pairs(steep, 0.05), of_pairs(np.minimum(flat, steep / 2.3), 0.05)
    xi = of_pairs(strength, 0.07)
    # Atoms with twelve neighbours have their lowest energy near contact, see `gupta_scales`.
    stretch = rng.uniform(-0.03, 0.03)
    repulsion = xi * q / p * np.exp((p - q) * stretch) / np.sqrt(12.0) * of_pairs(np.ones(kinds), 0.07)
    bond = np.mean(np.diag(np.sqrt(12.0) * xi * np.exp(-q * stretch) * (1.0 - q / p))) / 6.0
    depth = of_pairs(strength, 0.14)
    potential = RandomPotential(
        form=np.digitize(rng.random(), [SHARE_GUPTA, SHARE_GUPTA + SHARE_MORSE]),
        contact=of_pairs(size, 0.014),
        repulsion=repulsion / bond,
        overlap=(xi / bond) ** 2,
        steep=p,
        flat=q,
        depth=depth / np.mean(np.diag(depth)),
        decay=of_pairs(np.full(kinds, rng.uniform(3.5, 14.0)), 0.035),
        exponent=np.full((kinds, kinds), rng.uniform(5.0, 8.0)),
    )
    length, energy = np.exp(rng.normal(0.0, WRONG_LENGTH)), np.exp(rng.normal(0.0, WRONG_ENERGY))
    return potential, Scales(length, energy, tuple(0.5 * length * size))


def random_energy(potential: RandomPotential, positions, system: System):
    """Returns the energy `[]` eV of positions `[n_atoms, 3]` Angstrom of a cluster; pure JAX."""
    atoms, kind = system.species >= 0, jnp.maximum(system.species, 0)
    pair = atoms[:, None] & atoms[None, :] & ~jnp.eye(len(kind), dtype=bool)
    away = positions[:, None] - positions[None, :]
    distance = jnp.sqrt(jnp.where(pair, jnp.maximum(jnp.sum(away * away, axis=-1), 1e-12), 1.0))
    of = RandomPotential(
        *(jnp.asarray(x, positions.dtype)[kind[:, None], kind[None, :]] if jnp.ndim(x) else x for x in potential)
    )
    x = distance / of.contact - 1.0
    repulsion = jnp.where(pair, of.repulsion * jnp.exp(-of.steep * x), 0.0)
    density = jnp.sum(jnp.where(pair, of.overlap * jnp.exp(-2.0 * of.flat * x), 0.0), axis=1)
    gupta = jnp.sum(repulsion) - jnp.sum(jnp.sqrt(density + 1e-12))
    morse = jnp.exp(-2.0 * of.decay * x) - 2.0 * jnp.exp(-of.decay * x)
    n, outside = of.exponent, jnp.maximum(x + 1.0, CORE)
    slope = 2.0 * n * (outside ** (-n - 1.0) - outside ** (-2.0 * n - 1.0))
    lennard_jones = outside ** (-2.0 * n) - 2.0 * outside**-n + (x + 1.0 - outside) * slope
    pairs = jnp.where(jnp.asarray(of.form) == 1, morse, lennard_jones)
    return jnp.where(jnp.asarray(of.form) == 0, gupta, 0.5 * jnp.sum(jnp.where(pair, of.depth * pairs, 0.0)))
