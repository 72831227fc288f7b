"""Counts force evaluations of everyday relaxations: `LearnedRelax` beside ASE's own optimizers.

    python benchmarks/relaxations.py [--seeds 0 1 2] [--held-out] [--weights PATH]

prints two Markdown tables, down to fmax 0.05 and 0.005 eV/Angstrom. A figure is the mean over the seeds of calls of
`calculate`; a run that does not end within 1,000 calls, fails, or tears its cluster apart counts as 1,000. Rows with
GFN2-xTB need the package tblite and are left out without it.
"""

import argparse
import os
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy is loaded: threads only get in each other's way here

import numpy as np
from ase import Atoms
from ase.build import add_adsorbate, bulk, fcc111, molecule
from ase.calculators.emt import EMT
from ase.calculators.lj import LennardJones
from ase.cluster import Icosahedron
from ase.constraints import FixAtoms
from ase.filters import Filter, FrechetCellFilter, UnitCellFilter
from ase.optimize import BFGS, LBFGS, BFGSLineSearch
from ase.optimize.fire2 import FIRE2
from ase.optimize.optimize import Optimizer
from ase.optimize.precon import PreconLBFGS
from scipy.sparse.csgraph import connected_components
from scipy.spatial.distance import cdist
from scipy.spatial.transform import Rotation

from ase_learnedopt import LearnedRelax

LIMIT = 1000
TOLERANCES = (0.05, 0.005)
LENNARD_JONES = partial(LennardJones, rc=100.0)


class OutOfCallsError(Exception):
    """Says that a run has used up its calls."""


class Preconditioned(PreconLBFGS):
    """Is ASE's `PreconLBFGS` with what its `run` sets, which `irun` does not; `precon` as it chooses itself."""

    options: ClassVar[dict] = {}

    def __init__(self, target, **kwargs):
        # Of filters it knows only this one.
        target = UnitCellFilter(target.atoms) if isinstance(target, Filter) else target
        super().__init__(target, **self.options, **kwargs)

    def irun(self, fmax, steps):
        """Runs with one limit for forces and stress."""
        self.smax = fmax
        return super().irun(fmax, steps)


class PreconditionedAlways(Preconditioned):
    """Has a preconditioner in small systems, too, where `precon="auto"` takes none; and moves of 0.2 Angstrom."""

    options: ClassVar[dict] = {"precon": "Exp", "maxstep": 0.2}


RIVALS = {c.__name__: c for c in (BFGSLineSearch, BFGS, LBFGS, FIRE2)} | {
    "PreconLBFGS": Preconditioned,
    "PreconLBFGS(precon='Exp', maxstep=0.2)": PreconditionedAlways,
}
OPTIMIZERS: dict[str, Callable[..., Optimizer]] = {"LearnedRelax": LearnedRelax} | RIVALS


def rattle(atoms: Atoms, seed: int, sigma: float) -> Atoms:
    """Displaces the atoms that may move by normals of `sigma` Angstrom."""
    atoms.set_positions(atoms.positions + sigma * np.random.default_rng(seed).normal(size=(len(atoms), 3)))
    return atoms


def random_cluster(symbol: str, n: int, bond: float, seed: int) -> Atoms:
    """Returns atoms uniform in a sphere of twice the close-packed volume."""
    rng = np.random.default_rng(seed)
    radius = (2 * n * bond**3 / np.sqrt(2) * 3 / (4 * np.pi)) ** (1 / 3)
    direction = rng.normal(size=(n, 3))
    direction /= np.linalg.norm(direction, axis=1)[:, None]
    return Atoms(f"{symbol}{n}", direction * radius * rng.uniform(size=(n, 1)) ** (1 / 3))


def slab_with_adsorbates(symbol: str, size, seed: int) -> Atoms:
    """Returns a (111) slab, lowest layers fixed, with O, N and CO on it."""
    slab = fcc111(symbol, size, vacuum=8.0)
    bottom = slab.positions[:, 2] < slab.positions[:, 2].min() + 3.0
    add_adsorbate(slab, "O", 1.3, "fcc")
    add_adsorbate(slab, "N", 1.3, "hcp", offset=(1, 1))
    add_adsorbate(slab, Atoms("CO", [(0, 0, 0), (0, 0, 1.15)]), 1.9, "ontop", offset=(2, 0))
    slab.set_constraint(FixAtoms(np.flatnonzero(bottom)))
    return rattle(slab, seed, 0.05)


def vacancy(symbol: str, seed: int) -> Atoms:
    """Returns a periodic crystal without one of its atoms."""
    crystal = bulk(symbol, cubic=True) * (3, 3, 3)
    del crystal[len(crystal) // 2]
    return rattle(crystal, seed, 0.05)


def strained(symbol: str, seed: int) -> Atoms:
    """Returns a periodic crystal with a random strain of some five percent."""
    crystal = bulk(symbol, cubic=True) * (2, 2, 2)
    strain = np.eye(3) + 0.05 * np.random.default_rng(seed).normal(size=(3, 3))
    crystal.set_cell(crystal.cell @ strain, scale_atoms=True)
    return rattle(crystal, seed + 1000, 0.05)


def water_ring(n: int, seed: int) -> Atoms:
    """Returns molecules of random orientation, their oxygens on a ring 3 Angstrom apart."""
    rng = np.random.default_rng(seed)
    ring = Atoms()
    for k in range(n):
        water, angle = molecule("H2O"), 2 * np.pi * k / n
        turned = (water.positions - water.positions[0]) @ Rotation.random(random_state=rng).as_matrix()
        water.positions = turned + 1.5 / np.sin(np.pi / n) * np.array([np.cos(angle), np.sin(angle), 0.0])
        ring += water
    return ring


def xtb():
    """Returns a GFN2-xTB calculator."""
    from tblite.ase import TBLite

    return TBLite(method="GFN2-xTB", verbosity=0)


@dataclass(frozen=True)
class Task:
    """Describes a structure by seed, its calculator, whether the cell relaxes, and the bond length of a cluster."""

    build: Callable
    calculator: Callable = EMT
    cell: bool = False
    bond: float | None = None


TASKS = {
    "rattled Cu55 (EMT)": Task(lambda s: rattle(Icosahedron("Cu", 3), s, 0.15)),
    "random Au55 (EMT)": Task(lambda s: random_cluster("Au", 55, 2.88, s), bond=2.88),
    "Pt slab, O, N, CO (EMT)": Task(lambda s: slab_with_adsorbates("Pt", (3, 3, 4), s)),
    "Al vacancy (EMT)": Task(lambda s: vacancy("Al", s)),
    "strained Cu cell (EMT)": Task(lambda s: strained("Cu", s), cell=True),
    "random LJ38": Task(lambda s: random_cluster("Ar", 38, 2 ** (1 / 6), s), LENNARD_JONES, bond=2 ** (1 / 6)),
    "ethanol (GFN2-xTB)": Task(lambda s: rattle(molecule("CH3CH2OH"), s, 0.1), xtb),
    "water tetramer (GFN2-xTB)": Task(lambda s: water_ring(4, s), xtb),
}
HELD_OUT = {
    "rattled Ag13 (EMT)": Task(lambda s: rattle(Icosahedron("Ag", 2), s, 0.2)),
    "random Pd30 (EMT)": Task(lambda s: random_cluster("Pd", 30, 2.75, s), bond=2.75),
    "Ni slab, O, N, CO (EMT)": Task(lambda s: slab_with_adsorbates("Ni", (4, 4, 3), s)),
    "Cu vacancy (EMT)": Task(lambda s: vacancy("Cu", s)),
    "strained Au cell (EMT)": Task(lambda s: strained("Au", s), cell=True),
    "random LJ20": Task(lambda s: random_cluster("Ar", 20, 2 ** (1 / 6), s), LENNARD_JONES, bond=2 ** (1 / 6)),
    "benzene (GFN2-xTB)": Task(lambda s: rattle(molecule("C6H6"), s, 0.1), xtb),
    "nitromethane (GFN2-xTB)": Task(lambda s: rattle(molecule("CH3NO2"), s, 0.1), xtb),
    "water hexamer (GFN2-xTB)": Task(lambda s: water_ring(6, s), xtb),
    "Si8 (GFN2-xTB)": Task(lambda s: rattle(Atoms("Si8", 2.4 * np.indices((2, 2, 2)).reshape(3, -1).T), s, 0.2), xtb),
}


def evaluations(task: Task, optimizer: Callable[..., Optimizer], seed: int) -> list[int]:
    """Returns the calls needed to reach each of `TOLERANCES`, `LIMIT` where it was not reached."""
    atoms = task.build(seed)
    atoms.calc = task.calculator()
    target = FrechetCellFilter(atoms) if task.cell else atoms
    calls = _count(atoms.calc)
    needed = [LIMIT] * len(TOLERANCES)
    try:
        relaxation = optimizer(target, logfile=None)
        for _ in relaxation.irun(fmax=TOLERANCES[-1], steps=LIMIT):
            fmax = relaxation.optimizable.gradient_norm(relaxation.optimizable.get_gradient())
            needed = [min(n, len(calls)) if fmax < t else n for n, t in zip(needed, TOLERANCES, strict=True)]
    except Exception as error:  # noqa: BLE001  whatever ends a rival's run, the run has failed
        if not isinstance(error, OutOfCallsError):
            print(f"{optimizer}: {type(error).__name__}: {error}", file=sys.stderr)
    return [LIMIT] * len(needed) if task.bond and _is_torn(atoms, task.bond) else needed


def _count(calculator) -> list:
    """Makes a calculator note each of its calls, and refuse beyond the limit.

    It refuses endless questions at one geometry too: the line search of BFGSLineSearch may never end among huge forces.
    """
    calls, questions, calculate, get_property = [], [], calculator.calculate, calculator.get_property

    def noted(*args, **kwargs):
        if len(calls) == LIMIT:
            raise OutOfCallsError
        calls.append(None)
        return calculate(*args, **kwargs)

    def asked(*args, **kwargs):
        questions.append(None)
        if len(questions) > 20 * LIMIT:
            raise OutOfCallsError
        return get_property(*args, **kwargs)

    calculator.calculate, calculator.get_property = noted, asked
    return calls


def _is_torn(atoms: Atoms, bond: float) -> bool:
    """Says whether the largest piece holds less than nine tenths of the atoms."""
    pieces = connected_components(cdist(atoms.positions, atoms.positions) < 1.7 * bond)[1]
    return np.bincount(pieces).max() < 0.9 * len(atoms)


def table(title: str, names: list[str], figures: np.ndarray) -> str:
    """Returns Markdown: a row for each task, and below the geometric means.

    Args:
      title: what was counted.
      names: of the tasks.
      figures: `[n_tasks, n_optimizers]`.
    """
    rivals = figures[:, [list(OPTIMIZERS).index(name) for name in RIVALS]]
    best = rivals.min(axis=1, keepdims=True)
    rows = [f"| {title} | {' | '.join(OPTIMIZERS)} | best of ASE |", "|---|" + "---:|" * (len(OPTIMIZERS) + 1)]
    body = np.concatenate([figures, best], axis=1)
    rows += [f"| {name} | " + " | ".join(f"{x:.1f}" for x in row) + " |" for name, row in zip(names, body, strict=True)]
    means = np.exp(np.log(body).mean(axis=0))
    single = np.exp(np.log(rivals).mean(axis=0)).min()
    for name, row in (
        ("geometric mean", means),
        ("... over the best single ASE optimizer", means / single),
        ("... over the best of ASE, task by task", means / means[-1]),
        ("largest ratio to the best of ASE on one task", (body / best).max(axis=0)),
    ):
        rows.append(f"| {name} | " + " | ".join(f"{x:.2f}" for x in row) + " |")
    return "\n".join(rows)


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--held-out", action="store_true", help="other elements, sizes and molecules")
    parser.add_argument("--weights", metavar="PATH", help="of LearnedRelax, for one more column")
    arguments = parser.parse_args()
    if arguments.weights:
        OPTIMIZERS["LearnedRelax, trained"] = partial(LearnedRelax, weights=arguments.weights)
    warnings.simplefilter("ignore")
    tasks: dict[str, Task] = HELD_OUT if arguments.held_out else TASKS
    try:
        xtb()
    except ImportError:
        print("tblite is not installed: the rows with GFN2-xTB are left out\n")
        tasks = {name: task for name, task in tasks.items() if task.calculator is not xtb}
    figures = np.zeros((len(tasks), len(OPTIMIZERS), len(TOLERANCES)))
    for i, (name, task) in enumerate(tasks.items()):
        for j, optimizer in enumerate(OPTIMIZERS.values()):
            figures[i, j] = np.mean([evaluations(task, optimizer, seed) for seed in arguments.seeds], axis=0)
        print(name, figures[i].round(1).tolist(), file=sys.stderr)
    for k, fmax in enumerate(TOLERANCES):
        print(table(f"evaluations to fmax {fmax}", list(tasks), figures[:, :, k]), end="\n\n")


if __name__ == "__main__":
    main()
