"""The command `search`. Layer 4; everything heavy is imported when it runs."""

import argparse
from typing import Any

from .common import add_command, positive, positive_int, seed


def add_search(commands: Any) -> None:
    """Adds the command and its options."""
    command = add_command(
        commands,
        "search",
        "search for the lowest-energy structure",
        """ase-learnedopt search Cu38 --calculator emt --evaluations 5000 --seed 0 --out cu38
         ase-learnedopt search slab.traj --calculator gpaw:GPAW --calculator-kwargs '{"mode": "lcao"}' --out slab
         ase-learnedopt search --resume --out cu38""",
    )
    command.set_defaults(run=_search)
    # Options that are not given leave no attribute, so that --resume can tell and take them from the first run.
    option: Any = lambda *names, **how: command.add_argument(*names, default=argparse.SUPPRESS, **how)  # noqa: E731
    option("input", nargs="?", help="formula (Cu38, Ag32Cu6, (H2O)4 for molecules) or a file that ASE reads")
    command.add_argument("--out", required=True, metavar="FOLDER", help="where to leave the results")
    option(
        "--calculator",
        metavar="NAME",
        help="emt (default), lj, morse, gupta, sw, xtb, chgnet, mace, ... or module:Class",
    )
    option("--calculator-kwargs", metavar="JSON", help="""what to call it with, such as '{"sigma": 3.4}', or a file""")
    option("--evaluations", type=positive_int, metavar="N", help="of energy and forces, in all (default 5000)")
    option("--seed", type=seed, metavar="N", help="of the random stream (default 0)")
    option("--weights", metavar="NAME", help="shipped weights, a file, or none (default: learned_hop)")
    option("--fmax", type=positive, metavar="F", help="eV/A, of the best structure at the end (default 0.05)")
    option("--target-energy", type=float, metavar="E", help="eV, stop when it is reached")
    option("--patience", type=positive_int, metavar="N", help="stop after so many hops without a new best")
    option("--walltime", type=positive, metavar="SECONDS", help="stop in time")
    option("--length-scale", type=positive, metavar="A", help="typical bond length (default: from elements)")
    option("--energy-scale", type=positive, metavar="EV", help="typical bond energy (default: from elements)")
    option("--maxstep", type=positive, metavar="A", help="longest move of an atom in a relaxation step")
    option("--min-distance", type=float, metavar="X", help="bond lengths below which atoms are fused (default 0.5)")
    option("--no-trajectory", dest="trajectory", action="store_false", help="do not keep every evaluated structure")
    old = command.add_mutually_exclusive_group()
    old.add_argument("--resume", action="store_true", help="continue the search in the folder")
    old.add_argument("--overwrite", action="store_true", help="replace the search in the folder")
    command.add_argument("--quiet", action="store_true", help="no progress bar")
    command.set_defaults(parser=command)


def _search(arguments: argparse.Namespace) -> int:
    own = {"run", "parser", "out", "resume", "overwrite", "quiet"}
    given = {name: value for name, value in vars(arguments).items() if name not in own}
    if "input" not in given and not arguments.resume:
        arguments.parser.error("a formula or file is needed (only --resume knows it already)")
    from ..adapter.energies import differ, without_smearing
    from ..search.command import describe_ending, search_command
    from ..search.report import table

    result = search_command(
        given, arguments.out, resume=arguments.resume, overwrite=arguments.overwrite, show_progress=not arguments.quiet
    )
    print(f"{result.best.get_chemical_formula()}: {describe_ending(result)}\n\n{table(result.minima)}\n")
    plain = without_smearing(result.best, result.best_energy)
    kind = f" (free energy; {plain:.6f} eV without smearing)" if differ(result.best_energy, plain) else ""
    print(
        f"Lowest: {result.best_energy:.6f} eV{kind}, largest force {result.fmax:.3g} eV/A, first met at evaluation "
        f"{result.first_met}. Results are in {arguments.out}/"
    )
    if result.not_kept:
        print(f"Beware: {result.not_kept}.")
    if result.calculator_error:
        print(f"Beware: {result.calculator_error}.")
    return 0 if result.stopped_by is None else 128 + result.stopped_by
