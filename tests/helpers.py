"""Tables that the tests run through: optimizers, systems; a Lennard-Jones potential of their own; runs, cached."""

from functools import cache, partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ase_learnedopt.optimizers import OPTIMIZERS, learned_hop
from ase_learnedopt.optimizers.learned_hop import LearnedHopConfig
from ase_learnedopt.types import System

N_ROWS = 14
"""Rows of every system of the table, so that each optimizer is compiled once for all of them; the rest is padding."""
BOND = 2.0 ** (1.0 / 6.0)
SIZES = (1.0, 0.8)
"""Lennard-Jones sigma of the two species."""

SHORT = {
    "random_restart": lambda: OPTIMIZERS["random_restart"](max_steps=25),
    "basin_hopping": lambda: OPTIMIZERS["basin_hopping"](max_relax_steps=25),
    "learned_hop": lambda: learned_hop(
        None, LearnedHopConfig(max_relax_steps=25, max_deform_steps=10, patience_per_atom=0.2)
    ),
}
"""Settings with which a hundred evaluations hold several hops and restarts."""


def precision(name: str):
    """Returns a context in which jax computes in `float32` or `float64`."""
    enable_x64 = getattr(jax, "enable_x64", None)
    if enable_x64 is None:
        from jax.experimental import enable_x64
    return enable_x64(name == "float64")


@cache
def build(name: str):
    return SHORT.get(name, OPTIMIZERS[name])()


LOCAL = [name for name in OPTIMIZERS if build(name).hop is None]
SEARCHES = [name for name in OPTIMIZERS if build(name).hop is not None]


def lennard_jones(positions, system):
    """Lennard-Jones between rows with an element, nearest images, flat below a tenth of a bond."""
    x = positions[None, :, :] - positions[:, None, :]
    safe = jnp.where(system.pbc[:, None], system.cell, jnp.eye(3, dtype=x.dtype))
    x = x - (jnp.round(x @ jnp.linalg.inv(safe)) * system.pbc[None, None, :].astype(x.dtype)) @ safe
    size = jnp.asarray(SIZES, x.dtype)[jnp.maximum(system.species, 0)]
    sigma = 0.5 * (size[:, None] + size[None, :])
    atoms = system.species >= 0
    pair = atoms[:, None] & atoms[None, :] & ~jnp.eye(len(atoms), dtype=bool)
    square = jnp.where(pair, jnp.maximum(jnp.sum(x * x, axis=-1), 0.01) / (sigma * sigma), 1.0)
    sixth = jnp.where(pair, square**-3, 0.0)
    slope = (48.0 * sixth * sixth - 24.0 * sixth) / (square * sigma * sigma)
    return 2.0 * jnp.sum(sixth * sixth - sixth), -jnp.sum(slope[:, :, None] * x, axis=1)


def quadratic(positions, system):
    """Harmonic wells of 10 to 500 energy scales per length scale squared about the origin."""
    stiffness = jnp.linspace(10.0, 500.0, positions.size, dtype=positions.dtype).reshape(positions.shape)
    return 0.5 * jnp.sum(stiffness * positions * positions), -stiffness * positions


def make_system(positions, species=0, cell=None, pbc=False, fixed=(), dtype="float64", n_rows=N_ROWS) -> System:
    """Returns a padded `System` of Lennard-Jones atoms."""
    n = len(positions)
    rows = np.zeros((n_rows, 3))
    rows[:n] = positions
    kinds = np.full(n_rows, -1)
    kinds[:n] = species
    movable = np.arange(n_rows) < n
    movable[list(fixed)] = False
    radii = np.where(kinds >= 0, 0.5 * BOND * np.asarray(SIZES)[kinds], 0.0)
    return System(
        positions=jnp.asarray(rows, dtype),
        species=jnp.asarray(kinds, jnp.int32),
        cell=jnp.asarray(np.eye(3) if cell is None else cell, dtype),
        pbc=jnp.asarray(np.broadcast_to(pbc, 3)),
        movable=jnp.asarray(movable),
        radii=jnp.asarray(radii, dtype),
        length_scale=jnp.asarray(BOND, dtype),
        energy_scale=jnp.asarray(1.0, dtype),
    )


def _random(n, spread, seed=0):
    return np.random.default_rng(seed).uniform(-spread, spread, (n, 3))


def _slab():
    a = BOND
    layer = np.array([[i * a, j * a, 0.0] for i in range(3) for j in range(3)])
    return np.concatenate([layer, _random(4, 1.2) + np.array([a, a, 2.0])])


SYSTEMS = {
    "lj13": {"positions": _random(13, 1.6)},
    "lj7": {"positions": _random(7, 1.2, seed=1)},
    "mixed": {"positions": _random(12, 1.5, seed=2), "species": [0] * 7 + [1] * 5},
    "periodic": {
        "positions": _random(12, 2.0, seed=3),
        "cell": [[3.4, 0, 0], [0.6, 3.3, 0], [0.2, -0.5, 3.5]],
        "pbc": True,
    },
    "slab": {
        "positions": _slab(),
        "cell": np.diag([3 * BOND, 3 * BOND, 20.0]),
        "pbc": (True, True, False),
        "fixed": range(9),
    },
    "overlapping": {"positions": _random(13, 0.01, seed=4)},
    "far": {"positions": np.concatenate([_random(6, 1.1, seed=5), _random(7, 1.1, seed=6) + 40.0])},
    "one atom": {"positions": np.zeros((1, 3))},
}


class Trajectory(NamedTuple):
    """What was evaluated, one row for each evaluation."""

    energies: jax.Array
    positions: jax.Array
    events: jax.Array


CHUNK = 60
"""Evaluations of one compiled run: mostly a single length, so that each optimizer is compiled once for most tests."""


def run(optimizer, state, n: int = CHUNK, potential=lennard_jones):
    """Returns the state after `n` evaluations, and their trajectory; quickest to compile for multiples of `CHUNK`."""
    parts = []
    for length in [CHUNK] * (n // CHUNK) + [n % CHUNK] * (n % CHUNK > 0):
        state, part = _run_chunk(optimizer, state, potential, length)
        parts.append(part)
    return state, jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *parts)


@partial(jax.jit, static_argnames=("optimizer", "potential", "length"))
def _run_chunk(optimizer, state, potential, length):

    def step(state, _):
        energy, forces = potential(state.positions, state.system)
        new = optimizer.update(state, energy, forces)
        return new, Trajectory(energy, state.positions, new.event)

    return jax.lax.scan(step, state, None, length=length)


def start(name: str, system: System, seed: int = 0):
    return jax.jit(build(name).init)(jax.random.PRNGKey(seed), system)


@cache
def full_run(name: str, system_name: str, dtype: str = "float64", n: int = 4 * CHUNK):
    """Returns system, final state and trajectory of one optimizer of the table on one system of the table."""
    with precision(dtype), jax.numpy_rank_promotion("raise"), jax.numpy_dtype_promotion("strict"):
        system = make_system(**SYSTEMS[system_name], dtype=dtype)
        state, trajectory = run(build(name), start(name, system), n)
        return jax.tree.map(np.asarray, (system, state, trajectory))
