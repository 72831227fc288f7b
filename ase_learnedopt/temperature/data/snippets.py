"""Sentences that people rated from bad to good, such as of film reviews. Layer 2."""

from pathlib import Path

import numpy as np

from .dataset import Dataset, divided
from .files import text_of
from .words import encoded, vocabulary

HOLDS = "lines of a number, a mean rating from -4 to 4 and a text, with tabs between"


def rated_snippets(
    path: str | Path,
    n_words: int = 10_000,
    length: int = 40,
    least: float = 0.5,
    held_out: float = 0.2,
    seed: int = 0,
) -> Dataset:
    """Reads rated texts such as `movieReviewSnippets_GroundTruth.txt`, as numbers of words.

    Texts are `[n, length]` int32 as those of `imdb`; labels are 0 for ratings below zero and 1 above. The format is
    that of Hutto & Gilbert, ICWSM 2014, whose 10,605 film-review snippets, and others, lie in
    `additional_resources/hutto_ICWSM_2014.tar.gz` of the source of `vaderSentiment` 0.5 on the package registry
    (`pip download --no-deps --no-binary :all: vaderSentiment==0.5`).

    Args:
      path: the file.
      n_words: size of the vocabulary, of the texts to train on.
      length: words of a text that are kept.
      least: size of a rating; texts rated nearer to zero are left out.
      held_out: fraction of every class to test on.
      seed: of the choice of these.

    Raises:
      ValueError: the file is missing or is not of that format, or no two texts of a class are left.
    """
    rows = [line.split("\t") for line in text_of(Path(path), HOLDS).splitlines() if line.strip()]
    texts, ratings = [], []
    for i, row in enumerate(rows):
        rating = _number(row[1]) if len(row) == 3 else np.nan
        if not abs(rating) <= 4.0:
            raise ValueError(f"line {i + 1} of {path} is {chr(9).join(row)[:60]!r}; expected are {HOLDS}")
        if abs(rating) >= least and rating != 0.0:
            texts.append(row[2])
            ratings.append(rating)
    labels = (np.array(ratings) > 0.0).astype(np.int32)
    chosen = divided(np.arange(len(texts), dtype=np.int32)[:, None], labels, ("neg", "pos"), held_out, seed)
    train, test = ([texts[i] for i in part.x[:, 0]] for part in (chosen.train, chosen.test))
    words = vocabulary(train, n_words)
    return chosen._replace(
        train=chosen.train._replace(x=encoded(train, words, length)),
        test=chosen.test._replace(x=encoded(test, words, length)),
        words=words,
    )


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return np.nan
