"""Data for a classifier by name or from a file. Layer 2."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Data = tuple[np.ndarray, np.ndarray]
FOLDER = "ASE_LEARNEDOPT_DATA"
"""Environment variable: where the files of data sets are that no package installs; "data" where it is not set."""


def load_data(name: str | Path, target: str | None = None) -> Data:
    """Returns examples X `[n, ...]` and their classes y `[n]`.

    Args:
      name: of the table `DATA`, or a file: `.npz` with arrays `X` and `y`, or `.csv` of numbers with a header line.
      target: column of a `.csv` that holds the classes; None: the last.

    Raises:
      ValueError: an unknown name, a missing package, or a file that is not as it should be.
    """
    if str(name) in DATA:
        return DATA[str(name)]()
    path = Path(name)
    readers = {".npz": _npz, ".csv": lambda path: _csv(path, target)}
    if path.suffix not in readers:
        raise ValueError(f"data is {str(name)!r}; give one of {', '.join(DATA)}, or a file .npz or .csv")
    if not path.is_file():
        raise ValueError(f"there is no file {path}")
    X, y = readers[path.suffix](path)
    if y.ndim != 1 or len(X) != len(y) or not len(y):
        raise ValueError(f"{path} has X {X.shape} and y {y.shape}; they must be [n, ...] and [n], n above zero")
    if X.dtype.kind not in "fiub" or not np.isfinite(X).all():
        raise ValueError(f"{path}: X must hold finite numbers only; it is {X.dtype}")
    return X, y


def blobs(n_examples: int = 1_500, n_classes: int = 8, n_features: int = 20, seed: int = 0) -> Data:
    """Makes overlapping classes, each a pair of Gaussian clouds, so that no linear model tells them apart."""
    random = np.random.RandomState(seed)
    centres = 1.1 * random.normal(size=(n_classes, 2, n_features))
    y = random.randint(n_classes, size=n_examples)
    X = centres[y, random.randint(2, size=n_examples)] + 1.4 * random.normal(size=(n_examples, n_features))
    return X.astype(np.float32), y


def _sklearn(loader: str) -> Callable[[], Data]:
    def load() -> Data:
        try:
            from sklearn import datasets
        except ImportError as error:
            raise ValueError("this data is scikit-learn's: pip install 'ase-learnedopt[temperature]'") from error
        found: Any = getattr(datasets, loader)()
        return np.asarray(found.get("images", found.data), np.float32), np.asarray(found.target)

    return load


def _fashion_mnist(n_images: int = 4_000) -> Data:
    """Reads as many images of the training part, drawn at random; from Debian's package unless the folder has them."""
    from .data import fashion_mnist

    own = _folder() / "fashion-mnist"
    images, labels = (fashion_mnist(own) if own.is_dir() else fashion_mnist()).train
    chosen = np.random.RandomState(0).permutation(len(labels))[:n_images]
    return images[chosen].astype(np.float32), labels[chosen]


def _snippets() -> Data:
    """Reads the film-review snippets of Hutto & Gilbert, see `rated_snippets`, as numbers of 5,000 words."""
    from .data import rated_snippets

    found = rated_snippets(_folder() / "movieReviewSnippets_GroundTruth.txt", n_words=5_000, length=24)
    return found.train.x, found.train.y


def _environments() -> Data:
    """Reads features of atoms and their labels, which `python benchmarks/motifs.py --examples FILE` makes."""
    path = _folder() / "environments.npz"
    if not path.is_file():
        raise ValueError(f"there is no file {path}: python benchmarks/motifs.py --examples {path} makes it")
    return _npz(path)


def _folder() -> Path:
    return Path(os.environ.get(FOLDER, "data"))


DATA: dict[str, Callable[[], Data]] = {
    "digits": _sklearn("load_digits"),
    "wine": _sklearn("load_wine"),
    "breast_cancer": _sklearn("load_breast_cancer"),
    "iris": _sklearn("load_iris"),
    "blobs": blobs,
    "fashion_mnist": _fashion_mnist,
    "snippets": _snippets,
    "environments": _environments,
}
"""By name: those of scikit-learn, blobs that are made, and those whose files are looked for in the folder `FOLDER`."""


def _npz(path: Path) -> Data:
    try:
        with np.load(path, allow_pickle=False) as found:
            missing = [name for name in ("X", "y") if name not in found]
            if missing:
                raise ValueError(f"{path} has the arrays {found.files}; it needs X and y")
            return found["X"], found["y"]
    except (OSError, EOFError, AttributeError) as error:
        raise ValueError(f"{path} is no .npz file: {error}") from error


def _csv(path: Path, target: str | None) -> Data:
    lines = [line.split(",") for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    header = [name.strip() for name in lines[0]] if lines else []
    if len(header) < 2 or len(lines) < 2:
        raise ValueError(f"{path} needs a header line of two columns or more, and lines of numbers below")
    column = target or header[-1]
    if column not in header:
        raise ValueError(f"{path} has no column {column!r}; it has {', '.join(header)}")
    place = header.index(column)
    for k, fields in enumerate(lines[1:], 2):
        if len(fields) != len(header):
            raise ValueError(f"{path} line {k} has {len(fields)} fields; the header has {len(header)}")
    y = np.array([fields.pop(place).strip() for fields in lines[1:]])
    rows = []
    for k, fields in enumerate(lines[1:], 2):
        try:
            rows.append([float(field) for field in fields])
        except ValueError as error:
            raise ValueError(f"{path} line {k}: {error}; all columns but {column!r} must be numbers") from error
    return np.array(rows, np.float32), y
