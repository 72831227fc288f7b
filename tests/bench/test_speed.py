"""The speed suite on tiny sizes: what it measures, its tables, its files. No time is asserted."""

import json
import re
import sys

import jax
import numpy as np
import pytest

from ase_learnedopt.bench import speed as suite
from ase_learnedopt.bench import speed_overhead, speed_rivals, speed_roofline, speed_throughput
from ase_learnedopt.bench.speed_compile import CASES
from ase_learnedopt.bench.speed_machine import processor_name
from ase_learnedopt.bench.speed_page import speed_page
from ase_learnedopt.bench.speed_process import in_fresh_process

TINY = suite.Sizes(
    overhead_atoms=(4,),
    overhead_steps=6,
    first_cases=tuple(CASES),
    first_repeats=1,
    clusters=(5,),
    batches=(1,),
    seconds=0.0,
    roofline_clusters=(5,),
    roofline_walkers=2,
)


@pytest.fixture(scope="module")
def measured():
    """All rows of a tiny suite; what runs in processes of its own is made up."""
    lines = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(speed_throughput, "METHODS", {"fire": speed_throughput.METHODS["fire"]})
        patch.setattr(speed_throughput, "RIVALS", {})
        patch.setattr("ase_learnedopt.bench.speed_compile.in_fresh_process", lambda code, cache=None: [1.0, 2.0])
        fire = speed_overhead.METHODS["FIRE"]  # under the name of ours too: nothing to compile
        patch.setattr(speed_overhead, "METHODS", {"LearnedHop": fire, "FIRE": fire})
        tiny_load = speed_roofline.Load(16, 8, 64)
        patch.setattr(speed_roofline, "LOADS", {"cpu": tiny_load})
        patch.setattr(speed_roofline, "in_fresh_process", lambda code: speed_roofline.measure((5,), 2, "cpu"))
        data = suite.measure_speed(TINY, lines.append)
    return data, lines


def test_rows(measured):
    data, lines = measured
    assert [row["method"] for row in data["overhead"]] == ["LearnedHop", "FIRE"]
    assert {(row["method"], row["walkers"]) for row in data["throughput"]} == {
        (name, 1) for name in ("potential alone", "fire", "fire, no hops")
    }
    assert all(np.isfinite(row["evaluations_per_s"]) for row in data["throughput"])
    assert [row["case"] for row in data["first_results"]] == list(CASES)
    assert [row["n_atoms"] for row in data["roofline"][0]["rows"]] == [5]
    n_rows = sum(len(data[part]) for part in ("overhead", "first_results", "roofline", "throughput", "missing"))
    assert len(lines) == n_rows


def test_requests_cost_more_than_what_they_compute(measured):
    for row in measured[0]["overhead"]:
        assert row["median_ms"]["without_calculate"] >= row["median_ms"]["without_requests"]


def test_page(measured):
    data, _ = measured
    page = speed_page({"command": "ase-learnedopt bench speed --out x", "missing": {}, **data})
    tables = re.findall(r"^\| (.+?) \|.*\n\| ---", page, re.MULTILINE)
    assert tables == ["ms per step", "ms per step", "s", "evaluations/s", data["roofline"][0]["device"]]
    for piece in (data["machine"]["processor"], data["versions"]["jax"], data["date"], "Gflop/s", *data["missing"]):
        assert piece in page


def test_files_come_whole_or_not_at_all(measured, tmp_path, monkeypatch):
    monkeypatch.setattr(suite, "measure_speed", lambda sizes, say: measured[0])
    path = suite.speed(str(tmp_path / "new" / "speed"), short=True)
    assert path.read_text(encoding="utf-8").startswith("# Speed")
    data = json.loads((path.parent / "speed.json").read_text(encoding="utf-8"))
    assert data["command"] == "ase-learnedopt bench speed --out speed --short"
    assert sorted(file.name for file in path.parent.iterdir()) == ["speed.json", "speed.md"]

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(suite, "speed_page", interrupted)
    with pytest.raises(KeyboardInterrupt):
        suite.speed(tmp_path / "stopped")
    assert not (tmp_path / "stopped").exists()
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="is a file and has to be a folder"):
        suite.speed(tmp_path / "file")


def test_roofline_arithmetic():
    assert speed_roofline.flops_per_evaluation(10) == 2800
    assert speed_roofline.bytes_per_evaluation(10) == 244
    assert speed_roofline.attainable_rate(100.0, 10.0, peak=1000.0, bandwidth=50.0) == 5.0
    assert speed_roofline.attainable_rate(100.0, 10.0, peak=1000.0, bandwidth=500.0) == 10.0


def test_xla_counts_no_less_than_the_formula(measured):
    row = measured[0]["roofline"][0]["rows"][0]
    if row["xla_flops"] is not None:
        assert row["flops"] <= row["xla_flops"] < 4 * row["flops"]


def test_fresh_process():
    assert in_fresh_process("import os\nprint('x')\nprint([1, 2])") == [1, 2]
    code = "import os; print('\"%s\"' % os.environ.get('JAX_COMPILATION_CACHE_DIR'))"
    assert [in_fresh_process(code), in_fresh_process(code, "there")] == ["None", "there"]
    with pytest.raises(RuntimeError, match=r"ended with 1.*no luck"):
        in_fresh_process("raise SystemExit('no luck')")


def test_processor_name(tmp_path):
    info = tmp_path / "cpuinfo"
    info.write_text("processor\t: 0\nmodel name\t: Fast One @ 3 GHz\n")
    assert processor_name(info) == "Fast One @ 3 GHz"
    assert processor_name(tmp_path / "none")


def test_missing_rivals_say_what_they_need(monkeypatch):
    monkeypatch.setattr(speed_rivals, "find_spec", lambda module: None)
    assert speed_rivals.why_missing("jax-md FIRE") == "needs `pip install jax-md`"
    monkeypatch.setattr(sys, "version_info", (3, 11, 0))
    assert "Python 3.12" in speed_rivals.why_missing("torch-sim FIRE")


@pytest.mark.skipif(speed_rivals.why_missing("jax-md FIRE") is not None, reason="jax-md is not installed")
def test_jax_md_computes_the_same_clusters():
    potential, systems, _ = speed_throughput.relaxed_clusters(13, 3, jax.devices("cpu")[0])
    state, advance, count = speed_rivals.jax_md_fire(systems.positions, 40)
    np.testing.assert_allclose(state[0].force, jax.vmap(potential)(systems.positions, systems)[1], atol=1e-3)
    relaxed = advance(state)
    assert count(relaxed) == 3 * 40
    before, after = (jax.vmap(potential)(x, systems)[0] for x in (systems.positions, relaxed[0].position))
    assert (after <= before + 1e-3).all()
