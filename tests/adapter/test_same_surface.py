"""A run that goes on with another calculator, cell or zero of energy says so, and keeps only what is still true."""

import io

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.calculator import all_changes
from ase.calculators.emt import EMT
from counting_lj import CountingLJ

from ase_learnedopt.adapter import LearnedHop, LearnedRelax, restart_file

LINE = "begins anew"


class Changed(CountingLJ):
    """Lennard-Jones of another zero of energy and another depth."""

    def __init__(self, zero: float = 0.0, depth: float = 1.0):
        super().__init__()
        self.zero, self.depth = zero, depth

    def calculate(self, atoms=None, properties=None, system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        self.results["energy"] = self.depth * self.results["energy"] + self.zero
        self.results["forces"] = self.depth * self.results["forces"]


class Free(Changed):
    """One that calls its energy `free_energy`, too."""

    implemented_properties = ("energy", "free_energy", "forces")

    def calculate(self, *args, **kwargs):
        super().calculate(*args, **kwargs)
        self.results["free_energy"] = self.results["energy"]


CHANGES = {
    "a zero far below": lambda: Changed(zero=-3000.0),
    "a zero far above": lambda: Changed(zero=3000.0),
    "a zero a little above": lambda: Changed(zero=0.3),
    "another depth": lambda: Changed(depth=0.5),
    "another depth and zero": lambda: Changed(zero=50.0, depth=2.0),
    "free energies": lambda: Free(zero=5.0),
    "nothing": Changed,
    "noise": lambda: Changed(zero=1e-5),
}


def check(opt, atoms, calculator, changed: bool, text: str) -> None:
    """Makes sure that all that is said of energies is true of the calculator."""
    assert text.count(LINE) == changed
    assert ("the energy of the same geometry was" in text) == changed
    known = [(opt.best_energy, atoms.positions)] + [(m.energy, m.positions) for m in opt.minima]
    for energy, positions in known:
        there = atoms.copy()
        there.positions, there.calc = positions, calculator
        assert there.get_potential_energy() == pytest.approx(energy, abs=2e-3 if not changed else 1e-9)


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("how", ["the same optimizer", "a restart file"])
def test_another_calculator(make, cluster, tmp_path, monkeypatch, how, change):
    monkeypatch.setattr(restart_file, "SHARE_OF_TIME", 1e9)
    path = tmp_path / "r.json" if how == "a restart file" else None
    atoms, log = cluster(), io.StringIO()
    opt = make(atoms, restart=path, logfile=log)
    for _ in opt.irun(fmax=1e-3, steps=60):
        if path is not None and opt.nsteps == 25:
            break  # as if killed there
    before = opt.n_evaluations
    if path is not None:
        atoms = cluster()
        opt = make(atoms, restart=path, logfile=log)
    atoms.calc = CHANGES[change]()
    opt.run(fmax=1e-3, steps=60)
    check(opt, atoms, CHANGES[change](), change not in ("nothing", "noise"), log.getvalue())
    assert opt.n_evaluations >= before
    assert make.cls is not LearnedHop or len(opt.minima) > 0


@pytest.mark.parametrize("how", ["the same optimizer", "a restart file"])
@pytest.mark.parametrize("cls", [LearnedRelax, LearnedHop])
def test_another_cell(cls, how, tmp_path):
    def crystal():
        atoms = bulk("Cu", a=3.7, cubic=True)
        atoms.rattle(0.1, seed=3)
        atoms.calc = EMT()
        return atoms

    path, log = tmp_path / "r.json" if how == "a restart file" else None, io.StringIO()
    atoms = crystal()
    opt = cls(atoms, restart=path, logfile=log)
    opt.run(fmax=0.05, steps=12)
    if path is not None:
        positions, atoms = atoms.positions, crystal()
        atoms.positions = positions
        opt = cls(atoms, restart=path, logfile=log)
    atoms.cell = atoms.cell * 1.03
    opt.run(fmax=0.05, steps=40)
    assert log.getvalue().count(LINE) == 1
    there = atoms.copy()
    there.calc = EMT()
    assert there.get_potential_energy() == pytest.approx(opt.best_energy, abs=1e-9)
    assert np.linalg.norm(there.get_forces(), axis=1).max() < 0.05


def test_a_second_run_costs_no_evaluation_more(make, cluster):
    atoms = cluster()
    opt = make(atoms)
    opt.run(fmax=1e-3, steps=40)
    opt.run(fmax=1e-3, steps=40)
    assert atoms.calc.n_calls == opt.n_evaluations


@pytest.mark.parametrize("moved", [False, True])
def test_from_a_calculator_with_free_energies_to_one_without(make, cluster, moved):
    atoms = cluster()
    atoms.calc = Free(zero=5.0)
    opt = make(atoms)
    opt.run(fmax=1e-3, steps=10)
    if moved:
        atoms.rattle(0.01, seed=1)
    atoms.calc = CountingLJ()
    opt.run(fmax=1e-3, steps=30)
    assert opt.best_energy == pytest.approx(CountingLJ().get_potential_energy(atoms), abs=1e-9)
