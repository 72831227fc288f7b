"""Measures what a search costs in natural scales that are wrong at first, against one that is given the right ones.

    python benchmarks/scales.py --out scales.md

It runs `ase_learnedopt.LearnedHop` with the right scales times factors in place of those of its tables, on rare gases
with what the tables say of them (`dense`: thrown at the distances of the tables, far too close), and on Lennard-Jones
clusters in reduced units that are named after an element. Cells are mean evaluations until one is within 1e-3 epsilon
of the lowest energy known, and their ratio to the same starts with the right scales given.
"""

import argparse
import datetime as dt
import platform
import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from importlib.metadata import version
from pathlib import Path
from unittest import mock

import numpy as np
from ase import Atoms
from ase.calculators.lj import LennardJones
from ase.data import atomic_numbers, covalent_radii

from ase_learnedopt import LearnedHop
from ase_learnedopt.adapter import optimizer
from ase_learnedopt.bench.problems import get_problem

LENGTHS, ENERGIES = (0.5, 0.75, 1.0, 1.5, 2.0, 4.0), (0.01, 0.1, 1.0, 10.0, 100.0)
BOND = 2.0 ** (1.0 / 6.0)
"""Length scale in sigma."""
RARE_GASES = {"Ar": (3.40, 10.4e-3), "Kr": (3.65, 14.0e-3), "Xe": (3.98, 20.0e-3)}
"""Sigma in Angstrom and epsilon in eV: C. Kittel, Introduction to Solid State Physics, 8th ed., chapter 3, table 4,
after N. Bernardes, Phys. Rev. 112, 1534 (1958)."""
REDUCED = {"H": (1.0, 1.0), "Ar": (1.0, 1.0)}
WITHIN, RESERVE = 500, 26
"""Evaluations in which the target must be reached, and what a run keeps beside them for its last relaxation."""
SYSTEMS = {
    "wrong": "lj13,lj38",
    "rare": "lj13,lj38,lj55",
    "dense": "lj13,lj38",
    "reduced": "lj13",
}
Runs = Iterator[tuple[int | None, float, float]]
"""Evaluations to the target, None where it was not reached; length and energy scale at the end in the right ones."""


Part = Callable[[list[str], range], Iterator[str]]
"""From problems of the benchmark and seeds to the lines of tables."""


def print_tables(description: str | None, parts: dict[str, Part], systems: dict[str, str], default: str) -> None:
    """Prints the tables of the parts that the command line asks for.

    Args:
      description: what `--help` says.
      parts: by name.
      systems: of each part, with commas.
      default: names of parts, with commas.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", default=default, help=f"{', '.join(parts)} (default {default})")
    parser.add_argument("--systems", help="problems of the benchmark in place of those of the part")
    parser.add_argument("--first-seed", type=int, default=60000, help="(default 60000)")
    parser.add_argument("--seeds", type=int, default=20, help="(default 20)")
    parser.add_argument("--out", type=Path, help="file for the tables, too")
    arguments = parser.parse_args()
    seeds = range(arguments.first_seed, arguments.first_seed + arguments.seeds)
    lines = [_provenance()]
    print(lines[0])
    for part in arguments.parts.split(","):
        for line in parts[part]((arguments.systems or systems[part]).split(","), seeds):
            print(line, flush=True)
            lines.append(line)
        print()
        lines.append("")
        if arguments.out:
            arguments.out.write_text("\n".join(lines))


def _provenance() -> str:
    versions = ", ".join(f"{name} {version(name)}" for name in ("ase-learnedopt", "ase", "jax", "numpy"))
    command = shlex.join(["python", f"benchmarks/{Path(sys.argv[0]).name}", *sys.argv[1:]])
    today = dt.datetime.now(dt.UTC)
    return f"`{command}`, {today:%Y-%m-%d}, Python {platform.python_version()}, {versions}\n"


def wrong(systems: list[str], seeds: range) -> Iterator[str]:
    """Yields the tables of all factors."""
    for name in systems:
        right = list(search(name, seeds, given=True))
        yield f"{name.upper()}, given the right scales: {_spent(right)} evaluations\n"
        yield f"| length \\ energy | {' | '.join(f'x {factor:g}' for factor in ENERGIES)} |"
        yield "|---" + "|---:" * len(ENERGIES) + "|"
        for length in LENGTHS:
            cells = [_cell(search(name, seeds, length=length, energy=energy), right) for energy in ENERGIES]
            yield f"| x {length:g} | {' | '.join(cells)} |"
        yield ""


def rare(systems: list[str], seeds: range) -> Iterator[str]:
    """Yields the table of rare gases with ASE's calculator."""
    yield from _named(RARE_GASES, systems, seeds)


def dense(systems: list[str], seeds: range) -> Iterator[str]:
    """Yields the table of rare gases whose atoms are thrown at the distances of the tables."""
    yield from _named(RARE_GASES, systems, seeds, thrown_by_tables=True)


def reduced(systems: list[str], seeds: range) -> Iterator[str]:
    """Yields the table of clusters in reduced units."""
    yield from _named(REDUCED, systems, seeds)


def _named(
    units: dict[str, tuple[float, float]], systems: list[str], seeds: range, *, thrown_by_tables: bool = False
) -> Iterator[str]:
    yield "| cluster | right scales given | scales of tables | ratio | length found | energy found |"
    yield "|---|---:|---:|---:|---:|---:|"
    for symbol, unit in units.items():
        for name in systems:
            closer = 2.0 * covalent_radii[atomic_numbers[symbol]] / (BOND * unit[0]) if thrown_by_tables else 1.0
            right = list(search(name, seeds, symbol, unit, closer=closer, given=True))
            found = list(search(name, seeds, symbol, unit, closer=closer))
            lengths, energies = (np.array([run[k] for run in found]) for k in (1, 2))
            spans = [f"{x.min():.2f} to {x.max():.2f}" for x in (lengths, energies)]
            cells = (f"{symbol}{name[2:]}", _spent(right), _spent(found), f"{_ratio(found, right):.2f}", *spans)
            yield f"| {' | '.join(cells)} |"


def search(
    name: str,
    seeds: range,
    symbol: str | None = None,
    unit: tuple[float, float] = (1.0, 1.0),
    *,
    length: float | None = None,
    energy: float = 1.0,
    closer: float = 1.0,
    given: bool = False,
) -> Runs:
    """Yields how each seed of a Lennard-Jones cluster fared.

    Args:
      name: such as lj13.
      seeds: of start and run.
      symbol: what the atoms are called, with ASE's calculator; None: as in the benchmark, with its calculator.
      unit: sigma in Angstrom and epsilon in eV.
      length, energy: what the right scales are multiplied by to be those of the tables; None: the tables as they are.
      closer: what the positions of the start are multiplied by.
      given: whether the right ones are given.
    """
    problem, (sigma, epsilon) = get_problem(name), unit
    assert problem.reference is not None
    target, right = (problem.reference + 1e-3) * epsilon, (BOND * sigma, epsilon)
    keywords = {"length_scale": right[0], "energy_scale": right[1]} if given else {}
    tables = nullcontext()
    if length is not None:
        factors = right[0] * length, right[1] * energy
        tables = mock.patch.object(optimizer, "resolve_scales", return_value=factors)
    for seed in seeds:
        atoms = problem.start(seed)
        calculator = problem.calculator()
        if symbol is not None:
            atoms = Atoms([symbol] * len(atoms), atoms.positions * sigma * closer)
            calculator = LennardJones(sigma=sigma, epsilon=epsilon, rc=1e3 * sigma)
        atoms.calc = calculator
        with tables:
            run = LearnedHop(atoms, seed=seed, logfile=None, patience=None, **keywords)
            for _ in run.irun(fmax=1e-9 * epsilon, steps=WITHIN + RESERVE):
                if run.best_energy <= target or run.n_evaluations >= WITHIN:
                    break
        spent = run.n_evaluations if run.best_energy <= target else None
        yield spent, run.length_scale / right[0], run.energy_scale / right[1]


def _cell(runs: Runs, right: list) -> str:
    found = list(runs)
    return f"{_spent(found)} ({_ratio(found, right):.2f})"


def _mean(runs: list) -> float:
    """Returns the evaluations of all runs for each that succeeded."""
    hits = sum(spent is not None for spent, _, _ in runs)
    return sum(WITHIN if spent is None else spent for spent, _, _ in runs) / hits if hits else np.inf


def _ratio(runs: list, right: list) -> float:
    return _mean(runs) / _mean(right)


def _spent(runs: list) -> str:
    failed = sum(spent is None for spent, _, _ in runs)
    return f"{_mean(runs):.1f}" + (f", {failed} failed" if failed else "")


PARTS: dict[str, Part] = {"wrong": wrong, "rare": rare, "dense": dense, "reduced": reduced}


if __name__ == "__main__":
    print_tables(__doc__, PARTS, SYSTEMS, "wrong,rare,reduced")
