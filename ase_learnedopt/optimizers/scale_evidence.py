"""The natural length and energy of a system, estimated from its first forces. Layer 1, NumPy only.

They are the two hyperparameters of the model of the energy, chosen by its evidence: the probability that its prior, in
units of them, gives to the forces seen, with the coefficients integrated out (MacKay, Neural Computation 4, 415, 1992;
Bishop 2006, section 3.5). A grid around what is assumed is enough: the search bears errors of some per cent in length
and of half in energy.
"""

from typing import Any, NamedTuple

import numpy as np

from ..geometry import minimum_image
from ..types import System
from .energy_features import feature_gradients, list_pairs

OCTAVES, PER_OCTAVE = 2.75, 8
"""The lengths looked at first reach from a seventh to seven times the assumed one."""
DECADES, PER_DECADE = 3.0, 4
"""Likewise the energies, from a thousandth to a thousand times."""
ZOOMS, ZOOM = 2, 4
"""Then the surroundings of the best of them, each time on a grid so much finer: a search feels 5 % of length."""
FORCE_NOISE, FORCE_ERROR = 0.05, 0.15
"""What the model leaves unexplained of a force: so many energy scales per length scale, and this share of it."""
CALM = 10.0
"""Times the force that a quarter of the atoms are below: the others overlap, and no model tells by how much."""
CLOSEST = 0.45
"""Contacts that half of the calm atoms keep to the next one; nearer, no pair was that the prior has learned from."""
WIDENED = 2.0
"""Times the standard deviations learned, those of the prior that is shipped, as it serves real potentials in searches.
Here it is taken as it was learned: it has fewer far scales to offer."""
LENGTH_BIAS, ENERGY_BIAS = 0.95, 0.69
"""What the evidence prefers, in the known scales of clusters (benchmarks/scale_constants.py, calibrate)."""
MOST_ROWS, MOST_FORCES = 256, 128
"""Of a larger system so many atoms about its middle are looked at, and the forces on so many of them. With half as many
forces the energy scale of a shaken crystal comes out three times too low; a look takes up to two seconds."""


class Evidence(NamedTuple):
    """Holds what forces say of the scales."""

    length: float  # in length scales of the system
    energy: float  # in its energy scales
    gain: float  # log of the evidence over that of the scales assumed
    n_data: int  # components of forces that it rests on
    misfit: float  # share of the forces that the model leaves unexplained at its best
    nearest: float  # contacts in the scales found, from the median calm atom to the next one


def weigh_scales(
    root, system: System, positions, gradient, *, fix_length: bool = False, fix_energy: bool = False
) -> Evidence | None:
    """Returns what the forces on a geometry say of length and energy scale.

    Args:
      root: `[n_features + 1, n_features + 1]` square root of the prior of the model for one kind of atoms.
      system: in the scales assumed; NumPy arrays.
      positions: `[n_atoms, 3]` Angstrom.
      gradient: `[n_atoms, 3]` eV/Angstrom.
      fix_length, fix_energy: whether one of the two is known.

    Returns:
      None where fewer than three atoms that move feel a force.
    """
    seen = _calm(system, positions, gradient)
    if seen is None:
        return None
    root = WIDENED * np.asarray(root)
    step = np.array([np.log(2.0) / PER_OCTAVE * (not fix_length), np.log(10.0) / PER_DECADE * (not fix_energy)])
    reach = round(OCTAVES * PER_OCTAVE), round(DECADES * PER_DECADE)
    nearest = np.median(_nearest(seen[0], seen[1])[seen[2]])
    longest = np.log(nearest / CLOSEST)
    lengths, energies, evidence, misfit = _on_grid(root, np.zeros(2), step, reach, longest, *seen)
    biases = (1.0 if fix_length else LENGTH_BIAS), np.array([1.0 if fix_energy else ENERGY_BIAS])
    assumed = _of_length(root, *biases, *seen)[0].item()
    for _ in range(ZOOMS):
        i, j = np.unravel_index(np.argmax(evidence), evidence.shape)
        step = step / ZOOM
        lengths, energies, evidence, misfit = _on_grid(
            root, (lengths[i], energies[j]), step, (ZOOM, ZOOM), longest, *seen
        )
    i, j = np.unravel_index(np.argmax(evidence), evidence.shape)
    length = 1.0 if fix_length else float(np.exp(lengths[i]) / LENGTH_BIAS)
    return Evidence(
        length=length,
        energy=1.0 if fix_energy else float(np.exp(energies[j]) / ENERGY_BIAS),
        gain=float(evidence[i, j] - assumed),
        n_data=seen[-1].size,
        misfit=float(misfit[i, j]),
        nearest=float(nearest / length),
    )


def _on_grid(root, middle, step, reach, longest, *seen):
    """Returns logarithms of lengths and of energies, and evidence and misfit `[n_lengths, n_energies]` of all pairs."""
    lengths, energies = (np.unique(middle[k] + step[k] * np.arange(-n, n + 1)) for k, n in enumerate(reach))
    rows = [_of_length(root, length, np.exp(energies), *seen) for length in np.exp(lengths)]
    evidence, misfit = (np.array(part) for part in zip(*rows, strict=True))
    return lengths, energies, np.where((lengths <= longest)[:, None], evidence, -np.inf), misfit


def scaled(system: System, length: float, energy: float) -> System:
    """Returns the system with length scale and radii, and energy scale, times these factors."""
    return system._replace(
        radii=system.radii * length,
        length_scale=system.length_scale * length,
        energy_scale=system.energy_scale * energy,
    )


def disorder(system: System, positions) -> float:
    """Returns how much the distances to nearest neighbours differ, standard deviation over mean; 0 near a minimum."""
    system, positions, _ = _middle(system, positions, positions)
    nearest = _nearest(system, positions)
    nearest = nearest[np.isfinite(nearest)]
    return float(nearest.std() / nearest.mean()) if len(nearest) > 1 else 0.0


def _nearest(system: System, positions) -> np.ndarray:
    """Returns how many contacts the nearest atom is away, `[n_atoms]`, infinity where there is none."""
    pairs = list_pairs(positions, system, np)
    return np.where(pairs.valid, pairs.ratio, np.inf).min(axis=1)


def _middle(system: System, positions, gradient):
    """Returns a system, positions and gradient, of a large system those of the atoms about its middle."""
    atoms = np.flatnonzero(system.species >= 0)
    if len(atoms) <= MOST_ROWS:
        return system, positions, gradient
    moving = atoms[system.movable[atoms]]
    center = positions[moving].mean(axis=0)
    away = minimum_image(positions[atoms] - center, system.cell, system.pbc, np)
    kept = atoms[np.argsort(np.linalg.norm(away, axis=1), kind="stable")[:MOST_ROWS]]
    inner = system.movable[kept] & (np.arange(MOST_ROWS) < MOST_FORCES)
    system = system._replace(
        positions=positions[kept], species=system.species[kept], radii=system.radii[kept], movable=inner,
        held=None, held_pairs=None,
    )  # fmt: skip
    return system, positions[kept], gradient[kept]


def _calm(system: System, positions, gradient):
    """Returns system, positions, the calm atoms and the gradient on them; None where that says nothing."""
    system, positions, gradient = _middle(system, np.asarray(positions, float), np.asarray(gradient, float))
    moves = np.flatnonzero(system.movable & (system.species >= 0))
    sizes = np.linalg.norm(gradient[moves], axis=1)
    if not (np.isfinite(sizes).all() and np.count_nonzero(sizes) > 2):
        return None
    calm = moves[sizes <= CALM * np.quantile(sizes, 0.25)][:MOST_FORCES]
    return system, positions, calm, gradient[calm]


def _of_length(root: Any, length: float, energies, system: System, positions, calm, gradient):
    """Returns log evidence and misfit `[n_energies]` each, for a length scale in those assumed."""
    k, n_energies = len(root) - 1, len(energies)
    unit = length * float(system.length_scale)
    slopes = feature_gradients(positions, scaled(system, length, 1.0), 1, np)[:, calm].reshape(k, -1).T
    g = gradient.reshape(1, -1) * (unit / (float(system.energy_scale) * energies[:, None]))
    square = np.repeat(np.sum(g.reshape(n_energies, -1, 3) ** 2, axis=2), 3, axis=1)
    weight = np.sqrt(1.0 / (FORCE_NOISE**2 + FORCE_ERROR**2 * square))
    data = np.concatenate([weight[:, :, None] * (unit * slopes)[None], (weight * g)[:, :, None]], 2)
    triangle: Any = np.linalg.qr(np.concatenate([np.tile(root[:k], (n_energies, 1, 1)), data], axis=1), mode="r")
    diagonal = np.log(np.abs(np.diagonal(triangle, axis1=1, axis2=2)))
    narrowed = diagonal[:, :k].sum(axis=1) - np.log(np.abs(np.diag(root)[:k])).sum()
    evidence = -0.5 * triangle[:, k, k] ** 2 - narrowed + np.log(weight).sum(axis=1)
    evidence += g.shape[1] * np.log(unit / energies)
    mean = np.linalg.solve(triangle[:, :k, :k], triangle[:, :k, k:])
    left = data[:, :, k:] - data[:, :, :k] @ mean
    return evidence, np.sqrt(np.sum(left**2, axis=(1, 2)) / np.sum(data[:, :, k] ** 2, axis=1))
