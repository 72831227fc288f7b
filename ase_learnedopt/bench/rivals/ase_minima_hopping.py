"""ASE's `MinimaHopping`: molecular dynamics between local minima, hotter where it comes back to known ones."""

import contextlib
import io
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from ase import Atoms, units
from ase.optimize import BFGS, FIRE, LBFGS, BFGSLineSearch
from ase.optimize.minimahopping import ComparePositions, MinimaHopping

from ..counting import CountingCalculator, Evaluator
from ..problems import Problem
from .common import fresh_start, scales

OPTIMIZERS = {"BFGS": BFGS, "FIRE": FIRE, "LBFGS": LBFGS, "BFGSLineSearch": BFGSLineSearch}


def run(problem: Problem, atoms: Atoms, evaluator: Evaluator, seed: int, *, scaled: Mapping[str, Any] | None = None):
    """Runs ASE's minima hopping, which keeps its books in files of the working directory, in a temporary one.

    Args:
      problem: what is searched.
      atoms: the start.
      evaluator: counts and ends.
      seed: of the velocities.
      scaled: None: ASE's defaults, made for metals in eV. Else `optimizer`, `fmax` (energy scales per length scale),
        `kT0` and `Ediff0` (energy scales), `minima_threshold` (length scales), `mdmin`, and `timestep` in units of
        length sqrt(mass / energy).
    """
    settings: dict[str, Any] = {"optimizer": BFGSLineSearch}  # what ASE's default, QuasiNewton, is a name for
    if scaled is not None:
        length, energy = scales(problem, atoms)
        period = length * np.sqrt(atoms.get_masses().mean() / energy)
        settings = {
            "optimizer": OPTIMIZERS[scaled["optimizer"]],
            "fmax": scaled["fmax"] * energy / length,
            "T0": scaled["kT0"] * energy / units.kB,
            "Ediff0": scaled["Ediff0"] * energy,
            "minima_threshold": scaled["minima_threshold"] * length,
            "mdmin": scaled["mdmin"],
            "timestep": scaled["timestep"] * period / units.fs,
        }
    settings["optimizer"] = _tidy(settings["optimizer"])
    stream = np.random.RandomState(seed % 2**32)
    attempt = 0
    while True:
        atoms = atoms.copy()
        atoms.calc = CountingCalculator(evaluator)
        failed_line_search = contextlib.suppress(RuntimeError)  # or one that never ends
        faster = patch.object(ComparePositions, "_indistinguishable_compare", farthest_pair)
        with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder), _quiet(), faster, failed_line_search:
            MinimaHopping(atoms, rng=stream, **settings)()
        attempt += 1
        atoms = fresh_start(problem, seed, attempt)


def farthest_pair(_self, atoms1: Atoms, atoms2: Atoms) -> float:
    """Returns what `ComparePositions._indistinguishable_compare` does, to the last bit, without its loop over pairs.

    ASE compares every new minimum with all others in pure Python, 0.3 s a pair at 38 atoms: more than all the rest.
    """
    distances = np.linalg.norm(atoms1.positions[:, None] - atoms2.positions[None], axis=2)
    distances[atoms1.numbers[:, None] != atoms2.numbers[None]] = np.inf
    farthest = 0.0
    for row in distances:
        partner = int(row.argmin())
        farthest = max(farthest, float(row[partner]))
        distances[:, partner] = np.inf  # taken
    return farthest


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silences ASE's line search, which prints, and the overflows of overlapping atoms."""
    with contextlib.redirect_stdout(io.StringIO()), np.errstate(all="ignore"):
        yield


def _tidy(optimizer: type):
    """Returns an optimizer that first removes what earlier hops wrote: a long run would fill the disk."""

    def begin(atoms, **kwargs):
        for old in (*Path().glob("md*"), *Path().glob("qn*")):
            old.unlink()
        return optimizer(atoms, **kwargs)

    return begin
