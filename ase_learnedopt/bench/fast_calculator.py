"""A calculator around one of our potentials with next to nothing around the arithmetic. Layer 4."""

from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ase.calculators.calculator import Calculator, PropertyNotImplementedError, all_changes

from ..adapter.compiled import host_device
from ..potentials import cluster_system
from ..precision import double_precision
from ..types import PotentialFn, System

CELL_TOLERANCE = 1e-4
"""Angstrom; a cell that has been through float32 is the same cell."""


class FastCalculator(Calculator):
    """Computes energy and forces in float64 for one number of atoms in one cell; all rivals of a benchmark share it.

    ASE's own bookkeeping (a copy of the atoms, a comparison of all they hold, checks of the input) costs more than the
    arithmetic of a small cluster. Here only positions and elements may change; energies that are not finite are
    returned as they are.

    Args:
      potential: what to compute.
      system: its species, cell and pbc.
      symbols: chemical symbol of every species.
    """

    implemented_properties = ["energy", "free_energy", "forces"]  # noqa: RUF012, ASE's own form
    nolabel = True

    def __init__(self, potential: PotentialFn, system: System, symbols: tuple[str, ...]):
        super().__init__()
        self.symbols = symbols
        self.n_atoms = len(system.species)
        self.cell, self._pbc = np.asarray(system.cell, float), np.asarray(system.pbc)
        self._evaluate = _compiled(potential, tuple(map(tuple, self.cell.tolist())), tuple(self._pbc.tolist()))
        self._numbers: Any = None
        self._positions: Any = None
        self._species: Any = None

    def get_property(self, name, atoms=None, allow_calculation=True):
        """Returns a property, computed anew when positions or elements have changed.

        Raises:
          PropertyNotImplementedError: it is neither the energy nor the forces.
        """
        if name not in self.implemented_properties:
            raise PropertyNotImplementedError(f"this calculator knows energy and forces, not {name}")
        if atoms is not None and self.calculation_required(atoms, (name,)):
            if not allow_calculation:
                return None
            self.calculate(atoms)
        value = self.results.get(name)
        return value.copy() if name == "forces" and value is not None else value

    def reset(self):
        """Forgets the last geometry, so that it is computed anew."""
        super().reset()
        self._positions = None

    def calculation_required(self, atoms, properties):  # noqa: ARG002, ASE's own form
        """Returns whether positions or elements differ from those last computed."""
        return (
            self._positions is None
            or not np.array_equal(atoms.positions, self._positions)
            or not np.array_equal(atoms.numbers, self._numbers)
        )

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):  # noqa: ARG002, ASE's own form
        """Fills `results`.

        Raises:
          ValueError: number of atoms, elements or cell are not those the calculator is for.
        """
        if not np.array_equal(atoms.numbers, self._numbers):
            self._accept(atoms)
        if self._pbc.any() and np.abs(atoms.cell.array - self.cell).max() > CELL_TOLERANCE:
            raise ValueError(f"this calculator is for one cell, of {self.cell.tolist()} Angstrom, which may not change")
        self.atoms, self._positions = atoms, atoms.positions.copy()
        with double_precision():
            values = np.asarray(self._evaluate(self._positions.reshape(-1), self._species))
        energy = float(values[0])
        self.results = {"energy": energy, "free_energy": energy, "forces": values[1:].reshape(-1, 3)}

    def _accept(self, atoms) -> None:
        symbols = atoms.get_chemical_symbols()
        strangers = sorted(set(symbols) - set(self.symbols))
        if strangers or len(symbols) != self.n_atoms:
            raise ValueError(
                f"this calculator is for {self.n_atoms} atoms of {', '.join(self.symbols)}, not {atoms.symbols}"
            )
        species = np.array([self.symbols.index(symbol) for symbol in symbols], np.int32)
        self._species = jax.device_put(species, host_device())  # positions follow it to the device
        self._numbers = atoms.numbers.copy()


def fast_calculator(name: str, parameter_set: str | None, symbols: tuple[str, ...]) -> FastCalculator:
    """Returns the calculator of a named system, see `potentials.cluster_system`."""
    with double_precision():
        potential, system = cluster_system(name, parameter_set=parameter_set, dtype="float64")
    return FastCalculator(potential, system, symbols)


@lru_cache(maxsize=64)
def _compiled(potential: PotentialFn, cell: tuple, pbc: tuple):
    """Returns `(positions [3 * n_atoms], species [n_atoms]) -> [1 + 3 * n_atoms]`, energy and forces, compiled."""

    def evaluate(flat, species):
        positions = flat.reshape(-1, 3)
        ones = jnp.ones(positions.shape[0], positions.dtype)
        system = System(
            positions=positions,
            species=species,
            cell=jnp.asarray(cell, positions.dtype),
            pbc=jnp.asarray(pbc),
            movable=ones > 0,
            radii=ones,
            length_scale=ones[0],
            energy_scale=ones[0],
        )
        energy, forces = potential(positions, system)
        return jnp.concatenate([energy[None], forces.reshape(-1)])

    return jax.jit(evaluate)
