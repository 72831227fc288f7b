"""From texts to numbers of words. Layer 2."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

PADDING, UNKNOWN = 0, 1
"""Numbers of what fills short texts up, and of the words that a vocabulary has not."""
RESERVED = ("", "?")
"""The words that stand for these two."""

_MARKUP = re.compile(r"<[^<>]*>")
_WORD = re.compile(r"[^\W_]+(?:['\u2019][^\W_]+)*")


def tokens(text: str) -> list[str]:
    """Returns the words of a text in lower case, without markup and punctuation; apostrophes in words stay."""
    return [word.replace("\u2019", "'") for word in _WORD.findall(_MARKUP.sub(" ", text).lower())]


def vocabulary(texts: Iterable[str], n_words: int) -> tuple[str, ...]:
    """Returns the most frequent words, after the two reserved ones; between words as frequent, in their order.

    Args:
      texts: to count in.
      n_words: how many at most, with the reserved ones.

    Raises:
      ValueError: no room for a word.
    """
    if n_words <= len(RESERVED):
        raise ValueError(f"n_words is {n_words}; give 3 or more, since 0 and 1 are padding and unknown words")
    counts = Counter(word for text in texts for word in tokens(text))
    frequent = sorted(counts, key=lambda word: (-counts[word], word))
    return (*RESERVED, *frequent[: n_words - len(RESERVED)])


def encoded(texts: Sequence[str], words: Sequence[str], length: int) -> np.ndarray:
    """Returns the numbers of the last words of every text, `[n, length]` int32, padded at the end.

    Args:
      texts: `n` of them.
      words: from `vocabulary`.
      length: words of a text that are kept.

    Raises:
      ValueError: a length below 1.
    """
    if length < 1:
        raise ValueError(f"length is {length}; give 1 or more words")
    number = {word: i for i, word in enumerate(words)}
    rows = np.full((len(texts), length), PADDING, np.int32)
    for row, text in zip(rows, texts, strict=True):
        found = [number.get(word, UNKNOWN) for word in tokens(text)[-length:]]
        row[: len(found)] = found
    return rows
