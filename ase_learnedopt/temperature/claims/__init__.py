"""The claims of Agarwala et al. on the inverse temperature, arXiv:2010.07344, each to be tried by its name. Layer 2."""

from collections.abc import Sequence
from pathlib import Path

from ...one_writer import only_writer
from ...stopping import Stop
from ..progress import training_bar
from .collapse import COLLAPSE
from .confidence import CONFIDENCE
from .found import Claim, Found, Verdict, Work
from .generalisation import GENERALISATION
from .page import write_claim, write_docs
from .pairs import PAIRS, Pair, chosen
from .stability import STABILITY
from .tuned import TUNED

CLAIMS: dict[str, Claim] = {
    "collapse": COLLAPSE,
    "generalisation": GENERALISATION,
    "confidence": CONFIDENCE,
    "tuned": TUNED,
    "stability": STABILITY,
}
"""By name."""
FIRST_SPLIT = 7_200
"""Splits and seeds from here on were looked at by nobody while this was written."""

__all__ = ["CLAIMS", "FIRST_SPLIT", "PAIRS", "Claim", "Found", "Pair", "Verdict", "Work", "reproduce"]


def reproduce(
    name: str,
    out: str | Path,
    *,
    pairs: Sequence[str] | None = None,
    splits: int | None = None,
    first_split: int = FIRST_SPLIT,
    short: bool = False,
    docs: str | Path | None = None,
    progress: bool = False,
) -> tuple[Found, Path]:
    """Tries a claim and writes what came of it into a folder; what is done there is not done again.

    Args:
      name: of the table `CLAIMS`.
      out: folder.
      pairs: of the table `PAIRS`; None: those of the claim.
      splits: divisions of the data, each with starts of its own; None: those of the claim.
      first_split: seed of the first.
      short: whether to take fewer of everything, for a look.
      docs: folder of the documentation, where page and plots go too.
      progress: whether to show a bar.

    Returns:
      What came of it, and the page.

    Raises:
      ValueError: an unknown claim or pair, a missing package, or another process tries the claim in this folder.
      KeyboardInterrupt: it was stopped; what was done is kept.
    """
    if name not in CLAIMS:
        raise ValueError(f"there is no claim {name!r}; give one of {', '.join(CLAIMS)}")
    claim, out = CLAIMS[name], Path(out)
    names = tuple(claim.pairs if pairs is None else pairs)
    chosen(names)
    n_splits = splits or (1 if short else claim.splits)
    seeds = tuple(range(first_split, first_split + n_splits))
    with only_writer(out.absolute(), f"{name}.lock", out / name):
        with Stop(piece="batch of trainings") as stop, training_bar(progress) as show:
            work = Work(names, seeds, short, out / "trainings", stop, show)
            found = claim.run(work)
        page = write_claim(name, claim, found, work, out)
        if docs is not None:
            write_docs(name, claim, found, work, Path(docs))
    return found, page
