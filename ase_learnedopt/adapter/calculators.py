"""ASE calculators around our potentials: Gupta, Stillinger-Weber, or any by name. Layer 3.

Everything runs in float64 inside a local context. Atoms are padded to a few sizes, so that a series of clusters
compiles few times, and all calculators with the same parameters share what is compiled.
"""

from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ase.calculators.calculator import Calculator, PropertyNotImplementedError, all_changes
from ase.stress import full_3x3_to_voigt_6_stress

from ..neighbors import NeighborList, bucket
from ..potentials import POTENTIALS, SiliconParameters, gupta_table
from ..potentials.emt import CUTOFF
from ..precision import double_precision
from ..types import Neighbors, System

MAX_ALL_PAIRS = 3000
"""Atoms up to which a potential without a cutoff is summed over all pairs."""
FIFTH_SHELL = (2.25, 2.45)
"""Between the fifth (sqrt 5) and the sixth (sqrt 6) shell of an fcc crystal, in nearest-neighbour distances."""


class PotentialCalculator(Calculator):
    """Computes energy, forces and stress of one of `potentials.POTENTIALS`.

    With a cutoff it works on neighbour rows with a skin, without one on all pairs (clusters only).

    Args:
      potential: name in `POTENTIALS`.
      skin: Angstrom, the list is made anew when an atom has moved half of it; None: a tenth of the cutoff.
      parameters: of the builder. Lennard-Jones and Morse take every atom for the same, whatever its element.

    Example:
      `atoms.calc = PotentialCalculator("lennard_jones", epsilon=0.0104, sigma=3.40, cutoff=8.5)`
    """

    implemented_properties = ["energy", "free_energy", "forces", "stress"]  # noqa: RUF012, ASE's own form
    nolabel = True

    def __init__(self, potential: str = "lennard_jones", *, skin: float | None = None, **parameters):
        if potential not in POTENTIALS:
            raise ValueError(f"no potential {potential!r}; there are {', '.join(POTENTIALS)}")
        super().__init__()
        if potential == "lennard_jones":
            parameters.setdefault("core", None)
        self.potential = potential
        self.skin = skin
        self.parameters.update(parameters)
        self.neighbor_list: NeighborList | None = None
        self._stress_wanted = False

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        """Fills `results`; stress only once it has been asked for, and then always.

        Raises:
          ValueError: if there are no atoms, an element has no parameters, positions are not finite, or a periodic
            system has no cutoff.
          PropertyNotImplementedError: if stress is wanted of a cell without volume.
        """
        super().calculate(atoms, properties, system_changes)
        own: Any = self.atoms
        _check(own)
        has_volume = own.cell.rank == 3
        if "stress" in properties and not has_volume:
            raise PropertyNotImplementedError("stress needs a cell with a volume")
        self._stress_wanted |= "stress" in properties
        parameters, species = self._recipe(own)
        evaluate = _compiled(self.potential, tuple(sorted(parameters.items())), self._stress_wanted and has_volume)
        with double_precision():
            system = _padded_system(own, species)
            energy, forces, strain = jax.device_get(evaluate(system, self._rows(system, parameters.get("cutoff"))))
        if not np.isfinite(energy):
            raise ValueError(f"the {self.potential} energy is {energy}; do atoms coincide?")
        self.results = {"energy": float(energy), "free_energy": float(energy), "forces": forces[: len(own)]}
        if self._stress_wanted and has_volume:
            self.results["stress"] = full_3x3_to_voigt_6_stress(strain) / own.get_volume()

    def _recipe(self, atoms):
        """Returns the builder's parameters, hashable, and the species `[n_atoms]`."""
        return dict(self.parameters), np.zeros(len(atoms), np.int32)

    def _rows(self, system: System, cutoff: float | None) -> Neighbors | None:
        if self.potential == "stillinger_weber":
            silicon = self.parameters.get("parameters", SiliconParameters())
            cutoff = silicon.a * silicon.sigma
        elif self.potential == "emt":
            cutoff = CUTOFF
        if cutoff is None:
            _check_all_pairs(system)
            return None
        if self.neighbor_list is None or self.neighbor_list.cutoff != cutoff:
            self.neighbor_list = NeighborList(cutoff, 0.1 * cutoff if self.skin is None else self.skin)
        positions, species, cell, pbc = (np.asarray(x) for x in system[:4])
        return self.neighbor_list.update(positions, cell, pbc, species >= 0)


class Gupta(PotentialCalculator):
    """Computes the Gupta potential of metals and alloys, see `potentials.gupta`.

    Args:
      parameter_set: name of a set; None: the verified one for the elements at hand. Unverified sets, like
        "rossi-unverified" for Ag-Cu, must be named.
      cutoff: Angstrom, smoothly; None: all pairs in clusters, to the fifth shell (2.45 r0) in periodic systems, as far
        as Cleri and Rosato summed.
      switch_from: Angstrom, where the smooth end begins; None: 0.85 cutoffs, or 2.25 r0.
      skin: as `PotentialCalculator`.

    Example:
      `atoms.calc = Gupta()`
    """

    def __init__(
        self,
        parameter_set: str | None = None,
        cutoff: float | None = None,
        switch_from: float | None = None,
        skin: float | None = None,
    ):
        super().__init__("gupta", skin=skin, parameter_set=parameter_set, cutoff=cutoff, switch_from=switch_from)

    def _recipe(self, atoms):
        elements = tuple(sorted(set(atoms.get_chemical_symbols())))
        table = gupta_table(elements, self.parameters["parameter_set"])
        parameters = {**self.parameters, "elements": elements}
        if parameters["cutoff"] is None and atoms.pbc.any():
            begin, end = (float(shells * table.r0.max()) for shells in FIFTH_SHELL)
            parameters.update(cutoff=end, switch_from=begin)
        return parameters, np.array([elements.index(symbol) for symbol in atoms.symbols], np.int32)


class StillingerWeber(PotentialCalculator):
    """Computes the Stillinger-Weber potential of silicon, see `potentials.stillinger_weber`.

    Args:
      parameters: a `SiliconParameters`; None: the standard ones.
      skin: as `PotentialCalculator`.

    Example:
      `atoms.calc = StillingerWeber()`
    """

    def __init__(self, parameters: SiliconParameters | None = None, skin: float | None = None):
        super().__init__("stillinger_weber", skin=skin, parameters=parameters or SiliconParameters())

    def _recipe(self, atoms):
        strangers = sorted(set(atoms.symbols) - {"Si"})
        if strangers:
            raise ValueError(f"StillingerWeber knows silicon only, not {', '.join(strangers)}")
        return super()._recipe(atoms)


@lru_cache(maxsize=64)
def _compiled(potential: str, parameters: tuple, with_stress: bool):
    """Returns `(system, neighbors) -> (energy, forces, strain derivative [3, 3])`, compiled per size."""
    energy_and_forces = POTENTIALS[potential](**dict(parameters))

    def strained(strain, system: System, neighbors):
        deform = jnp.eye(3, dtype=strain.dtype) + 0.5 * (strain + strain.T)
        energy, forces = energy_and_forces(
            system.positions @ deform, system._replace(cell=system.cell @ deform), neighbors
        )
        return energy, forces

    @jax.jit
    def evaluate(system: System, neighbors):
        if not with_stress:
            return *energy_and_forces(system.positions, system, neighbors), jnp.zeros((3, 3), system.positions.dtype)
        zero = jnp.zeros((3, 3), system.positions.dtype)
        (energy, forces), strain = jax.value_and_grad(strained, has_aux=True)(zero, system, neighbors)
        return energy, forces, strain

    return evaluate


def _padded_system(atoms, species) -> System:
    """Returns the atoms as a system of NumPy arrays, with rows without an element up to the next size."""
    n, size = len(atoms), bucket(len(atoms))
    positions: Any = np.zeros((size, 3))
    positions[:n] = atoms.positions
    padded: Any = np.full(size, -1, np.int32)
    padded[:n] = species
    ones: Any = np.ones(size)
    unit: Any = np.ones(())
    cell: Any = atoms.cell.array.copy()
    pbc: Any = np.array(atoms.pbc)
    return System(positions, padded, cell, pbc, ones > 0, ones, unit, unit)


def _check(atoms) -> None:
    if len(atoms) == 0:
        raise ValueError("there are no atoms to compute an energy of")
    finite = np.isfinite(atoms.positions).all(axis=1)
    if not finite.all():
        raise ValueError(f"the position of atom {int(np.argmin(finite))} is not finite")


def _check_all_pairs(system: System) -> None:
    n_atoms = int(np.sum(np.asarray(system.species) >= 0))
    if np.any(system.pbc):
        raise ValueError("a periodic system needs a finite cutoff; give cutoff=, in Angstrom")
    if n_atoms > MAX_ALL_PAIRS:
        raise ValueError(f"{n_atoms} atoms are too many to sum over all pairs; give cutoff=, in Angstrom")
