"""At its end a search asks the calculator afresh for its best energy, and drops one that does not hold."""

import json

import numpy as np
import pytest
from ase.db import connect
from sick_calculators import CONTACT, DEPTH, Haunted, Holed

from ase_learnedopt import LearnedHop
from ase_learnedopt.search import search
from ase_learnedopt.search.inputs import place, read_structure

SETTINGS = {"length_scale": CONTACT, "energy_scale": DEPTH, "patience": None}


def start(calculator):
    atoms = place(read_structure("Cu7"), 0)
    atoms.calc = calculator
    return atoms


def test_energy_that_holds_costs_one_evaluation():
    calculator = Haunted(from_call=10**6)
    atoms = start(calculator)
    opt = LearnedHop(atoms, seed=0, logfile=None, **SETTINGS)
    opt.run(fmax=0.05, steps=60)
    assert calculator.n_resets == 1 and opt.calculator_error is None
    assert opt.n_evaluations <= 61
    assert atoms.get_potential_energy() == opt.best_energy


@pytest.mark.parametrize(("error", "until_call"), [(-1.0, 10**9), (-0.3, 10**9), (-3.0, 41)])
def test_wrong_energy_is_dropped(error, until_call):
    """Of all evaluations from the fortieth on, or of that one alone, whose right energy may be the lowest of all."""
    atoms = start(Haunted(error=error, until_call=until_call))
    opt = LearnedHop(atoms, seed=0, logfile=None, **SETTINGS)
    with pytest.warns(RuntimeWarning, match="asked afresh"):
        opt.run(fmax=0.05, steps=100)
    assert "afresh" in opt.calculator_error
    truth = start(Holed())
    truth.calc.hole = 0.0
    truth.positions = atoms.positions
    assert opt.best_energy == pytest.approx(truth.get_potential_energy(), abs=1e-6)
    assert opt.minima[0].energy >= opt.best_energy - 1e-6


def test_energy_far_too_low_is_asked_for_at_once():
    """Or the search would go on from where there is nothing."""
    calculator = Haunted(from_call=30, error=-60.0)
    opt = LearnedHop(start(calculator), seed=0, logfile=None, **SETTINGS)
    opt.run(fmax=0.05, steps=100)
    assert calculator.n_resets > 1 and opt.calculator_error is None and opt.best_energy > -20.0
    assert opt.n_evaluations <= 101


def test_new_calculator_in_place_of_a_reset():
    made = []

    def fresh():
        made.append(Haunted(from_call=10**6))
        return made[-1]

    calculator = Haunted(from_call=10**6)
    atoms = start(calculator)
    opt = LearnedHop(atoms, seed=0, logfile=None, **SETTINGS)
    opt.fresh_calculator = fresh
    opt.run(fmax=0.05, steps=50)
    assert len(made) == 1 and calculator.n_resets == 0 and atoms.calc is made[0]


@pytest.mark.parametrize("steps", range(4, 24))
def test_checked_however_the_budget_ends(steps):
    """Also where the last of it takes the atoms back to the best structure."""
    calculator = Haunted(from_call=10**6)
    opt = LearnedHop(start(calculator), seed=0, logfile=None, **SETTINGS)
    opt.run(fmax=1e-9, steps=steps)
    assert calculator.n_resets == 1 and opt.n_evaluations <= steps + 1


def test_nothing_holds():
    """A calculator that cannot give the best energy again, of a search that has met no minimum."""

    class Broken(Haunted):
        def calculate(self, *args, **kwargs):
            super().calculate(*args, **kwargs)
            if self.n_resets:
                raise RuntimeError("no convergence")

    atoms = start(Broken(from_call=10**6))
    opt = LearnedHop(atoms, seed=0, logfile=None, **SETTINGS)
    with pytest.warns(RuntimeWarning, match="asked afresh"):
        assert not opt.run(fmax=0.05, steps=6)
    assert opt.best_energy == np.inf and opt.calculator_error is not None


def test_error_is_of_the_last_run():
    opt = LearnedHop(start(Haunted()), seed=0, logfile=None, **SETTINGS)
    with pytest.warns(RuntimeWarning, match="asked afresh"):
        opt.run(fmax=0.05, steps=100)
    opt.atoms.calc.from_call = 10**6
    opt.run(fmax=0.05, steps=30)
    assert opt.calculator_error is None


def test_relaxation_is_not_checked():
    calculator = Haunted(from_call=10**6)
    LearnedHop(start(calculator), max_hops=0, logfile=None).run(fmax=0.05, steps=50)
    assert calculator.n_resets == 0


def test_checked_once_and_again_only_for_a_new_best():
    calculator = Haunted(from_call=10**6)
    opt = LearnedHop(start(calculator), seed=0, logfile=None, **SETTINGS)
    opt.run(fmax=0.05, steps=60)
    best = opt.best_energy
    opt.run(fmax=0.05, steps=60)
    assert calculator.n_resets == 1 + (opt.best_energy < best)


def test_folder_of_a_search_holds_what_is_right(tmp_path):
    with pytest.warns(RuntimeWarning, match="asked afresh"):
        result = search(start(Haunted()), evaluations=100, out=tmp_path / "out", show_progress=False, **SETTINGS)
    assert result.calculator_error is not None
    figures = json.loads((tmp_path / "out" / "run.json").read_text())["figures"]
    assert figures["calculator_error"] == result.calculator_error
    truth = start(Holed())
    truth.calc.hole = 0.0
    truth.positions = result.best.positions
    assert result.best_energy == pytest.approx(truth.get_potential_energy(), abs=1e-6)
    energies = [row.energy for row in connect(tmp_path / "out" / "minima.db").select()]
    assert min(energies) >= result.best_energy - 1e-6
    assert np.isfinite(energies).all()
