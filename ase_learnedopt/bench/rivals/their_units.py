"""A problem as packages made for atoms in Angstrom expect it, and the last relaxation that their searches leave out.

Their cutoffs, widths of Gaussians and shortest distances are in Angstrom, or in covalent radii from ASE's table. So
they see every problem scaled to the covalent radii of its elements: for metals and molecules that changes next to
nothing, Lennard-Jones with sigma = epsilon = 1 becomes a substance with bonds of 2.1 Angstrom. Energies stay as they
are: a bond has 0.3 to 1 eV in all problems.
"""

from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.data import covalent_radii

from ..counting import CountingCalculator, Evaluator, RunEnded
from ..problems import Problem
from .common import container_radius, radii, scales

VACUUM = 6.0
"""Angstrom between the box that atoms are searched in and the walls of the cell."""


class TheirUnits(CountingCalculator):
    """Evaluates atoms in another package's Angstrom and in its order of atoms.

    Attributes:
      ended: whether the run has ended: some packages take `RunEnded` for a failed calculation and go on.
    """

    def __init__(self, problem: Problem, atoms: Atoms, evaluator: Evaluator):
        """Takes the scale of lengths from `atoms` of the problem."""
        super().__init__(evaluator)
        self.length = float(radii(problem, atoms).mean() / covalent_radii[atoms.numbers].mean())
        """Angstrom of the problem for one of theirs."""
        self.box = 2.0 * container_radius(problem, atoms) / self.length
        """Their Angstrom: edge of the cube that holds the container."""
        length, self.energy_scale = scales(problem, atoms)
        self.length_scale = length / self.length
        self.ended = False
        self._ours = np.argsort(evaluator.numbers, kind="stable")

    def to_theirs(self, atoms: Atoms) -> Atoms:
        """Returns atoms of the problem in the middle of a cell in their Angstrom, not periodic."""
        theirs = Atoms(atoms.numbers, atoms.positions / self.length, cell=np.full(3, self.box + 2.0 * VACUUM))
        theirs.center()
        return theirs

    def calculate(self, atoms: Atoms | None = None, properties: Any = None, system_changes: Any = all_changes) -> None:
        """Evaluates `atoms`, which may come in any order.

        Raises:
          RunEnded: see `Evaluator.evaluate`.
        """
        Calculator.calculate(self, atoms, properties or ["energy"], system_changes)
        assert self.atoms is not None
        place = np.empty(len(self.atoms), int)
        place[self._ours] = np.argsort(self.atoms.numbers, kind="stable")
        try:
            energy, sorted_forces = self.evaluator.evaluate(self.atoms.positions[place] * self.length)
        except RunEnded:
            self.ended = True
            raise
        forces = np.empty_like(sorted_forces)
        forces[place] = sorted_forces * self.length
        self.results = {"energy": energy, "free_energy": energy, "forces": forces}


class Finishing:
    """Says which evaluated structures are worth a relaxation with true forces.

    A search in a model of the energy ends a few hundredths of an eV above a minimum and goes on; what counts here is an
    energy right to a millielectronvolt. Worth it is a structure that the model has nearly relaxed, that may become the
    lowest, and that is none of those relaxed before.
    """

    def __init__(self, units: TheirUnits, *, worth: float = 0.5, near: float = 3.0, same: float = 0.08):
        """Takes `worth` in energy scales, `near`, a force, in energy per length scales, `same` in length scales."""
        self._worth, self._near = worth * units.energy_scale, near * units.energy_scale / units.length_scale
        self._same = same * units.length_scale
        self._lowest = np.inf
        self._minima: list[np.ndarray] = []

    def is_worth(self, atoms: Atoms) -> bool:
        """Returns whether to relax `atoms`, which carry energy and forces."""
        energy, forces = atoms.get_potential_energy(), atoms.get_forces(apply_constraint=False)
        self._lowest = min(self._lowest, energy)
        if energy > self._lowest + self._worth or np.max(np.linalg.norm(forces, axis=1)) > self._near:
            return False
        lengths = _pair_lengths(atoms)
        return all(np.sqrt(np.mean((lengths - known) ** 2)) > self._same for known in self._minima)

    def remember(self, atoms: Atoms) -> None:
        """Takes down what has been relaxed."""
        self._lowest = min(self._lowest, atoms.get_potential_energy())
        self._minima.append(_pair_lengths(atoms))


def _pair_lengths(atoms: Atoms) -> np.ndarray:
    """Returns the distances of all pairs in order of their length, those of each pair of elements by themselves."""
    first, second = np.triu_indices(len(atoms), 1)
    lengths = np.linalg.norm(atoms.positions[first] - atoms.positions[second], axis=1)
    numbers = np.sort(np.stack([atoms.numbers[first], atoms.numbers[second]]), axis=0)
    return lengths[np.lexsort((lengths, numbers[1], numbers[0]))]
