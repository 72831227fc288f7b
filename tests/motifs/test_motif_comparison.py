"""The comparison with OVITO's methods: tables and plot of records, and a short run where OVITO is there."""

import pytest

from ase_learnedopt.motifs import compare_motifs
from ase_learnedopt.motifs.comparison_report import drawn, report, score


def record(seed, noise, ours, theirs, kind="noise"):
    right = {"CNA": {"fcc": [theirs, 10], "other": [10, 10]}, "ours": {"fcc": [ours, 10], "other": [10, 10]}}
    return {"kind": kind, "noise": noise, "seed": seed, "right": right}


RECORDS = [record(1, 0.0, 10, 10), record(2, 0.0, 8, 10), record(1, 0.1, 9, 0), record(2, 0.1, 9, 2)]


def test_score_is_a_mean_over_words():
    assert score(RECORDS[2], "CNA") == 0.5
    assert score(RECORDS[2], "ours") == pytest.approx(0.95)


def test_report():
    text = report([*RECORDS, record(1, 0.05, 5, 5, "Cu fcc 300 K")])
    assert "| 0.1 | 0.950 +- 0.000 | 0.550 +- 0.071 |" in text
    assert "| 0 | ours | 0.900 | 1.000 |" in text
    assert "| Cu fcc 300 K (noise 0.050) | 0.750 | 0.750 |" in text


def test_plot():
    pytest.importorskip("matplotlib")
    assert "<svg" in drawn(RECORDS)


def test_no_seeds(tmp_path):
    with pytest.raises(ValueError, match="at least one"):
        compare_motifs(tmp_path, ())


@pytest.mark.slow
def test_short_comparison(tmp_path):
    pytest.importorskip("ovito")
    pytest.importorskip("matplotlib")
    path = compare_motifs(tmp_path, (9,), noise=(0.0, 0.05), n_structures=1, dynamics=0)
    assert "PTM rmsd 0.1" in path.read_text()
    assert (tmp_path / "accuracy.svg").is_file()
