"""IMDB film reviews, one file each. Layer 2."""

import re
from pathlib import Path

import numpy as np

from .dataset import Dataset, Split
from .files import folder_at, text_of
from .words import encoded, vocabulary

FOLDER = "aclImdb"
STARS = {"neg": range(1, 5), "pos": range(7, 11)}
"""Ratings of the reviews in each folder; what lies between was left out by those who collected them."""
HOLDS = "reviews in train/neg, train/pos, test/neg and test/pos, one in a file <number>_<stars>.txt"

_FILE = re.compile(r"(\d+)_(\d+)\.txt")


def imdb(path: str | Path, n_words: int = 20_000, length: int = 256) -> Dataset:
    """Reads the Large Movie Review Dataset from the folder `aclImdb`, as numbers of words.

    Texts are `[n, length]` int32, 25,000 to train on and as many to test on: the last words of a review, 0 for padding
    at its end, 1 for words that are not among the most frequent of the reviews to train on. Labels are 0 for one to
    four stars and 1 for seven to ten. The format is that of https://ai.stanford.edu/~amaas/data/sentiment (Maas et
    al., ACL 2011); its reviews without a rating are not read.

    Args:
      path: the folder, or the one that holds it.
      n_words: size of the vocabulary.
      length: words of a review that are kept.

    Raises:
      ValueError: folders or files are missing, or one has another name or rating than it should.
    """
    folder = folder_at(path, FOLDER, HOLDS)
    (texts, labels), (test_texts, test_labels) = (_part(folder / part) for part in ("train", "test"))
    words = vocabulary(texts, n_words)
    train = Split(encoded(texts, words, length), labels)
    test = Split(encoded(test_texts, words, length), test_labels)
    return Dataset(train, test, tuple(STARS), words)


def _part(folder: Path) -> tuple[list[str], np.ndarray]:
    texts: list[str] = []
    labels: list[int] = []
    for label, (name, stars) in enumerate(STARS.items()):
        files = sorted((folder / name).glob("*.txt"))
        if not files:
            raise ValueError(f"there are no reviews in {folder / name}; expected are {HOLDS}")
        for file in files:
            match = _FILE.fullmatch(file.name)
            if match is None or int(match[2]) not in stars:
                raise ValueError(f"{file} is no <number>_<stars>.txt with {stars[0]} to {stars[-1]} stars; see {HOLDS}")
            texts.append(text_of(file, HOLDS))
            labels.append(label)
    return texts, np.array(labels, np.int32)
