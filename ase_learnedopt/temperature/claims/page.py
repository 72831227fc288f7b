"""Writes what came of a claim: a page, its plots and its numbers. Layer 2."""

import json
from datetime import UTC, datetime
from pathlib import Path

import jax

from ...markup import to_markdown
from ...weights_io import package_version, write_whole
from .found import Claim, Found, Work

PLOTS = "_static/temperature"
"""Where the plots of the documentation lie, from `docs/`."""


def write_claim(name: str, claim: Claim, found: Found, work: Work, out: Path) -> Path:
    """Writes `<name>.md`, `<name>.json` and the plots of a claim into a folder, each in one move.

    Returns:
      The page.
    """
    for plot, svg in found.plots.items():
        write_whole(out / "plots" / f"{plot}.svg", svg.encode())
    content = {
        "claim": name,
        "short": work.short,
        "splits": work.splits,
        "verdicts": [verdict._asdict() for verdict in found.verdicts],
        "numbers": found.numbers,
    }
    write_whole(out / f"{name}.json", (json.dumps(content, indent=1) + "\n").encode())
    page = out / f"{name}.md"
    write_whole(page, claim_page(name, claim, found, work, "plots").encode())
    return page


def write_docs(name: str, claim: Claim, found: Found, work: Work, docs: Path) -> Path:
    """Writes the page of a claim into `docs/claims`, to be included by another, and its plots under `PLOTS`."""
    for plot, svg in found.plots.items():
        write_whole(docs / PLOTS / f"{plot}.svg", svg.encode())
    page = docs / "claims" / f"{name}.md"
    write_whole(page, claim_page(name, claim, found, work, PLOTS).encode())
    return page


def claim_page(name: str, claim: Claim, found: Found, work: Work, plots: str) -> str:
    """Returns a claim in Markdown: what it says, what came of it, tables and plots, and what made them.

    Args:
      name: of the claim.
      claim: the claim.
      found: what came of it.
      work: how it was tried.
      plots: folder of the plots, as a link.
    """
    n = sum(verdict.confirmed for verdict in found.verdicts)
    lines = [f"### {claim.title}", "", claim.text, "", f"**Confirmed on {n} of {len(found.verdicts)} pairs.**", ""]
    for pair, confirmed, why in found.verdicts:
        lines.append(f"- {pair}: {'confirmed' if confirmed else 'not confirmed'}. {why[0].upper() + why[1:]}.")
    lines += ["", *(f"![{claim.title}]({plots}/{plot}.svg)\n" for plot in found.plots)]
    lines += [to_markdown(table) for table in found.tables]
    return "\n".join(lines) + f"\n{made_by(name, claim, work)}\n"


def made_by(name: str, claim: Claim, work: Work) -> str:
    """Returns the command, the seeds, the date and the versions behind a page."""
    command = f"ase-learnedopt temperature reproduce {name} --first-split {work.splits[0]} --splits {len(work.splits)}"
    if work.pairs != claim.pairs:
        command += f" --pairs {','.join(work.pairs)}"
    command += f"{' --short' if work.short else ''} --out temperature"
    seeds = f"{work.splits[0]} to {work.splits[-1]}" if len(work.splits) > 1 else f"{work.splits[0]}"
    date = datetime.now(UTC).date().isoformat()
    return (
        f"Made by `{command}` on {date}, splits {seeds} (starts of split n have the seeds from 1000 (n + 1)), with "
        f"ase-learnedopt {package_version()} and jax {jax.__version__}."
    )
