"""Runs the table of docs/benchmarks.md: every method on fourteen problems, thirty seeds each.

    python benchmarks/full_table.py --out runs               goes on where it was; hours on two cores
    ase-learnedopt bench report runs --docs docs

Start it once for each core: each process takes the next cell that is neither finished nor being run. Seeds from 60000
on, which nothing was trained or tuned on.
"""

import argparse
import contextlib

from ase_learnedopt.bench.methods import METHODS, TUNED_RESTARTS
from ase_learnedopt.bench.progress import show
from ase_learnedopt.bench.runner import Job, run_benchmark
from ase_learnedopt.one_writer import TakenError

SEEDS = range(60_000, 60_030)
CLUSTERS = [f"lj{n}" for n in (13, 19, 26, 31, 38, 55, 75)]
CLUSTERS += ["gupta-Ag7Cu6", "gupta-Ag32Cu6", "gupta-Pd19Pt19", "emt-Pt13", "emt-Cu38"]
PROBLEMS = [*CLUSTERS, "sw-si64", "sw-si64-liquid"]
SMALL = ["lj13", "lj19", "gupta-Ag7Cu6", "emt-Pt13"]
"""Where slow methods succeed, too, and so end early."""
SEARCHES = ["learned_hop", "basin_hopping", "two_phase_basin_hopping", "two_phase_basin_hopping_tuned"]
SWAPPING = ["basin_hopping_swap", "two_phase_basin_hopping_swap"]
RESTARTS = [f"random_restart_{local}{end}" for local in TUNED_RESTARTS for end in ("", "_tuned")]
COMPILED = [name for name in METHODS if name.startswith(("scipy", "pele"))]
PYTHON = [name for name in METHODS if name.startswith(("ase_basin", "ase_minima", "ase_ga"))]
LONG = {("lj38", f"{name}_tuned"): 100_000 for name in ("scipy_basinhopping", "pele_basin_hopping")}
"""Budgets of the comparison with published figures: 200,000 to 300,000 evaluations per success."""
WALLTIME = 120.0
"""Seconds after which a run of somebody else's code is given up."""


def plan() -> list[Job]:
    """Returns the cells of the table, the most telling ones first.

    Budgets are what the time of a run allows: our own methods run in batches, the others one by one, those in Python
    at up to a millisecond an evaluation.
    """
    jobs = []
    for problem in PROBLEMS:
        periodic = problem not in CLUSTERS
        jobs += [Job(problem, name, 30_000 if periodic else 100_000) for name in SEARCHES]
        jobs += [Job(problem, "basin_hopping_local", 30_000)] if periodic else []
        jobs += [Job(problem, name, 100_000) for name in SWAPPING if problem.startswith("gupta")]
    for names, few, many in ((COMPILED, 10_000, 10_000), (RESTARTS, 30_000, 30_000), (PYTHON, 3_000, 5_000)):
        for problem in PROBLEMS[:-1]:
            fitting = [name for name in names if problem in CLUSTERS or not name.startswith(("ase_ga", "pele"))]
            budget = many if problem in SMALL else min(few, 10_000) if problem not in CLUSTERS else few
            jobs += [Job(problem, name, LONG.get((problem, name), budget)) for name in fitting]
    # Rivals in Python at their defaults find nothing on large problems, and take long: they come last, and get less.
    jobs = [job._replace(evaluations=1_000) if _is_hopeless(job) else job for job in jobs]
    jobs.sort(key=_is_hopeless)
    return [job._replace(walltime=WALLTIME) for job in jobs]


def _is_hopeless(job: Job) -> bool:
    return job.method in PYTHON and not job.method.endswith("_tuned") and job.problem not in SMALL


def main() -> None:
    """Runs what is left of the plan."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default="runs", help="folder of the records (default runs)")
    parser.add_argument("--dry-run", action="store_true", help="only list the cells")
    arguments = parser.parse_args()
    for job in plan():
        if arguments.dry_run:
            print(job.problem, job.method, job.evaluations)
            continue
        with contextlib.suppress(TakenError):
            show(job, SEEDS, arguments.out, run_benchmark(job, SEEDS, arguments.out), quiet=False)


if __name__ == "__main__":
    main()
