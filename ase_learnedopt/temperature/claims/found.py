"""What trying a claim needs and what comes of it. Layer 2."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from ...markup import Table
from ...stopping import Stop
from ..parallel import Job


class Work(NamedTuple):
    """Holds how a claim is tried."""

    pairs: tuple[str, ...]
    splits: tuple[int, ...]  # seeds, each of a division of the data and of all starts on it
    short: bool = False  # fewer of everything, for a look
    keep: Path | None = None  # folder of the trainings that are done
    stop: Stop | None = None
    show: Callable[[Job], None] | None = None

    def file(self, claim: str, pair: str, split: int) -> Path | None:
        """Returns where trainings are kept."""
        return None if self.keep is None else self.keep / f"{claim}-{pair}-{split}{'-short' if self.short else ''}.json"


class Verdict(NamedTuple):
    """Holds whether a claim holds on a pair."""

    pair: str
    confirmed: bool
    why: str  # a sentence with the numbers it rests on


class Found(NamedTuple):
    """Holds what came of a claim."""

    verdicts: list[Verdict]
    tables: list[Table]
    plots: dict[str, str]  # SVG by file name without its ending
    numbers: dict[str, Any]  # plain values, for the file


class Claim(NamedTuple):
    """Holds a claim of the paper and how it is tried."""

    title: str
    text: str  # what is claimed, and how it is measured here
    pairs: tuple[str, ...]  # on which it is tried
    splits: int  # divisions of the data
    run: Callable[[Work], Found]
