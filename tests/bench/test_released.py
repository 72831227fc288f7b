"""Records of weights that are shipped, of earlier files of that name and of one's own, side by side."""

import pytest
from fake_runs import fake_facts, fake_record, write_runs

from ase_learnedopt.bench import records, report, results
from ase_learnedopt.bench.methods import load
from ase_learnedopt.weights_io import read_card

SHIPPED = f"learned_hop@{read_card('learned_hop_v1')['sha256'][:12]}"
EARLIER = "learned_hop@b89c5965ba82"


@pytest.fixture(autouse=True)
def facts(monkeypatch):
    monkeypatch.setattr(results, "facts_of", fake_facts)


def write(folder, labels):
    for seed, label in enumerate(labels):
        records.append(folder / f"{seed}.jsonl", fake_record(seed, 100.0, method="learned_hop", weights=label))


def test_old_and_new_labels_of_a_file_are_one_row(tmp_path):
    write(tmp_path, [SHIPPED, "learned_hop_v1"])
    (cell,) = results.collect(tmp_path).cells.values()
    assert (cell.method, {record["weights"] for record in cell.records}) == ("learned_hop", {"learned_hop_v1"})
    assert len(cell.records) == 2


def test_the_same_seed_under_both_labels_is_refused(tmp_path):
    for name in (SHIPPED, "learned_hop_v1"):
        records.append(tmp_path / f"{name}.jsonl", fake_record(0, 100.0, method="learned_hop", weights=name))
    with pytest.raises(ValueError, match="both hold seed 0"):
        results.collect(tmp_path)


def test_runs_of_an_earlier_file_are_left_out(tmp_path):
    write(tmp_path, [EARLIER, "learned_hop_v1", "weights/mine@b89c5965ba82", "none"])
    with pytest.warns(UserWarning, match=f"left out: runs of {EARLIER}, files that are not shipped"):
        found = results.collect(tmp_path)
    assert set(found.methods) == {f"learned_hop ({name})" for name in ("learned_hop_v1", "weights/mine", "none")}


def test_nothing_but_an_earlier_file(tmp_path):
    write(tmp_path, [EARLIER])
    with pytest.warns(UserWarning, match="left out"), pytest.raises(ValueError, match="all records are of"):
        results.collect(tmp_path)


@pytest.mark.parametrize("label", [EARLIER, "weights/mine@b89c5965ba82"])
def test_pages_refuse_what_is_not_shipped(tmp_path, label):
    folder, page = tmp_path / "runs", tmp_path / "README.md"
    write_runs(folder, "lj38", "learned_hop", 800.0, n_seeds=3, weights=label)
    write_runs(folder, "lj38", "basin_hopping", 900.0, n_seeds=3)
    page.write_text("\n".join(report.MARKERS))
    with pytest.raises(ValueError, match=f"runs of {label}, of which no file is shipped"):
        report.write_headline(folder, page)
    with pytest.raises(ValueError, match="no file is shipped"):
        report.write_docs(folder, tmp_path / "docs")
    assert not (tmp_path / "docs").exists()


def test_the_label_of_a_run_is_the_versioned_name():
    assert load("learned_hop", "learned_hop")[2] == load("learned_hop")[2] == "learned_hop_v1"
    assert load("learned_hop", "none")[2] == "none"
