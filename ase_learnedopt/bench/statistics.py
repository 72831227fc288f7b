"""What a benchmark says about one method on one problem: rates, costs and energies, with intervals. Layer 4.

Arrays over runs have one row a seed. Cost is counted in evaluations of energy and forces. Resampling uses a fixed
random stream: the same records give the same report.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.stats import norm

MARKS = (30, 100, 300, 1_000, 3_000, 10_000, 30_000, 100_000)
"""Evaluations at which success rates and energies are reported."""
N_RESAMPLES = 4_000


class Runs(NamedTuple):
    """Holds the runs of one method on one problem; a crashed run is one that never succeeds."""

    evaluations: np.ndarray  # [n] int, spent
    hit_at: np.ndarray  # [n] float, infinity where the run did not succeed
    budget: np.ndarray  # [n] int, evaluations after which a run was given up, for lack of time or of budget
    traces: tuple[np.ndarray, ...]  # n of [k, 2]: evaluation, best energy in eV


class Rate(NamedTuple):
    """Holds a success rate with its 95 % interval."""

    value: float
    low: float
    high: float


class Cost(NamedTuple):
    """Holds mean evaluations per success with the 90 % interval; without a success: infinity, at least `low`."""

    value: float
    low: float
    high: float
    total: float  # evaluations spent by all runs


class Ratio(NamedTuple):
    """Holds how many times fewer evaluations one method needs than another; infinity or 0 where one never succeeds."""

    value: float
    low: float
    high: float


def runs_of(records: Sequence[dict[str, Any]]) -> Runs:
    """Returns the arrays of some records."""
    ended = [r.get("out_of_time") or r.get("unsettled") for r in records]  # known as far as they came
    return Runs(
        np.array([r["evaluations"] for r in records], int),
        np.array([r["hit_at"] if r["hit"] else np.inf for r in records], float),
        np.array([r["evaluations"] if short else r["budget"] for r, short in zip(records, ended, strict=True)], int),
        tuple(np.array(r["trace"], float).reshape(-1, 2) for r in records),
    )


def wilson(successes: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Returns the score interval of a rate (Wilson 1927, J. Am. Stat. Assoc. 22, 209, eq. for p' and p'')."""
    z = float(norm.ppf(0.5 + confidence / 2))
    rate = successes / n
    centre = rate + z**2 / (2 * n)
    half = z * float(np.sqrt(rate * (1 - rate) / n + z**2 / (4 * n**2)))
    scale = 1 + z**2 / n
    low = 0.0 if successes == 0 else (centre - half) / scale  # exact where rounding is not
    high = 1.0 if successes == n else (centre + half) / scale
    return low, high


def horizon(runs: Runs) -> float:
    """Returns the evaluations up to which every run is known: infinity when all have succeeded."""
    return float(np.where(np.isinf(runs.hit_at), runs.budget, np.inf).min())


def success_rate(runs: Runs, mark: float) -> Rate | None:
    """Returns the share of runs that had succeeded at `mark` evaluations; None where some ended before, unsolved."""
    known = (runs.hit_at <= mark) | (runs.budget >= mark)
    if not known.all():
        return None
    hits, n = int(np.sum(runs.hit_at <= mark)), len(runs.hit_at)
    return Rate(hits / n, *wilson(hits, n))


def cost_per_success(runs: Runs) -> Cost:
    """Returns all evaluations spent over the number of successes, runs without success included."""
    total = float(runs.evaluations.sum())
    hits = int(np.isfinite(runs.hit_at).sum())
    if not hits:
        return Cost(np.inf, total, np.inf, total)
    low, high = quantiles(_resampled_costs(runs, seed=0), (0.05, 0.95))
    return Cost(total / hits, float(low), float(high), total)


def speed_ratio(ours: Runs, rival: Runs) -> Ratio | None:
    """Returns the rival's mean evaluations per success over ours, with the 90 % interval of independent resampling.

    Where one of the two never succeeds only a bound is known, and only one end of the interval is finite and not 0:
    the evaluations that one has spent in vain, against the less favourable end of the other's interval. None: neither
    has succeeded.
    """
    a, b = cost_per_success(ours), cost_per_success(rival)
    if np.isinf(a.value) and np.isinf(b.value):
        return None
    if np.isinf(b.value):
        return Ratio(np.inf, b.total / a.high, np.inf)
    if np.isinf(a.value):
        return Ratio(0.0, 0.0, b.high / a.total)
    with np.errstate(invalid="ignore"):
        ratios = _resampled_costs(rival, seed=1) / _resampled_costs(ours, seed=0)
    low, high = quantiles(ratios[~np.isnan(ratios)], (0.05, 0.95))
    return Ratio(b.value / a.value, float(low), float(high))


def best_energies(runs: Runs, marks: Sequence[float] | np.ndarray) -> np.ndarray:
    """Returns the best energy of each run at each mark.

    Returns:
      `[n, n_marks]` eV, infinity before the first finite energy; a run that succeeded keeps its energy from then on.
    """
    rows = []
    for trace in runs.traces:
        found = np.searchsorted(trace[:, 0], marks, side="right")
        rows.append(np.concatenate([[np.inf], trace[:, 1]])[found])
    return np.array(rows).reshape(len(runs.traces), len(marks))


def energy_quartiles(runs: Runs, mark: float) -> tuple[float, float, float] | None:
    """Returns lower quartile, median and upper quartile of the best energy at `mark`, eV; None as in `success_rate`."""
    if mark > horizon(runs):
        return None
    low, middle, high = quantiles(best_energies(runs, [mark])[:, 0], (0.25, 0.5, 0.75))
    return float(low), float(middle), float(high)


def quantiles(values: np.ndarray, shares: Sequence[float]) -> np.ndarray:
    """Returns quantiles along the first axis, linear between order statistics; some values may be infinite.

    Returns:
      `[n_shares, ...]`; infinite where an infinite order statistic has any weight.
    """
    ordered = np.sort(np.asarray(values, float), axis=0)
    position = np.asarray(shares, float) * (len(ordered) - 1)
    below = np.floor(position).astype(int)
    weight = (position - below).reshape((-1,) + (1,) * (ordered.ndim - 1))
    low, high = ordered[below], ordered[np.minimum(below + 1, len(ordered) - 1)]
    with np.errstate(invalid="ignore"):
        return np.where((weight == 0) | (low == high), low, low + (high - low) * weight)


def _resampled_costs(runs: Runs, seed: int) -> np.ndarray:
    """Returns the cost of bootstrap samples of the runs `[N_RESAMPLES]`, infinity for those without a success."""
    n = len(runs.evaluations)
    rows = np.random.default_rng(seed).integers(n, size=(N_RESAMPLES, n))
    with np.errstate(divide="ignore"):
        return runs.evaluations[rows].sum(axis=1) / np.isfinite(runs.hit_at)[rows].sum(axis=1)
