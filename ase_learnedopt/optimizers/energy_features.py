"""What a model of the energy reads of a geometry: sums over pairs, and functions of the density at every atom. Layer 1.

Pair functions are exponentials of the distance, as in the potentials of Morse and of Born and Mayer; densities are sums
of exponentials over the neighbours, and enter by their root and their square, as in the embedded-atom method (Daw &
Baskes, Phys. Rev. B 29, 6443, 1984) and in that of Finnis and Sinclair (Phil. Mag. A 50, 45, 1984). Both for every pair
of kinds of atoms. Distances are read in contacts (`radii[i] + radii[j]`), so that one prior serves all elements.
"""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from ..geometry import has_element, pair_components
from ..types import System

RATES = (1.0, 2.0, 3.0, 4.5, 6.5, 9.0, 13.0)
"""Decays of the pair functions, per contact; all rates are multiples of a half."""
DENSITY_RATES = (1.5, 3.0, 5.0)
BEGIN, REACH = 1.2, 2.6
"""Contacts from where on the functions fall smoothly, and where they are zero."""
NEAREST = 0.3
"""Contacts below which nothing rises any more."""
TYPICAL_DENSITY = 4.0
FEATURE_NAMES = (
    "atoms",
    f"mixed pair functions with rates {', '.join(map(str, RATES))}",
    f"root and square of densities with rates {', '.join(map(str, DENSITY_RATES))}",
    f"from {BEGIN} to {REACH} contacts to zero",
)
"""What coefficients belong to, for the cards of weights."""
MORSE = (0.0, 0.0, 0.0, 0.0, -2.0, 0.0, 1.0)
"""Coefficients of a Morse potential with its minimum of depth 1 at contact."""


class Pairs(NamedTuple):
    """Lists all pairs of atoms, each `[n_atoms, n_atoms]`."""

    away: list  # x, y and z from the first to the second, Angstrom
    distance: Any  # Angstrom
    contact: Any  # Angstrom
    ratio: Any  # distance in contacts
    valid: Any  # bool


def n_features(kinds: int) -> int:
    """Returns the number of features of systems with so many kinds of atoms."""
    return 1 + len(RATES) * (kinds * (kinds + 1) // 2) + 2 * len(DENSITY_RATES) * kinds * _n_mixes(kinds)


def morse_coefficients(kinds: int) -> np.ndarray:
    """Returns coefficients `[n_features]` with which the energy is that of a Morse potential between all pairs."""
    pair = np.linalg.solve(MIXING, MORSE)
    pairs = np.tile(pair, kinds * (kinds + 1) // 2)
    return np.concatenate([[0.0], pairs, np.zeros(n_features(kinds) - 1 - len(pairs))])


def features(positions, system: System, kinds: int, xp=jnp):
    """Returns the features `[n_features]`, in which a model of the energy is linear."""
    pairs, of_kind = list_pairs(positions, system, xp), kind_of_atoms(system, kinds, xp)
    values, densities = (exponentials(rates, pairs, xp)[0] for rates in (RATES, DENSITY_RATES))
    values = xp.einsum("kij,kl->lij", values, xp.asarray(MIXING, positions.dtype))
    parts = [xp.sum(of_kind)[None]]
    parts += [0.5 * xp.sum(m[None] * values, axis=(1, 2)) for m in pairs_of_kinds(of_kind)]
    for m in mixes(of_kind, xp):
        for value, _ in embeddings(xp.sum(m[None] * densities, axis=2), xp):
            parts += [value @ weight for weight in of_kind.T]
    return xp.concatenate(parts)


def feature_gradients(positions, system: System, kinds: int, xp=jnp):
    """Returns the gradients `[n_features, n_atoms, 3]` of the features, per Angstrom.

    Written out, since all of them at once cost little more than one.
    """
    pairs, of_kind = list_pairs(positions, system, xp), kind_of_atoms(system, kinds, xp)
    slopes = exponentials(RATES, pairs, xp)[1]
    slopes = xp.einsum("kij,kl->lij", slopes, xp.asarray(MIXING, positions.dtype))
    densities, thinning = exponentials(DENSITY_RATES, pairs, xp)
    parts = [xp.zeros((1, *pairs.ratio.shape), positions.dtype), *(m[None] * slopes for m in pairs_of_kinds(of_kind))]
    for m in mixes(of_kind, xp):
        for _, slope in embeddings(xp.sum(m[None] * densities, axis=2), xp):
            for weight in of_kind.T:
                half = (weight[None] * slope)[:, :, None] * m[None] * thinning
                parts.append(half + half.transpose(0, 2, 1))
    along = xp.concatenate(parts) / pairs.distance[None]
    return xp.stack([-xp.sum(along * x[None], axis=2) for x in pairs.away], axis=2)


def list_pairs(positions, system: System, xp=jnp) -> Pairs:
    """Returns all pairs of atoms at their nearest images."""
    atoms = has_element(system)
    valid = atoms[:, None] & atoms[None, :] & ~xp.eye(len(atoms), dtype=bool)
    away = pair_components(positions, positions, system.cell, system.pbc, xp)
    distance = xp.sqrt(xp.where(valid, sum(x * x for x in away), 1.0) + 1e-12)
    contact = xp.where(valid, system.radii[:, None] + system.radii[None, :], 1.0)
    return Pairs(away, distance, contact, distance / contact, valid)


def kind_of_atoms(system: System, kinds: int, xp=jnp):
    """Returns which kind each atom is of, `[n_atoms, kinds]` one or zero; elements beyond the last count as that."""
    atoms, species = has_element(system), system.species
    earlier = xp.tril(xp.ones((len(species),) * 2, bool), -1)
    first = atoms & ~xp.any(earlier & (species[:, None] == species[None, :]), axis=1)
    rank = xp.sum((first[None, :] & (species[None, :] < species[:, None])).astype(xp.int32), axis=1)
    rank = xp.minimum(rank.astype(xp.int32), kinds - 1)
    chosen = (rank[:, None] == xp.arange(kinds, dtype=xp.int32)[None, :]) & atoms[:, None]
    return chosen.astype(system.positions.dtype)


def exponentials(rates, pairs: Pairs, xp=jnp):
    """Returns exponentials that end at `REACH`, and their slopes per Angstrom, each `[n_rates, n_atoms, n_atoms]`."""
    ratio, k = xp.maximum(pairs.ratio, NEAREST), xp.asarray(rates, pairs.ratio.dtype)[:, None, None]
    end, slope = (xp.where(pairs.valid, x, 0.0)[None] for x in ending(ratio, xp))
    value = xp.stack(decays(rates, ratio, xp))
    falls = (pairs.ratio > NEAREST)[None]
    return value * end, xp.where(falls, value * (slope - k * end) / pairs.contact[None], 0.0)


def decays(rates, ratio, xp=jnp):
    """Returns `exp(-rate * (ratio - 1))` for every rate: powers of one exponential, which are several times quicker."""
    base = xp.exp(-0.5 * (ratio - 1.0))
    return [base ** round(2.0 * rate) for rate in rates]


def ending(ratio, xp=jnp):
    """Returns a weight that falls from 1 at `BEGIN` to 0 at `REACH`, twice differentiable, and its slope."""
    t = xp.clip((ratio - BEGIN) / (REACH - BEGIN), 0.0, 1.0)
    return 1.0 - t**3 * (10.0 - 15.0 * t + 6.0 * t * t), -30.0 * (t * (1.0 - t)) ** 2 / (REACH - BEGIN)


def _independent():
    """Returns the combinations `[n_rates, n_rates]` of pair functions whose slopes are orthonormal within reach."""
    ratio = np.linspace(0.85, REACH, 200)[:, None]
    cut, slope = ending(ratio, np)
    slopes = np.exp(-np.array(RATES) * (ratio - 1.0)) * (slope - np.array(RATES) * cut)
    return np.linalg.inv(np.linalg.qr(slopes / np.sqrt(len(ratio)))[1])


MIXING = _independent()


def pairs_of_kinds(of_kind):
    """Returns for every pair of kinds which pairs are of it, each `[n_atoms, n_atoms]`."""
    kinds = of_kind.shape[1]
    both = [[of_kind[:, a][:, None] * of_kind[:, b][None, :] for b in range(kinds)] for a in range(kinds)]
    return [both[a][b] if a == b else both[a][b] + both[b][a] for a in range(kinds) for b in range(a, kinds)]


def _n_mixes(kinds: int) -> int:
    return 1 if kinds == 1 else 3


def mixes(of_kind, xp=jnp):
    """Returns which neighbours make a density: all, those alike, those unlike; each `[n_atoms, n_atoms]`."""
    like = of_kind @ of_kind.T
    return [xp.ones_like(like), like, 1.0 - like][: _n_mixes(of_kind.shape[1])]


def embeddings(density, xp=jnp):
    """Returns functions of densities, each with its slope."""
    root = xp.sqrt(density + 1e-3)
    scale = TYPICAL_DENSITY**2
    return [(root, 0.5 / root), (density * density / scale, 2.0 * density / scale)]
