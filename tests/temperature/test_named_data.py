"""Data by name and from files: what is read, and what is said of files that cannot be."""

import numpy as np
import pytest

from ase_learnedopt.temperature.named_data import DATA, FOLDER, load_data


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Makes small files in the formats of the data sets that no package installs."""
    monkeypatch.setenv(FOLDER, str(tmp_path))
    (tmp_path / "fashion-mnist").mkdir()
    for part in ("train", "t10k"):
        images = b"\0\0\x08\x03" + b"".join(n.to_bytes(4, "big") for n in (20, 4, 4)) + bytes(range(160)) * 2
        (tmp_path / "fashion-mnist" / f"{part}-images-idx3-ubyte").write_bytes(images)
        labels = b"\0\0\x08\x01" + (20).to_bytes(4, "big") + bytes(range(10)) * 2
        (tmp_path / "fashion-mnist" / f"{part}-labels-idx1-ubyte").write_bytes(labels)
    lines = [f"{k}\t{2.5 if k % 2 else -2.5}\ta {'fine' if k % 2 else 'dull'} film\n" for k in range(20)]
    (tmp_path / "movieReviewSnippets_GroundTruth.txt").write_text("".join(lines))
    np.savez(tmp_path / "environments.npz", X=np.eye(4, dtype=np.float32), y=np.array(["fcc", "hcp"] * 2))
    return tmp_path


@pytest.mark.parametrize("name", DATA)
@pytest.mark.usefixtures("folder")
def test_every_name_loads(name):
    X, y = load_data(name)
    assert X.dtype == (np.int32 if name == "snippets" else np.float32) and np.isfinite(X).all()
    assert len(X) == len(y) and len(np.unique(y)) > 1


def test_images_are_drawn_with_their_labels(folder):
    X, y = load_data("fashion_mnist")
    assert X.shape == (20, 4, 4, 1)
    assert sorted(zip(X[:, 0, 0, 0].tolist(), y.tolist(), strict=True)) == sorted(
        (float(16 * k % 160), k % 10) for k in range(20)
    )


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("snippets", "movieReviewSnippets_GroundTruth.txt"),
        ("environments", r"environments.npz: python benchmarks/motifs.py --examples .* makes it"),
    ],
)
def test_where_a_file_is_missing(name, message, tmp_path, monkeypatch):
    monkeypatch.setenv(FOLDER, str(tmp_path))
    with pytest.raises(ValueError, match=message):
        load_data(name)


def test_files(tmp_path):
    np.savez(tmp_path / "a.npz", X=np.arange(6.0).reshape(3, 2), y=np.array(["a", "b", "a"]))
    X, y = load_data(tmp_path / "a.npz")
    assert X.shape == (3, 2) and y.tolist() == ["a", "b", "a"]
    (tmp_path / "b.csv").write_text("kind, height,width\nfcc,1.5,2\n\nbcc,-3,4e1\n")
    X, y = load_data(tmp_path / "b.csv", "kind")
    assert X.tolist() == [[1.5, 2.0], [-3.0, 40.0]] and y.tolist() == ["fcc", "bcc"]


@pytest.mark.parametrize(
    ("name", "text", "target", "message"),
    [
        ("iriss", None, None, r"data is 'iriss'; give one of digits, .*\.npz or \.csv"),
        ("a.csv", None, None, "there is no file a.csv"),
        ("a.npz", "no archive", None, "is no .npz file|cannot be read|pickled"),
        ("a.csv", "", None, "needs a header line"),
        ("a.csv", "x,y\n", None, "lines of numbers below"),
        ("a.csv", "x,y\n1,a\n", "z", "no column 'z'; it has x, y"),
        ("a.csv", "x,y\n1,a\n2\n", None, "line 3 has 1 fields; the header has 2"),
        ("a.csv", "x,y\none,a\n", None, "line 2: .*'one'; all columns but 'y' must be numbers"),
        ("a.csv", "x,y\nnan,a\n", None, "must hold finite numbers"),
    ],
)
def test_refusals(tmp_path, monkeypatch, name, text, target, message):
    monkeypatch.chdir(tmp_path)
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=message):
        load_data(name, target)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"X": np.zeros((2, 1))}, r"has the arrays \['X'\]; it needs X and y"),
        ({"X": np.zeros((2, 1)), "y": np.zeros(3)}, r"X \(2, 1\) and y \(3,\)"),
        ({"X": np.array([["a"]]), "y": np.zeros(1)}, "must hold finite numbers only; it is <U1"),
    ],
)
def test_arrays_that_do_not_fit(tmp_path, arrays, message):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(ValueError, match=message):
        load_data(tmp_path / "a.npz")
