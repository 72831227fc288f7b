"""The command `relax`. Layer 4; everything heavy is imported when it runs."""

import argparse
from typing import Any

from .common import add_command, positive, positive_int


def add_relax(commands: Any) -> None:
    """Adds the command and its options."""
    command = add_command(
        commands,
        "relax",
        "relax a structure to the nearest minimum",
        "ase-learnedopt relax slab.traj --calculator emt --fmax 0.02 --out relaxed.traj",
    )
    command.set_defaults(run=_relax)
    add = command.add_argument
    add("input", metavar="FILE", help="a file that ASE reads, name@index for one of several structures")
    add("--out", metavar="FILE", help="where to write the result (default: FILE-relaxed.xyz)")
    add("--calculator", default="emt", metavar="NAME", help="emt (default), lj, ... or module:Class, as in search")
    add("--calculator-kwargs", metavar="JSON", help="what to call it with")
    add("--fmax", type=positive, default=0.05, metavar="F", help="eV/A, largest force at the end (default 0.05)")
    add("--evaluations", type=positive_int, default=1000, metavar="N", help="at most so many (default 1000)")
    add("--maxstep", type=positive, metavar="A", help="longest move of an atom in a step (default 0.2)")
    add("--cell", action="store_true", help="relax the cell, too (ase.filters.FrechetCellFilter)")
    add("--log", default="-", metavar="FILE", help="where the log goes (default: the screen)")


def _relax(arguments: argparse.Namespace) -> int:
    from ..search.relaxing import relax_file

    result = relax_file(
        arguments.input, arguments.out, calculator=arguments.calculator,
        calculator_kwargs=arguments.calculator_kwargs, fmax=arguments.fmax, evaluations=arguments.evaluations,
        maxstep=arguments.maxstep, cell=arguments.cell, logfile=arguments.log,
    )  # fmt: skip
    end = "converged" if result.converged else "NOT converged"
    print(f"{end}: {result.energy:.6f} eV, largest force {result.fmax:.4g} eV/A, {result.n_evaluations} evaluations")
    print(f"written to {result.out}")
    return 0 if result.converged else 1
