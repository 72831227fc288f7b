"""One system to search or to relax, drawn by a key, and batches of it. Layer 2."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
from jax.tree_util import Partial

from ..geometry import random_start
from ..neighbors import bucket
from ..types import PotentialFn, System


@dataclass(frozen=True)
class Task:
    """Describes one system to search.

    Attributes:
      name: unique within a run, such as "lj38".
      potential: energy and forces of one structure.
      draw: key -> `System` with a start of its own; pure JAX, so that it can be vmapped. Best a
        `jax.tree_util.Partial` of a function and a system: tasks of one size then share what is compiled.
      reference: eV, lowest known energy; None where the training keeps the lowest it has seen.
    """

    name: str
    potential: PotentialFn
    draw: Callable[[jax.Array], System]
    reference: float | None = None

    @property
    def n_atoms(self) -> int:
        """Number of atoms."""
        return int(jax.eval_shape(self.draw, jax.random.PRNGKey(0)).species.shape[0])


def draw_start(system: System, key) -> System:
    """Returns a system at a random start, see `geometry.random_start`."""
    return system._replace(positions=random_start(key, system))


def rows_for(n_atoms: int) -> int:
    """Returns the rows that a system is padded to: few sizes to compile, few pairs of nothing to work out."""
    return bucket(n_atoms) if n_atoms <= 16 else 8 * -(-n_atoms // 8)


def draw_batch(task: Task, keys, rows: int | None = None) -> System:
    """Draws systems, padded so that few sizes are compiled.

    Args:
      task: what to draw.
      keys: `[n_walkers, 2]` uint32.
      rows: of the padded systems; None: see `rows_for`.

    Returns:
      A `System` whose arrays have a leading axis `[n_walkers]`.

    Raises:
      ValueError: there are fewer rows than atoms.
    """
    rows = rows_for(task.n_atoms) if rows is None else rows
    if rows < task.n_atoms:
        raise ValueError(f"{task.name} has {task.n_atoms} atoms, more than rows={rows}")
    draw = task.draw if isinstance(task.draw, Partial) else Partial(task.draw)
    return _draw_batch(draw, rows, keys)


# What a Partial holds is an argument of the program; as constants in it, it compiled for 20 s a task on a GPU.
@partial(jax.jit, static_argnames=("rows",))
def _draw_batch(draw: Partial, rows: int, keys) -> System:
    return jax.vmap(lambda key: pad(draw(key), rows))(keys)


def pad(system: System, rows: int) -> System:
    """Returns a system with rows without an element added up to `rows`."""
    missing = rows - system.species.shape[0]
    if missing == 0:
        return system
    return system._replace(
        positions=jnp.pad(system.positions, ((0, missing), (0, 0))),
        species=jnp.pad(system.species, (0, missing), constant_values=-1),
        movable=jnp.pad(system.movable, (0, missing)),
        radii=jnp.pad(system.radii, (0, missing)),
    )
