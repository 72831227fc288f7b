"""The table of networks that are built by name. Layer 2."""

from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from typing import Any

MODULES = {
    "mlp": ".mlp",
    "cnn": ".convolutional",
    "wide_resnet": ".wide_residual",
    "resnet50": ".residual",
    "gru": ".recurrent",
}
"""Where the builders are; all but the first need flax, which is slow to import, and are loaded when asked for."""


class Builders(Mapping[str, Callable[..., Any]]):
    """Maps names to builders of models."""

    def __getitem__(self, name: str) -> Callable[..., Any]:
        """Returns a builder.

        Raises:
          ImportError: it needs flax, which is not installed.
        """
        return getattr(import_module(MODULES[name], __package__), name)

    def __iter__(self) -> Iterator[str]:
        return iter(MODULES)

    def __len__(self) -> int:
        return len(MODULES)


MODELS = Builders()
"""Builders by name. All work without arguments, on images `[n, height, width, channels]` or words `[n, length]`."""
