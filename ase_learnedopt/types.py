"""Shared vocabulary: a system of atoms, and the one object every optimizer is.

Layer 0. Imports jax only; holds no logic.

One call of `Optimizer.update` costs exactly one evaluation of energy and forces. An optimizer may split its update in
two: `advance` absorbs an evaluation and is cheap, `hop` builds a new start and is called only when `state.pending` is
true. `update` is the two in sequence; drivers that care for speed call the parts, because hops are rare and dear.
"""

from collections.abc import Callable
from typing import NamedTuple, Protocol

import jax

STEP, MINIMUM, HOP, RESTART, MODEL = range(5)
"""Values of `OptimizerState.event`: ordinary step, local minimum just evaluated, hop proposed, fresh start proposed,
ordinary step after which `hop` is to renew what a relaxation knows of its surroundings.
"""


class HeldPairs(NamedTuple):
    """Lists pairs of atoms that constraints keep at their distance; a row of one atom twice holds nothing."""

    atoms: jax.Array  # [n_pairs, 2] int32
    inverse_masses: jax.Array  # [n_atoms], of the lightest atom 1: constraints move light atoms more


class System(NamedTuple):
    """Describes what is optimised: where the atoms are, what may move, and the natural scales.

    A row with `species < 0` has no element: padding, or a row that a cell filter adds for the cell. Such a row takes
    part in relaxations when it is movable and never in hops, neighbourhoods or potentials. With a `cell_factor` three
    rows are that many times a deformation `F [3, 3]`, and an atom at `x` stands for one at `F @ x`.
    """

    positions: jax.Array  # [n_atoms, 3] Angstrom, the start
    species: jax.Array  # [n_atoms] int32, equal numbers are equal elements; -1: a row without an element
    cell: jax.Array  # [3, 3] Angstrom, rows are the cell vectors
    pbc: jax.Array  # [3] bool
    movable: jax.Array  # [n_atoms] bool
    radii: jax.Array  # [n_atoms] Angstrom, atoms i and j touch at radii[i] + radii[j]
    length_scale: jax.Array  # [] Angstrom, typical bond length
    energy_scale: jax.Array  # [] eV, typical bond energy
    cell_factor: jax.Array | None = None  # [] of three movable rows without an element, the deformation of the cell
    held: jax.Array | None = None  # [3 * n_atoms, n_held] orthonormal directions that nothing moves along
    held_pairs: HeldPairs | None = None  # of `held`, what turns as atoms move; None where `held` is


class Neighbors(NamedTuple):
    """Lists the neighbours of every atom in rows of equal length; made on the host for systems too big for n x n."""

    index: jax.Array  # type: ignore[assignment]  # [n_atoms, n_neighbors] int32, equal to n_atoms where a row has no further neighbour
    shift: jax.Array  # [n_atoms, n_neighbors, 3] integer-valued, cell vectors to add to the neighbour's position


class OptimizerState(Protocol):
    """Names the fields that the state (a NamedTuple of arrays) of every optimizer has."""

    @property
    def system(self) -> System:
        """What is being optimised."""

    @property
    def positions(self) -> jax.Array:
        """[n_atoms, 3] Angstrom, the next geometry to evaluate."""

    @property
    def best_positions(self) -> jax.Array:
        """[n_atoms, 3] Angstrom, the geometry with the lowest energy evaluated so far."""

    @property
    def best_energy(self) -> jax.Array:
        """[] eV, infinity before the first evaluation."""

    @property
    def n_evaluations(self) -> jax.Array:
        """[] int32."""

    @property
    def event(self) -> jax.Array:
        """[] int32, one of STEP, MINIMUM, HOP, RESTART, MODEL: what the last call did."""

    @property
    def pending(self) -> jax.Array:
        """[] bool, true when `hop` must be called before the next evaluation."""

    @property
    def key(self) -> jax.Array:
        """[2] uint32, the random stream."""


class Optimizer(NamedTuple):
    """Proposes geometries, one per evaluation of energy and forces.

    `init`: (key, system, budget) -> state; budget [] is the number of evaluations the run may use, infinity if unknown.

    `update`: (state, energy [], forces [n_atoms, 3]) -> state, ready for the next evaluation.

    `advance`: same as update but may leave `state.pending` true; one whose network looks around in every step takes
    neighbour rows, or None, as a fourth argument, which may be left out.

    `hop`: (state, neighbors or None) -> state; None for optimizers that never hop. Drivers call it only where `pending`
    is true, and until it is false: a hop may find by itself that what it proposed is not worth an evaluation.
    """

    init: Callable
    update: Callable
    advance: Callable
    hop: Callable | None


PotentialFn = Callable[..., tuple[jax.Array, jax.Array]]
"""(positions [n_atoms, 3], system, neighbors=None) -> (energy [] eV, forces [n_atoms, 3] eV/Angstrom)."""
