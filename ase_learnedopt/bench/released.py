"""Which records are of weights that are shipped: what pages may show, so that a reader can repeat it. Layer 4."""

import warnings
from collections.abc import Sequence

from ..released_weights import N_DIGITS, claims_release, is_released, released_label
from ..weights_io import read_card
from .records import Record


def label_of(weights: str) -> str:
    """Returns the label of weights for records: the versioned name of a shipped file, else name and digest."""
    return "none" if weights == "none" else released_label(f"{weights}@{read_card(weights)['sha256'][:N_DIGITS]}")


def released_records(records: Sequence[Record], *, only: bool = False) -> list[Record]:
    """Returns records without those of files that had the name of shipped weights once, each weights by one label.

    Args:
      records: of any weights.
      only: whether all must be of shipped weights, or of none, as on pages of the documentation.

    Raises:
      ValueError: `only`, and some are not; or none is left.
    """
    labelled = [{**r, "weights": r["weights"] and released_label(r["weights"])} for r in records]
    others = {r["weights"] for r in labelled if r["weights"] not in (None, "none") and not is_released(r["weights"])}
    if only and others:
        raise ValueError(
            f"the records have runs of {', '.join(sorted(others))}, of which no file is shipped: take them out of "
            "the folder and run them again with shipped weights, see `ase-learnedopt weights list`"
        )
    gone = {label for label in others if claims_release(label)}
    if gone:
        warnings.warn(f"left out: runs of {', '.join(sorted(gone))}, files that are not shipped", stacklevel=3)
    kept = [record for record in labelled if record["weights"] not in gone]
    if not kept:
        raise ValueError(f"all records are of {', '.join(sorted(gone))}, files that are not shipped: run them again")
    return kept
