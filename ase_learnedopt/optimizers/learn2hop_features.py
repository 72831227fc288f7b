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
from .neighborhoods import NEIGHBORHOOD, neighborhoods
from .noise import to_normal, uniforms
from .policy import count, squash

MOMENTUM_DECAYS = (0.5, 0.9, 0.99)
SQUARE_DECAYS = (0.9, 0.99)
TIME_SCALES = (10.0, 100.0, 1000.0)
"""Evaluations; the network reads tanh of the time over each."""
HOP_TIMES = (10.0, 40.0)
"""Evaluations, as long as the parts of a relaxation."""
LARGEST_GRADIENT = 30.0
"""Energy scales per length scale, per atom: one collision must not fill the moments for hundreds of steps."""
SOFT = 0.3
"""Energy scales per length scale: vectors are normalised above it, and below it shrink with the gradient, so that
steps of fixed factors end at the minimum."""

WAY_UNIT = 0.05
"""Length scales: the quasi-Newton step is read in it."""
LONGEST_WAY = 0.25
"""Length scales; where the longest row of the step is longer, the whole is shortened, which keeps its direction."""
PULL = 40.0
"""Energy scales per length scale: of the pull to the centroid on an atom of mean distance whose output is 1."""
SITE_REACH = 2.0
"""Mean contacts: how far around the site of a hop the network sees it."""

VECTORS = (
    "gradient",
    "gradient / norm",
    *(f"momentum {decay:g} / rms" for decay in MOMENTUM_DECAYS),
    "last move",
    "quasi-Newton step",
    "from centroid",
    "towards neighbours",
)
SCALARS = (
    "log gradient",
    *(f"log momentum {decay:g}" for decay in MOMENTUM_DECAYS),
    *(f"log rms gradient {decay:g}" for decay in SQUARE_DECAYS),
    "cosine of momentum and gradient",
    "cosine of last move and gradient",
    *NEIGHBORHOOD,
    "distance from centroid",
    "nearness to site of hop",
    "noise of hop",
    "log quasi-Newton step",
    "log distance to best",
    "log rms gradient of all atoms",
    "at a minimum",
    "log rms distance to best of all atoms",
    "budget used",
    *(f"tanh evaluations / {scale:g}" for scale in TIME_SCALES),
    "energy above best",
    "energy change",
    "log evaluations since best",
    *(f"exp -evaluations since hop / {scale:g}" for scale in HOP_TIMES),
    "log n_atoms",
    "noise of hop of all atoms",
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
    since_hop: jax.Array  # evaluations since the last minimum or long move


class Draws(NamedTuple):
    """Carries what is drawn anew at every minimum and long move and stays until the next, uniform in [0, 1)."""

    of_atoms: jax.Array  # [n_atoms]; the atom with the largest is the site of the hop
    of_all: jax.Array  # []


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


def draw(key, system: System) -> tuple[jax.Array, jax.Array, Draws]:
    """Draws the random numbers of one evaluation: noise `[n_atoms]`, normal vectors `[n_atoms, 3]`, those of a hop."""
    n, dtype = system.positions.shape[0], system.positions.dtype
    # One block, so that padding changes nothing for the atoms; in float32, so that all precisions draw the same.
    (noise,) = (block.astype(dtype) for block in uniforms(key, jnp.float32, (n, 6)))
    return noise[:, 3], to_normal(noise[:, :3]), Draws(noise[:, 4], noise[0, 5])


def read(
    noise, draws: Draws, positions, system: System, slope, ways, moments: Moments, progress: Progress, neighbors=None
):
    """Computes what the network reads and what it combines.

    Args:
      noise: `[n_atoms]` uniform, of this evaluation.
      draws: those of the hop.
      positions: `[n_atoms, 3]` Angstrom.
      system: what is optimised.
      slope: `[n_atoms, 3]` the gradient, in energy scales per length scale.
      ways: `[2, n_atoms, 3]` the quasi-Newton step and the way to the best geometry, in length scales.
      moments: with this gradient absorbed.
      progress: of the run.
      neighbors: rows of what lies within `environment.REACH` contacts; None: all pairs.

    Returns:
      Scalars `[len(SCALARS), n_atoms]` and vectors `[len(VECTORS), n_atoms, 3]`.
    """
    n, dtype = slope.shape[0], slope.dtype
    around, inwards = neighborhoods(positions, system, neighbors)
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
    lengths = jnp.sqrt(jnp.sum(ways * ways, axis=-1))
    displaced = jnp.sqrt(jnp.sum(lengths[1] * lengths[1]) / n_movable)
    everywhere = jnp.stack(
        [
            jnp.log(everyone + 1e-4) / 2.5,
            _at_minimum(everyone),
            jnp.log(displaced + 1e-4) / 2.5,
            progress.used,
            *(jnp.tanh(progress.n_evaluations / scale) for scale in TIME_SCALES),
            squash(progress.above_best) / 3.0,
            squash(progress.change) / 3.0,
            jnp.log1p(progress.since_best) / 5.0,
            *(jnp.exp(-progress.since_hop / scale) for scale in HOP_TIMES),
            count(system),
            2.0 * draws.of_all - 1.0,
        ]
    )
    outwards = _from_centroid(positions, system)
    scalars = [
        jnp.log(jnp.concatenate([sizes[:-1], rms]) + 1e-4) / 2.5,
        cosines,
        around,
        jnp.sqrt(jnp.sum(outwards * outwards, axis=-1) + 1e-12)[None] - 1.0,
        _nearness(draws, positions, system)[None],
        2.0 * draws.of_atoms[None] - 1.0,
        jnp.log(lengths + 1e-4) / 2.5,
        jnp.broadcast_to(everywhere[:, None], (len(everywhere), n)),
        2.0 * noise[None] - 1.0,
    ]
    norms = [jnp.maximum(10.0, sizes[0]), sizes[0] + SOFT, *([rms[0] + SOFT] * 3), jnp.maximum(1.0, 10.0 * sizes[-1])]
    longest = jnp.max(lengths[0])
    vectors = [
        jnp.concatenate([slope[None], moving[:-1], 10.0 * moving[-1:]]) / jnp.stack(norms)[:, :, None],
        ways[:1] * (jnp.minimum(1.0, LONGEST_WAY / jnp.maximum(longest, 1e-6)) / WAY_UNIT),
        everyone / (everyone + SOFT) * jnp.concatenate([outwards[None], inwards]),
    ]
    return jnp.concatenate(scalars), jnp.concatenate(vectors)


def pull(positions, system: System):
    """Returns the gradient `[n_atoms, 3]` eV/Angstrom of a pull to the centroid, growing as the cube of the distance.

    Zero in periodic systems and where an atom may not move: there is nothing to be rounded.
    """
    outwards = _from_centroid(positions, system)
    is_free = jnp.all(system.movable == has_element(system))
    strength = jnp.where(is_free, PULL, 0.0) * system.energy_scale / system.length_scale
    return strength * outwards * jnp.sum(outwards * outwards, axis=-1)[:, None]


def _at_minimum(everyone):
    """Returns a smooth indicator `[]` of a small rms gradient: 0 above 0.1 energy scales per length scale, at most 3.

    Not 1: training should feel first what matters most.
    """
    t = jnp.clip(jnp.log(0.1 / jnp.maximum(everyone, 1e-6)) / jnp.log(5.0), 0.0, 1.0)
    return 3.0 * t * t * (3.0 - 2.0 * t)


def _nearness(draws: Draws, positions, system: System):
    """Returns how near every atom is to the site of the hop, `[n_atoms]`: 1 there, a Gaussian of the distance."""
    atoms = has_element(system)
    site = jnp.argmax(jnp.where(system.movable & atoms, draws.of_atoms, -1.0))
    to = pair_components(positions[site][None], positions, system.cell, system.pbc)
    n_atoms = jnp.maximum(jnp.sum(atoms.astype(positions.dtype)), 1.0)
    reach = SITE_REACH * 2.0 * jnp.sum(jnp.where(atoms, system.radii, 0.0)) / n_atoms
    return jnp.exp(-sum(x[0] * x[0] for x in to) / reach**2)


def _from_centroid(positions, system: System):
    """Returns the vectors from the centroid over their rms length; zero in periodic systems."""
    dtype = positions.dtype
    atoms = has_element(system)
    weight = (atoms.astype(dtype) / jnp.maximum(jnp.sum(atoms.astype(dtype)), 1.0))[:, None]
    offset = jnp.where(atoms[:, None], positions - jnp.sum(weight * positions, axis=0)[None, :], 0.0)
    spread = jnp.sqrt(jnp.maximum(jnp.sum(weight * offset * offset), 1e-12))
    return jnp.where(jnp.any(system.pbc), jnp.zeros_like(offset), offset / spread)
