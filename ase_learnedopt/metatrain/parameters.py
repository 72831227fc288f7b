"""The parameters that are trained as one flat vector, in units of their perturbation; the others stay. Layer 2."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from ..optimizers.learned import find_learned, load_learned
from ..optimizers.policy import PRIOR

APART = (PRIOR,)
"""Parts that searches in which nothing is imagined never read: `energy_prior` teaches them."""


class Parameters:
    """Maps vectors to the parameters of an optimizer; the vector of zeros is the start.

    Attributes:
      start: nested dict of all parameters.
      n: length of the vector.
    """

    def __init__(self, start: Mapping[str, Any], heads: Sequence[str] = (), scales: Mapping[str, float] | None = None):
        """Takes all parameters, which of them are trained, and factors on the perturbation of single heads.

        Args:
          start: by part: the heads of LearnedHop, the layers of Learn2Hop.
          heads: to train; none: all but `APART`.
          scales: by head; 1 where none is given.

        Raises:
          ValueError: an unknown head, or a scale that is not positive.
        """
        self.start = jax.tree.map(jnp.asarray, dict(start))
        trained = tuple(heads) or tuple(name for name in self.start if name not in APART)
        scales = dict(scales or {})
        unknown = sorted(({*trained} | scales.keys()) - self.start.keys())
        if unknown:
            raise ValueError(f"there are no heads {', '.join(unknown)}; there are {', '.join(self.start)}")
        if not all(scale > 0 for scale in scales.values()):
            raise ValueError(f"scales are {scales}; each must be above zero")
        chosen = {name: self.start[name] for name in trained}
        vector, self._unravel = ravel_pytree(chosen)
        self.n = vector.size
        unit = {name: _filled(chosen[name], scales.get(name, 1.0)) for name in chosen}
        self._base, self._scale = vector, ravel_pytree(unit)[0]

    def __call__(self, vector) -> dict:
        """Returns all parameters for a vector `[n]`; pure JAX."""
        return {**self.start, **self._unravel(self._base + self._scale * vector)}

    def to_numpy(self, vector) -> dict:
        """Returns all parameters for a vector as NumPy arrays."""
        return jax.tree.map(np.asarray, self(jnp.asarray(vector)))


def _filled(head: Any, value: float) -> Any:
    """Returns a head whose every number is one value."""
    return jax.tree.map(lambda leaf: jnp.full_like(leaf, value), head)


def starting_parameters(name: str, start: str, config: Any, seed: int) -> dict:
    """Returns the parameters to begin with.

    Args:
      name: of the optimizer.
      start: one of its untrained starts, such as "warm", or weights by name or path.
      config: its constants.
      seed: of what is drawn at random.

    Raises:
      ValueError: there are no such weights, or they are not those of this optimizer and its constants.
    """
    entry = find_learned(name)
    if start in entry.starts:
        return entry.starts[start](config, seed)
    params, trained, _ = load_learned(name, start)
    if entry.shapes(trained) != entry.shapes(config):
        raise ValueError(f"weights {start} were trained with {trained}, which has other arrays than {config}")
    return params
