"""Gated recurrent networks that read words. Layer 2."""

import jax.numpy as jnp

from ..data.words import PADDING, UNKNOWN
from .base import Model
from .flax_modules import from_class, linen
from .options import whole


class Gru(linen.Module):
    """Reads words one after another and classifies what it remembers after the last."""

    n_classes: int
    vocabulary: int
    embedding: int
    width: int

    @linen.compact
    def __call__(self, x):
        """Returns logits `[n, n_classes]` of texts."""
        if x.ndim != 2 or not jnp.issubdtype(x.dtype, jnp.integer):
            raise ValueError(
                f"x has the shape {x.shape} and the type {x.dtype}; texts are numbers of words, integers [n, length]"
            )
        length = jnp.maximum(jnp.sum((x != PADDING).astype(jnp.int32), axis=1), 1)
        known = (x >= 0) & (x < self.vocabulary)
        words = linen.Embed(self.vocabulary, self.embedding)(jnp.where(known, x, UNKNOWN))
        state, _ = linen.RNN(linen.GRUCell(self.width), return_carry=True)(words, seq_lengths=length)
        start = linen.initializers.variance_scaling(1.0, "fan_in", "normal")
        return linen.Dense(self.n_classes, kernel_init=start, name="logits")(state)


def gru(vocabulary: int = 20_000, embedding: int = 64, width: int = 64) -> Model:
    """Builds a network of gated recurrent units (Cho et al., arXiv:1406.1078) over learned vectors of words.

    Texts are integers `[n, length]`: 0 pads them at their ends, 1 and what is beyond the vocabulary is an unknown word.

    Args:
      vocabulary: how many numbers of words there are, with the two above.
      embedding: length of the vector of a word.
      width: number of units.

    Raises:
      ValueError: an impossible option; by the model, examples that are no such integers.
    """
    if whole("vocabulary", vocabulary) < 2:
        raise ValueError("vocabulary is 1; the numbers 0 and 1 are those of padding and of unknown words: give more")
    return from_class(
        Gru, vocabulary=int(vocabulary), embedding=whole("embedding", embedding), width=whole("width", width)
    )
