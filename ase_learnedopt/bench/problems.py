"""What is searched: a start distribution, an energy, and the lowest energy known with its source. Layer 4."""

import difflib
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from importlib.util import find_spec
from itertools import combinations_with_replacement

from ase import Atoms
from ase.calculators.calculator import Calculator
from ase.formula import Formula

from ..potentials import SiliconParameters, cluster_system, emt, gupta_sets, gupta_table
from ..potentials.emt_table import emt_table
from ..potentials.reference import reference_minima, reference_minimum
from ..search.calculators import CALCULATORS, make_calculator
from ..types import PotentialFn, System
from .fast_calculator import FastCalculator, fast_calculator
from .minima import stored_minimum
from .starts import (
    CLOSEST_IONS,
    VACUUM,
    element_system,
    is_cubic_crystal,
    liquid_system,
    random_cluster,
    random_system,
    to_atoms,
)

CANONICAL = (
    *(f"lj{n}" for n in (13, 19, 26, 31, 38, 55, 75, 98)),
    *("gupta-Ag7Cu6", "gupta-Ag32Cu6", "gupta-Pd19Pt19"),
    *("sw-si64", "sw-si216", "sw-si64-liquid", "sw-si216-liquid"),
    *("emt-Cu38", "emt-Pt13"),
    *("xtb-(H2O)6", "xtb-Si10"),
)
MAX_ATOMS = 1000
"""Of a cluster: the potentials here sum over all pairs."""
METAL_TOLERANCE = 2e-3
"""eV, above the rounding of float32, below the distance of most neighbouring minima."""
SILICON_TOLERANCE = 1e-3
"""eV per atom, 0.06 and 0.22 eV for 64 and 216: a turned bond, a cheap defect of the crystal, costs 3.0 eV."""
UNKNOWN = "none known"
Reference = tuple[float | None, float, str]
"""Energy, tolerance and source."""


@dataclass(frozen=True)
class Problem:
    """Describes one thing to search; a hit is an evaluated energy of at most `reference + tolerance`."""

    name: str
    reference: float | None  # eV (epsilon = 1 eV for Lennard-Jones), lowest known energy; None: unknown
    tolerance: float  # eV
    source: str  # of the reference
    start: Callable[[int], Atoms]  # seed -> atoms without calculator, the same for every method
    calculator: Callable[[], Calculator]  # a fresh one
    potential: PotentialFn | None = None  # the same energy in JAX, where it is ours
    system: Callable[[int], System] | None = None  # seed -> the same start as a `System` in float32


def list_problems() -> list[str]:
    """Returns the names of the problems that make up the benchmark; many others can be had by name."""
    return list(CANONICAL)


@lru_cache(maxsize=64)
def get_problem(name: str) -> Problem:
    """Builds a problem from its name.

    Args:
      name: "lj2" to "lj150"; "gupta-" or "emt-" and a formula of metals; "sw-si64" and other counts, from a random
        start or with "-liquid" from a melt; "xtb-" or "chgnet-" and a formula, "(H2O)6" meaning whole molecules.

    Raises:
      ValueError: there is no such problem.
    """
    for pattern, build in _FAMILIES.items():
        if match := re.fullmatch(pattern, name):
            return build(name, *match.groups())
    lowercase = {known.lower(): known for known in CANONICAL}
    near = difflib.get_close_matches(name.lower(), lowercase, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(lowercase[known] for known in near)}? " if near else ""
    raise ValueError(
        f"there is no problem {name!r}: {hint}`ase-learnedopt bench list` shows them; others are named lj2 to lj150, "
        "gupta-, emt-, xtb- or chgnet- and a formula, sw-si and a number of atoms"
    )


def _lennard_jones(name: str, size: str) -> Problem:
    if not 2 <= int(size) <= 150:
        raise ValueError(f"{name} is impossible: lowest energies are known from lj2 to lj150")
    system_name, source = f"lj{int(size)}", reference_minima()["lennard-jones"]["source"]
    return _ours(system_name, system_name, None, ("Ar",), (reference_minimum(system_name), 1e-3, source))


def _gupta(name: str, text: str) -> Problem:
    formula, elements = _metals(name, text)
    parameter_set, label = _gupta_set(name, elements)
    energy, source = _stored(f"gupta-{formula}")
    reference = (energy, METAL_TOLERANCE, f"{source}; Gupta parameters {label}")
    return _ours(f"gupta-{formula}", formula, parameter_set, elements, reference)


def _gupta_set(name: str, elements: tuple[str, ...]) -> tuple[str | None, str]:
    """Returns the name of the parameters, None where they are verified and so the default, and how to call them."""
    try:
        return None, gupta_table(elements).parameter_set
    except ValueError as error:
        for parameter_set, content in gupta_sets().items():
            if all(pair & content["pairs"].keys() for pair in _pairs(elements)):
                return parameter_set, f"{parameter_set}, not checked against a publication"
        raise ValueError(f"{name} is impossible: {error}") from error


def _pairs(elements: tuple[str, ...]) -> list[set[str]]:
    """Returns both spellings of every pair of elements."""
    return [{f"{a}-{b}", f"{b}-{a}"} for a, b in combinations_with_replacement(elements, 2)]


def _silicon(name: str, size: str, liquid: str | None) -> Problem:
    n_atoms, system_name = int(size), f"sw-si{int(size)}"
    if not 1 <= n_atoms <= MAX_ATOMS:
        raise ValueError(f"{name} is impossible: it needs 1 to {MAX_ATOMS} atoms")
    crystalline = is_cubic_crystal(n_atoms)
    if liquid and not crystalline:
        raise ValueError(f"{name} is impossible: a melt starts from the crystal, of 8, 64, 216 or 512 atoms")
    energy = -2.0 * SiliconParameters().epsilon * n_atoms if crystalline else None
    source = "the crystal, -2 epsilon an atom: Stillinger & Weber, Phys. Rev. B 31, 5262 (1985)"
    reference = (energy, SILICON_TOLERANCE * n_atoms, source if crystalline else UNKNOWN)
    problem = _ours(system_name, system_name, None, ("Si",), reference)
    if not liquid:
        return problem
    system = partial(liquid_system, system_name)
    return replace(problem, name=name, system=system, start=lambda seed: to_atoms(system(seed), ("Si",)))


def _ours(
    name: str, system_name: str, parameter_set: str | None, symbols: tuple[str, ...], reference: Reference
) -> Problem:
    """Returns a problem whose energy is one of `potentials.cluster_system`."""
    system = partial(random_system, system_name, parameter_set)
    energy, tolerance, source = reference
    return Problem(
        name,
        energy,
        tolerance,
        source,
        start=lambda seed: to_atoms(system(seed), symbols),
        calculator=partial(fast_calculator, system_name, parameter_set, symbols),
        potential=cluster_system(system_name, parameter_set=parameter_set)[0],
        system=system,
    )


def _emt(name: str, text: str) -> Problem:
    formula, elements = _metals(name, text)
    try:
        emt_table(elements)
    except ValueError as error:
        raise ValueError(f"{name} is impossible: {error}") from error
    energy, source = _stored(f"emt-{formula}")
    potential, system = _emt_potential(elements), partial(element_system, formula, elements)
    return Problem(
        f"emt-{formula}",
        energy,
        METAL_TOLERANCE,
        f"{source}; EMT with ASE's parameters",
        start=lambda seed: to_atoms(system(seed), elements),
        calculator=lambda: FastCalculator(potential, system(0), elements),
        potential=potential,
        system=system,
    )


@lru_cache(maxsize=64)
def _emt_potential(elements: tuple[str, ...]) -> PotentialFn:
    """Returns one potential for the same elements, because rollouts compile per potential."""
    return emt(elements)


def _external(name: str, short: str, text: str) -> Problem:
    """Returns a problem whose calculator is an optional package."""
    start = partial(random_cluster, text, closest=CLOSEST_IONS, vacuum=VACUUM if short == "chgnet" else None)
    try:
        atoms = start(0)
    except ValueError as error:
        raise ValueError(f"{name} is impossible: {text!r} is no formula such as Cu8 or (H2O)6") from error
    energy, source = _stored(name)
    return Problem(name, energy, METAL_TOLERANCE, source, start, partial(_make_external, name, short, atoms))


def _make_external(name: str, short: str, atoms: Atoms) -> Calculator:
    package = CALCULATORS[short].package
    assert package is not None
    if find_spec(package) is None:
        raise ValueError(f'{name} needs {package}, which is not installed: pip install "ase-learnedopt[{short}]"')
    return make_calculator(short, {}, atoms)


def _metals(name: str, text: str) -> tuple[str, tuple[str, ...]]:
    """Returns the formula with its elements in order, so that a composition has one name, and the elements."""
    try:
        count = Formula(text, strict=True).count()
    except (ValueError, KeyError) as error:
        raise ValueError(f"{name} is impossible: {text!r} is no formula such as Cu38 or Ag32Cu6") from error
    if not 2 <= sum(count.values()) <= MAX_ATOMS:
        raise ValueError(f"{name} is impossible: a cluster has 2 to {MAX_ATOMS} atoms")
    elements = tuple(sorted(count))
    return "".join(f"{symbol}{count[symbol]}" for symbol in elements), elements


def _stored(name: str) -> tuple[float | None, str]:
    """Returns energy and source of the lowest structure that this project has found."""
    atoms = stored_minimum(name)
    if atoms is None:
        return None, UNKNOWN
    return atoms.get_potential_energy(), f"putative, found by {atoms.info['found_by']}: {atoms.info['found']}"


_FAMILIES: dict[str, Callable[..., Problem]] = {
    r"lj(\d+)": _lennard_jones,
    r"gupta-(.+)": _gupta,
    r"sw-si(\d+)(-liquid)?": _silicon,
    r"emt-(.+)": _emt,
    r"(xtb|chgnet)-(.+)": _external,
}
