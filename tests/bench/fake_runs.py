"""Records of runs that never happened: times to success from an exponential law, energies that fall on the way."""

from pathlib import Path

import numpy as np

from ase_learnedopt.bench import records
from ase_learnedopt.bench.results import Facts

ENERGY, TOLERANCE = -100.0, 1e-3


def fake_record(seed: int, mean: float, budget: int = 10_000, **fields) -> records.Record:
    """Returns the record of a run whose success takes `mean` evaluations on average."""
    rng = np.random.default_rng([seed, int(min(mean, 1e9)), *map(ord, fields.get("method", ""))])
    needed = 40 + int(rng.exponential(mean))
    hit, spent = needed <= budget, min(needed, budget)
    counts = np.unique(np.concatenate([[1], np.geomspace(2, spent, 40).astype(int)]))
    counts = counts[counts <= spent]
    progress = np.log(1 + counts) / np.log(1 + needed)
    above = np.minimum.accumulate((12 * (1 - progress) ** 1.5 + 0.35) * rng.uniform(0.8, 1.3, len(counts)))
    above[0] += 200.0
    if hit:
        above[-1] = 1e-5
    trace = [[int(n), float(ENERGY + e)] for n, e in zip(counts, above, strict=True)]
    record = {
        "problem": "lj38",
        "method": "basin_hopping",
        "weights": None,
        "seed": seed,
        "budget": budget,
        "evaluations": spent,
        "hit": hit,
        "hit_at": spent if hit else None,
        "best_energy": trace[-1][1],
        "trace": trace,
        "wall_s": {"calculator": 1e-4 * spent, "method": 5e-5 * spent, "compile": 0.8, "total": 0.8 + 1.5e-4 * spent},
        "error": None,
        "versions": {"ase-learnedopt": "0.1.0", "jax": "0.10.1", "python": "3.12.1"},
        "date": "2026-08-01",
        "n_atoms": 38,
    }
    return {**record, **fields}


def write_runs(folder: Path, problem: str, method: str, mean: float, n_seeds: int = 30, **fields) -> Path:
    """Writes a file of records, at once."""
    path = folder / f"{problem}__{method}.jsonl"
    for seed in range(10_000, 10_000 + n_seeds):
        records.append(path, fake_record(seed, mean, problem=problem, method=method, **fields))
    return path


def fake_facts(problem: str, found) -> Facts:
    """Returns the facts of a problem that exists only here."""
    return Facts(ENERGY, TOLERANCE, "made up", found[0]["n_atoms"])
