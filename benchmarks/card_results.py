"""Fills `result` of a card of LearnedHop's weights with what the records of benchmarks say.

    python benchmarks/card_results.py weights/learned_hop_v1 runs unseen

Only runs of that very file count. The card alone changes: `sha256` is that of the arrays, which stay.
"""

import argparse
import json
import warnings
from pathlib import Path

import numpy as np

from ase_learnedopt.bench.results import Cell, collect
from ase_learnedopt.weights_io import read_card, write_whole

COMMAND = (
    "ase-learnedopt bench run --problem ... --method learned_hop --first-seed ... --seeds ... (docs/benchmarks.md)"
)


def main() -> None:
    """Reads the command line and writes the card."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", type=Path, help="path of the weights without suffix, such as weights/learned_hop_v1")
    parser.add_argument("folders", nargs="+", type=Path, help="of records")
    arguments = parser.parse_args()
    try:
        found = fill(arguments.weights, arguments.folders)
    except ValueError as error:
        parser.error(str(error))
    print(f"{len(found)} problems: {', '.join(found)}")


def fill(weights: Path, folders: list[Path]) -> dict[str, dict]:
    """Writes `result` of a card and returns the rows in it.

    Raises:
      ValueError: no such weights, or no runs of them.
    """
    card = read_card(weights)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # runs of other files are no concern of this card
        cells = [cell for folder in folders for cell in collect(folder).cells.values()]
    mine = [cell for cell in cells if cell.records[0]["weights"] == card["name"]]
    if not mine:
        raise ValueError(f"no runs of {card['name']} in {', '.join(map(str, folders))}: make some with `bench run`")
    rows = {cell.problem: row(cell) for cell in sorted(mine, key=lambda cell: cell.problem)}
    card["result"] = {"command": COMMAND, "problems": rows}
    write_whole(weights.with_name(f"{weights.name}.json"), (json.dumps(card, indent=2) + "\n").encode())
    return rows


def row(cell: Cell) -> dict:
    """Returns what a card says of a problem; the interval is that of the tables, null where it has no end."""
    value, low, high = (float(f"{x:.3g}") if np.isfinite(x) else None for x in cell.cost[:3])
    return {
        "successes": int(np.isfinite(cell.runs.hit_at).sum()),
        "seeds": len(cell.records),
        "budget": cell.budget,
        "evaluations_per_success": value,
        "interval_90": [low, high],
        "measured": max(record.get("date") or "unknown" for record in cell.records),
    }


if __name__ == "__main__":
    main()
