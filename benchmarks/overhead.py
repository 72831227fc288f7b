"""Time per ASE step that is not the calculator's, and time to the first step in a fresh process.

    python benchmarks/overhead.py

The calculator costs next to nothing: harmonic springs to the sites of a crystal, in NumPy. The time inside it is taken
off, ASE's comparison of old and new atoms included, which every request of energy or forces costs. Medians over steps;
ASE's optimizers in the same run.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time

import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.calculators.calculator import Calculator, all_changes
from ase.optimize import BFGS, FIRE, LBFGS

from ase_learnedopt import LearnedHop

COLD = """
import time
import ase.build, ase.calculators.lj
begin = time.perf_counter()
from ase_learnedopt import LearnedHop
atoms = ase.build.molecule("C60")[:38]
atoms.calc = ase.calculators.lj.LennardJones(sigma=1.2, epsilon=1.0, rc=50.0)
opt = LearnedHop(atoms, logfile=None, seed=0, length_scale=1.35, energy_scale=1.0, {keywords})
opt.run(fmax=1e-9, steps=1)
print(time.perf_counter() - begin)
"""


class Springs(Calculator):
    """Pulls every atom to its site, and keeps the time it took."""

    implemented_properties = ("energy", "forces")

    def __init__(self, sites):
        super().__init__()
        self.sites, self.stiffness, self.spent = sites, np.linspace(1.0, 30.0, len(sites))[:, None], 0.0

    def get_property(self, name, atoms=None, allow_calculation=True):
        """Returns energy or forces, and keeps the time."""
        begin = time.perf_counter()
        result = super().get_property(name, atoms, allow_calculation)
        self.spent += time.perf_counter() - begin
        return result

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        """Computes energy and forces."""
        super().calculate(atoms, properties, system_changes)
        offset = self.atoms.positions - self.sites
        forces = -self.stiffness * offset
        self.results = {"energy": -0.5 * float(np.sum(forces * offset)), "forces": forces}


def rattled(n_atoms: int) -> Atoms:
    """Returns a rattled piece of copper on springs."""
    edge = int(np.ceil(n_atoms ** (1 / 3)))
    atoms = bulk("Cu").repeat((edge, edge, edge))[:n_atoms]
    atoms.pbc = False
    atoms.calc = Springs(atoms.positions.copy())
    atoms.rattle(0.3, seed=1)
    return atoms


def overhead(build, n_atoms: int, n_steps: int) -> float:
    """Returns the median time of a step in ms, the calculator's taken off, after ten steps of warming up."""
    atoms = rattled(n_atoms)
    times: list[float] = []
    last = [time.perf_counter(), 0.0]

    def stamp():
        now, spent = time.perf_counter(), atoms.calc.spent
        times.append((now - last[0]) - (spent - last[1]))
        last[:] = now, spent

    optimizer = build(atoms)
    optimizer.attach(stamp)
    optimizer.run(fmax=1e-12, steps=n_steps)
    return 1e3 * float(np.median(times[10:]))


def cold(keywords: str, cache: str | None = None) -> float:
    """Returns the seconds from before the import of this package to the end of the first step, in a new process."""
    env = dict(os.environ)
    if cache:
        env |= {"JAX_COMPILATION_CACHE_DIR": cache, "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
    code = COLD.format(keywords=keywords)
    out = subprocess.run(  # noqa: S603, our own interpreter and code
        [sys.executable, "-c", code], env=env, check=True, capture_output=True, text=True
    )
    return float(out.stdout.split()[-1])


def main() -> None:
    """Prints both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="13,38,147,500,2000,5000")
    parser.add_argument("--steps", type=int, default=120)
    args = parser.parse_args()
    methods = {
        "LearnedHop(max_hops=0)": lambda a: LearnedHop(a, logfile=os.devnull, max_hops=0, seed=0),
        "LearnedHop": lambda a: LearnedHop(a, logfile=os.devnull, seed=0),
        "FIRE": lambda a: FIRE(a, logfile=os.devnull),
        "BFGS": lambda a: BFGS(a, logfile=os.devnull),
        "LBFGS": lambda a: LBFGS(a, logfile=os.devnull),
    }
    sizes = [int(n) for n in args.sizes.split(",")]
    print("| ms per step | " + " | ".join(f"{n} atoms" for n in sizes) + " |")
    print("|---|" + "---|" * len(sizes))
    for name, build in methods.items():
        cells = ["-" if name == "BFGS" and n > 500 else f"{overhead(build, n, args.steps):.2f}" for n in sizes]
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)
    print("\n| first step, s | cold | compilation cache warm |\n|---|---|---|")
    for name, keywords in (("LearnedHop(max_hops=0)", "max_hops=0"), ("LearnedHop", "")):
        with tempfile.TemporaryDirectory() as cache:
            first = cold(keywords)
            cold(keywords, cache)
            print(f"| {name} | {first:.2f} | {cold(keywords, cache):.2f} |", flush=True)


if __name__ == "__main__":
    main()
