"""Searches the learning rates of many trainings side by side. Layer 2."""

from collections.abc import Callable, Hashable, Sequence
from typing import TypeVar

from .training import Score
from .tuning import RATIO, climb, following

Cell = TypeVar("Cell", bound=Hashable)


def side_by_side(cells: Sequence[Cell], tried: Callable[[list[tuple[Cell, float]]], list[Score]]) -> None:
    """Raises the rates of every cell until its score falls, a half decade of all at a time.

    Args:
      cells: whatever has a rate of its own, such as betas.
      tried: pairs of a cell and a factor of its first rate -> their scores.
    """
    searches = {cell: climb() for cell in cells}
    wanted: dict[Cell, int | None] = {cell: next(search) for cell, search in searches.items()}
    while wanted:
        pairs = [(cell, RATIO**step) for cell, step in wanted.items() if step is not None]
        scores = tried(pairs)
        then = {cell: following(searches[cell], score) for (cell, _), score in zip(pairs, scores, strict=True)}
        wanted = {cell: step for cell, step in then.items() if step is not None}
