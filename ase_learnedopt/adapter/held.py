"""Which directions the constraints of atoms hold, whatever their class. Layer 3.

Of a constraint nothing is known but what it does to positions and to forces. One that leaves every move alone holds
nothing, whatever it adds to the forces. Else the forces it takes away are those along the directions that it holds.
"""

import copy

import numpy as np
from ase import Atoms
from ase.constraints import FixAtoms

PROBE = 1e-3
"""Angstrom that atoms are moved by to see whether a constraint holds any."""
MOST_NUMBERS = 400_000
"""Numbers of all directions together up to which they are looked for, and a search works with them."""
SAME = 1e-7
"""Share of a force that is rounding, of constraints that find their forces by iteration too."""


def held_directions(atoms: Atoms, all_of_them: bool = False) -> np.ndarray:
    """Returns orthonormal directions `[3 * n_atoms, n_held]` that no atom moves along.

    Atoms that cannot move at all are left out, see `fixed_atoms`, but for `all_of_them`.
    """
    if all(isinstance(constraint, FixAtoms) for constraint in atoms.constraints) and not all_of_them:
        return np.zeros((3 * len(atoms), 0))
    parts = [_directions_of(constraint, atoms) for constraint in atoms.constraints]
    held = _orthonormal(np.concatenate([np.zeros((3 * len(atoms), 0)), *parts], axis=1))
    if all_of_them:
        return held
    fixed = _fixed(held)
    held = np.where(np.repeat(fixed, 3)[:, None], 0.0, held)
    return _orthonormal(held)


def fixed_atoms(atoms: Atoms) -> np.ndarray:
    """Returns the indices of atoms that cannot move at all, from 0 on."""
    if all(isinstance(constraint, FixAtoms) for constraint in atoms.constraints):
        indices = [np.asarray(constraint.get_indices(), int) for constraint in atoms.constraints]
        return np.unique(np.concatenate([np.zeros(0, int), *indices]) % max(len(atoms), 1))
    return np.flatnonzero(_fixed(held_directions(atoms, all_of_them=True)))


def _fixed(held: np.ndarray) -> np.ndarray:
    """Returns which atoms are held in all three directions, `[n_atoms]` bool."""
    return np.sum(held**2, axis=1).reshape(-1, 3).sum(axis=1) > 3.0 - 1e-6


def _directions_of(constraint, atoms: Atoms) -> np.ndarray:
    """Returns the directions that one constraint holds, `[3 * n_atoms, n]`: what it takes away of random forces."""
    n = 3 * len(atoms)
    nothing = np.zeros((n, 0))
    if isinstance(constraint, FixAtoms):
        index = np.unique(constraint.get_indices() % len(atoms))
        return np.eye(n)[:, (3 * index[:, None] + np.arange(3)).reshape(-1)]
    if not holds(constraint, atoms):
        return nothing
    n_probes, rng = 4, np.random.default_rng(0)
    while True:
        if min(n_probes, n + 1) * n > MOST_NUMBERS:
            return nothing  # to find them all would take longer than the run
        probes = [rng.normal(size=(len(atoms), 3)) for _ in range(min(n_probes, n + 1))]
        taken = np.array([(f - adjusted_forces(constraint, atoms, f)).reshape(-1) for f in probes]).T
        held = _orthonormal(taken)
        if held.shape[1] < len(probes) or len(probes) > n:
            break
        n_probes *= 4
    left = [adjusted_forces(constraint, atoms, column.reshape(-1, 3)) for column in held.T]
    # One that turns forces round, or weakens them, holds nothing.
    return held if not left or np.abs(left).max() < 1e-4 else nothing


def holds(constraint, atoms: Atoms) -> bool:
    """Says whether a constraint stands in the way of any move."""
    if isinstance(constraint, FixAtoms):
        return True
    moved = atoms.positions + PROBE * np.random.default_rng(2).normal(size=(len(atoms), 3))
    adjusted = moved.copy()
    try:
        copy.deepcopy(constraint).adjust_positions(atoms, adjusted)  # some count what they wrap
    except Exception:  # noqa: BLE001  what it does with a search's moves is seen then
        return False
    return not np.allclose(adjusted, moved, rtol=0.0, atol=1e-3 * PROBE)


def adjusted_forces(constraint, atoms: Atoms, forces: np.ndarray) -> np.ndarray:
    """Returns what a constraint makes of forces `[n_atoms, 3]`, without what it adds to none."""
    added, adjusted = np.zeros_like(forces), forces.copy()
    constraint.adjust_forces(atoms, added)
    constraint.adjust_forces(atoms, adjusted)
    return adjusted - added


def _orthonormal(columns: np.ndarray) -> np.ndarray:
    """Returns an orthonormal basis of the space that columns span."""
    if not columns.shape[1]:
        return columns
    basis, sizes, _ = np.linalg.svd(columns, full_matrices=False)
    return basis[:, sizes > SAME * max(sizes[0], 1.0)]
