"""Jobs: counts, resuming, failures, bad input."""

import dataclasses
import json
import math

import pytest

from ase_learnedopt.bench import methods, records, runner, seeds
from ase_learnedopt.bench.batched import run_batched
from ase_learnedopt.bench.methods import METHODS, Method, get_method, is_installed, optimizer
from ase_learnedopt.bench.problems import get_problem
from ase_learnedopt.bench.results import collect
from ase_learnedopt.bench.runner import Job, results_file, run_benchmark
from ase_learnedopt.bench.statistics import success_rate

SEEDS = range(10_000, 10_003)


def run(job, out, wanted=SEEDS, **how):
    return list(run_benchmark(job, wanted, out, **how))


def test_a_record_says_all(tmp_path):
    (record,) = run(Job("lj7", "learned_hop", 300), tmp_path, [1])
    line = json.loads(results_file(tmp_path, Job("lj7", "learned_hop", 300)).read_text())
    assert json.loads(json.dumps(record)) == line
    assert (line["problem"], line["method"], line["seed"], line["budget"]) == ("lj7", "learned_hop", 1, 300)
    assert line["weights"] == "learned_hop_v1"
    assert line["hit"] and line["hit_at"] == line["evaluations"] <= 300
    assert line["best_energy"] == pytest.approx(-16.505384, abs=1e-3)
    assert line["trace"][-1] == [line["hit_at"], pytest.approx(line["best_energy"])]
    assert line["wall_s"]["total"] == pytest.approx(sum(line["wall_s"][k] for k in ("calculator", "method", "compile")))


@pytest.mark.parametrize("name", [name for name, method in METHODS.items() if method.is_ours])
def test_batched_and_single_agree(name, monkeypatch):
    """Until rounding tells them apart, the two ways take the same path; they count the same."""
    problem = get_problem("lj7")
    monkeypatch.setattr(seeds, "get_problem", lambda _: problem)
    job = Job("lj7", name, 40)
    single = next(seeds.run_seeds(job._replace(path="single"), [5]))
    batched = next(seeds.run_seeds(job._replace(path="batched"), [5]))
    assert single["error"] is None
    assert single["evaluations"] == batched["evaluations"] == 40 or single["hit"]
    assert single["trace"][0][1] >= batched["trace"][0][1]
    # The batch is looked at after each window, of eight evaluations or fewer, in float32.
    count, lowest = batched["trace"][0]
    assert lowest == pytest.approx(min(energy for k, energy in single["trace"] if k <= count), rel=1e-3)


def test_lanes_are_refilled_and_order_does_not_matter():
    problem, chosen = get_problem("lj7"), optimizer("basin_hopping")
    target = problem.reference + problem.tolerance

    def evaluations(order):
        return {r.seed: r.evaluations for r in run_batched(problem, chosen, order, 400, target, width=2)}

    one = evaluations(range(6))
    assert one == evaluations([5, 2, 1, 4, 0, 3])
    assert set(one) == set(range(6))
    assert len(set(one.values())) > 2


def test_resumes_where_it_was(tmp_path):
    job = Job("lj7", "basin_hopping", 60)
    first = next(run_benchmark(job, SEEDS, tmp_path))
    path = results_file(tmp_path, job)
    with path.open("a") as file:
        file.write('{"problem": "lj7", "met')  # killed while writing
    with pytest.warns(UserWarning, match="dropped a line"):
        rest = run(job, tmp_path)
    assert {first["seed"]} | {r["seed"] for r in rest} == set(SEEDS)
    assert first["seed"] not in {r["seed"] for r in rest}
    assert run(job, tmp_path) == []
    whole = tmp_path / "whole"
    again = {r["seed"]: (r["evaluations"], r["best_energy"]) for r in run(job, whole)}
    assert {r["seed"]: (r["evaluations"], r["best_energy"]) for r in records.read(path)} == again


@pytest.mark.slow
def test_processes_give_the_same(tmp_path):
    job = Job("lj7", "basin_hopping", 60, path="single")  # the rounding of a batch depends on its width
    one = {r["seed"]: r["trace"] for r in run(job, tmp_path / "one")}
    two = {r["seed"]: r["trace"] for r in run(job, tmp_path / "two", workers=2)}
    assert one == two


@pytest.mark.parametrize("name", METHODS)
def test_every_method_goes_on_where_the_calculator_fails(name, monkeypatch):
    if not is_installed(METHODS[name]):
        pytest.skip(f"{METHODS[name].extra} is not installed")
    problem, calls = get_problem("lj7"), []

    def calculator():
        made = problem.calculator()
        calculate = made.calculate

        def fallible(*args):
            calls.append(args)
            if len(calls) % 7 == 0:
                raise ArithmeticError("no convergence")
            calculate(*args)

        made.calculate = fallible
        return made

    monkeypatch.setattr(seeds, "get_problem", lambda _: dataclasses.replace(problem, calculator=calculator))
    record = next(seeds.run_seeds(Job("lj7", name, 100, path="single"), [10_000]))
    assert record["error"] is None
    assert record["hit"] or record["evaluations"] == 100
    assert record["evaluations"] == len(calls) and math.isfinite(record["best_energy"])


def test_a_crash_is_a_record(tmp_path, monkeypatch):
    def run_rival(problem, atoms, evaluator, seed):
        evaluator.evaluate(atoms.positions)
        if seed == 10_001:
            raise RuntimeError("no idea")
        for k in range(1, 100):
            evaluator.evaluate(atoms.positions + k)

    crashing = Method("crashing", run=run_rival)
    monkeypatch.setitem(METHODS, "crashing", crashing)
    found = {r["seed"]: r for r in run(Job("lj7", "crashing", 5), tmp_path)}
    assert "no idea" in found[10_001]["error"]
    assert found[10_000]["error"] is None
    assert found[10_001]["evaluations"] == 1
    harmless = dataclasses.replace(crashing, run=lambda _, atoms, evaluator, seed: evaluator.evaluate(atoms.positions))
    monkeypatch.setitem(METHODS, "crashing", harmless)
    assert run(Job("lj7", "crashing", 5), tmp_path) == []
    assert [r["seed"] for r in run(Job("lj7", "crashing", 5), tmp_path, retry_failed=True)] == [10_001]


def test_a_run_out_of_time_is_known_as_far_as_it_came(tmp_path):
    (late,) = run(Job("lj7", "scipy_basinhopping", 100_000, walltime=1e-9), tmp_path / "late", [0])
    assert (late["out_of_time"], late["evaluations"], late["budget"]) == (True, 1, 100_000)
    assert not late["hit"]
    (cell,) = collect(tmp_path / "late").cells.values()
    assert cell.n_late == 1
    assert success_rate(cell.runs, 1) is not None
    assert success_rate(cell.runs, 2) is None
    (done,) = run(Job("lj7", "scipy_basinhopping", 3, walltime=1e9), tmp_path / "done", [0])
    assert (done["out_of_time"], done["evaluations"]) == (False, 3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"problem": "lj9999"}, "lj9999"),
        ({"method": "learned_hopp"}, "did you mean learned_hop"),
        ({"evaluations": 0}, "evaluations is 0"),
        ({"weights": "nothing"}, "nothing"),
        ({"method": "basin_hopping", "weights": "learned_hop"}, "reads no weights"),
        ({"problem": "xtb-Si10", "path": "batched"}, "cannot run in batches"),
        ({"walltime": 0.0}, "walltime is 0.0"),
        ({"path": "fast"}, "path is 'fast'"),
    ],
)
def test_bad_input_before_any_work(change, message, tmp_path):
    job = Job("lj7", "learned_hop", 10)._replace(**change)
    with pytest.raises(ValueError, match=message):
        run(job, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_other_budget_in_the_folder(tmp_path):
    run(Job("lj7", "basin_hopping", 20), tmp_path, [0])
    with pytest.raises(ValueError, match="20 evaluations, not 30"):
        run(Job("lj7", "basin_hopping", 30), tmp_path, [0])


def test_missing_extra(monkeypatch):
    monkeypatch.setitem(METHODS, "far", Method("far", run=print, extra="no_such_module"))
    with pytest.raises(ValueError, match=r"needs the module no_such_module: pip install"):
        get_method("far")
    assert not methods.is_installed(METHODS["far"])


def test_file_names_are_safe():
    assert results_file("x", Job("xtb-(H2O)6", "fire", 1)).name == "xtb-_H2O_6__fire.jsonl"
    assert runner.versions()["ase"]
