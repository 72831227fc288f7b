"""Rates, costs, energies and profiles against SciPy, hand-made numbers and what must not change them."""

import numpy as np
import pytest
from fake_runs import fake_record
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from ase_learnedopt.bench.profiles import data_profile, performance_profile, performance_ratios
from ase_learnedopt.bench.statistics import (
    Runs,
    best_energies,
    cost_per_success,
    energy_quartiles,
    horizon,
    quantiles,
    runs_of,
    speed_ratio,
    success_rate,
    wilson,
)

INF = np.inf


def runs(hit_at, budget=1000, spent=None, traces=None):
    hit_at = np.array(hit_at, float)
    budget = np.broadcast_to(budget, hit_at.shape).astype(int)
    spent = np.where(np.isinf(hit_at), budget, hit_at).astype(int) if spent is None else np.array(spent)
    return Runs(spent, hit_at, budget, tuple(traces or [np.zeros((0, 2))] * len(hit_at)))


times = st.lists(st.one_of(st.integers(1, 1000), st.just(INF)), min_size=1, max_size=30)


@pytest.mark.parametrize(("successes", "n"), [(0, 1), (1, 1), (0, 30), (30, 30), (7, 30), (399, 400)])
@pytest.mark.parametrize("confidence", [0.9, 0.95])
def test_wilson(successes, n, confidence):
    expected = binomtest(successes, n).proportion_ci(confidence, method="wilson")
    np.testing.assert_allclose(wilson(successes, n, confidence), expected, atol=1e-12)


@pytest.mark.parametrize(
    ("hit_at", "budget", "mark", "value"),
    [
        ([100, 200, INF, INF], 1000, 150, 0.25),
        ([100, 200, INF, INF], 1000, 1000, 0.5),
        ([100, 200, INF, INF], 1000, 1001, None),  # two runs were not run so far
        ([100, 200], 300, 100_000, 1.0),  # all had succeeded before
        ([100, INF], [300, 2000], 1000, 0.5),
    ],
)
def test_success_rate(hit_at, budget, mark, value):
    rate = success_rate(runs(hit_at, budget), mark)
    assert (rate if rate is None else rate.value) == value
    assert horizon(runs(hit_at, budget)) >= mark or value is None


@given(times, st.integers(1, 1000), st.integers(0, 1000))
def test_success_rate_never_falls(hit_at, mark, more):
    made = runs(hit_at)
    early, late = success_rate(made, mark), success_rate(made, min(mark + more, 1000))
    assert early.value <= late.value
    assert early.low <= early.value <= early.high


def test_cost_by_hand():
    cost = cost_per_success(runs([100, 300, INF, INF]))
    assert cost.value == (100 + 300 + 1000 + 1000) / 2
    assert cost.low < cost.value < cost.high


def test_cost_without_success_is_a_bound():
    assert cost_per_success(runs([INF, INF, INF])) == (INF, 3000, INF, 3000)


def test_cost_of_one_success_may_be_infinite():
    assert cost_per_success(runs([500] + [INF] * 9)).high == INF


def test_crash_is_a_run_without_success():
    crashed = fake_record(0, 1e9, evaluations=50, trace=[], best_energy=None, error="ValueError: no")
    made = runs_of([crashed, fake_record(1, 100.0)])
    assert cost_per_success(made).value == 50 + made.evaluations[1]
    assert success_rate(made, 10_000).value == 0.5


def test_bootstrap_covers():
    """Of 90 % intervals of exponential times about 90 % hold the true mean."""
    rng = np.random.default_rng(3)
    found = [cost_per_success(runs(rng.exponential(300.0, 40), 10**9)) for _ in range(60)]
    assert 45 <= sum(cost.low <= 300.0 <= cost.high for cost in found) <= 60


@settings(max_examples=25)
@given(times)
def test_cost_is_that_of_the_same_records(hit_at):
    first, second = cost_per_success(runs(hit_at)), cost_per_success(runs(hit_at))
    assert first == second
    assert first.low <= first.value <= first.high


@pytest.mark.parametrize(
    ("ours", "rival", "value", "finite"),
    [
        ([100, 100], [1000, 1000], 10.0, (True, True)),
        ([100, 100], [INF, INF], INF, (True, False)),
        ([INF, INF], [100, 100], 0.0, (True, True)),
    ],
)
def test_speed_ratio(ours, rival, value, finite):
    ratio = speed_ratio(runs(ours), runs(rival))
    assert ratio.value == value
    assert (bool(np.isfinite(ratio.low)), bool(np.isfinite(ratio.high))) == finite


def test_speed_ratio_bounds():
    assert speed_ratio(runs([100, 100]), runs([INF, INF])).low == 2000 / 100
    assert speed_ratio(runs([INF, INF]), runs([100, 100])).high == 100 / 2000
    assert speed_ratio(runs([INF]), runs([INF])) is None


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=20), st.floats(0, 1))
def test_quantiles_are_numpys(values, share):
    np.testing.assert_allclose(quantiles(np.array(values), [share])[0], np.quantile(values, share), atol=1e-6)


def test_quantiles_with_infinity():
    np.testing.assert_array_equal(quantiles(np.array([1.0, 2.0, INF, INF]), [0, 0.25, 0.5, 1]), [1, 1.75, INF, INF])
    np.testing.assert_array_equal(quantiles(np.array([1.0, 2.0, INF]), [0.5]), [2])


def test_best_energies_by_hand():
    trace = np.array([[1, 5.0], [10, 2.0], [40, -1.0]])
    made = runs([40, INF], 100, traces=[trace, trace[1:2]])
    np.testing.assert_array_equal(
        best_energies(made, [1, 9, 10, 39, 40, 99]), [[5, 5, 2, 2, -1, -1], [INF, INF, *[2] * 4]]
    )
    assert energy_quartiles(made, 100) == (-0.25, 0.5, 1.25)
    assert energy_quartiles(made, 101) is None


COSTS = [[10.0, 20.0, np.nan], [INF, 5.0, 5.0], [INF, INF, INF]]


def test_performance_profile_by_hand():
    np.testing.assert_array_equal(performance_ratios(COSTS), [[1, 2, np.nan], [INF, 1, 1], [INF, INF, INF]])
    expected = [[1 / 3, 1 / 3], [1 / 3, 2 / 3], [1 / 2, 1 / 2]]  # the third was run on two problems
    np.testing.assert_allclose(performance_profile(COSTS, np.array([1.0, 2.0])), expected)


@given(st.lists(st.floats(0.1, 10), min_size=3, max_size=3))
def test_performance_profile_does_not_depend_on_units(scales):
    taus = np.array([1.0, 1.7, 2.5])
    scaled = np.array(COSTS) * np.array(scales)[:, None]
    np.testing.assert_allclose(performance_profile(scaled, taus), performance_profile(COSTS, taus))


def test_data_profile_by_hand():
    parts = [runs([7, 70], 70), runs([INF, 50], 100)]  # of 2 and 3 atoms: 7 and 10 evaluations a unit
    budgets = np.array([0.5, 1.0, 5.0, 10.0, 11.0])
    np.testing.assert_array_equal(data_profile(parts, [2, 3], budgets), [0, 0.25, 0.5, 0.75, np.nan])
