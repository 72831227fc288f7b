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
        """ase-learnedopt relax slab.traj --calculator emt --fmax 0.02 --out relaxed.traj
         ase-learnedopt relax --resume --out relaxed.traj""",
    )
    command.set_defaults(run=_relax)
    # Options that are not given leave no attribute, so that --resume can tell and take them from the first run.
    option: Any = lambda *names, **how: command.add_argument(*names, default=argparse.SUPPRESS, **how)  # noqa: E731
    option("input", nargs="?", metavar="FILE", help="a file that ASE reads, name@index for one of several structures")
    command.add_argument("--out", metavar="FILE", help="where to write the result (default: FILE-relaxed.xyz)")
    option("--calculator", metavar="NAME", help="emt (default), lj, ... or module:Class, as in search")
    option("--calculator-kwargs", metavar="JSON", help="what to call it with")
    option("--fmax", type=positive, metavar="F", help="eV/A, largest force at the end (default 0.05)")
    option("--evaluations", type=positive_int, metavar="N", help="at most so many in all (default 1000)")
    option("--maxstep", type=positive, metavar="A", help="longest move of an atom in a step (default 0.2)")
    option("--cell", action="store_true", help="relax the cell, too (ase.filters.FrechetCellFilter)")
    option("--log", metavar="FILE", help="where the log goes (default: the screen)")
    old = command.add_mutually_exclusive_group()
    old.add_argument("--resume", action="store_true", help="continue a relaxation that has not converged")
    old.add_argument("--overwrite", action="store_true", help="replace a relaxation that has not converged")
    command.set_defaults(parser=command)


def _relax(arguments: argparse.Namespace) -> int:
    own = {"run", "parser", "out", "resume", "overwrite"}
    given = {name: value for name, value in vars(arguments).items() if name not in own}
    if "input" not in given and not (arguments.resume and arguments.out):
        arguments.parser.error("a file is needed (only --resume with --out knows it already)")
    from ..adapter.energies import differ
    from ..search.relaxing import relax_command

    told: list[str] = []

    def tell_lost(out: str, lost: list[str]) -> None:
        print(f"Beware: {out} cannot hold {', '.join(lost)}.", flush=True)
        told.extend(lost)

    how = {"resume": arguments.resume, "overwrite": arguments.overwrite}
    result = relax_command(given, arguments.out, tell_lost=tell_lost, **how)
    end, way_on = "NOT converged", ", continue with --resume and a larger --evaluations"
    if result.converged:
        end, way_on = "converged", ""
    if result.stopped_by is not None:
        end, way_on = "stopped", ", continue with --resume"
    kind = f" (free energy; {result.plain:.6f} eV without smearing)" if differ(result.energy, result.plain) else ""
    force = "" if result.fmax is None else f", largest force {result.fmax:.4g} eV/A"
    print(f"{end}: {result.energy:.6f} eV{kind}{force}, {result.n_evaluations} evaluations")
    print(f"written to {result.out}{way_on}")
    if more := [name for name in result.lost if name not in told]:  # such as info by the name of a result
        tell_lost(result.out, more)
    return int(not result.converged) if result.stopped_by is None else 128 + result.stopped_by
