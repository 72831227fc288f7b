"""Runs a method on a problem for many seeds, in one process or several, and can go on where it was stopped.

Several runs may share a folder, each at a file of its own: a lock beside the file keeps others from it.
"""

import multiprocessing
import os
import queue
import re
import signal
import warnings
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from ..one_writer import only_writer_of_file
from ..released_weights import released_label
from ..search import report
from . import records
from .methods import get_method, load
from .problems import get_problem
from .seeds import run_seeds
from .settled import to_run_again

PACKAGES = ("ase-learnedopt", "ase", "jax", "jaxlib", "numpy", "scipy", "ase-ga", "pele", "tblite", "chgnet")


class Job(NamedTuple):
    """Says what to run; the same job may be started again to finish what is left."""

    problem: str
    method: str
    evaluations: int
    weights: str | None = None
    path: str = "auto"  # or "batched", "single"
    width: int = 32  # walkers of a batch
    walltime: float | None = None  # seconds after which a seed that runs by itself is given up


def results_file(out: str | Path, job: Job) -> Path:
    """Returns the file of records of a job."""
    weights = f"@{Path(job.weights).stem}" if job.weights else ""
    return Path(out) / f"{re.sub(r'[^A-Za-z0-9.-]', '_', job.problem)}__{job.method}{weights}.jsonl"


def run_benchmark(
    job: Job, seeds: Sequence[int], out: str | Path, *, workers: int = 1, retry_failed: bool = False
) -> Iterator[dict[str, Any]]:
    """Runs the seeds that have no record yet, and yields each record when it has been written.

    Args:
      job: problem, method and budget.
      seeds: those wanted in all.
      out: folder of the results.
      workers: processes, each on a core of its own where the system allows it.
      retry_failed: run seeds again whose method crashed.

    Raises:
      TakenError: another process writes to the file of this problem and method.
      ValueError: unknown names, missing extras, impossible numbers, or records of another budget or of other weights.
    """
    _check(job, seeds, workers)
    path = results_file(out, job)
    with only_writer_of_file(path):
        left = _left(path, job, seeds, retry_failed)
        if not left:
            return
        common = {"versions": versions(), "date": datetime.now(UTC).date().isoformat()}
        for record in run_seeds(job, left) if workers == 1 else _in_processes(job, left, min(workers, len(left))):
            complete = {**record, **common}
            records.append(path, complete)
            yield complete


def _check(job: Job, seeds: Sequence[int], workers: int) -> None:
    problem, method = get_problem(job.problem), get_method(job.method)
    if job.evaluations < 1:
        raise ValueError(f"evaluations is {job.evaluations}; give 1 or more")
    if workers < 1:
        raise ValueError(f"workers is {workers}; give 1 or more")
    if job.walltime is not None and not job.walltime > 0:
        raise ValueError(f"walltime is {job.walltime}; give seconds above zero")
    if not len(seeds):
        raise ValueError("no seeds to run; give 1 or more")
    if job.path not in ("auto", "batched", "single"):
        raise ValueError(f"path is {job.path!r}; give auto, batched or single")
    if job.path == "batched" and not (method.is_ours and problem.potential is not None):
        raise ValueError(f"{job.method} on {job.problem} cannot run in batches: leave out --path batched")
    if method.is_ours:
        load(job.method, job.weights)
    elif job.weights is not None:
        raise ValueError(f"method {job.method} reads no weights; leave out --weights {job.weights}")


def _left(path: Path, job: Job, seeds: Sequence[int], retry_failed: bool) -> list[int]:
    """Returns the seeds without a record that holds, and those to be tried again; a new record replaces the old one."""
    if not path.exists():
        return list(seeds)
    old = records.read(path)
    other = {record["budget"] for record in old} - {job.evaluations}
    if other:
        raise ValueError(
            f"{path} holds runs of {other.pop()} evaluations, not {job.evaluations}: give another --out or that budget"
        )
    label = load(job.method, job.weights)[2] if get_method(job.method).is_ours else None
    weights = {record["weights"] and released_label(record["weights"]) for record in old} - {label}
    if weights:
        raise ValueError(f"{path} holds runs of {weights.pop()}, not {label}: give another --out or move the file away")
    done = {record["seed"] for record in old if not (retry_failed and record["error"])}
    problem = get_problem(job.problem)
    again = {record["seed"] for record in to_run_again(old, problem.reference, problem.tolerance)} & set(seeds)
    if again:
        text = ", ".join(map(str, sorted(again)))
        warnings.warn(f"{path}: seeds {text} do not hold by the reference of today and run again", stacklevel=3)
    done -= again
    return [seed for seed in seeds if seed not in done]


def _in_processes(job: Job, seeds: list[int], workers: int) -> Iterator[dict[str, Any]]:
    """Splits the seeds over processes; the records come back here, so that one process writes the file."""
    context = multiprocessing.get_context("spawn")  # jax must not be forked
    results = context.Queue()
    shares = [seeds[k::workers] for k in range(workers)]
    processes = [
        context.Process(target=_work, args=(job, share, k, results), daemon=True) for k, share in enumerate(shares)
    ]
    for process in processes:
        process.start()
    try:
        missing = len(seeds)
        while missing:
            try:
                record = results.get(timeout=1.0)
            except queue.Empty:
                if not any(process.is_alive() for process in processes):
                    raise RuntimeError(f"{missing} seeds are missing: the processes that ran them have died") from None
                continue
            missing -= 1
            yield record
    finally:
        for process in processes:
            process.terminate()


def _work(job: Job, seeds: list[int], index: int, results: Any) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes; the first one ends the others
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[index % len(cores)]})
    for record in run_seeds(job, seeds):
        results.put(record)


def versions() -> dict[str, str]:
    """Returns what a figure depends on: Python, platform, and the packages that are installed."""
    return {name: found for name, found in report.versions(PACKAGES).items() if found != "not installed"}
