"""The report of a small, made-up benchmark: its tables, its plots, its pages."""

import re
import xml.etree.ElementTree as ET
from types import SimpleNamespace

import numpy as np
import pytest
from fake_runs import fake_facts, fake_record, write_runs

from ase_learnedopt import markup
from ase_learnedopt.bench import formats, records, report, results, tables
from ase_learnedopt.bench.provenance import commands, dates
from ase_learnedopt.bench.results import facts_of as real_facts
from ase_learnedopt.bench.statistics import Cost, Ratio
from ase_learnedopt.plot_style import DARK, OURS, RIVALS, looks, spread

LEARNED = "learned_hop_v1"


@pytest.fixture(autouse=True)
def facts(monkeypatch):
    monkeypatch.setattr(results, "facts_of", fake_facts)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two problems, a method that is not run on one of them, seeds that are missing, one that crashed."""
    path = tmp_path_factory.mktemp("bench") / "runs"
    write_runs(path, "lj38", "learned_hop", 800.0, n_seeds=12, weights=LEARNED)
    write_runs(path, "lj38", "basin_hopping", 9000.0, n_seeds=12)
    write_runs(path, "lj38", "random_restart_fire", 1e9, n_seeds=12)
    write_runs(path, "lj38", "ase_ga", 4000.0, n_seeds=7)
    write_runs(path, "lj13", "learned_hop", 70.0, n_seeds=12, weights=LEARNED, n_atoms=13)
    write_runs(path, "lj13", "basin_hopping", 300.0, n_seeds=12, n_atoms=13)
    failed = {"evaluations": 5, "hit": False, "hit_at": None, "best_energy": None, "trace": []}
    error = "Traceback:\n  File x\nValueError: a | <b>"
    records.append(path / "lj38__ase_ga.jsonl", fake_record(10_007, 1e9, method="ase_ga", error=error, **failed))
    return path


@pytest.fixture(scope="module")
def found(folder):
    return results.collect(folder, fake_facts)


def row_of(table, name):
    return next([entry.text for entry in row[1:]] for row in table.rows if row[0].text == name)


def best_of(table, column):
    where = table.header.index(column)
    return [row[0].text for row in table.rows if row[where].is_best]


def test_order(found):
    assert found.problems == ("lj13", "lj38")
    assert found.methods[0] == "learned_hop"
    assert [cell.method for cell in found.of_problem("lj38")][0::3] == ["learned_hop", "random_restart_fire"]


def test_overview(found):
    table = tables.overview_table(found)
    assert table.header == ("method", "lj13", "lj38")
    assert best_of(table, "lj38") == best_of(table, "lj13") == ["learned_hop"]
    assert row_of(table, "random_restart_fire") == ["", "> 120,000"]
    assert row_of(table, "ase_ga")[1].endswith(" †")


def test_success(found):
    table = tables.success_table(found, "lj38")
    marks = ("at 100", "at 300", "at 1k", "at 3k", "at 10k")
    assert table.header == ("method", "seeds", "budget", *marks, "mean FE per success")
    assert row_of(table, "ase_ga")[0] == "8 of 12, 1 failed"
    assert row_of(table, "random_restart_fire")[2:] == ["0 % (0 to 24)"] * 5 + ["> 120,000"]
    assert best_of(table, "mean FE per success") == ["learned_hop"]
    assert "within 0.001 ε of the lowest known, -100.000000" in table.notes[0]


def test_energies(found):
    table = tables.energy_table(found, "lj38")
    assert best_of(table, "at 1k") == ["learned_hop"]
    assert all(re.fullmatch(r"[\d.]+ \([\d.]+ to [\d.]+\)", text) for text in row_of(table, "basin_hopping"))


def test_speed(found):
    table = tables.speed_table(found)
    assert [(row[0].text, row[3].text) for row in table.rows] == [("lj13", "basin_hopping"), ("lj38", "ase_ga")]
    assert all(row[-1].is_best for row in table.rows)


def test_failures(found):
    assert [entry.text for entry in tables.failure_table(found).rows[0]] == [
        *("lj38", "ase_ga", "10007", "5", "ValueError: a | <b>")
    ]


def test_every_table_says_what_made_it(found):
    made = [table(found, problem) for table in tables.TABLES.values() for problem in found.problems]
    for table in [*made, tables.overview_table(found), tables.speed_table(found), tables.failure_table(found)]:
        text = "\n".join(table.notes)
        for piece in ("bench report runs", "bench run --problem", "--first-seed 10000", "2026-08-01", "jax 0.10.1"):
            assert piece in text
        assert LEARNED in text or table.rows[0][1].text == "ase_ga"


def test_commands(found):
    options = "--first-seed 10000 --seeds {} --evaluations 10000 --out runs"
    run = "ase-learnedopt bench run --problem {} --method {} "
    assert commands(found, list(found.cells.values())) == [
        run.format("lj13,lj38", "METHOD") + options.format(12),
        run.format("lj38", "ase_ga") + options.format(8),
    ]


def test_dates():
    assert dates([None]) == "on an unknown date"
    assert dates(["2026-08-02", "2026-08-01", None]) == "from 2026-08-01 to 2026-08-02"


def test_weights_stand_beside_each_other(tmp_path):
    for name in ("a@1", "a@2", "b@3"):
        records.append(tmp_path / f"{name}.jsonl", fake_record(0, 100.0, method="learned_hop", weights=name))
    labels = results.collect(tmp_path, fake_facts).methods
    assert sorted(labels) == ["learned_hop (a@1)", "learned_hop (a@2)", "learned_hop (b)"]


@pytest.mark.parametrize(
    ("value", "text"), [(0.0, "0"), (1234567.0, "1,230,000"), (96.54, "96.5"), (3.14159, "3.14"), (np.inf, "∞")]
)
def test_significant(value, text):
    assert formats.significant(value) == text


def test_bounds_in_words():
    assert formats.format_cost(Cost(np.inf, 3e6, np.inf, 3e6)) == "> 3,000,000"
    assert formats.format_cost(Cost(1234.0, 900.0, np.inf, 1234.0)) == "1,230 (900 to ∞)"
    assert formats.format_ratio(Ratio(np.inf, 12.0, np.inf)) == "> 12"
    assert formats.format_ratio(Ratio(0.0, 0.0, 0.25)) == "< 0.25"
    assert formats.format_ratio(None) == formats.format_ratio(Ratio(np.inf, 0.0, np.inf)) == "unknown"


def test_best_marks():
    column = [("a", 1.0), ("b", 1.0), ("c", 2.0), ("d", None), ("e", np.inf)]
    low, high = markup.mark_best([column, column], lowest=[True, False])
    assert [entry.is_best for entry in low] == [True, True, False, False, False]
    assert [entry.is_best for entry in high] == [False, False, True, False, False]
    assert not any(entry.is_best for entry in markup.mark_best([[("a", 1.0), ("b", 1.0)]], lowest=[True])[0])


@pytest.fixture(scope="module")
def written(folder):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(results, "facts_of", fake_facts)
        return report.report(str(folder))


def test_report(folder, written):
    assert not list(folder.rglob("*.tmp"))
    assert {path.name for path in written} == {
        *(f"{problem}_{kind}.svg" for problem in ("lj13", "lj38") for kind in ("success", "energy")),
        *("performance_profile.svg", "data_profile.svg", "report.md", "report.html"),
    }
    for path in written:
        if path.suffix == ".svg":
            ET.fromstring(path.read_text(encoding="utf-8"))

    page = (folder / "report.html").read_text(encoding="utf-8")
    assert page.count("<svg") == 6
    assert not re.search(r'(src|href)="(?!#)|url\((?!#)|@import', page.replace('xmlns:xlink="http', ""))
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)', page)) <= {
        pair for i in ids for pair in ((i, ""), ("", i))
    }
    assert "ValueError: a | &lt;b&gt;" in page
    assert "prefers-color-scheme: dark" in page

    text = (folder / "report.md").read_text(encoding="utf-8")
    assert "ValueError: a \\| \\<b>" in text
    assert all((folder / link).exists() for link in re.findall(r"!\[.*?\]\((.*?)\)", text))


@pytest.mark.parametrize("page", ["benchmarks", "unseen"])
def test_docs_have_the_same_plots(folder, written, tmp_path, page):
    plots = [path for path in report.write_docs(folder, tmp_path, page) if path.suffix == ".svg"]
    text = (tmp_path / f"{page}.md").read_text(encoding="utf-8")
    assert text == report.docs_page(folder, page)
    links = re.findall(r"!\[.*?\]\((.*?)\)", text)
    assert {tmp_path / link for link in links} == set(plots)
    assert all(path.read_bytes() == (folder / "plots" / path.name).read_bytes() for path in plots)


def test_problem_without_reference(tmp_path, monkeypatch):
    monkeypatch.setattr(results, "facts_of", lambda *_: results.Facts(None, None, "unknown", None))
    write_runs(tmp_path, "xtb-Si10", "basin_hopping", 1e9, n_seeds=3)
    names = {path.name for path in report.report(tmp_path)}
    assert names == {"xtb-Si10_energy.svg", "report.md", "report.html"}
    assert "above the lowest energy of all runs here" in (tmp_path / "report.md").read_text(encoding="utf-8")


def test_short_runs_are_looked_at_early(tmp_path):
    write_runs(tmp_path, "lj38", "basin_hopping", 50.0, n_seeds=3, budget=600)
    table = tables.energy_table(results.collect(tmp_path, fake_facts), "lj38")
    assert table.header == ("method", "at 30", "at 100", "at 300")


def test_within_tolerance_is_zero(tmp_path):
    write_runs(tmp_path, "lj38", "basin_hopping", 50.0, n_seeds=3)
    table = tables.energy_table(results.collect(tmp_path, fake_facts), "lj38")
    assert row_of(table, "basin_hopping") == ["0 (0 to 0)"] * 5


def test_one_seed_that_crashed(tmp_path):
    nothing = {"evaluations": 0, "hit": False, "hit_at": None, "best_energy": None, "trace": [], "error": "Boom"}
    records.append(tmp_path / "a.jsonl", fake_record(0, 1e9, **nothing))
    text = next(path for path in report.report(tmp_path) if path.name == "report.md").read_text(encoding="utf-8")
    assert "| 1, 1 failed | 10k | 0 % (0 to 79) |" in text


def test_facts_of_problems(monkeypatch):
    def get_problem(name):
        if name != "lj13":
            raise ValueError(f"there is no problem {name!r}")
        return SimpleNamespace(reference=-44.3, tolerance=1e-3, source="a paper", start=lambda seed: range(13))

    monkeypatch.setattr("ase_learnedopt.bench.problems.get_problem", get_problem)
    without = {name: value for name, value in fake_record(3, 100.0).items() if name != "n_atoms"}
    assert real_facts("lj13", [without]) == (-44.3, 1e-3, "a paper", 13)
    assert real_facts("gone", [fake_record(3, 100.0)]) == (None, None, "unknown here", 38)


def test_colors():
    look = looks([f"m{k}" for k in range(20)], ["m0", "m1"])
    assert len({(shown.color, str(shown.dashes)) for shown in look.values()}) == 20
    assert set(OURS) | set(RIVALS) < set(DARK)


@pytest.mark.parametrize(
    ("heights", "expected"),
    [
        ([0.5], [0.5]),
        ([0.2, 0.8], [0.2, 0.8]),
        ([0.5, 0.5, 0.5], [0.4, 0.5, 0.6]),
        ([0.0, 0.0, 0.9], [0.0, 0.1, 0.9]),
        ([1.0, 1.0], [0.9, 1.0]),
        ([0.5] * 21, np.linspace(0, 1, 21)),  # the gap shrinks
    ],
)
def test_labels_keep_apart(heights, expected):
    np.testing.assert_allclose(spread(heights, 0.1, 0.0, 1.0), expected, atol=1e-12)


def test_a_plot_shows_ours_and_the_better_of_default_and_tuned():
    ranked = ["a_tuned", "b", "a", "ours", "c_tuned", "b_tuned", "d", "c"]
    assert results.leading(ranked, ["ours"], 10) == ["a_tuned", "b", "ours", "c_tuned", "d"]
    assert results.leading(ranked, ["ours"], 3) == ["a_tuned", "b", "ours"]
    assert results.leading(ranked, ["ours"], 1) == ["ours"]


def test_headline_stands_between_its_lines(folder, tmp_path):
    page = tmp_path / "README.md"
    page.write_text("\n".join(["before", *report.MARKERS, "after"]))
    for _ in range(2):  # renewed, not added
        report.write_headline(folder, page)
        text = page.read_text()
        assert text.startswith("before\n<!-- begin") and text.endswith("-->\nafter")
        assert text.count("| lj38 | learned_hop |") == 1


def test_headline_needs_its_lines(folder, tmp_path):
    page = tmp_path / "README.md"
    page.write_text("nothing")
    with pytest.raises(ValueError, match="no lines <!-- begin generated"):
        report.write_headline(folder, page)
    assert page.read_text() == "nothing"


def test_methods_and_their_settings(tmp_path):
    records.append(tmp_path / "a.jsonl", fake_record(0, 100.0, method="plain"))
    tuned = {"scaled": {"stepsize": 0.4, "optimizer": "LBFGS"}}
    records.append(tmp_path / "b.jsonl", fake_record(0, 100.0, method="rival", settings=tuned))
    table = tables.methods_table(results.collect(tmp_path, fake_facts))
    assert row_of(table, "plain") == [""]
    assert row_of(table, "rival") == ["stepsize 0.4, optimizer LBFGS"]
