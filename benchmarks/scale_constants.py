"""Measures what forces and moves say of natural scales that are known, from which the constants of learning them come.

    python benchmarks/scale_constants.py --parts calibrate --first-seed 40000 --seeds 100
    python benchmarks/scale_constants.py --parts springs,kept

`calibrate` shows what the evidence says of random starts, from which `LENGTH_BIAS` and `ENERGY_BIAS` come; `springs`
how stiff the stiffest of the first small moves is (`SOFT`, `STIFF`); `kept` how often scales are changed where the
tables are right.
"""

from collections.abc import Iterable, Iterator
from functools import cache

import numpy as np
from ase.calculators.calculator import CalculationFailed
from scales import Part, print_tables

from ase_learnedopt import LearnedHop
from ase_learnedopt.adapter.convert import to_rows
from ase_learnedopt.adapter.scale_learning import MANY_MOVES, springs_seen
from ase_learnedopt.bench.problems import get_problem
from ase_learnedopt.bench.rivals.common import padded_system, scales
from ase_learnedopt.optimizers.learned import load_policy
from ase_learnedopt.optimizers.scale_evidence import ENERGY_BIAS, LENGTH_BIAS, weigh_scales

SYSTEMS = {
    "calibrate": "lj13,lj19,lj31,lj38,lj55,gupta-Ag13,gupta-Pt19,gupta-Ag32Cu6,emt-Pt13,emt-Au20,emt-Cu38",
    "springs": "lj13,lj38,gupta-Ag13,gupta-Ag32Cu6,emt-Pt13,emt-Cu38,xtb-Si7",
    "kept": "emt-Au13,emt-Pt13,emt-Cu38,xtb-Na6Cl6,xtb-(H2O)4,xtb-Au13,xtb-Si7,chgnet-Mg6O6",
}


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
        atoms = problem.start(seed)
        atoms.calc = problem.calculator()
        system = padded_system(problem, atoms)
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


PARTS: dict[str, Part] = {"calibrate": calibrate, "springs": springs, "kept": kept}


if __name__ == "__main__":
    print_tables(__doc__, PARTS, SYSTEMS, "calibrate,springs,kept")
