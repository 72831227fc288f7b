"""Measures what a search costs in natural scales that are wrong at first, against one that is given the right ones.

    python benchmarks/scales.py --out scales.md
    python benchmarks/scales.py --parts calibrate --first-seed 40000 --seeds 100
    python benchmarks/scales.py --parts kept

The first command runs `ase_learnedopt.LearnedHop` with the right scales times factors in place of those of its tables,
on rare gases with what the tables say of them, and on Lennard-Jones clusters in reduced units that are named after an
element. Cells are mean evaluations until one is within 1e-3 epsilon of the lowest energy known, and their ratio to the
same starts with the right scales given. `dense` does it for rare gases thrown at the distances of the tables, far too
close. `calibrate` shows what the evidence says of random starts whose scales are known, from which `LENGTH_BIAS` and
`ENERGY_BIAS` come; `springs` how stiff the stiffest of the first small moves is; `kept` how often scales are changed
where the tables are right.
"""

import argparse
import datetime as dt
import platform
import shlex
import sys
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from functools import cache
from importlib.metadata import version
from pathlib import Path
from unittest import mock

import numpy as np
from ase import Atoms
from ase.calculators.calculator import CalculationFailed
from ase.calculators.lj import LennardJones
from ase.data import atomic_numbers, covalent_radii

from ase_learnedopt import LearnedHop
from ase_learnedopt.adapter import optimizer
from ase_learnedopt.adapter.convert import describe, to_rows, to_system
from ase_learnedopt.adapter.scale_learning import MANY_MOVES, springs_seen
from ase_learnedopt.bench.problems import get_problem
from ase_learnedopt.bench.rivals.common import scales
from ase_learnedopt.optimizers.learned import load_policy
from ase_learnedopt.optimizers.scale_evidence import ENERGY_BIAS, LENGTH_BIAS, weigh_scales

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
    "calibrate": "lj13,lj19,lj31,lj38,lj55,gupta-Ag13,gupta-Pt19,gupta-Ag32Cu6,emt-Pt13,emt-Au20,emt-Cu38",
    "springs": "lj13,lj38,gupta-Ag13,gupta-Ag32Cu6,emt-Pt13,emt-Cu38,xtb-Si7",
    "kept": "emt-Au13,emt-Pt13,emt-Cu38,xtb-Na6Cl6,xtb-(H2O)4,xtb-Au13,xtb-Si7,chgnet-Mg6O6",
}
Runs = Iterator[tuple[int | None, float, float]]
"""Evaluations to the target, None where it was not reached; length and energy scale at the end in the right ones."""


def main() -> None:
    """Prints what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", default="wrong,rare,reduced", help=f"{', '.join(SYSTEMS)} (default the first three)")
    parser.add_argument("--systems", help="problems of the benchmark in place of those of the part")
    parser.add_argument("--first-seed", type=int, default=60000, help="(default 60000)")
    parser.add_argument("--seeds", type=int, default=20, help="(default 20)")
    parser.add_argument("--out", type=Path, help="file for the tables, too")
    arguments = parser.parse_args()
    seeds = range(arguments.first_seed, arguments.first_seed + arguments.seeds)
    lines = [_provenance()]
    print(lines[0])
    for part in arguments.parts.split(","):
        for line in PARTS[part]((arguments.systems or SYSTEMS[part]).split(","), seeds):
            print(line, flush=True)
            lines.append(line)
        print()
        lines.append("")
        if arguments.out:
            arguments.out.write_text("\n".join(lines))


def _provenance() -> str:
    versions = ", ".join(f"{name} {version(name)}" for name in ("ase-learnedopt", "ase", "jax", "numpy"))
    command = shlex.join(["python", "benchmarks/scales.py", *sys.argv[1:]])
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


@cache
def _prior() -> np.ndarray:
    return np.asarray(load_policy("learned_hop", "learned_hop")[0]["prior"]["one kind"], float)


def calibrate(systems: list[str], seeds: range) -> Iterator[str]:
    """Yields what the evidence says of random starts, in known scales and not yet divided by the biases."""
    yield "| system | starts | length | spread | energy | spread |\n|---|---:|---:|---:|---:|---:|"
    means = []
    for name in systems:
        logs = np.array(list(_estimates(name, seeds)))
        means.append(logs.mean(axis=0))
        mean, spread = np.exp(means[-1]), logs.std(axis=0)
        yield f"| {name} | {len(logs)} | {mean[0]:.3f} | {spread[0]:.3f} | {mean[1]:.3f} | {spread[1]:.3f} |"
    mean, spread = np.exp(np.mean(means, axis=0)), np.std(means, axis=0)
    yield f"| all | | {mean[0]:.3f} | {spread[0]:.3f} | {mean[1]:.3f} | {spread[1]:.3f} |"


def _estimates(name: str, seeds: range) -> Iterator[tuple[float, float]]:
    """Yields logarithms of length and energy in the scales of a problem whose potential is ours."""
    problem = get_problem(name)
    assert problem.system is not None
    for seed in seeds:
        atoms, ours = problem.start(seed), problem.system(seed)
        atoms.calc = problem.calculator()
        rows = describe(atoms, atoms.__ase_optimizable__())
        scales = float(ours.length_scale), float(ours.energy_scale)
        system = to_system(rows, atoms.positions.reshape(-1), *scales)
        system.radii[: len(atoms)] = np.asarray(ours.radii)
        gradient = to_rows(-atoms.get_forces().reshape(-1), len(system.species))
        found = weigh_scales(_prior(), system, system.positions, gradient)
        if found is not None:
            yield float(np.log(found.length * LENGTH_BIAS)), float(np.log(found.energy * ENERGY_BIAS))


def kept(systems: list[str], seeds: range) -> Iterator[str]:
    """Yields how often scales are changed at the start and in three evaluations after it."""
    yield "| system | starts | changed | length | energy |\n|---|---:|---:|---:|---:|"
    for name in systems:
        changes = list(_changes(name, seeds))
        changed = [change for change in changes if change != (1.0, 1.0)]
        spans = [f"{min(x):.2f} to {max(x):.2f}" for x in zip(*changed, strict=True)] or ["", ""]
        yield f"| {name} | {len(changes)} | {len(changed)} | {' | '.join(spans)} |"


def _changes(name: str, seeds: Iterable[int]) -> Iterator[tuple[float, float]]:
    """Yields by what factors the scales of the tables are changed, for starts that the calculator can follow."""
    problem = get_problem(name)
    for seed in seeds:
        atoms = problem.start(seed)
        atoms.calc = problem.calculator()
        run = LearnedHop(atoms, seed=seed, logfile=None, patience=None)
        before = run.length_scale, run.energy_scale
        try:
            for _ in run.irun(fmax=1e-9, steps=30):
                if run.nsteps >= 4:  # the last geometry is evaluated, but not yet looked at
                    break
        except CalculationFailed:  # at the start, where atoms overlap
            continue
        yield run.length_scale / before[0], run.energy_scale / before[1]


def springs(systems: list[str], seeds: range) -> Iterator[str]:
    """Yields how stiff the stiffest of the small moves of a search is that knows its scales."""
    yield "| system | runs | least | median | most |\n|---|---:|---:|---:|---:|"
    for name in systems:
        stiffest = np.array(list(_stiffest(name, seeds)))
        cells = [f"{x:.0f}" for x in (stiffest.min(), np.median(stiffest), stiffest.max())]
        yield f"| {name} | {len(stiffest)} | {' | '.join(cells)} |"


def _stiffest(name: str, seeds: Iterable[int]) -> Iterator[float]:
    """Yields the stiffness in energy scales per length scale squared, of runs that make enough small moves."""
    problem = get_problem(name)
    for seed in seeds:
        atoms = problem.start(seed)
        atoms.calc = problem.calculator()
        length, energy = scales(problem, atoms)
        run = LearnedHop(atoms, seed=seed, logfile=None, patience=None, length_scale=length, energy_scale=energy)
        seen: list[tuple] = []
        try:
            for _ in run.irun(fmax=1e-9, steps=30):
                here = atoms.get_positions(), atoms.get_potential_energy(), -atoms.get_forces()
                seen.append(here)
        except CalculationFailed:
            continue
        found = springs_seen(seen, length)
        if len(found) >= MANY_MOVES:
            yield max(found[:MANY_MOVES]) * length**2 / energy


PARTS = {
    "wrong": wrong,
    "rare": rare,
    "dense": dense,
    "reduced": reduced,
    "calibrate": calibrate,
    "springs": springs,
    "kept": kept,
}


if __name__ == "__main__":
    main()
