"""Records against the reference of today: what holds, what is run again, what is adopted; and pages that say so."""

from pathlib import Path

import numpy as np
import pytest
from ase.io import read
from fake_runs import ENERGY, TOLERANCE, fake_facts, fake_record
from test_referee import at

from ase_learnedopt.bench import adopt as adopting
from ase_learnedopt.bench import records, report, results
from ase_learnedopt.bench.minima import stored_minimum
from ase_learnedopt.bench.problems import get_problem
from ase_learnedopt.bench.runner import Job, results_file, run_benchmark
from ase_learnedopt.bench.settled import ADOPT, RERUN, doubt_of, judged

ROOT = Path(__file__).parent.parent.parent
LOWER = {"energy": ENERGY - 1.0, "positions": at(2.0).tolist(), "fmax": 1e-3}
MISS = {"hit": False, "hit_at": None, "evaluations": 10_000}


@pytest.mark.parametrize(
    ("change", "settled_by"),
    [
        ({"reference": ENERGY}, None),
        ({}, None),  # of an earlier version, at today's reference
        ({"reference": ENERGY + 0.5 * TOLERANCE}, None),
        ({"reference": ENERGY + 1.0, "best_energy": ENERGY + 1.0}, RERUN),
        ({"best_energy": ENERGY + 1.0}, RERUN),
        ({"best_energy": ENERGY - 1.0}, RERUN),
        ({**MISS, "best_energy": ENERGY - 1.0}, RERUN),
        ({**MISS, "best_energy": ENERGY + 1.0}, None),
        ({**MISS, "best_energy": ENERGY, "reference": None}, RERUN),
        ({**MISS, "best_energy": None}, None),
        ({"best_energy": ENERGY + TOLERANCE + 1e-7 * abs(ENERGY)}, None),  # a batch, in float32
        ({**MISS, "lower": LOWER, "best_energy": ENERGY - 1.0}, ADOPT),
        ({**MISS, "lower": {**LOWER, "energy": ENERGY}, "best_energy": ENERGY}, RERUN),
        ({**MISS, "best_energy": ENERGY - 1.0, "error": "Boom"}, None),
    ],
)
def test_doubts(change, settled_by):
    record = {**fake_record(0, 50.0), "best_energy": ENERGY, **change}
    doubt = doubt_of(record, ENERGY, TOLERANCE)
    assert (doubt and doubt.settled_by) == settled_by
    found = judged(record, ENERGY, TOLERANCE)
    assert found["hit"] == (record["hit"] and settled_by is None)
    assert doubt_of(record, None, None) is None
    if doubt is not None:
        assert found["best_energy"] is None or found["best_energy"] >= ENERGY - TOLERANCE


@pytest.fixture
def unsettled(tmp_path, monkeypatch):
    monkeypatch.setattr(results, "facts_of", fake_facts)
    low = {"best_energy": ENERGY - 1.0, "trace": [[1, 5.0], [40, ENERGY - 1.0]]}
    for seed in (1, 2, 3):
        fields = {} if seed == 3 else {**low, "hit": False, "hit_at": None, **({"lower": LOWER} if seed == 1 else {})}
        records.append(tmp_path / "a.jsonl", fake_record(seed, 50.0, **fields))
    return tmp_path


def test_reports_say_what_is_unsettled_and_do_not_count_it(unsettled):
    found = results.collect(unsettled)
    (cell,) = found.cells.values()
    assert np.isfinite(cell.runs.hit_at).tolist() == [False, False, True]
    assert len(cell.unsettled) == 2
    text = report.docs_page(unsettled)
    assert "3, 2 unsettled" in text
    assert f"bench adopt 'lj38' {unsettled.name}` settles it" in text
    assert "(seeds 2)" in text and "bench run --problem lj38" in text
    assert "below the lowest known" not in text and " -1.0" not in text


def test_docs_are_not_written_of_it(unsettled, tmp_path):
    with pytest.raises(ValueError, match=r"lj38: Unsettled.* basin_hopping .*\(seeds 1\).*bench adopt"):
        report.write_docs(unsettled, tmp_path / "docs")
    assert not (tmp_path / "docs").exists()


PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_page_shows_what_is_below_its_reference(page):
    assert "below the lowest known" not in page.read_text(encoding="utf-8")


def test_seeds_of_an_older_reference_are_run_again(tmp_path):
    job, known = Job("lj7", "basin_hopping", 60), get_problem("lj7").reference
    list(run_benchmark(job, [0, 1], tmp_path))
    path = results_file(tmp_path, job)
    first = records.read(path)[0]
    assert first["reference"] == known and len(first["best_positions"]) == 7
    old = {"reference": known + 1.0, "hit": True, "hit_at": 1, "best_energy": known + 1.0, "trace": []}
    records.append(path, {**first, **old})
    with pytest.warns(UserWarning, match="seeds 0 do not hold"):
        again = list(run_benchmark(job, [0, 1], tmp_path))
    assert [record["seed"] for record in again] == [0]
    assert list(run_benchmark(job, [0, 1], tmp_path)) == []


@pytest.fixture
def pretended(tmp_path, monkeypatch):
    """A stored minimum of Pt13 that is 1 eV too high, in a folder of its own, and runs that went lower."""
    true = stored_minimum("emt-Pt13")
    energy = true.get_potential_energy()

    def stored(name):
        made = true.copy()
        made.calc = type(true.calc)(made, energy=energy + 1.0)
        return made if name == "emt-Pt13" else None

    monkeypatch.setattr(adopting.minima, "__file__", str(tmp_path / "minima" / "__init__.py"))
    (tmp_path / "minima").mkdir()
    monkeypatch.setattr(adopting.minima, "stored_minimum", stored)
    monkeypatch.setattr("ase_learnedopt.bench.problems.stored_minimum", stored)
    get_problem.cache_clear()
    positions = np.round(true.positions + 1e-3, 5)
    common = {"problem": "emt-Pt13", "n_atoms": 13, "reference": energy + 1.0, "tolerance": 2e-3}
    lower = {"energy": energy + 1e-4, "positions": positions.tolist(), "fmax": 1e-3}
    ended = {"hit": False, "hit_at": None, "best_energy": energy + 0.1, "trace": [], "lower": lower}
    runs = tmp_path / "runs"
    records.append(runs / "a.jsonl", fake_record(0, 50.0, **common, **ended))
    hit = {"best_energy": energy + 1.0, "trace": []}
    records.append(runs / "a.jsonl", fake_record(1, 50.0, **common, **hit))
    yield runs, energy
    get_problem.cache_clear()


def test_adopt(pretended):
    runs, energy = pretended
    found = adopting.adopt("emt-Pt13", runs)
    assert found.energy == pytest.approx(energy, abs=1e-4)
    assert [record["seed"] for record in found.run_again] == [0, 1]
    assert [path.name for path in found.path.parent.iterdir()] == ["emt-Pt13.xyz"]
    (atoms,) = read(found.path, ":", format="extxyz")
    assert atoms.get_potential_energy() == found.energy
    assert set(atoms.info) >= {"found_by", "found", "command"}


def test_what_does_not_stand_the_check_is_not_adopted(pretended, tmp_path):
    runs, energy = pretended
    fused = np.zeros((13, 3)).tolist()
    (old, _) = records.read(runs / "a.jsonl")
    records.append(runs / "a.jsonl", {**old, "lower": {"energy": energy - 5.0, "positions": fused, "fmax": 0.0}})
    with pytest.raises(ValueError, match=r"seed 0 of basin_hopping .*no structure.*nothing is adopted"):
        adopting.adopt("emt-Pt13", runs)
    assert not list((tmp_path / "minima").iterdir())


@pytest.mark.parametrize("name", ["lj38", "sw-si64"])
def test_references_from_elsewhere_are_not_replaced(name, tmp_path):
    with pytest.raises(ValueError, match="is no structure that this project has found"):
        adopting.adopt(name, tmp_path)


def test_nothing_to_adopt(tmp_path):
    records.append(tmp_path / "a.jsonl", fake_record(0, 50.0, problem="emt-Pt13"))
    with pytest.raises(ValueError, match="nothing to adopt"):
        adopting.adopt("emt-Pt13", tmp_path)
