"""What a model is, and how pairs of functions and flax modules become one. Layer 2."""

import sys
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple


class Model(NamedTuple):
    """Holds a network as two pure functions."""

    init: Callable[[Any, Any, int], Any]  # (key, x [n, ...], n_classes) -> params, a tree of arrays
    apply: Callable[[Any, Any], Any]  # (params, x [n, ...]) -> logits [n, n_classes]


def as_model(model: Any) -> Model:
    """Returns anything that can be trained as a `Model`: a pair `(init, apply)` of its functions, or a flax module.

    The same object gives the same functions, so that what was compiled for them is found again.

    Raises:
      ValueError: something else.
    """
    if isinstance(model, tuple) and len(model) == 2 and all(map(callable, model)):
        return Model(*model)
    if "flax" in sys.modules:  # or nobody can have made a module
        from flax import linen

        if isinstance(model, linen.Module):
            return _from_flax(model if _hashable(model) else _Same(model))
    raise ValueError(
        f"model is {model!r}; give a pair of functions (init, apply), with init(key, x, n_classes) -> params and "
        "apply(params, x) -> logits, or a module of flax.linen"
    )


@lru_cache(maxsize=64)
def _from_flax(module: Any) -> Model:
    module = module.itself if isinstance(module, _Same) else module

    def init(key, x, n_classes: int):
        logits, variables = module.init_with_output(key, x)
        if logits.shape != (x.shape[0], n_classes):
            raise ValueError(f"the module gives {logits.shape}; {n_classes} classes need {(x.shape[0], n_classes)}")
        others = sorted(set(variables) - {"params"})
        if others:
            raise ValueError(f"the module keeps {', '.join(others)} beside params; use layers without a running state")
        return variables["params"]

    def apply(params, x):
        return module.apply({"params": params}, x)

    return Model(init, apply)


class _Same:
    """Stands for an object that cannot be hashed, such as a module with a list in it, and is equal to itself alone."""

    def __init__(self, itself: Any):
        self.itself = itself

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and other.itself is self.itself

    def __hash__(self) -> int:
        return id(self.itself)


def _hashable(value: Any) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True
