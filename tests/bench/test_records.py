"""Records on disk: whole lines, torn lines, and errors that name file and line."""

import json

import numpy as np
import pytest
from fake_runs import fake_record, write_runs

from ase_learnedopt.bench import records


def test_a_thin_trace_is_right_to_two_per_cent():
    trace = [(k, -float(k)) for k in range(1, 5000)]
    kept = records.thin(trace)
    assert kept[:50] == trace[:50]
    assert kept[-1] == trace[-1]
    assert len(kept) < 600
    counts = np.array([count for count, _ in kept])
    assert np.all(np.diff(counts) <= 1 + 0.041 * counts[:-1])
    assert records.thin([]) == []


def test_round_trip(tmp_path):
    path = tmp_path / "new" / "lj38__basin_hopping.jsonl"
    written = [fake_record(seed, 3000.0) for seed in (3, 1, 2)]
    for record in written:
        records.append(path, record)
    assert records.read(path) == sorted(written, key=lambda record: record["seed"])
    assert records.finished_seeds(path) == {1, 2, 3}
    assert records.load_records(tmp_path / "new") == records.read(path)


def test_no_file_yet(tmp_path):
    assert records.finished_seeds(tmp_path / "none.jsonl") == set()
    with pytest.raises(ValueError, match=r"no records.*bench run"):
        records.load_records(tmp_path)


def test_numpy_and_infinity_become_json(tmp_path):
    record = fake_record(0, 1e9)
    record.update(seed=np.int64(4), best_energy=np.float32("inf"), trace=np.array([[1, -2.0]]).tolist())
    record["trace"] = [(np.int32(1), np.float64(-2.0))]
    records.append(tmp_path / "a.jsonl", record)
    assert json.loads((tmp_path / "a.jsonl").read_text())["best_energy"] is None
    assert records.read(tmp_path / "a.jsonl")[0]["trace"] == [[1, -2.0]]


def test_later_record_of_a_seed_counts(tmp_path):
    path = tmp_path / "a.jsonl"
    records.append(path, fake_record(0, 3000.0, error="ValueError: crashed"))
    records.append(path, fake_record(0, 3000.0))
    assert [record["error"] for record in records.read(path)] == [None]


@pytest.mark.parametrize("cut", [1, 10, 400])
def test_torn_last_line(tmp_path, cut):
    path = write_runs(tmp_path, "lj38", "basin_hopping", 3000.0, n_seeds=3)
    whole = path.read_bytes()
    last = len(whole) - len(whole.splitlines(keepends=True)[-1])
    path.write_bytes(whole[: last + cut])
    with pytest.warns(UserWarning, match="line 3: dropped"):
        assert records.finished_seeds(path) == {10_000, 10_001}
    records.append(path, fake_record(7, 3000.0))
    assert records.finished_seeds(path) == {7, 10_000, 10_001}


def test_missing_line_feed_is_not_torn(tmp_path):
    path = write_runs(tmp_path, "lj38", "basin_hopping", 3000.0, n_seeds=2)
    path.write_bytes(path.read_bytes().rstrip(b"\n"))
    assert len(records.read(path)) == 2
    records.append(path, fake_record(7, 3000.0))
    assert len(records.read(path)) == 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": -1}, "seed is '-1'"),
        ({"seed": True}, "seed is 'True'"),
        ({"budget": 0}, "budget is '0'"),
        ({"problem": ""}, "problem is ''"),
        ({"weights": 3}, "weights is '3'"),
        ({"evaluations": 20_000}, "evaluations exceed budget"),
        ({"hit": "yes"}, "hit is 'yes'"),
        ({"hit": True, "hit_at": None}, "hit_at must be given exactly"),
        ({"hit": False, "hit_at": 3}, "hit_at must be given exactly"),
        ({"hit": True, "hit_at": 10_001, "evaluations": 10_000}, "hit_at exceeds"),
        ({"best_energy": "low"}, "best_energy is 'low'"),
        ({"trace": [[5, -1.0], [5, -2.0]]}, "trace is"),
        ({"trace": [[5, -1.0], [6, 0.0]]}, "trace is"),
        ({"trace": [[5]]}, "trace is"),
        ({"trace": [[99_999, -1.0]]}, "goes on after"),
        ({"wall_s": {"total": 1.0}}, "seconds of calculator"),
        ({"error": 1}, "error is '1'"),
        ({"versions": None}, "versions is 'None'"),
        ({"reference": "low"}, "reference is 'low'"),
        ({"tolerance": 0}, "tolerance is '0'"),
        ({"best_positions": [[1.0, 2.0]]}, "rows of three"),
        ({"lower": {"energy": -1.0}}, "an object of energy, positions and fmax"),
        ({"fused": -1}, "fused is '-1'"),
        ({"calculator_failures": 0.5}, "calculator_failures is '0.5'"),
    ],
)
def test_bad_records(tmp_path, change, message):
    bad = {**fake_record(0, 1e9), **change}
    path = tmp_path / "a.jsonl"
    with pytest.raises(ValueError, match=message):
        records.append(path, bad)
    assert not path.exists()
    path.write_text(json.dumps(fake_record(1, 1e9)) + "\n" + json.dumps(bad) + "\n")
    with pytest.raises(ValueError, match=rf"a\.jsonl, line 2: .*{message}"):
        records.read(path)


@pytest.mark.parametrize(("line", "message"), [("{oops}", "not JSON"), ("[1]", "list instead of"), ("{}", "'problem'")])
def test_bad_lines(tmp_path, line, message):
    path = tmp_path / "a.jsonl"
    path.write_text(line + "\n" + json.dumps(fake_record(1, 1e9)) + "\n")
    with pytest.raises(ValueError, match=rf"a\.jsonl, line 1: .*{message}"):
        records.load_records(tmp_path)


def test_same_seed_in_two_files(tmp_path):
    records.append(tmp_path / "a.jsonl", fake_record(0, 3000.0))
    records.append(tmp_path / "b.jsonl", fake_record(0, 3000.0))
    with pytest.raises(ValueError, match=r"a\.jsonl and .*b\.jsonl both hold seed 0 of basin_hopping on lj38"):
        records.load_records(tmp_path)
