"""Compares the classifier with common neighbour analysis and template matching. Layer 4; needs the extra `[motif]`."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ..weights_io import write_whole
from .classifier import SHIPPED, atom_motifs
from .comparison_report import drawn, report
from .held_out import HELD_OUT, STRAIN, nearest_distance, snapshots
from .rivals import ovito_labels
from .structures import noisy

NOISE = (0.0, 0.03, 0.06, 0.09, 0.12, 0.15, 0.17)
"""Standard deviation of each component of each displacement, in distances of nearest neighbours."""
OURS = "ours"
Right = dict[str, dict[str, list[int]]]


def compare_motifs(
    out: str | Path,
    seeds: tuple[int, ...] = (101, 102, 103, 104, 105),
    *,
    noise: tuple[float, ...] = NOISE,
    n_structures: int = 2,
    dynamics: int = 3,
    weights: str | Path = SHIPPED,
    show: Callable[[str], None] | None = None,
) -> Path:
    """Measures the share of atoms named right, by noise and in molecular dynamics, and writes `report.md` and a plot.

    Scored are atoms with a whole shell. The truth is fcc, hcp, bcc, icosahedral or none of them, which is what rivals
    can say: fivefold and disordered count as none, and so does a wrong `surface` of ours. A score is the mean over
    the five of the share found, so that none can be favoured.

    Args:
      out: folder for `report.md`, `accuracy.svg` and `records.json`.
      seeds: of structures and noise; the classifier was trained on 1.
      noise: levels.
      n_structures: of each kind for each seed and level.
      dynamics: for how many of the seeds to run molecular dynamics too.
      weights: of our classifier.
      show: called with a line now and then.

    Returns:
      The path of the report.

    Raises:
      ImportError: OVITO or matplotlib is missing.
      ValueError: no seeds.
    """
    if not seeds:
        raise ValueError("seeds is empty; give at least one")
    records = []
    for i, seed in enumerate(seeds):
        for level in noise:
            right = _shaken(seed, level, n_structures, weights)
            records.append({"kind": "noise", "noise": level, "seed": seed, "right": right})
            if show is not None:
                show(f"seed {seed}, noise {level:g}")
        for shot in snapshots(seed) if i < dynamics else ():
            right = _counted({}, shot.atoms, shot.labels, shot.nearest, weights)
            records.append({"kind": shot.name, "noise": shot.noise, "seed": seed, "right": right})
            if show is not None:
                show(f"seed {seed}, {shot.name}: noise {shot.noise:.3f}")
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    write_whole(out / "records.json", (json.dumps(records) + "\n").encode())
    write_whole(out / "accuracy.svg", drawn(records).encode())
    write_whole(out / "report.md", report(records).encode())
    return out / "report.md"


def _shaken(seed: int, level: float, n_structures: int, weights) -> Right:
    random = np.random.default_rng([seed, round(1000 * level)])
    right: Right = {}
    for build in HELD_OUT.values():
        for _ in range(n_structures):
            structure = build(random)
            atoms = noisy(random, structure, level, STRAIN)
            _counted(right, atoms, structure.labels, nearest_distance(structure), weights)
    return right


def _counted(right: Right, atoms: Any, labels: np.ndarray, nearest: float, weights) -> Right:
    """Adds, for every method and true word, how many atoms there are and how many it named right."""
    scored = labels != "surface"
    truth = _plain(labels)[scored]
    for method, found in (ovito_labels(atoms, nearest) | {OURS: _plain(atom_motifs(atoms, weights))}).items():
        table = right.setdefault(method, {})
        for word in np.unique(truth):
            mine = truth == word
            entry = table.setdefault(str(word), [0, 0])
            entry[0] += int(np.sum(found[scored][mine] == word))
            entry[1] += int(mine.sum())
    return right


def _plain(labels: np.ndarray) -> np.ndarray:
    """Returns labels in the words of rivals."""
    return np.where(np.isin(labels, ["fivefold", "disordered", "surface"]), "other", labels)
