"""MNIST and Fashion-MNIST in IDX files, compressed or not. Layer 2."""

import gzip
import math
import zlib
from pathlib import Path

import numpy as np

from .dataset import Dataset, Split
from .files import content_of

TYPES = {8: ">u1", 9: ">i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}
"""Types of numbers by the third byte of a file."""
HOLDS = "an IDX file: two bytes of zero, a type, a number of axes, their lengths of four bytes, and the numbers"
CLOTHES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip


def mnist(path: str | Path, names: tuple[str, ...] = tuple("0123456789")) -> Dataset:
    """Reads MNIST or anything like it: `train-` and `t10k-`, `images-idx3-ubyte` and `labels-idx1-ubyte`, also `.gz`.

    Images are `[n, height, width, 1]` uint8; labels from 0. MNIST has 60,000 to train on and 10,000 to test on, of
    28 x 28. The format is that of http://yann.lecun.com/exdb/mnist.

    Args:
      path: the folder.
      names: of the classes.

    Raises:
      ValueError: a file is missing or is not of that format.
    """
    train, test = (_part(Path(path), prefix, len(names)) for prefix in ("train", "t10k"))
    return Dataset(train, test, names)


def fashion_mnist(path: str | Path = "/usr/share/datasets/fashion-mnist") -> Dataset:
    """Reads Fashion-MNIST (Xiao, Rasul & Vollgraf, arXiv:1708.07747), in the files and shapes of `mnist`.

    Args:
      path: the folder; by default where Debian's package `dataset-fashion-mnist` puts it.

    Raises:
      ValueError: a file is missing or is not of that format.
    """
    return mnist(path, CLOTHES)


def read_idx(file: str | Path) -> np.ndarray:
    """Reads the array of an IDX file, also a compressed one.

    Raises:
      ValueError: the file is missing or is not of that format.
    """
    file = Path(file)
    data = content_of(file, HOLDS)
    if data[:2] == b"\x1f\x8b":
        try:
            data = gzip.decompress(data)
        except (OSError, EOFError, zlib.error) as error:
            raise ValueError(f"{file} cannot be decompressed ({error}); expected is {HOLDS}") from error
    if len(data) < 4 or data[:2] != b"\0\0" or data[2] not in TYPES:
        raise ValueError(f"{file} begins with {data[:4]!r}; expected is {HOLDS}")
    dtype, start = np.dtype(TYPES[data[2]]), 4 + 4 * data[3]
    shape = tuple(int.from_bytes(data[i : i + 4], "big") for i in range(4, start, 4))
    if len(data) != start + math.prod(shape) * dtype.itemsize:
        raise ValueError(f"{file} has {len(data)} bytes, which are not those of an array {shape}; expected is {HOLDS}")
    return np.frombuffer(data, dtype, offset=start).reshape(shape).astype(dtype.newbyteorder("="))


def _part(folder: Path, prefix: str, n_classes: int) -> Split:
    images, labels = (_either(folder / f"{prefix}-{name}") for name in ("images-idx3-ubyte", "labels-idx1-ubyte"))
    if images.ndim != 3 or labels.shape != images.shape[:1]:
        raise ValueError(f"{folder} has {prefix} images {images.shape} and labels {labels.shape}; they do not fit")
    if labels.size and labels.max() >= n_classes:
        raise ValueError(f"{folder} has the {prefix} label {labels.max()}; with {n_classes} classes labels are below")
    return Split(images[..., None], labels.astype(np.int32))


def _either(file: Path) -> np.ndarray:
    packed = file.with_name(f"{file.name}.gz")
    return read_idx(packed if packed.is_file() and not file.is_file() else file)
