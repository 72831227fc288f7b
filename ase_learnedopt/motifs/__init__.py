"""Names for atoms and clusters by their surroundings, also where it is hot: fcc, bcc, icosahedral ... Layer 4.

Names are loaded when first used: what is trained or compared needs extras, what is shipped does not.
"""

from importlib import import_module

_HOME = {
    "FEATURES": ".features",
    "LABELS": ".labels",
    "atom_motif_probabilities": ".classifier",
    "atom_motifs": ".classifier",
    "cluster_motif": ".cluster",
    "compare_motifs": ".comparison",
    "motif_features": ".features",
    "train_motif_classifier": ".training",
}

__all__ = [*_HOME]  # noqa: PLE0604


def __getattr__(name: str):
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOME[name], __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
