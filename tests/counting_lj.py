"""A cheap calculator that counts its calls, and fails where it is told to."""

import numpy as np
from ase.calculators.calculator import Calculator, all_changes


class CountingLJ(Calculator):
    """Lennard-Jones in reduced units; no memory of former geometries, so that paths repeat to the bit.

    Fails from one call on or where two atoms are too close: raises `error`, or gives that energy, or no numbers.
    """

    implemented_properties = ("energy", "forces")

    def __init__(self, broken_from=None, broken_atom=0, error=None, broken_within=0.0):
        super().__init__()
        self.broken_within = broken_within
        self.n_calls, self.broken_from, self.broken_atom, self.error = 0, broken_from, broken_atom, error

    def calculate(self, atoms=None, properties=None, system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        self.n_calls += 1
        displacements = atoms.positions[:, None] - atoms.positions[None]
        square = (displacements**2).sum(-1) + np.eye(len(atoms)) * 1e12
        attraction = square**-3
        energy = 2.0 * (attraction**2 - attraction).sum()
        slope = (48.0 * attraction**2 - 24.0 * attraction) / square
        forces = (slope[:, :, None] * displacements).sum(1)
        too_close = square.min() < self.broken_within**2
        if too_close or (self.broken_from is not None and self.n_calls >= self.broken_from):
            if isinstance(self.error, BaseException):
                raise self.error
            if self.error is None:
                forces[self.broken_atom] = np.nan
            else:
                energy = self.error
        self.results = {"energy": energy, "forces": forces}
