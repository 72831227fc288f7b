"""How an optimizer hops: runs are quenched every few steps, which tells in whose basin they are. Layer 4.

The inherent structure of a geometry is the local minimum that a relaxation from it ends in (Stillinger & Weber,
Science 225, 983, 1984). An optimizer that only descends settles in one basin; one that hops visits many.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ..bench.problems import Problem
from ..bench.starts import seed_keys
from ..optimizers import lbfgs
from ..rollout import rollout, start
from ..types import MINIMUM, Optimizer

TOLERANCE = 2e-3
"""Energy scales between two minima that count as different ones."""
ARRIVED = 0.1
"""Energy scales above its inherent structure at which a run has settled for the first time; what came before was the
way down from the random start, on which every optimizer passes many basins."""
QUENCH = 600
"""Evaluations at most of a relaxation to an inherent structure."""
CHUNK = 1_000
"""Structures relaxed at once."""


class Runs(NamedTuple):
    """Holds sampled runs of one optimizer."""

    evaluations: np.ndarray  # [n_frames] int, of each frame
    energies: np.ndarray  # [n_runs, n_frames] eV
    inherent: np.ndarray  # [n_runs, n_frames] eV, of the structure that a relaxation from the frame ends in
    positions: np.ndarray  # [n_runs, n_frames, n_atoms, 3] Angstrom
    entered: list[np.ndarray]  # n_runs of [k] eV: energies at which the optimizer reported a minimum, in order


def sample(problem: Problem, optimizer: Optimizer, seeds: Sequence[int], evaluations: int, every: int = 10) -> Runs:
    """Runs an optimizer and quenches every `every`-th geometry.

    Args:
      problem: one with a potential of ours.
      optimizer: what runs.
      seeds: give starts and random streams.
      evaluations: of each run, which the optimizer is told; those of the quenches are not counted.
      every: evaluations between two frames.
    """
    assert problem.system is not None
    assert problem.potential is not None
    systems = jax.tree.map(lambda *leaves: jnp.stack(leaves), *[problem.system(seed) for seed in seeds])
    keys = jnp.stack([seed_keys(seed)[1] for seed in seeds])
    energies, events, positions = _record(problem, optimizer, systems, keys, evaluations // every, every)
    n_frames, n_runs = energies.shape[0], len(seeds)
    frames = positions.reshape(n_frames * n_runs, *positions.shape[2:])
    owner = np.tile(np.arange(n_runs), n_frames)
    inherent = quench(problem, jax.tree.map(lambda leaf: leaf[owner], systems), frames).reshape(n_frames, n_runs)
    flat = energies.reshape(-1, n_runs), events.reshape(-1, n_runs)
    return Runs(
        evaluations=every * np.arange(n_frames) + 1,
        energies=energies[:, 0].T,
        inherent=inherent.T,
        positions=np.swapaxes(positions, 0, 1),
        entered=[flat[0][flat[1][:, k] == MINIMUM, k] for k in range(n_runs)],
    )


def quench(problem: Problem, systems, positions: np.ndarray) -> np.ndarray:
    """Returns the energies `[n]` eV of the minima that relaxations from `positions` `[n, n_atoms, 3]` end in."""
    assert problem.potential is not None
    local, found = lbfgs(), []
    for first in range(0, len(positions), CHUNK):
        part = slice(first, first + CHUNK)
        batch = jax.tree.map(lambda leaf, part=part: leaf[part], systems)._replace(positions=positions[part])
        keys = jnp.zeros((len(batch.positions), 2), jnp.uint32)
        state, _ = rollout(
            local, problem.potential, start(local, keys, batch), QUENCH, -jnp.inf, n_windows=-(-QUENCH // 8)
        )
        found.append(np.asarray(state.best_energy, float))
    return np.concatenate(found)


def distinct(energies: np.ndarray, scale: float) -> int:
    """Returns how many minima lie behind energies `[n]` eV: those closer than `TOLERANCE` count once."""
    if not len(energies):
        return 0
    return 1 + int(np.sum(np.diff(np.sort(energies)) > TOLERANCE * scale))


def settled(runs: Runs, scale: float) -> np.ndarray:
    """Returns the first frame `[n_runs]` at which each run has settled; the number of frames if it never does."""
    low = runs.energies - runs.inherent < ARRIVED * scale
    return np.where(low.any(axis=1), low.argmax(axis=1), low.shape[1])


def jumps(runs: Runs, scale: float) -> np.ndarray:
    """Returns where `[n_runs, n_frames - 1]` a run is in another basin than a frame before, once it has settled."""
    changed = np.abs(np.diff(runs.inherent, axis=1)) > TOLERANCE * scale
    return changed & (np.arange(changed.shape[1])[None, :] >= settled(runs, scale)[:, None])


def _record(problem: Problem, optimizer: Optimizer, systems, keys, n_frames: int, every: int):
    """Returns energies and events `[n_frames, every, n_runs]` and the positions `[n_frames, n_runs, n_atoms, 3]`."""
    potential, hop = problem.potential, optimizer.hop
    assert potential is not None

    def advance(state):
        energy, forces = potential(state.positions, state.system)
        state = optimizer.advance(state, energy, forces)
        event = state.event  # before a hop overwrites it
        if hop is not None:
            state = jax.lax.while_loop(lambda waiting: waiting.pending, lambda waiting: hop(waiting, None), state)
        return state, (energy, event)

    @jax.jit
    def roll(state):
        def frame(state, _):
            positions = state.positions
            state, (energies, events) = jax.lax.scan(lambda s, _: jax.vmap(advance)(s), state, None, length=every)
            return state, (energies, events, positions)

        return jax.lax.scan(frame, state, None, length=n_frames)[1]

    state = start(optimizer, keys, systems, jnp.float32(n_frames * every))
    return [np.asarray(part) for part in roll(state)]
