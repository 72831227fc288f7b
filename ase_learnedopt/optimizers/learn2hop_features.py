"""What Learn2Hop reads of every atom, and the vectors it combines into a move. Layer 1.

Inputs after Merchant, Metz, Schoenholz & Cubuk, arXiv:2107.09661: gradient, momenta and second moments at several
decays, the time used, the progress of the energy, the neighbourhood. Lengths and energies are in the scales of the
system, and elements enter by contact distances and like/unlike only, so that one never seen is no news.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from ..geometry import has_element, pair_components
from ..types import System
from .environment import RADII, smooth_count
from .noise import to_normal, uniforms
from .policy import count, squash

MOMENTUM_DECAYS = (0.5, 0.9, 0.99)
SQUARE_DECAYS = (0.9, 0.99)
TIME_SCALES = (10.0, 100.0, 1000.0)
"""Evaluations; the network reads tanh of the time over each."""
LARGEST_GRADIENT = 30.0
"""Energy scales per length scale, per atom: one collision must not fill the moments for hundreds of steps."""
SOFT = 0.3
"""Energy scales per length scale: vectors are normalised above it, and below it shrink with the gradient, so that
steps of fixed factors end at the minimum."""

VECTORS = (
    "gradient",
    "gradient / norm",
    *(f"momentum {decay:g} / rms" for decay in MOMENTUM_DECAYS),
    "last move",
    "from centroid",
    "towards neighbours",
)
SCALARS = (
    "log gradient",
    *(f"log momentum {decay:g}" for decay in MOMENTUM_DECAYS),
    *(f"log rms gradient {decay:g}" for decay in SQUARE_DECAYS),
    "cosine of momentum and gradient",
    "cosine of last move and gradient",
    "coordination / 12",
    "count to 1.85 contacts / 18",
    "count to 2.3 contacts / 42",
    "count to 1.6 contacts / 12",
    "unlike fraction",
    "strain of the first shell",
    "radius / mean radius",
    "log rms gradient of all atoms",
    "budget used",
    *(f"tanh evaluations / {scale:g}" for scale in TIME_SCALES),
    "energy above best",
    "energy change",
    "log evaluations since best",
    "log n_atoms",
    "noise",
)


class Moments(NamedTuple):
    """Carries running means of the gradient, in energy scales per length scale."""

    momenta: jax.Array  # [len(MOMENTUM_DECAYS), n_atoms, 3]
    squares: jax.Array  # [len(SQUARE_DECAYS), n_atoms] mean squared norms
    last_move: jax.Array  # [n_atoms, 3] length scales


class Progress(NamedTuple):
    """Says how the run is doing; scalars `[]`."""

    used: jax.Array  # share of the budget, 0 if it is unknown
    n_evaluations: jax.Array  # in the dtype of the positions
    above_best: jax.Array  # energy scales
    change: jax.Array  # energy scales
    since_best: jax.Array  # evaluations


def init_moments(positions) -> Moments:
    """Returns the moments before the first evaluation."""
    n, dtype = positions.shape[0], positions.dtype
    zeros = jnp.zeros((len(MOMENTUM_DECAYS), n, 3), dtype), jnp.zeros((len(SQUARE_DECAYS), n), dtype)
    return Moments(*zeros, jnp.zeros((n, 3), dtype))


def update_moments(moments: Moments, slope) -> Moments:
    """Absorbs a gradient `[n_atoms, 3]` in energy scales per length scale."""
    square = jnp.sum(slope * slope, axis=-1)
    momenta = [d * old + (1.0 - d) * slope for d, old in zip(MOMENTUM_DECAYS, moments.momenta, strict=True)]
    squares = [d * old + (1.0 - d) * square for d, old in zip(SQUARE_DECAYS, moments.squares, strict=True)]
    return moments._replace(momenta=jnp.stack(momenta), squares=jnp.stack(squares))


def read(key, positions, system: System, slope, moments: Moments, progress: Progress):
    """Computes what the network reads and what it combines.

    Args:
      key: of the noise.
      positions: `[n_atoms, 3]` Angstrom.
      system: what is optimised.
      slope: `[n_atoms, 3]` the gradient, in energy scales per length scale.
      moments: with this gradient absorbed.
      progress: of the run.

    Returns:
      Scalars `[len(SCALARS), n_atoms]`, vectors `[len(VECTORS), n_atoms, 3]`, and normal noise `[n_atoms, 3]`.
    """
    n, dtype = slope.shape[0], slope.dtype
    (noise,) = uniforms(key, dtype, (n, 4))  # one block, so that padding changes nothing for the atoms
    around, inwards = _neighborhoods(positions, system)
    unbiased = 1.0 - jnp.asarray(MOMENTUM_DECAYS, dtype) ** progress.n_evaluations
    momenta = moments.momenta / unbiased[:, None, None]
    unbiased = 1.0 - jnp.asarray(SQUARE_DECAYS, dtype) ** progress.n_evaluations
    rms = jnp.sqrt(moments.squares / unbiased[:, None])
    # A few big arrays: many small ones cost more in calls than in arithmetic.
    moving = jnp.concatenate([slope[None], momenta, moments.last_move[None]])
    sizes = jnp.sqrt(jnp.sum(moving * moving, axis=-1) + 1e-20)
    cosines = jnp.sum(moving[jnp.array([2, 4])] * slope[None], axis=-1) / (sizes[jnp.array([2, 4])] * sizes[:1])
    n_movable = jnp.maximum(jnp.sum(system.movable.astype(dtype)), 1.0)
    everyone = jnp.sqrt(jnp.sum(slope * slope) / n_movable)
    everywhere = jnp.stack(
        [
            jnp.log(everyone + 1e-4) / 2.5,
            progress.used,
            *(jnp.tanh(progress.n_evaluations / scale) for scale in TIME_SCALES),
            squash(progress.above_best) / 3.0,
            squash(progress.change) / 3.0,
            jnp.log1p(progress.since_best) / 5.0,
            count(system),
        ]
    )
    scalars = [
        jnp.log(jnp.concatenate([sizes[:-1], rms]) + 1e-4) / 2.5,
        cosines,
        around,
        jnp.broadcast_to(everywhere[:, None], (len(everywhere), n)),
        2.0 * noise[None, :, 3] - 1.0,
    ]
    lengths = [jnp.maximum(10.0, sizes[0]), sizes[0] + SOFT, *([rms[0] + SOFT] * 3), jnp.maximum(1.0, 10.0 * sizes[-1])]
    vectors = [
        jnp.concatenate([slope[None], moving[:-1], 10.0 * moving[-1:]]) / jnp.stack(lengths)[:, :, None],
        everyone / (everyone + SOFT) * jnp.concatenate([_from_centroid(positions, system)[None], inwards]),
    ]
    return jnp.concatenate(scalars), jnp.concatenate(vectors), to_normal(noise[:, :3])


def _from_centroid(positions, system: System):
    """Returns the vectors from the centroid over their rms length; zero in periodic systems."""
    dtype = positions.dtype
    atoms = has_element(system)
    weight = (atoms.astype(dtype) / jnp.maximum(jnp.sum(atoms.astype(dtype)), 1.0))[:, None]
    offset = jnp.where(atoms[:, None], positions - jnp.sum(weight * positions, axis=0)[None, :], 0.0)
    spread = jnp.sqrt(jnp.maximum(jnp.sum(weight * offset * offset), 1e-12))
    return jnp.where(jnp.any(system.pbc), jnp.zeros_like(offset), offset / spread)


def _neighborhoods(positions, system: System):
    """Returns the features of the surroundings `[.., n_atoms]` and the pull of the neighbours `[1, n_atoms, 3]`."""
    n, dtype = positions.shape[0], positions.dtype
    atoms = has_element(system)
    pair = atoms[:, None] & atoms[None, :] & ~jnp.eye(n, dtype=bool)
    to = pair_components(positions, positions, system.cell, system.pbc)
    distance = jnp.where(pair, jnp.sqrt(sum(x * x for x in to) + 1e-12), jnp.inf)
    ratio = distance / jnp.where(pair, system.radii[:, None] + system.radii[None, :], 1.0)
    # Kept, or the compiler works the pairs out again for every sum over them.
    to, distance, ratio = jax.lax.optimization_barrier((to, distance, ratio))
    counts = [jnp.sum(smooth_count(ratio, begin, 0.5), axis=1) for begin in RADII]
    near = jax.lax.optimization_barrier(smooth_count(ratio, RADII[0], 0.4))
    coordination = jnp.sum(near, axis=1)
    unlike = jnp.sum(jnp.where(system.species[None, :] != system.species[:, None], near, 0.0), axis=1)
    strain = jnp.sum(jnp.where(near > 0, near * (ratio - 1.0), 0.0), axis=1)
    weights = smooth_count(ratio, RADII[1], 0.5) / (5.0 * distance)
    pull = [jnp.sum(weights * x, axis=1) for x in to]
    mean_radius = jnp.sum(jnp.where(atoms, system.radii, 0.0)) / jnp.maximum(jnp.sum(atoms.astype(dtype)), 1.0)
    share = 1.0 / jnp.maximum(coordination, 1e-3)
    around = [
        coordination / 12.0,
        counts[1] / 18.0,
        counts[2] / 42.0,
        counts[0] / 12.0,
        unlike * share,
        4.0 * strain * share,
    ]
    return jnp.stack([*around, system.radii / mean_radius]), jnp.stack(pull, axis=-1)[None]
