"""What a model is, and how names, tuples of functions and flax modules become one. Layer 2."""

import sys
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

from .table import MODELS


class Model(NamedTuple):
    """Holds a network as pure functions.

    A network with running averages, as batch norm has, keeps them among its parameters, and has `learn`: what is
    descended. Its logits must not depend on the averages, so that these have no gradient; it returns what they become
    as the entries of the dict `params` to replace.
    """

    init: Callable[[Any, Any, int], Any]  # (key, x [n, ...], n_classes) -> params, a tree of arrays
    apply: Callable[[Any, Any], Any]  # (params, x [n, ...]) -> logits [n, n_classes] as predicted
    learn: Callable[[Any, Any], tuple[Any, dict[str, Any]]] | None = None  # the same -> logits, entries; None: `apply`


@lru_cache(maxsize=64)
def in_training(model: Model) -> Callable[[Any, Any], Any]:
    """Returns (params, x) -> logits as they are descended: with batch norm, each depends on the whole batch."""
    learn = model.learn
    return model.apply if learn is None else lambda params, x: learn(params, x)[0]


def as_model(model: Any) -> Model:
    """Returns anything that can be trained as a `Model`: a name, a tuple of its functions, or a module of flax.

    A flax module with batch norm takes `train` in its `__call__`. The same object gives the same functions, so that
    what was compiled for them is found again.

    Raises:
      ValueError: something else.
    """
    if isinstance(model, str) and model in MODELS:
        return MODELS[model]()
    if isinstance(model, tuple) and _are_functions(model):
        return Model(*model)
    if "flax" in sys.modules:  # or nobody can have made a module
        from .flax_modules import from_module, is_module

        if is_module(model):
            return from_module(model)
    raise ValueError(
        f"model is {model!r}; give one of {', '.join(MODELS)}, what one of their builders returned, a pair of "
        "functions (init, apply), with init(key, x, n_classes) -> params and apply(params, x) -> logits, or a module "
        "of flax.linen"
    )


def _are_functions(parts: tuple[Any, ...]) -> bool:
    learn = parts[2:] or (None,)
    return len(parts) in {2, 3} and all(map(callable, parts[:2])) and (learn[0] is None or callable(learn[0]))
