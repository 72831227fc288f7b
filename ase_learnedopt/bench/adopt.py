"""Makes the lowest structure that runs have found below a reference the new reference. Layer 4."""

from collections.abc import Sequence
from io import StringIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write

from ..weights_io import write_whole
from . import minima
from .problems import Problem, get_problem
from .records import Record, load_records
from .referee import Referee, Relaxed
from .settled import to_run_again

TIGHT = 0.02
"""Share of `referee.FMAX` that a reference is relaxed to, if the calculator can be followed so far."""
STEPS = 2000


class Adopted(NamedTuple):
    """Holds the new reference and the records that ended at an older one."""

    path: Path
    energy: float  # eV
    run_again: list[Record]


def adopt(name: str, folder: str | Path) -> Adopted:
    """Checks the lowest structure once more, and stores it as the reference of a problem, whole or not at all.

    Args:
      name: of the problem.
      folder: of records.

    Raises:
      ValueError: the reference is no stored structure, the records have none lower, or it does not stand the check.
    """
    problem = get_problem(name)
    if minima.stored_minimum(problem.name) is None:
        raise ValueError(
            f"the reference of {problem.name} is no structure that this project has found ({problem.source}): correct "
            "it at its source, `bench adopt` replaces stored structures only"
        )
    assert problem.reference is not None
    mine = [record for record in load_records(folder) if record["problem"] == problem.name]
    candidates = [record for record in mine if record.get("lower")]
    if not candidates:
        raise ValueError(f"no run of {problem.name} in {folder} has found anything lower: there is nothing to adopt")
    record = min(candidates, key=lambda r: r["lower"]["energy"])
    found = _checked(problem, record)
    path = Path(minima.__file__).parent / f"{problem.name}.xyz"
    write_whole(path, _as_text(problem, record, found, candidates, Path(folder).name).encode())
    get_problem.cache_clear()
    return Adopted(path, found.energy, to_run_again(mine, found.energy, problem.tolerance))


def _checked(problem: Problem, record: Record) -> Relaxed:
    """Returns the structure of a record, relaxed as far as the calculator can be followed.

    Raises:
      ValueError: a fresh calculator does not find it lower than the reference, relaxed and without fused atoms.
    """
    referee = Referee(problem, problem.start(record["seed"]))
    found = referee.relaxed(np.array(record["lower"]["positions"]), TIGHT * referee.fmax, STEPS)
    again = None if found is None else referee.confirm(found.positions, found.energy)
    if found is None or again != found.energy or not referee.is_real(found):
        energy = "no structure" if found is None else f"{found.energy:.6f} eV with forces of {found.fmax:.1e}"
        raise ValueError(
            f"{problem.name}: seed {record['seed']} of {record['method']} says {record['lower']['energy']:.6f} eV, a "
            f"fresh calculator relaxes it to {energy}, the reference is {problem.reference:.6f} eV: nothing is "
            "adopted. If it has been adopted before, run the records again that ended at an older reference"
        )
    return found


def _as_text(problem: Problem, record: Record, found: Relaxed, candidates: Sequence[Record], folder: str) -> str:
    atoms = problem.start(record["seed"])
    atoms.positions = found.positions - found.positions.mean(axis=0)
    near = [r for r in candidates if r["lower"]["energy"] <= found.energy + problem.tolerance]
    atoms.info = {
        "found_by": record["method"],
        "found": f"by {len(near)} of the {len(candidates)} runs that went lower than {problem.reference:.6f} eV",
        "command": (
            f"ase-learnedopt bench run --problem '{problem.name}' --method {record['method']} --first-seed "
            f"{record['seed']} --seeds 1 --evaluations {record['budget']} --out {folder} && ase-learnedopt bench adopt "
            f"'{problem.name}' {folder}"
        ),
    }
    atoms.calc = SinglePointCalculator(atoms, energy=found.energy)
    text = StringIO()
    write(text, atoms, format="extxyz")
    return text.getvalue()
