"""Runs the seeds of one job in this process, in a batch or one by one, and makes their records."""

import contextlib
import time
import traceback
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ..optimizers.hop_state import LearnedHopConfig, count_kinds
from .batched import run_batched
from .counting import EvaluationFailed, Evaluator, RunEnded
from .methods import Method, get_method, load, optimizer, told_apart
from .problems import Problem, get_problem
from .records import as_rows, thin
from .referee import Referee, Relaxed
from .rivals.common import fresh_start
from .single import drive

AFTER_FAILURES = 1_000_000
"""Number of the first fresh start after a failure, beyond those that rivals make themselves."""


def run_seeds(job, seeds: Sequence[int]) -> Iterator[dict[str, Any]]:
    """Yields a record for each seed of a `runner.Job`; one whose method crashes is recorded with its error."""
    problem, method = get_problem(job.problem), get_method(job.method)
    target = None if problem.reference is None else problem.reference + problem.tolerance
    label = load(job.method, job.weights)[2] if method.is_ours else None
    n_atoms = len(problem.start(seeds[0]))
    named = {
        "problem": problem.name,
        "n_atoms": n_atoms,
        "method": method.name,
        "weights": label,
        "settings": dict(method.settings),
        "budget": job.evaluations,
        "reference": problem.reference,
        "tolerance": problem.tolerance,
    }
    batched = method.is_ours and problem.potential is not None and job.path != "single"
    if batched and job.path == "auto":
        batched = not _imagines(job, problem, n_atoms)
    run = _run_batch if batched else _run_one_by_one
    for record in run(job, problem, method, seeds, target):
        yield {**named, **record}


def _imagines(job, problem: Problem, n_atoms: int) -> bool:
    """Whether hops are tried in a model of the energy, which in a batch costs what that of the slowest walker costs.

    Of periodic systems ours know none that the model foretells.
    """
    config = load(job.method, job.weights)[1]
    assert problem.system is not None
    small = isinstance(config, LearnedHopConfig) and n_atoms <= config.imagined
    return small and not bool(problem.system(0).pbc.any())


def _run_batch(job, problem: Problem, method: Method, seeds: Sequence[int], target: float | None):
    done = set()
    try:
        assert problem.system is not None
        chosen = optimizer(method.name, job.weights, count_kinds(problem.system(0).species))
        for run in run_batched(problem, chosen, seeds, job.evaluations, target, width=job.width):
            done.add(run.seed)
            yield {
                "seed": run.seed,
                "evaluations": run.evaluations,
                "hit": run.hit,
                "hit_at": run.evaluations if run.hit else None,
                "best_energy": run.best_energy,
                "best_positions": as_rows(run.best_positions),
                "trace": run.trace,
                "lower": _lower(run.referee.lower),
                "fused": run.fused,
                "calculator_failures": run.referee.calculator_failures,
                "wall_s": run.wall_s,
                "error": None,
            }
    except Exception:  # noqa: BLE001  a crash is a result
        for seed in seeds:
            if seed not in done:
                yield _failure(seed, traceback.format_exc(limit=-3))


def _run_one_by_one(job, problem: Problem, method: Method, seeds: Sequence[int], target: float | None):
    for seed in seeds:
        evaluator = referee = None
        begin, error = time.perf_counter(), None
        try:
            atoms = problem.start(seed)
            referee = Referee(problem, atoms)
            evaluator = Evaluator(atoms, problem.calculator(), job.evaluations, target, job.walltime, referee)
            _run_one(job, problem, method, atoms, evaluator, seed)
        except RunEnded:
            pass
        except Exception:  # noqa: BLE001  a crash is a result
            error = traceback.format_exc(limit=-3)
        limit = {} if job.walltime is None else {"walltime": job.walltime}
        yield {**_record(seed, evaluator, referee, time.perf_counter() - begin, error), **limit}


def _run_one(job, problem: Problem, method: Method, atoms, evaluator: Evaluator, seed: int) -> None:
    if method.run is not None:
        _run_rival(problem, method, atoms, evaluator, seed)
        return
    params, config, _ = load(method.name, job.weights)
    assert method.build is not None
    config = told_apart(config, count_kinds(atoms.numbers))
    drive(problem, atoms, evaluator, seed, method.build, params, config)


def _run_rival(problem: Problem, method: Method, atoms, evaluator: Evaluator, seed: int) -> None:
    """Runs a rival; one that lets the failure of a calculator through begins again from a fresh start."""
    assert method.run is not None
    attempt = AFTER_FAILURES
    while True:
        with contextlib.suppress(EvaluationFailed):
            method.run(problem, atoms, evaluator, seed, **method.settings)
            break
        atoms = fresh_start(problem, seed, attempt)
        attempt += 1


def _record(
    seed: int, evaluator: Evaluator | None, referee: Referee | None, total: float, error: str | None
) -> dict[str, Any]:
    if evaluator is None or referee is None:
        return _failure(seed, error)
    calculator, compiling = evaluator.calculator_seconds, evaluator.compile_seconds
    total -= referee.seconds
    return {
        "seed": seed,
        "evaluations": evaluator.n_evaluations,
        "hit": evaluator.hit_at is not None,
        "hit_at": evaluator.hit_at,
        **_confirmed(evaluator, referee),
        "lower": _lower(referee.lower),
        "fused": evaluator.fused,
        "calculator_failures": referee.calculator_failures,
        "out_of_time": evaluator.out_of_time,
        "wall_s": {
            "calculator": calculator,
            "method": max(total - calculator - compiling, 0.0),
            "compile": compiling,
            "total": total,
        },
        "error": error,
    }


def _confirmed(evaluator: Evaluator, referee: Referee) -> dict[str, Any]:
    """Returns the best of a run and its trace, without energies lower than what its best geometry turns out to have."""
    energy, positions, trace = evaluator.best_energy, evaluator.best_positions, evaluator.trace
    if positions is not None and evaluator.hit_at is None and referee.lower is None:  # those were seen to at once
        again = referee.confirm(positions, energy)
        if again is None:
            trace, positions = trace[:-1], None
            energy = trace[-1][1] if trace else np.inf
        elif again != energy:
            trace = [*((count, value) for count, value in trace[:-1] if value > again), (trace[-1][0], again)]
            energy = again
    return {"best_energy": energy, "best_positions": as_rows(positions), "trace": thin(trace)}


def _lower(found: Relaxed | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {"energy": found.energy, "positions": as_rows(found.positions), "fmax": found.fmax}


def _failure(seed: int, error: str | None) -> dict[str, Any]:
    return {
        "seed": seed,
        "evaluations": 0,
        "hit": False,
        "hit_at": None,
        "best_energy": None,
        "best_positions": None,
        "trace": [],
        "lower": None,
        "wall_s": {"calculator": 0.0, "method": 0.0, "compile": 0.0, "total": 0.0},
        "error": error,
    }
