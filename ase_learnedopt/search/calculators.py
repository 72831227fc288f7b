"""Calculators by short name or `module:Class`, and the questions to ask of one before a search starts. Layer 4."""

import difflib
import json
import math
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from ase import Atoms
from ase.calculators.names import names as ase_names

from ..adapter.cells import require_cell
from ..adapter.checks import require_forces
from ..adapter.energies import energy_of


class Choice(NamedTuple):
    """Says where a calculator lives, what to install for it, and its keywords unless the user says otherwise."""

    path: str
    package: str | None = None  # what to pip install
    keywords: dict[str, Any] = {}  # noqa: RUF012


CALCULATORS = {
    "emt": Choice("ase.calculators.emt:EMT"),
    "lj": Choice("ase.calculators.lj:LennardJones"),
    "morse": Choice("ase.calculators.morse:MorsePotential"),
    "gupta": Choice("ase_learnedopt.adapter.calculators:Gupta"),
    "sw": Choice("ase_learnedopt.adapter.calculators:StillingerWeber"),
    # From this guess tblite converges for random clusters where its default does not.
    "xtb": Choice("ase_learnedopt.search.xtb:XTB", "tblite", {"method": "GFN2-xTB", "verbosity": 0, "guess": "eeq"}),
    "chgnet": Choice("chgnet.model.dynamics:CHGNetCalculator", "chgnet"),
    "mace": Choice("mace.calculators:mace_mp", "mace-torch", {"default_dtype": "float64"}),
    "mattersim": Choice("mattersim.forcefield:MatterSimCalculator", "mattersim"),
}
"""The short names; any name that ASE itself knows works too."""


def parse_keywords(text: str | None) -> dict[str, Any]:
    """Reads `--calculator-kwargs`: a JSON object, or the name of a file that holds one.

    Raises:
      ValueError: it is no JSON, with the place where reading stopped, or no object.
    """
    if not text:
        return {}
    source = "--calculator-kwargs"
    if not text.lstrip().startswith("{") and Path(text).is_file():
        source, text = text, Path(text).read_text()
    try:
        keywords = json.loads(text)
    except json.JSONDecodeError as error:
        line = error.doc.splitlines()[error.lineno - 1] if error.doc.splitlines() else ""
        shown = f"\n    {line}\n    {' ' * (error.colno - 1)}^"
        raise ValueError(
            f"{source} is no JSON: {error.msg} at line {error.lineno}, column {error.colno}{shown}\n"
            """  write for example --calculator-kwargs '{"sigma": 3.4, "epsilon": 0.0104}'"""
        ) from error
    if not isinstance(keywords, dict):
        raise ValueError(f'{source} must be a JSON object such as {{"sigma": 3.4}}, not {text.strip()}')
    return keywords


def make_calculator(name: str, keywords: dict[str, Any], atoms: Atoms):
    """Builds a calculator.

    Args:
      name: short name of `CALCULATORS`, a name that ASE knows, or `module:Class` (any callable will do).
      keywords: what to call it with, on top of the keywords of `Choice`.
      atoms: what it is for.

    Raises:
      ValueError: there is no such calculator, its package is missing, or it refuses the keywords.
    """
    choice = _choose(name)
    factory = _load(choice, name)
    keywords = {**choice.keywords, **keywords}
    if choice is CALCULATORS["lj"] and not atoms.pbc.any():
        # The published energies of clusters have no cutoff; ASE's default is 3 sigma.
        keywords = {"sigma": 1.0, "epsilon": 1.0, "rc": 1000.0 * keywords.get("sigma", 1.0), **keywords}
    try:
        return factory(**keywords)
    except Exception as error:
        raise ValueError(f"calculator {name} could not be made: {type(error).__name__}: {error}") from error


def check_calculator(atoms: Atoms, name: str) -> None:
    """Evaluates the start once, so that a calculator that cannot do the job says so before the search.

    The evaluation is not lost: the calculator remembers it for the first step.

    Raises:
      ValueError: an element without parameters, no forces, or numbers that are not finite, a cell that cannot be.
    """
    require_cell(atoms)
    known = _known_elements(atoms.calc)
    missing = sorted(set(atoms.get_chemical_symbols()) - set(known)) if known else []
    if missing:
        raise ValueError(f"calculator {name} has no parameters for {', '.join(missing)}; it knows {' '.join(known)}")
    try:
        forces, energy = atoms.get_forces(), energy_of(atoms)
    except Exception as error:
        raise ValueError(f"calculator {name} cannot evaluate the start: {type(error).__name__}: {error}") from error
    require_forces(forces, len(atoms))
    if not (math.isfinite(energy) and np.isfinite(forces).all()):
        raise ValueError(f"calculator {name} gives no finite energy and forces for the start (energy {energy} eV)")


def natural_scales(calculator) -> tuple[float | None, float | None]:
    """Returns bond length (Angstrom) and bond energy (eV) where the calculator and not the element sets them."""
    parameters = getattr(calculator, "parameters", {})
    kind = type(calculator).__name__
    if kind == "LennardJones":
        return 2.0 ** (1.0 / 6.0) * parameters["sigma"], parameters["epsilon"]
    if kind == "MorsePotential":
        return parameters["r0"], parameters["epsilon"]
    return None, None


def _choose(name: str) -> Choice:
    if name in CALCULATORS:
        return CALCULATORS[name]
    if ":" in name:
        return Choice(name, name.partition(".")[0].partition(":")[0])
    if name.lower() in CALCULATORS:
        return CALCULATORS[name.lower()]
    if name in ase_names:
        return Choice(f"ase:{name}")
    near = difflib.get_close_matches(name.lower(), {*CALCULATORS, *ase_names}, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}? " if near else ""
    raise ValueError(
        f"there is no calculator {name!r}: {hint}Short names are {', '.join(CALCULATORS)}; "
        "any other is given as module:Class, such as gpaw:GPAW"
    )


def _load(choice: Choice, name: str) -> Callable:
    """Imports a calculator class."""
    module_name, _, attribute = choice.path.partition(":")
    try:
        if module_name == "ase":
            from ase.calculators.calculator import get_calculator_class

            return get_calculator_class(attribute)
        module = import_module(module_name)
    except ImportError as error:
        missing = (getattr(error, "name", None) or module_name).partition(".")[0]
        if Path(f"{missing}.py").exists() or Path(missing).is_dir():
            way_out = f"Python does not search this folder, where {missing} lies: put PYTHONPATH=. before the command"
        elif choice.package and missing in (choice.package, module_name.partition(".")[0]):
            way_out = f"pip install {choice.package}"
        else:
            way_out = f"is {missing} installed?"
        raise ValueError(f"calculator {name} needs a package that cannot be imported ({error}): {way_out}") from error
    if not callable(getattr(module, attribute, None)):
        public = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
        near = difflib.get_close_matches(attribute, public, n=3, cutoff=0.4)
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        raise ValueError(f"module {module_name} has no calculator {attribute!r}{hint}")
    return getattr(module, attribute)


def _known_elements(calculator) -> list[str]:
    """Returns the elements that a calculator says it knows, [] if it does not say."""
    if type(calculator).__module__ == "ase.calculators.emt":
        from ase.calculators.emt import parameters

        return list(parameters)
    return ["Si"] if type(calculator).__name__ == "StillingerWeber" else []
