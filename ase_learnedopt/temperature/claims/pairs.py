"""Networks and data that claims are tried on, by name. Layer 2."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

from ..models import MODELS, Model, mlp
from ..named_data import Data, load_data
from ..parts import Parts, in_parts


class Pair(NamedTuple):
    """Holds a network and the data it is trained on."""

    model: Callable[[], Model]  # the same one at every call
    data: str  # a name that `load_data` knows

    def load(self) -> Data:
        """Returns the examples."""
        return load_data(self.data)

    def parts(self, random_state: int) -> Parts:
        """Returns the examples divided and scaled."""
        return in_parts(*self.load(), random_state=random_state)


def _named(name: str, **options) -> Model:
    """Builds a network that needs flax, which is imported only then."""
    return MODELS[name](**options)


PAIRS = {
    "digits-mlp": Pair(mlp, "digits"),
    "digits-mlp-norm": Pair(partial(mlp, layer_norm=True), "digits"),
    "digits-mlp-deep": Pair(partial(mlp, (64, 64, 64)), "digits"),
    "blobs-mlp": Pair(mlp, "blobs"),
    "breast_cancer-mlp": Pair(mlp, "breast_cancer"),
    "wine-mlp-norm": Pair(partial(mlp, layer_norm=True), "wine"),
    "environments-mlp": Pair(mlp, "environments"),
    "fashion_mnist-cnn": Pair(partial(_named, "cnn", width=8), "fashion_mnist"),
    "fashion_mnist-wide_resnet": Pair(partial(_named, "wide_resnet", depth=10, width=1, norm="batch"), "fashion_mnist"),
    "snippets-gru": Pair(partial(_named, "gru", vocabulary=5_000, embedding=16, width=16), "snippets"),
}
"""By name, `<data>-<network>`. A new network or new data joins every claim by a line here."""


def chosen(names: Sequence[str]) -> dict[str, Pair]:
    """Returns pairs by name.

    Raises:
      ValueError: an unknown name.
    """
    unknown = [name for name in names if name not in PAIRS]
    if unknown:
        raise ValueError(f"there is no pair {', '.join(unknown)}; give some of {', '.join(PAIRS)}")
    return {name: PAIRS[name] for name in names}
