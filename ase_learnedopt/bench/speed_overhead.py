"""Measures the time of an ASE step that is not the calculator's, ours beside ASE's optimizers. Layer 4.

The calculator costs next to nothing: harmonic springs to the sites of a crystal, in NumPy. Two clocks run in it. One
counts whole requests of energy or forces, with ASE's comparison of old and new atoms that each of them makes; the other
counts `calculate` alone. An optimizer that asks more often pays for it by the second clock and not by the first.
"""

import os
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.calculators.calculator import Calculator, all_changes
from ase.optimize import BFGS, FIRE, LBFGS

from ..adapter import Learn2Hop, LearnedHop, LearnedRelax

METHODS: dict[str, Callable[[Atoms], Any]] = {
    "LearnedRelax": lambda atoms: LearnedRelax(atoms, logfile=os.devnull),
    "LearnedHop": lambda atoms: LearnedHop(atoms, logfile=os.devnull, seed=0),
    "Learn2Hop": lambda atoms: Learn2Hop(atoms, logfile=os.devnull, seed=0),
    "FIRE": lambda atoms: FIRE(atoms, logfile=os.devnull),
    "BFGS": lambda atoms: BFGS(atoms, logfile=os.devnull),
    "LBFGS": lambda atoms: LBFGS(atoms, logfile=os.devnull),
}
OURS = ("LearnedRelax", "LearnedHop", "Learn2Hop")
MAX_ATOMS = {"BFGS": 2000}
"""BFGS diagonalises a dense matrix in every step: at 5,000 atoms of 1.8 GB."""
N_WARMUP = 10
"""Steps that are not counted."""


class Springs(Calculator):
    """Pulls every atom to its site, and keeps the seconds it took by both clocks."""

    implemented_properties = ["energy", "forces"]  # noqa: RUF012, ASE's own form

    def __init__(self, sites):
        super().__init__()
        self.sites, self.stiffness = sites, np.linspace(1.0, 30.0, len(sites))[:, None]
        self.spent = np.zeros(2)  # s: in requests, in `calculate`

    def get_property(self, name, atoms=None, allow_calculation=True):
        """Returns energy or forces."""
        begin = time.perf_counter()
        result = super().get_property(name, atoms, allow_calculation)
        self.spent[0] += time.perf_counter() - begin
        return result

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        """Computes energy and forces."""
        begin = time.perf_counter()
        super().calculate(atoms, properties, system_changes)
        assert atoms is not None
        offset = atoms.positions - self.sites
        forces = -self.stiffness * offset
        self.results = {"energy": -0.5 * float(np.sum(forces * offset)), "forces": forces}
        self.spent[1] += time.perf_counter() - begin


def rattled(n_atoms: int) -> Atoms:
    """Returns a rattled piece of copper on springs."""
    edge = int(np.ceil(n_atoms ** (1 / 3)))
    atoms = bulk("Cu").repeat((edge, edge, edge))[:n_atoms]
    atoms.pbc = False
    atoms.calc = Springs(atoms.positions.copy())
    atoms.rattle(0.3, seed=1)
    return atoms


def step_times(build: Callable[[Atoms], Any], n_atoms: int, n_steps: int, limit_s: float) -> np.ndarray:
    """Returns milliseconds `[n_steps, 2]` of the steps without the calculator's, by both clocks.

    Args:
      build: makes the optimizer.
      n_atoms: size.
      n_steps: how many at most, the first ones, which are left out, included.
      limit_s: after so many seconds four steps are enough, of which two are left out.
    """
    atoms = rattled(n_atoms)
    times, begin = [], time.perf_counter()
    now, spent = begin, atoms.calc.spent.copy()
    for _ in build(atoms).irun(fmax=1e-12, steps=n_steps):
        before, now = now, time.perf_counter()
        times.append((now - before) - (atoms.calc.spent - spent))
        spent = atoms.calc.spent.copy()
        if now - begin > limit_s and len(times) >= 4:
            break
    return 1e3 * np.array(times)[min(N_WARMUP, len(times) // 2) :]


def measure_overhead(sizes: tuple[int, ...], n_steps: int, limit_s: float, say: Callable) -> list[dict[str, Any]]:
    """Returns one row for each method and size: medians and means of a step in ms by both clocks."""
    rows = []
    for name, build in METHODS.items():
        for n_atoms in sizes:
            if n_atoms > MAX_ATOMS.get(name, n_atoms):
                continue
            if name in OURS:  # so that nothing compiles in what is measured, hops included
                step_times(build, n_atoms, n_steps, limit_s)
            times = step_times(build, n_atoms, n_steps, limit_s)
            median, mean = np.median(times, axis=0), times.mean(axis=0)
            row = {"method": name, "n_atoms": n_atoms, "steps": len(times)}
            row |= {"median_ms": {"without_requests": median[0], "without_calculate": median[1]}}
            row |= {"mean_ms": {"without_requests": mean[0], "without_calculate": mean[1]}}
            rows.append(row)
            say(f"overhead: {name}, {n_atoms} atoms: {median[0]:.3f} ms per step")
    return rows
