"""Says for a table what made it: commands, seeds, versions, dates, weights. Layer 4."""

from collections.abc import Iterable, Sequence

from .results import Cell, Results


def provenance(results: Results, cells: Sequence[Cell]) -> tuple[str, ...]:
    """Returns the lines under a table that was made of some cells, in Markdown."""
    records = [record for cell in cells for record in cell.records]
    made = commands(results, cells)
    every = ""
    if any("--method METHOD" in command for command in made):
        every = ", METHOD being each of the table" + (" that no other command names" if len(made) > 1 else "")
    lines = [
        f"Made by `ase-learnedopt bench report {folder(results)}` from the runs of{every}:",
        *(f"`{command}`" for command in made),
        f"Measured {dates(record.get('date') for record in records)} with {versions(cells)}.",
    ]
    weights = sorted({record["weights"] for record in records if record["weights"]})
    return (*lines, f"Weights: {', '.join(weights)}.") if weights else tuple(lines)


def commands(results: Results, cells: Sequence[Cell]) -> list[str]:
    """Returns the commands that make the runs of some cells, or finish them.

    Problems and methods that share a command stand in one; the methods of a problem's commonest one are `METHOD`.
    """
    merged: dict[tuple[str, ...], list[str]] = {}
    for problem in dict.fromkeys(cell.problem for cell in cells):
        groups: dict[str, list[str]] = {}
        for cell in cells:
            if cell.problem == problem:
                for options in _options(cell):
                    groups.setdefault(options, []).append(cell.records[0]["method"])
        commonest = max(groups.values(), key=len)
        for options, methods in groups.items():
            names = "METHOD" if methods is commonest and len(methods) > 1 else ",".join(sorted(methods))
            merged.setdefault((names, options), []).append(problem)
    return [
        f"ase-learnedopt bench run --problem {','.join(problems)} --method {names} {options} --out {folder(results)}"
        for (names, options), problems in sorted(merged.items(), key=lambda item: item[0][0] != "METHOD")
    ]


def _options(cell: Cell) -> list[str]:
    """Returns the options that the runs of a cell were made with, one entry a budget."""
    method, weights = cell.records[0]["method"], cell.records[0]["weights"]
    chosen = f"--weights {weights.split('@')[0]} " if cell.method != method and weights else ""
    found = []
    for budget in sorted({record["budget"] for record in cell.records}):
        group = [record for record in cell.records if record["budget"] == budget]
        seeds = [record["seed"] for record in group]
        n = max(seeds) - min(seeds) + 1
        limit = max((record.get("walltime") or 0.0 for record in group), default=0.0)
        timed = f" --walltime {limit:g}" if limit else ""
        found.append(f"{chosen}--first-seed {min(seeds)} --seeds {n} --evaluations {budget}{timed}")
    return found


def folder(results: Results) -> str:
    """Returns the name of the folder of records."""
    return results.directory.resolve().name


def dates(days: Iterable[str | None]) -> str:
    """Returns the time between the first and the last day in words."""
    known = sorted({day for day in days if day})
    if not known:
        return "on an unknown date"
    return f"on {known[0]}" if len(known) == 1 else f"from {known[0]} to {known[-1]}"


def versions(cells: Sequence[Cell]) -> str:
    """Returns the versions of everything that the records of some cells name; several where they differ."""
    found: dict[str, set[str]] = {}
    for cell in cells:
        for record in cell.records:
            for name, version in record["versions"].items():
                found.setdefault(name, set()).add(str(version))
    first = ("ase-learnedopt", "platform", "python")
    ordered = [name for name in first if name in found] + sorted(set(found) - set(first))
    return ", ".join(f"{name} {' and '.join(sorted(found[name]))}" for name in ordered) or "unknown versions"
