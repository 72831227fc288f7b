"""Judges records anew by the reference that is known today: what no longer holds is no success of a report. Layer 4."""

from collections.abc import Sequence
from typing import NamedTuple

from .records import Record

ADOPT, RERUN = "adopt", "run"
"""The command of `bench` that settles a record."""
ROUNDING = 2.5e-7
"""Share of an energy that float32 rounds off, in which batches are judged: two units in its last place."""


class Doubt(NamedTuple):
    """Says why a record is unsettled and what settles it."""

    reason: str
    settled_by: str


def doubt_of(record: Record, reference: float | None, tolerance: float | None) -> Doubt | None:
    """Returns why a record cannot be counted as it stands; None if it can.

    Args:
      record: of any version.
      reference: eV, the lowest energy that is known; None: none, and nothing to judge by.
      tolerance: eV.
    """
    if reference is None or tolerance is None or record["error"] is not None:
        return None
    rounding = ROUNDING * abs(reference)
    lower, best, judged_by = record.get("lower"), record["best_energy"], record.get("reference")
    known_then = judged_by is not None and abs(judged_by - reference) <= tolerance
    reached = best is not None and best <= reference + tolerance + rounding
    doubt = None
    if lower is not None and lower["energy"] < reference - tolerance:
        doubt = Doubt("ended at a structure that the reference has to be", ADOPT)
    elif lower is not None:
        doubt = Doubt("ended at an older reference", RERUN)
    elif best is not None and best < reference - tolerance - rounding:
        doubt = Doubt("found an energy under the reference that nobody has checked", RERUN)
    elif record["hit"] and not known_then and (judged_by is not None or not reached):
        doubt = Doubt("hit an older reference", RERUN)
    elif not record["hit"] and not known_then and reached:
        doubt = Doubt("passed the reference when it was not known", RERUN)
    return doubt


def judged(record: Record, reference: float | None, tolerance: float | None) -> Record:
    """Returns a record as a report may count it: an unsettled one is no hit, and nothing in it is under the reference.

    An unsettled one has the field `unsettled`, its `Doubt`.
    """
    doubt = doubt_of(record, reference, tolerance)
    if doubt is None:
        return record
    assert reference is not None
    assert tolerance is not None
    trace = [row for row in record["trace"] if row[1] >= reference - tolerance]
    best = record["best_energy"]
    if best is not None and best < reference - tolerance:
        best = trace[-1][1] if trace else None
    return {**record, "hit": False, "hit_at": None, "best_energy": best, "trace": trace, "unsettled": doubt}


def to_run_again(found: Sequence[Record], reference: float | None, tolerance: float | None) -> list[Record]:
    """Returns the records that only another run can settle."""
    doubts = [(record, doubt_of(record, reference, tolerance)) for record in found]
    return [record for record, doubt in doubts if doubt is not None and doubt.settled_by == RERUN]
