"""Where a run of a benchmark begins: the same structure for every method, drawn from its seed. Layer 4."""

from functools import lru_cache

import jax
import jax.numpy as jnp
import numpy as np
from ase import Atoms, units
from ase.build import bulk
from ase.data import atomic_numbers
from ase.md.langevin import Langevin

from ..adapter.scales import contact_radii, typical_bond_energy
from ..potentials import Scales, cluster_system, make_system
from ..potentials.systems import SILICON_LATTICE
from ..search.inputs import Structure, parse_formula, place, random_centres
from ..types import System
from .fast_calculator import fast_calculator

MELT_TEMPERATURE = 3500.0
"""K, as StriderNET melts its silicon (Bihani et al., arXiv:2301.12477)."""
MELT_STEPS = 2000
"""Of 2 fs. After 3 ps atoms of all six melts looked at (64 and 216 atoms) were 4.7 to 5.8 Angstrom (rms) from their
sites, two bonds, and the crystal's 220 and 111 waves were as weak as in a random structure."""
CLOSEST_IONS = 0.9
"""Contact distances between atoms whose electrons are solved for: nearer, GFN2-xTB often finds no solution."""
VACUUM = 8.0
"""Angstrom on every side of a cluster, for calculators that want a cell."""


def seed_keys(seed: int) -> tuple[jax.Array, jax.Array]:
    """Returns the key that draws the start of a seed and the key that its run consumes."""
    key_start, key_run = jax.random.split(jax.random.PRNGKey(seed))
    return key_start, key_run


def random_system(name: str, parameter_set: str | None, seed: int) -> System:
    """Returns the random start of a named system in float32, see `potentials.cluster_system`."""
    return cluster_system(name, seed_keys(seed)[0], parameter_set=parameter_set)[1]


def to_atoms(system: System, symbols: tuple[str, ...]) -> Atoms:
    """Returns a system as atoms, positions and cell to the last bit.

    Args:
      system: what to convert.
      symbols: chemical symbol of every species.
    """
    return Atoms(
        [symbols[k] for k in np.asarray(system.species)],
        np.asarray(system.positions, float),
        cell=np.asarray(system.cell, float),
        pbc=np.asarray(system.pbc),
    )


def random_cluster(formula: str, seed: int, *, closest: float | None = None, vacuum: float | None = None) -> Atoms:
    """Returns atoms and molecules thrown into a sphere of twice the close-packed volume, see `search.inputs.place`.

    Args:
      formula: such as "Cu38"; "(H2O)6" for whole molecules.
      seed: draws the places.
      closest: least distance of two single atoms, in contact distances; None: that of `place`.
      vacuum: Angstrom, puts a cell of so much more on every side around them, which is still not periodic.

    Raises:
      ValueError: it is no formula.
    """
    parts = parse_formula(formula)
    atoms = sum(parts, Atoms())
    if closest is not None and len(parts) == len(atoms):
        atoms.positions = random_centres(np.random.default_rng(seed), contact_radii(atoms.numbers, None), closest)
    else:
        atoms = place(Structure(atoms, parts), seed)
    if vacuum is not None:
        atoms.center(vacuum=vacuum)
    return atoms


def element_system(formula: str, elements: tuple[str, ...], seed: int) -> System:
    """Returns a random cluster in float32, with the scales that the ASE classes take from its elements.

    Args:
      formula: such as "Cu38".
      elements: of every species.
      seed: draws the places, see `random_cluster`.
    """
    atoms = random_cluster(formula, seed)
    species = [elements.index(symbol) for symbol in atoms.get_chemical_symbols()]
    of_elements = tuple(contact_radii(np.array([atomic_numbers[symbol] for symbol in elements]), None))
    scales = Scales(2.0 * contact_radii(atoms.numbers, None).mean(), typical_bond_energy(atoms.numbers), of_elements)
    system = make_system(species, scales)
    return system._replace(positions=jnp.asarray(atoms.positions, system.positions.dtype))


def liquid_system(name: str, seed: int) -> System:
    """Returns a snapshot of liquid silicon at the density of the crystal, in float32.

    Args:
      name: of the system, such as "sw-si64".
      seed: draws velocities and thermal noise.
    """
    _, system = cluster_system(name)
    return system._replace(positions=jnp.asarray(_melt(name, seed), system.positions.dtype))


@lru_cache(maxsize=1024)
def _melt(name: str, seed: int) -> np.ndarray:
    """Melts the crystal by molecular dynamics; returns positions `[n_atoms, 3]` in Angstrom, wrapped into the cell.

    The path is chaotic: another processor may draw another snapshot of the same liquid.
    """
    calculator = fast_calculator(name, None, ("Si",))
    atoms = silicon_crystal(calculator.n_atoms)
    atoms.cell = calculator.cell
    atoms.calc = calculator
    rng = np.random.default_rng(np.asarray(seed_keys(seed)[0]))
    kT = units.kB * MELT_TEMPERATURE
    atoms.set_momenta(np.sqrt(atoms.get_masses() * kT)[:, None] * rng.standard_normal((len(atoms), 3)))
    dynamics = Langevin(
        atoms, 2.0 * units.fs, temperature_K=MELT_TEMPERATURE, friction=0.005 / units.fs, fixcm=False, rng=rng
    )
    dynamics.run(MELT_STEPS)
    return atoms.get_positions(wrap=True)


def is_cubic_crystal(n_atoms: int) -> bool:
    """Returns whether a cube of eight-atom cells has so many atoms."""
    return 8 * _edge(n_atoms) ** 3 == n_atoms


def silicon_crystal(n_atoms: int) -> Atoms:
    """Returns the crystal of 8, 64, 216 ... atoms in a cubic cell."""
    return bulk("Si", a=SILICON_LATTICE, cubic=True) * _edge(n_atoms)


def _edge(n_atoms: int) -> int:
    return round((n_atoms / 8.0) ** (1.0 / 3.0))
