"""Mean energies at equal cost, and what they gain over a rival."""

import dataclasses

import numpy as np
import pytest

from ase_learnedopt.bench import records
from ase_learnedopt.bench.results import collect
from ase_learnedopt.reproduce import equal_cost
from ase_learnedopt.reproduce.equal_cost import gain, is_trained_on, mean_energy, run_experiment
from ase_learnedopt.reproduce.experiments import EXPERIMENTS


def record(method, seed, trace, weights=None):
    times = dict.fromkeys(("calculator", "method", "compile", "total"), 0.0)
    return {
        "problem": "lj13", "n_atoms": 13, "method": method, "weights": weights, "settings": {}, "seed": seed,
        "budget": 1000, "evaluations": 1000, "hit": False, "hit_at": None, "best_energy": trace[-1][1], "trace": trace,
        "wall_s": times, "error": None, "versions": {}, "date": "2026-01-01",
    }  # fmt: skip


@pytest.fixture
def cells(tmp_path):
    """Two methods, two seeds: the first has at 100 evaluations what the second has at 1,000."""
    for seed, shift in ((0, 0.0), (1, 0.5)):
        for method, marks in (("learn2hop", (10, 100)), ("basin_hopping", (100, 1000))):
            trace = [[marks[0], -40.0 + shift], [marks[1], -42.0 + shift]]
            records.append(tmp_path / f"{method}.jsonl", record(method, seed, trace))
    found = collect(tmp_path)
    return found.cells["lj13", "learn2hop"], found.cells["lj13", "basin_hopping"]


def test_mean_and_error(cells):
    mean, error = mean_energy(cells[0], [5, 50, 1000])
    np.testing.assert_allclose(mean, [np.inf, -39.75, -41.75])
    assert error[1] == pytest.approx(0.25)


def test_gain(cells):
    ours, rival = cells
    value, low, high = gain(ours, rival, 1000)
    assert value == pytest.approx(10.0, rel=0.03)
    assert low <= value <= high
    assert gain(rival, ours, 1000)[0] == pytest.approx(1.0)
    assert gain(rival, rival, 1000) is gain(ours, None, 1000) is None


def test_no_gain_where_the_rival_stays_lower(cells):
    ours, rival = cells
    assert gain(rival, ours, 500)[0] == 0.0


def test_an_experiment_runs_and_goes_on(tmp_path, monkeypatch, capsys):
    small = dataclasses.replace(
        EXPERIMENTS["clusters"], weights=("none",), problems=("lj7",), evaluations=200, marks=(50, 200),
        methods=("basin_hopping",),
    )  # fmt: skip
    monkeypatch.setitem(equal_cost.EXPERIMENTS, "clusters", small)
    page = run_experiment("clusters", tmp_path, seeds=3)
    text = page.read_text()
    assert "## lj7 (never trained on)" in text
    assert "| learn2hop | " in text and "at 200" in text
    assert (tmp_path / "plots" / "lj7_mean_energy.svg").read_text().startswith("<svg")
    assert "3 run now" in capsys.readouterr().out
    assert run_experiment("clusters", tmp_path, seeds=3, docs=tmp_path / "docs").read_text() == text
    found = (tmp_path / "docs" / "learn2hop" / "clusters.md").read_text()
    assert found == text.replace("(plots/", "(../_static/learn2hop/")
    assert (tmp_path / "docs" / "_static" / "learn2hop" / "lj7_mean_energy.svg").exists()
    assert "0 run now" in capsys.readouterr().out
    assert "## lj7" in run_experiment("clusters", tmp_path, problems=["lj7"], seeds=3).read_text()


@pytest.mark.parametrize(
    ("problem", "weights", "expected"),
    [("lj38", ["learn2hop_lj"], True), ("lj55", ["none", "learn2hop_lj"], False), ("sw-si64", ["learn2hop_lj"], False)],
)
def test_what_weights_were_trained_on_stands_on_their_card(problem, weights, expected):
    assert is_trained_on(problem, weights) is expected


def test_a_name_of_training_is_that_of_the_benchmark_without_its_family(monkeypatch):
    monkeypatch.setattr(equal_cost, "read_card", lambda _: {"tasks": ["Pd19Pt19", "si64-liquid"]})
    assert is_trained_on("gupta-Pd19Pt19", ["x"]) and is_trained_on("sw-si64-liquid", ["x"])
    assert not is_trained_on("sw-si64", ["x"])


def test_unknown_experiment(tmp_path):
    with pytest.raises(ValueError, match="no experiment 'cluster'; there are clusters, gupta, silicon"):
        run_experiment("cluster", tmp_path)
    with pytest.raises(ValueError, match="clusters has no problem lj14; there are lj13, "):
        run_experiment("clusters", tmp_path, problems=["lj13", "lj14"])
