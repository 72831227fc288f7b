"""The command `bench`: run methods on problems, report, and list what there is. Layer 4."""

import argparse
import sys
import textwrap
from typing import Any

from .common import add_command, positive_int, seed

RUN_EXAMPLE = (
    "ase-learnedopt bench run --problem lj38 --method learned_hop --seeds 20 --evaluations 10000 --workers 2 --out runs"
)


def add_bench(commands: Any) -> None:
    """Adds the command and its actions."""
    command = add_command(commands, "bench", "compare methods on problems, evaluation by evaluation", RUN_EXAMPLE)
    actions = command.add_subparsers(required=True, metavar="ACTION")
    _add_run(actions)
    report = add_command(actions, "report", "make tables and plots of a folder", "ase-learnedopt bench report runs")
    report.add_argument("folder", help="what `bench run` has filled")
    report.add_argument("--docs", metavar="FOLDER", help="write a page and its plots into a folder of docs, too")
    report.add_argument("--page", metavar="NAME", default="benchmarks", help="of that page (default benchmarks)")
    report.add_argument("--readme", metavar="FILE", help="renew the comparison with the best rivals in this page, too")
    report.set_defaults(run=_report)
    example = "ase-learnedopt bench adopt emt-Cu38 runs"
    adopting = add_command(actions, "adopt", "make the lowest structure of a folder the new reference", example)
    adopting.add_argument("problem", help="one whose reference is a structure found here")
    adopting.add_argument("folder", help="what `bench run` has filled")
    adopting.set_defaults(run=_adopt)
    listing = add_command(actions, "list", "list problems and methods", "ase-learnedopt bench list")
    listing.set_defaults(run=_list)
    speed = add_command(
        actions,
        "speed",
        "measure overhead, compile times and throughput here",
        "ase-learnedopt bench speed --out speed",
    )
    speed.add_argument("--out", required=True, metavar="FOLDER", help="where to leave speed.md and speed.json")
    speed.add_argument("--short", action="store_true", help="the figures that matter most, some minutes")
    speed.set_defaults(run=_speed)


def _add_run(actions: Any) -> None:
    command = add_command(actions, "run", "run a method on a problem, seed by seed", RUN_EXAMPLE)
    command.set_defaults(run=_run)
    add = command.add_argument
    add("--problem", required=True, metavar="NAME[,NAME]", help="from `bench list`, or ljN, gupta-Ag20Cu18, emt-Pt13")
    add("--method", required=True, metavar="NAME[,NAME]", help="from `bench list`")
    add("--seeds", type=positive_int, default=20, metavar="N", help="how many (default 20)")
    add("--first-seed", type=seed, default=10_000, metavar="N", help="number of the first (default 10000)")
    add("--evaluations", type=positive_int, default=10_000, metavar="N", help="of each seed (default 10000)")
    add("--weights", metavar="NAME", help="of a learned method: shipped ones, a file, or none")
    add("--workers", type=positive_int, default=1, metavar="N", help="processes (default 1)")
    add("--walltime", type=float, metavar="S", help="seconds after which a seed is given up (not in batches)")
    add("--path", choices=("auto", "batched", "single"), default="auto", help="how to run our methods (default auto)")
    add("--retry-failed", action="store_true", help="run crashed seeds again")
    add("--out", required=True, metavar="FOLDER", help="where the records go; seeds that are there are not run again")
    add("--quiet", action="store_true", help="no progress")


def _run(arguments: argparse.Namespace) -> int:
    from ..bench.methods import get_method
    from ..bench.problems import get_problem
    from ..bench.progress import show
    from ..bench.runner import Job, run_benchmark

    problems, methods = arguments.problem.split(","), arguments.method.split(",")
    for name in problems:
        get_problem(name)  # before any work is done
    for name in methods:
        get_method(name)
    seeds = range(arguments.first_seed, arguments.first_seed + arguments.seeds)
    failures = 0
    for problem in problems:
        for method in methods:
            job = Job(
                problem, method, arguments.evaluations, arguments.weights, arguments.path, walltime=arguments.walltime
            )
            produced = run_benchmark(
                job, seeds, arguments.out, workers=arguments.workers, retry_failed=arguments.retry_failed
            )
            failures += show(job, seeds, arguments.out, produced, quiet=arguments.quiet)
    if failures:
        print(f"{failures} seeds failed; their errors are in {arguments.out}/", file=sys.stderr)
    return 0


def _report(arguments: argparse.Namespace) -> int:
    from ..bench.report import report, write_docs, write_headline

    written = report(arguments.folder)
    if arguments.docs:
        written += write_docs(arguments.folder, arguments.docs, arguments.page)
    if arguments.readme:
        written.append(write_headline(arguments.folder, arguments.readme))
    for path in written:
        print(f"written {path}")
    return 0


def _adopt(arguments: argparse.Namespace) -> int:
    from ..bench.adopt import adopt

    path, energy, again = adopt(arguments.problem, arguments.folder)
    print(f"written {path}, {energy:.6f} eV")
    for method in dict.fromkeys(record["method"] for record in again):
        seeds = ", ".join(str(record["seed"]) for record in again if record["method"] == method)
        print(f"ended at an older reference, and `bench run` runs them again: {method}, seeds {seeds}")
    return 0


def _speed(arguments: argparse.Namespace) -> int:
    from ..bench.speed import speed

    print(f"written {speed(arguments.out, short=arguments.short)}")
    return 0


def _list(_arguments: argparse.Namespace) -> int:
    from ..bench.methods import METHODS, how_to_install, is_installed
    from ..bench.problems import get_problem, list_problems

    print("problems (any ljN, gupta-FORMULA, emt-FORMULA, xtb-FORMULA, chgnet-FORMULA too):")
    for name in list_problems():
        problem = get_problem(name)
        reference = "no reference" if problem.reference is None else f"{problem.reference:.6f} eV"
        print(f"  {name:18s} {reference:>18s}  {textwrap.shorten(problem.source, 78, placeholder='...')}")
    print("\nmethods:")
    for method in METHODS.values():
        kind = "ours" if method.is_ours else "rival"
        missing = "" if is_installed(method) else f"  (needs {method.extra}: {how_to_install(method)})"
        settings = ", ".join(f"{key}={value}" for key, value in method.settings.items())
        print(f"  {method.name:34s} {kind:6s} {settings}{missing}")
    return 0
