"""Loaders of data sets, from files in their published formats and from packages that ship them. Layer 2."""

from .cifar10 import cifar10
from .dataset import Dataset, Split, standardized
from .idx import fashion_mnist, mnist, read_idx
from .imagenet import imagenet
from .imdb import imdb
from .packaged import from_sklearn, mnist_5k
from .snippets import rated_snippets
from .words import encoded, tokens, vocabulary

__all__ = [
    "Dataset",
    "Split",
    "cifar10",
    "encoded",
    "fashion_mnist",
    "from_sklearn",
    "imagenet",
    "imdb",
    "mnist",
    "mnist_5k",
    "rated_snippets",
    "read_idx",
    "standardized",
    "tokens",
    "vocabulary",
]
