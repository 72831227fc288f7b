"""Makes the report of a folder of records: Markdown, plots, one HTML page; and the page of the docs. Layer 4."""

from collections.abc import Collection, Iterator
from pathlib import Path

import numpy as np

from ..markup import Table, to_markdown
from ..weights_io import write_whole
from .page import Block, Figure, Heading, html_page, markdown_page
from .plots import draw_all, file_name, plots_of
from .provenance import commands, dates, folder
from .results import Results, collect, energy_unit
from .settled import RERUN
from .tables import TABLES, failure_table, methods_table, overview_table, speed_table

MARKERS = "<!-- begin generated: benchmark -->", "<!-- end generated: benchmark -->"
"""Around the table of a page that `write_headline` renews."""
PAGE = "benchmarks"
"""Page of the documentation; plots lie in the folder of its name under `docs/_static`."""


def report(directory: str | Path) -> list[Path]:
    """Writes `report.md`, `plots/*.svg` and `report.html` into a folder of records.

    Each file appears whole or not at all, and the same records give the same files.

    Returns:
      The files written.

    Raises:
      ValueError: the folder has no records, or a line that is not one.
    """
    directory, results = Path(directory), collect(directory)
    plots = draw_all(results)
    blocks = list(report_blocks(results, plots))
    title = f"Benchmark: {folder(results)}"
    written = [write_text(directory / "plots" / name, svg) for name, svg in plots.items()]
    written.append(write_text(directory / "report.md", markdown_page(title, blocks, "plots")))
    written.append(write_text(directory / "report.html", html_page(title, blocks, plots)))
    return written


def docs_page(directory: str | Path, page: str = PAGE) -> str:
    """Returns the content of a page of the documentation for a folder of records."""
    results = collect(directory)
    return _docs_page(results, list(report_blocks(results, plots_of(results))), page)


def write_docs(directory: str | Path, docs: str | Path, page: str = PAGE) -> list[Path]:
    """Writes a page and its plots into the folder of the documentation and returns the files.

    Raises:
      ValueError: the folder has no records, runs of weights that are not shipped, or unsettled ones.
    """
    results, docs = collect(directory, released=True), Path(docs)
    refuse_unsettled(results)
    plots = draw_all(results)
    written = [write_text(docs / "_static" / page / name, svg) for name, svg in plots.items()]
    text = _docs_page(results, list(report_blocks(results, plots)), page)
    return [*written, write_text(docs / f"{page}.md", text)]


def write_headline(directory: str | Path, page: str | Path) -> Path:
    """Replaces what stands between the `MARKERS` of a Markdown page by the comparison with the best rivals.

    Raises:
      ValueError: the page has no such lines, nothing learned has been run beside a rival, or weights are not shipped.
    """
    page, results = Path(page), collect(directory, released=True)
    refuse_unsettled(results)
    table = headline(results)
    text = page.read_text(encoding="utf-8")
    before, begin, rest = text.partition(MARKERS[0])
    _, end, after = rest.partition(MARKERS[1])
    if not (begin and end):
        raise ValueError(f"{page} has no lines {' and '.join(MARKERS)} for the table to stand between")
    if table is None:
        raise ValueError(f"{directory} holds no runs of a learned method beside those of a rival")
    return write_text(page, f"{before}{begin}\n{to_markdown(table)}{end}{after}")


def headline(results: Results) -> Table | None:
    """Returns the comparison with the best rivals on the problems that were solved, where it was made in one line."""
    table = speed_table(results)
    if table is None:
        return None
    solved = {p for p in results.problems if any(np.isfinite(cell.cost.value) for cell in results.of_problem(p))}
    made = (
        f"Made by `ase-learnedopt bench report {folder(results)} --readme README.md`; the commands of the runs and all"
    )
    records = [record for cell in results.cells.values() for record in cell.records]
    measured = f"measured {dates(record.get('date') for record in records)}."
    rows = [row for row in table.rows if row[0].text in solved]
    return Table(table.header, rows, (table.notes[0], f"{made} methods stand in docs/benchmarks.md; {measured}"))


def report_blocks(results: Results, plots: Collection[str]) -> Iterator[Block]:
    """Yields the pieces of a report in order: across problems, problem by problem, failures."""
    yield _summary(results)
    yield (
        "FE is one evaluation of energy and forces, the only currency here. Every method gets the same start for the "
        "same seed and runs until it has evaluated an energy within tolerance of the lowest known one, or until its "
        "budget is spent. Methods are sorted best first, the best of a column is bold."
    )
    yield Heading("All problems")
    yield overview_table(results)
    for name, caption in _PROFILES.items():
        if name in plots:
            yield Figure(name, caption)
    duels = speed_table(results)
    if duels is not None:
        yield Heading("Against the best rival", 3)
        yield duels
    for problem in results.problems:
        yield from _problem_blocks(results, problem, plots)
    yield Heading("Methods")
    yield methods_table(results)
    failures = failure_table(results)
    if failures is not None:
        yield Heading("Failed runs")
        yield failures


_PROFILES = {
    "performance_profile.svg": "Performance profile: share of problems solved against cost relative to the best method",
    "data_profile.svg": "Data profile: share of successful runs against evaluations for each degree of freedom",
}


def _problem_blocks(results: Results, problem: str, plots: Collection[str]) -> Iterator[Block]:
    captions = {
        "success": f"{problem}: share of runs that succeeded against evaluations",
        "energy": f"{problem}: best energy above the reference against evaluations",
    }
    yield Heading(problem)
    facts = results.facts[problem]
    if facts.reference is not None:
        size = f"{facts.n_atoms} atoms; " if facts.n_atoms else ""
        unit = energy_unit(problem)
        yield f"{size}lowest known energy {facts.reference:.6f} {unit}, tolerance {facts.tolerance:g}. {facts.source}."
        yield from (f"**{line}**" for line in unsettled(results, problem))
    for kind, caption in captions.items():
        if file_name(problem, kind) in plots:
            yield Figure(file_name(problem, kind), caption)
    for title, table in TABLES.items():
        yield Heading(f"{title}, {problem}", 3)
        yield table(results, problem)


def unsettled(results: Results, problem: str) -> list[str]:
    """Returns a sentence for each method and reason of the runs that do not hold by the reference of today."""
    lines = []
    for cell in results.of_problem(problem):
        for doubt in dict.fromkeys(record["unsettled"] for record in cell.unsettled):
            seeds = ", ".join(str(r["seed"]) for r in cell.unsettled if r["unsettled"] == doubt)
            command = f"ase-learnedopt bench adopt '{problem}' {folder(results)}"
            if doubt.settled_by == RERUN:
                command = " && ".join(commands(results, [cell]))
            lines.append(
                f"Unsettled, and no success: {cell.method} {doubt.reason} (seeds {seeds}); `{command}` settles it."
            )
    return lines


def refuse_unsettled(results: Results) -> None:
    """Keeps pages from showing runs that do not hold.

    Raises:
      ValueError: there are some; the message names problem, method, seeds and what settles them.
    """
    lines = [f"{problem}: {line}" for problem in results.problems for line in unsettled(results, problem)]
    if lines:
        raise ValueError("\n".join(["some records do not hold by the references of today:", *lines]))


def _summary(results: Results) -> str:
    records = [record for cell in results.cells.values() for record in cell.records]
    failed = sum(cell.n_failed for cell in results.cells.values())
    spent = sum(int(cell.runs.evaluations.sum()) for cell in results.cells.values())
    most = {p: max(len(cell.records) for cell in results.of_problem(p)) for p in results.problems}
    cells = results.cells.values()
    short = sum(len(cell.records) < most[cell.problem] for cell in cells)
    absent = int(np.isnan(results.costs()).sum())
    text = (
        f"{_several(results.problems, 'problem')}, {_several(results.methods, 'method')}, {_several(records, 'run')}, "
        f"{spent:,} evaluations, measured {dates(record.get('date') for record in records)}."
    )
    parts = [("Failed runs", failed), ("Cells with fewer seeds than others", short), ("Cells not run", absent)]
    return " ".join([text, *(f"{what}: {count}." for what, count in parts if count)])


def _several(things: Collection, name: str) -> str:
    return f"{len(things):,} {name}{'' if len(things) == 1 else 's'}"


def _docs_page(results: Results, blocks: list[Block], page: str) -> str:
    command = f"`ase-learnedopt bench report {folder(results)}`"
    origin = f"This page is generated from records of runs, as {command} makes its report; nothing in it is typed."
    return markdown_page(page.capitalize(), [origin, *blocks], f"_static/{page}")


def write_text(path: Path, text: str) -> Path:
    """Writes a file in one move and returns its path."""
    write_whole(path, text.encode())
    return path
