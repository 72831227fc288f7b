"""Comparisons across problems: performance profiles and data profiles. Layer 4.

References: Dolan and More, Math. Program. 91, 201 (2002), eq. (2.1) and (2.2); More and Wild, SIAM J. Optim. 20, 172
(2009), eq. (2.8).
"""

from collections.abc import Sequence

import numpy as np

from .statistics import Runs, horizon


def performance_ratios(costs: np.ndarray) -> np.ndarray:
    """Returns each cost over the lowest one of its problem.

    Args:
      costs: `[n_problems, n_methods]` mean evaluations per success, infinity: never solved, nan: not run.

    Returns:
      `[n_problems, n_methods]`, infinity and nan as in the costs.
    """
    costs = np.asarray(costs, float)
    lowest = np.min(np.where(np.isnan(costs), np.inf, costs), axis=1, keepdims=True)
    with np.errstate(invalid="ignore"):
        ratios = costs / lowest
    return np.where(np.isinf(costs), np.inf, ratios)


def performance_profile(costs: np.ndarray, ratios: np.ndarray) -> np.ndarray:
    """Returns the share of its problems that a method solves at no more than `ratio` times the lowest cost.

    Args:
      costs: `[n_problems, n_methods]` as in `performance_ratios`; problems that a method was not run on do not count.
      ratios: `[n_ratios]`, 1 and above.

    Returns:
      `[n_methods, n_ratios]`, nan for a method without problems.
    """
    found = performance_ratios(costs)
    run = ~np.isnan(found)
    solved = np.where(run, found, np.inf)[:, :, None] <= np.asarray(ratios, float)
    with np.errstate(invalid="ignore"):
        return solved.sum(axis=0) / run.sum(axis=0)[:, None]


def data_profile(runs: Sequence[Runs], n_atoms: Sequence[int], budgets: np.ndarray) -> np.ndarray:
    """Returns the share of runs that succeed within `budgets` x (3 n_atoms + 1) evaluations; problems weigh the same.

    Args:
      runs: of one method, one entry a problem.
      n_atoms: of each problem.
      budgets: `[n_budgets]`, in units of 3 n_atoms + 1, one simplex gradient.

    Returns:
      `[n_budgets]`, nan beyond what was run.
    """
    budgets = np.asarray(budgets, float)
    units = [3 * n + 1 for n in n_atoms]
    shares = [np.mean(r.hit_at[:, None] <= budgets * unit, axis=0) for r, unit in zip(runs, units, strict=True)]
    known = min(horizon(r) / unit for r, unit in zip(runs, units, strict=True))
    return np.where(budgets <= known, np.mean(shares, axis=0), np.nan)
