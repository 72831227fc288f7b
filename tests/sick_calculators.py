"""Calculators with the faults that searches meet: a hole where atoms overlap, energies that depend on history."""

import numpy as np
from ase.calculators.calculator import Calculator, all_changes

CONTACT = 2.64
"""Angstrom, of two Cu atoms, where the potential has its minimum."""
DEPTH = 0.5


class Holed(Calculator):
    """A Morse potential of all pairs, with a hole of -60 eV where two atoms are nearer than 0.35 contacts."""

    implemented_properties = ("energy", "forces")
    steepness, hole, width = 2.0, 60.0, 0.2

    def calculate(self, atoms=None, properties=None, system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        away = atoms.positions[:, None] - atoms.positions[None]
        distance = np.linalg.norm(away, axis=2) + 1e-12
        np.fill_diagonal(distance, 1e6)
        ratio, a = distance / CONTACT, self.steepness
        morse, hole = np.exp(-a * (ratio - 1.0)), self.hole * np.exp(-((ratio / self.width) ** 2))
        energy = DEPTH * (morse**2 - 2.0 * morse) - hole
        slope = (DEPTH * 2.0 * a * (morse - morse**2) + 2.0 * ratio / self.width**2 * hole) / CONTACT
        self.results = {"energy": 0.5 * energy.sum(), "forces": -((slope / distance)[:, :, None] * away).sum(axis=1)}


class Haunted(Holed):
    """The same without the hole, but between two calls the energy is too low by so much, unless it is reset."""

    hole = 0.0

    def __init__(self, from_call: int = 40, error: float = -1.0, until_call: int = 10**9):
        super().__init__()
        self.from_call, self.until_call, self.error, self.n_calls, self.n_resets = from_call, until_call, error, 0, 0

    def reset(self):
        super().reset()
        self.n_calls, self.n_resets = 0, self.n_resets + 1

    def calculate(self, atoms=None, properties=None, system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        self.n_calls += 1
        if self.from_call <= self.n_calls < self.until_call:
            self.results["energy"] += self.error
