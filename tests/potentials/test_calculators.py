"""The calculators keep ASE's promises and say clearly what they cannot do."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.calculator import PropertyNotImplementedError
from ase.cluster import Octahedron
from ase.filters import FrechetCellFilter
from ase.optimize import LBFGS

import ase_learnedopt.adapter.calculators as module
from ase_learnedopt.adapter.calculators import Gupta, PotentialCalculator, StillingerWeber


@pytest.mark.parametrize(
    ("calculator", "atoms", "message"),
    [
        (Gupta, Atoms(), "no atoms"),
        (Gupta, molecule("H2O"), "no verified Gupta parameter set for H-O"),
        (Gupta, Atoms("AgCu", [[0, 0, 0], [0, 0, 2.6]]), "rossi-unverified"),
        (lambda: Gupta("cleri-rosato"), Atoms("AgCu", [[0, 0, 0], [0, 0, 2.6]]), "has no Ag-Cu"),
        (Gupta, Atoms("Cu2", [[0, 0, 0], [0, 0, np.inf]]), "atom 1 is not finite"),
        (Gupta, Atoms("Cu2", [[0, 0, 0], [0, 0, 2.5]], pbc=True), "span no volume"),
        (StillingerWeber, Atoms("SiC", [[0, 0, 0], [0, 0, 2.3]]), "silicon only, not C"),
        (PotentialCalculator, Atoms("Ar2", [[0, 0, 0], [0, 0, 0]]), "do atoms coincide"),
        (PotentialCalculator, bulk("Ar"), "finite cutoff"),
        (PotentialCalculator, Atoms("Ar3001", np.ones((3001, 3))), "3001 atoms are too many"),
    ],
)
def test_errors(calculator, atoms, message):
    atoms.calc = calculator()
    with pytest.raises(ValueError, match=message):
        atoms.get_potential_energy()


def test_unknown_potential():
    with pytest.raises(ValueError, match="there are lennard_jones"):
        PotentialCalculator("buckingham")


def test_stress_needs_a_volume():
    atoms = Atoms("Cu2", [[0, 0, 0], [0, 0, 2.5]], calculator=Gupta())
    with pytest.raises(PropertyNotImplementedError):
        atoms.get_stress()
    assert atoms.get_potential_energy(force_consistent=True) == atoms.get_potential_energy()


def test_unverified_set_by_name():
    atoms = Octahedron("Ag", 4, cutoff=1)
    atoms.symbols[:6] = "Cu"
    atoms.calc = Gupta("rossi-unverified")
    assert -101.2932 < atoms.get_potential_energy() < -90.0


def test_cell_relaxation_finds_the_crystal():
    atoms = bulk("Si", a=5.6) * (2, 1, 1)
    atoms.rattle(0.05, seed=1)
    atoms.calc = StillingerWeber()
    assert LBFGS(FrechetCellFilter(atoms), logfile=None).run(fmax=1e-3, steps=80)
    assert atoms.get_potential_energy() / 4 == pytest.approx(-4.336600, abs=1e-5)
    assert atoms.get_volume() / 4 == pytest.approx(5.431**3 / 8, rel=1e-3)


def test_skin_spares_lists_and_changes_nothing():
    atoms = bulk("Cu", cubic=True) * (2, 2, 2)
    atoms.calc = Gupta(skin=1.0)
    random = np.random.default_rng(0)
    for _ in range(5):
        atoms.positions += 0.03 * random.normal(size=(32, 3))
        fresh = atoms.copy()
        fresh.calc = Gupta(skin=0.0)
        np.testing.assert_allclose(atoms.get_forces(), fresh.get_forces(), rtol=1e-9, atol=1e-10)
    assert atoms.calc.neighbor_list.n_builds == 1


def test_few_sizes_are_compiled():
    module._compiled.cache_clear()
    for n in (33, 36, 40, 44, 48):
        Atoms(f"Cu{n}", 5.0 * np.random.default_rng(n).normal(size=(n, 3)), calculator=Gupta()).get_forces()
    keys = (("cutoff", None), ("elements", ("Cu",)), ("parameter_set", None), ("switch_from", None))
    assert module._compiled("gupta", keys, False)._cache_size() == 1
