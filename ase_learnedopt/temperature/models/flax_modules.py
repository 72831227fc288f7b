"""Modules of flax as models, with batch statistics or without. Needs flax: the extra `[temperature]`. Layer 2."""

import inspect
from collections.abc import Callable
from functools import lru_cache
from typing import Any

try:
    from flax import linen
except ImportError as error:
    raise ImportError(
        f"this network needs flax ({error}): pip install 'ase-learnedopt[temperature]'; the perceptron does without"
    ) from error

from .base import Model

AVERAGES = "batch_stats"
"""The collection of running averages, kept beside the parameters proper."""


def is_module(value: Any) -> bool:
    """Whether a value is a module of `flax.linen`."""
    return isinstance(value, linen.Module)


def from_module(module: linen.Module) -> Model:
    """Returns a module as a model; one whose `__call__` takes `train` may have batch norm."""
    return _from_module(module if _hashable(module) else _Same(module))


@lru_cache(maxsize=64)
def from_class(kind: Callable[..., linen.Module], **fields) -> Model:
    """Returns a model of modules `kind(n_classes, **fields)`, whose last layer is named `logits` and has a bias."""

    def module_for(n_classes: int) -> linen.Module:
        return kind(n_classes=n_classes, **fields)

    return _model(module_for, lambda params: module_for(_weights(params)["logits"]["bias"].shape[0]))


@lru_cache(maxsize=64)
def _from_module(module: Any) -> Model:
    module = module.itself if isinstance(module, _Same) else module
    return _model(lambda _: module, lambda _: module)


def _model(module_for: Callable[[int], linen.Module], module_of: Callable[[Any], linen.Module]) -> Model:
    """Returns a model of the modules for a number of classes, and of given parameters."""
    has_modes = "train" in inspect.signature(type(module_for(2)).__call__).parameters
    predicting: dict[str, Any] = {"train": False} if has_modes else {}

    def init(key, x, n_classes: int):
        logits, variables = module_for(n_classes).init_with_output(key, x, **predicting)
        if logits.shape != (x.shape[0], n_classes):
            raise ValueError(f"the module gives {logits.shape}; {n_classes} classes need {(x.shape[0], n_classes)}")
        others = sorted(set(variables) - {"params", *([AVERAGES] if has_modes else [])})
        if others:
            raise ValueError(
                f"the module keeps {', '.join(others)} beside params; what may be kept is batch_stats, by a module "
                "whose __call__ takes train"
            )
        return dict(variables) if AVERAGES in variables else variables["params"]

    def apply(params, x):
        return module_of(params).apply(_variables(params), x, **predicting)

    def learn(params, x):
        return module_of(params).apply(_variables(params), x, mutable=[AVERAGES], train=True)

    return Model(init, apply, learn if has_modes else None)


def _variables(params: Any) -> dict[str, Any]:
    return params if AVERAGES in params else {"params": params}


def _weights(params: Any) -> Any:
    return _variables(params)["params"]


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
