"""CIFAR-10 in its binary version. Layer 2.

The version for Python is one of pickles, which run what they like when they are read; it is not read here.
"""

from pathlib import Path

import numpy as np

from .dataset import Dataset, Split
from .files import content_of, folder_at

FOLDER = "cifar-10-batches-bin"
TRAIN = tuple(f"data_batch_{i}.bin" for i in range(1, 6))
NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
SHAPE = (3, 32, 32)
HOLDS = "a file of the binary version of CIFAR-10: records of 3073 bytes, a label and the planes red, green and blue"


def cifar10(path: str | Path) -> Dataset:
    """Reads CIFAR-10 from `data_batch_1.bin` to `data_batch_5.bin` and `test_batch.bin` of `cifar-10-batches-bin`.

    Images are `[n, 32, 32, 3]` uint8, 50,000 to train on and 10,000 to test on; labels 0 to 9. The format is that of
    https://www.cs.toronto.edu/~kriz/cifar.html ("binary version"; Krizhevsky 2009).

    Args:
      path: the folder, or the one that holds it.

    Raises:
      ValueError: a file is missing or is not of that format.
    """
    folder = folder_at(path, FOLDER, f"{TRAIN[0]} to {TRAIN[-1]} and test_batch.bin")
    parts = [_batch(folder / name) for name in TRAIN]
    train = Split(np.concatenate([part.x for part in parts]), np.concatenate([part.y for part in parts]))
    return Dataset(train, _batch(folder / "test_batch.bin"), NAMES)


def _batch(file: Path) -> Split:
    data, size = content_of(file, HOLDS), 1 + int(np.prod(SHAPE))
    if not data or len(data) % size:
        raise ValueError(f"{file} has {len(data)} bytes, no multiple of {size}; expected is {HOLDS}")
    records = np.frombuffer(data, np.uint8).reshape(-1, size)
    labels = records[:, 0].astype(np.int32)
    if labels.max() >= len(NAMES):
        raise ValueError(f"{file} has the label {labels.max()}, labels are 0 to 9; expected is {HOLDS}")
    images = records[:, 1:].reshape(-1, *SHAPE).transpose(0, 2, 3, 1)
    return Split(np.ascontiguousarray(images), labels)
