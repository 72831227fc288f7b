"""The calculator xtb of the command line, where tblite is installed."""

import numpy as np
import pytest
from ase.build import molecule
from ase.calculators.calculator import CalculationFailed

from ase_learnedopt.search.calculators import make_calculator

pytest.importorskip("tblite")


def test_a_failure_leaves_nothing_behind():
    atoms = molecule("H2O")
    atoms.calc = calculator = make_calculator("xtb", {"max_iterations": 2}, atoms)
    with pytest.raises(CalculationFailed):
        atoms.get_potential_energy()
    assert calculator._res is None and calculator.parameters.cache_api
    calculator.set(max_iterations=250)
    energy = atoms.get_potential_energy()
    again = atoms.copy()
    again.calc = make_calculator("xtb", {}, again)
    np.testing.assert_allclose(energy, again.get_potential_energy(), atol=1e-6)
