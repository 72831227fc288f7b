"""Shows how a benchmark is doing: a bar on a terminal, a line a job elsewhere."""

import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from . import records
from .runner import Job, results_file


def show(job: Job, seeds: Sequence[int], out: str | Path, produced: Iterable[dict], *, quiet: bool) -> int:
    """Runs through the records of a job and prints a summary; returns how many of them are failures."""
    begin, fresh = time.perf_counter(), 0
    bar = _bar(len(seeds), f"{job.problem} {job.method}", quiet)
    try:
        for record in produced:
            fresh += 1
            if bar is not None:
                bar.set_postfix_str(f"seed {record['seed']} {_ending(record)}", refresh=False)
                bar.update(1)
    except KeyboardInterrupt:
        if not quiet:
            print(f"\n{fresh} seeds done and kept; the same command goes on with the rest", file=sys.stderr)
        raise
    finally:
        if bar is not None:
            bar.close()
    wanted = set(seeds)
    mine = [record for record in records.read(results_file(out, job)) if record["seed"] in wanted]
    if not quiet:
        print(f"{summary(job, mine)}  ({fresh} run now, {time.perf_counter() - begin:.1f} s)", flush=True)
    return sum(record["error"] is not None for record in mine)


def summary(job: Job, mine: Sequence[dict]) -> str:
    """Returns one line about the records of a job."""
    good = [record for record in mine if record["error"] is None]
    hits = sum(record["hit"] for record in good)
    spent = sum(record["evaluations"] for record in good)
    mean = f"{spent / hits:,.0f} evaluations per success" if hits else f"no success in {spent:,} evaluations"
    failed = f", {len(mine) - len(good)} FAILED" if len(good) < len(mine) else ""
    return f"{job.problem} {job.method}: {hits}/{len(good)} found, {mean}{failed}"


def _ending(record: dict) -> str:
    if record["error"] is not None:
        return "FAILED"
    return f"{'hit' if record['hit'] else 'missed'} after {record['evaluations']:,}"


def _bar(total: int, text: str, quiet: bool):
    if quiet or not sys.stderr.isatty():
        return None
    try:
        from tqdm import tqdm
    except ImportError:
        return None
    return tqdm(total=total, desc=text, unit="seed", dynamic_ncols=True)
