"""Optimizers that learned to find lowest-energy structures, for ASE and for JAX.

Public names are loaded when first used, so that importing the package imports neither jax nor ase.
"""

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version

from . import forked as _forked  # noqa: F401  to see processes fork, whatever is imported later

_HOME = {
    "Learn2Hop": ".adapter",
    "LearnedHop": ".adapter",
    "LearnedRelax": ".adapter",
    "LearnedOptimizer": ".adapter",
    "Gupta": ".adapter.calculators",
    "StillingerWeber": ".adapter.calculators",
    "learn2hop": ".optimizers.learn2hop",
    "learned_hop": ".optimizers.learned_hop",
    "learned_relax": ".optimizers.learned_relax",
    "load_weights": ".weights_io",
}

__all__ = ["__version__", "rollout", *_HOME]  # noqa: PLE0604


def __getattr__(name: str):
    if name == "__version__":
        try:
            return version("ase-learnedopt")
        except PackageNotFoundError:
            return "unknown"
    if name == "rollout":  # the module, whose function has the same name
        return import_module(".rollout", __name__)
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOME[name], __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
