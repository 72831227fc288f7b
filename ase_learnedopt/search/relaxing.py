"""One relaxation, from a file to a file. Layer 4."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from ase import Atoms
from ase.io import write

from ..adapter import LearnedRelax
from ..adapter.checks import require_volume
from .calculators import check_calculator, make_calculator, parse_keywords
from .inputs import read_structure


class Relaxed(NamedTuple):
    """Holds what a relaxation led to."""

    atoms: Atoms
    energy: float  # eV
    fmax: float  # eV/Angstrom, with `cell` including the stress as the filter scales it
    n_evaluations: int
    converged: bool
    out: Path


def relax_file(
    text: str,
    out: str | Path | None = None,
    *,
    calculator: str = "emt",
    calculator_kwargs: str | None = None,
    fmax: float = 0.05,
    evaluations: int = 1000,
    maxstep: float | None = None,
    cell: bool = False,
    logfile: str | None = "-",
) -> Relaxed:
    """Relaxes the structure of a file and writes the result, in the format that its name says.

    Args:
      text: a file, or `name@index`.
      out: by default the name with `-relaxed.xyz` in place of its suffix.
      calculator: name, see `make_calculator`.
      calculator_kwargs: JSON.
      fmax: eV/Angstrom.
      evaluations: at most.
      maxstep: Angstrom.
      cell: whether to relax the cell, too.
      logfile: of the optimizer.

    Raises:
      ValueError: there is no such file, the calculator cannot do the job, the result cannot be written there.
    """
    structure = read_structure(text)
    if structure.parts is not None:
        raise ValueError(f"relax needs a file, {text} is a formula: use search")
    name = Path(text if Path(text).exists() else text.rpartition("@")[0])
    target = name.with_name(f"{name.stem}-relaxed.xyz") if out is None else Path(out)
    if not target.parent.is_dir():
        raise ValueError(f"there is no folder {target.parent} to write {target.name} to")
    atoms = structure.atoms
    if cell and not atoms.pbc.any():
        raise ValueError(f"{text} has no periodic direction: there is no cell to relax")
    if cell:
        require_volume(atoms, "relaxing the cell")
    atoms.calc = make_calculator(calculator, parse_keywords(calculator_kwargs), atoms)
    check_calculator(atoms, calculator)
    movable: Any = atoms
    if cell:
        from ase.filters import FrechetCellFilter

        movable = FrechetCellFilter(atoms)
    opt = LearnedRelax(movable, logfile=logfile, maxstep=maxstep)
    converged = opt.run(fmax=fmax, steps=evaluations - 1)
    largest = float(np.linalg.norm(movable.get_forces(), axis=1).max())
    energy = float(atoms.get_potential_energy())
    if target.suffix == ".xyz":
        write(target, atoms, format="extxyz")
    else:
        write(target, atoms)
    return Relaxed(atoms, energy, largest, opt.n_evaluations, converged, target)
