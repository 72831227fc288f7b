"""The genetic algorithm of the package ase-ga on clusters: cut and splice, then sometimes a mutation. Needs ase-ga.

The loop is that of its tutorial on surface clusters (Vilhelmsen & Hammer, Phys. Rev. Lett. 108, 126101, 2012), without
a surface. The first candidates are the problem's starts.
"""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.optimize import BFGS, FIRE, LBFGS, BFGSLineSearch

from ..counting import CountingCalculator, Evaluator
from ..problems import Problem
from .common import container_radius, fresh_start, radii, require_cluster, scales

OPTIMIZERS = {"BFGS": BFGS, "FIRE": FIRE, "LBFGS": LBFGS, "BFGSLineSearch": BFGSLineSearch}
TUTORIAL = {
    "optimizer": "BFGS",
    "fmax": 0.05,  # eV/Angstrom
    "maxstep": 0.2,  # Angstrom
    "steps": 100,
    "population": 20,
    "mutation": 0.3,  # probability
    "rattle": 0.8,  # Angstrom
    "rattled": 0.4,  # share of the atoms
    "dE": 0.02,  # eV, two structures closer than this may be the same
    "stall": None,  # candidates without a new best after which a fresh population starts
}


def run(problem: Problem, atoms: Atoms, evaluator: Evaluator, seed: int, *, scaled: Mapping[str, Any] | None = None):
    """Runs the genetic algorithm until `RunEnded`.

    Args:
      problem: a cluster.
      atoms: the start, the first candidate.
      evaluator: counts and ends.
      seed: of all random numbers.
      scaled: None: the settings of the tutorial. Else the keys of `TUTORIAL`, lengths in length scales and energies in
        energy scales.

    Raises:
      ValueError: ase-ga is missing, or the problem is periodic.
    """
    require_cluster("ase_ga", problem, atoms)
    try:
        import ase_ga as _  # noqa: F401
    except ImportError as error:
        raise ValueError("ase_ga needs ase-ga: pip install 'ase-learnedopt[bench]'") from error
    settings = TUTORIAL if scaled is None else _in_units(scaled, *scales(problem, atoms))
    search = _Search(problem, evaluator, settings, seed)
    while True:
        with tempfile.TemporaryDirectory() as folder:
            search.evolve(atoms, Path(folder) / "ga.db")
        atoms = search.next_start()


def _in_units(scaled: Mapping[str, Any], length: float, energy: float) -> dict[str, Any]:
    units = {"fmax": energy / length, "maxstep": length, "rattle": length, "dE": energy}
    return {name: value * units.get(name, 1) if value is not None else None for name, value in scaled.items()}


class _Search:
    """Holds the random stream and the settings of a run; each call of `evolve` is one population's life."""

    def __init__(self, problem: Problem, evaluator: Evaluator, settings: Mapping[str, Any], seed: int):
        self._problem, self._evaluator, self._settings, self._seed = problem, evaluator, settings, seed
        self._stream = np.random.RandomState(seed % 2**32)
        self._attempt = 0

    def next_start(self) -> Atoms:
        """Returns the next of the problem's starts."""
        self._attempt += 1
        return fresh_start(self._problem, self._seed, self._attempt)

    def evolve(self, atoms: Atoms, database: Path) -> None:
        """Fills a population and breeds from it until it stalls."""
        from ase_ga.data import DataConnection, PrepareDB
        from ase_ga.population import Population
        from ase_ga.standard_comparators import InteratomicDistanceComparator

        box = _box(self._problem, atoms)
        founders = PrepareDB(str(database), simulation_cell=box, stoichiometry=atoms.numbers)
        for k in range(self._settings["population"]):
            founder = Atoms(atoms.numbers, (atoms if k == 0 else self.next_start()).positions, cell=box.cell)
            founders.add_relaxed_candidate(self._relax(founder))
        data = DataConnection(str(database))
        same = InteratomicDistanceComparator(len(atoms), dE=self._settings["dE"])
        population = Population(data, self._settings["population"], same, rng=self._stream)
        pairing, mutations = self._operators(atoms, box)
        best, age = self._evaluator.best_energy, 0
        while self._settings["stall"] is None or age < self._settings["stall"]:
            self._breed(data, population, pairing, mutations)
            age = age + 1 if self._evaluator.best_energy > best - self._settings["dE"] else 0
            best = min(best, self._evaluator.best_energy)

    def _breed(self, data, population, pairing, mutations) -> None:
        """Makes, relaxes and enters one candidate, as in the tutorial."""
        parents = population.get_two_candidates()
        if parents is None:  # all that was found is one structure
            child = self._founder(population)
            data.add_relaxed_candidate(self._relax(child))
            population.update()
            return
        child, how = pairing.get_new_individual(parents)
        if child is None:
            return
        data.add_unrelaxed_candidate(child, description=how)
        if self._stream.random() < self._settings["mutation"]:
            mutant, how = mutations.get_new_individual([child])
            if mutant is not None:
                data.add_unrelaxed_step(mutant, how)
                child = mutant
        data.add_relaxed_step(self._relax(child))
        population.update()

    def _founder(self, population) -> Atoms:
        known = population.pop[0]
        return Atoms(known.numbers, self.next_start().positions, cell=known.cell)

    def _relax(self, candidate: Atoms) -> Atoms:
        """Relaxes in place, in the middle of the box, and adds the score that ase-ga reads."""
        candidate.calc = CountingCalculator(self._evaluator)
        local = OPTIMIZERS[self._settings["optimizer"]](candidate, logfile=None, maxstep=self._settings["maxstep"])
        local.run(fmax=self._settings["fmax"], steps=self._settings["steps"])
        energy = candidate.get_potential_energy()
        candidate.positions += candidate.cell.sum(axis=0) / 2 - candidate.positions.mean(axis=0)
        candidate.calc = SinglePointCalculator(candidate, energy=energy)
        candidate.info.setdefault("data", {})
        candidate.info.setdefault("key_value_pairs", {})["raw_score"] = -energy
        return candidate

    def _operators(self, atoms: Atoms, box: Atoms):
        """Returns the pairing and the mutations, all equally likely; permutations where there are two elements."""
        from ase_ga.cutandsplicepairing import CutAndSplicePairing
        from ase_ga.offspring_creator import OperationSelector
        from ase_ga.standardmutations import MirrorMutation, PermutationMutation, RattleMutation

        n, closest, stream = len(atoms), _closest(self._problem, atoms), self._stream
        rattle = {"rattle_strength": self._settings["rattle"], "rattle_prop": self._settings["rattled"]}
        mutations = [MirrorMutation(closest, n, rng=stream), RattleMutation(closest, n, **rattle, rng=stream)]
        if len(set(atoms.numbers)) > 1:
            mutations += [PermutationMutation(n, rng=stream)]
        pairing = CutAndSplicePairing(box, n, closest, rng=stream)
        return pairing, OperationSelector([1.0] * len(mutations), mutations, rng=stream)


def _box(problem: Problem, atoms: Atoms) -> Atoms:
    """Returns an empty box, which ase-ga needs for its coordinates."""
    return Atoms(cell=np.full(3, 6.0 * container_radius(problem, atoms)))


def _closest(problem: Problem, atoms: Atoms) -> dict[tuple[int, int], float]:
    """Returns ase-ga's table of closest distances between atomic numbers: 0.7 of contact, as in the tutorial."""
    size = {int(number): radius for number, radius in zip(atoms.numbers, radii(problem, atoms), strict=True)}
    return {(a, b): 0.7 * (size[a] + size[b]) for a in size for b in size}
