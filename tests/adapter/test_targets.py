"""Everything that ASE's optimizers can optimize: constraints, filters, bands of images, bare functions."""

from contextlib import ExitStack
from functools import partial

import numpy as np
import pytest
from ase.build import add_adsorbate, bulk, fcc100, fcc111
from ase.calculators.emt import EMT
from ase.constraints import FixAtoms, FixBondLength, FixBondLengths, FixCom, FixedLine, FixedPlane, Hookean
from ase.filters import ExpCellFilter, Filter, FrechetCellFilter, StrainFilter, UnitCellFilter
from ase.io import read
from ase.mep import NEB, DimerControl, MinModeAtoms, MinModeTranslate
from ase.utils.abc import Optimizable

from ase_learnedopt.adapter import LearnedHop, LearnedRelax
from ase_learnedopt.adapter.convert import describe, padded_size, resolve_scales, to_system

LOCAL = {"max_hops": 0, "logfile": None}


@pytest.fixture
def crystal():
    atoms = bulk("Cu", a=3.75, cubic=True)
    atoms.rattle(0.05, seed=3)
    atoms.calc = EMT()
    return atoms


CONSTRAINTS = {
    "FixAtoms": FixAtoms([0, 3]),
    "FixedPlane": FixedPlane(2, (1, 1, 0)),
    "FixedLine": FixedLine(2, (0, 0, 1)),
    "FixBondLength": FixBondLength(0, 1),
    "FixCom": FixCom(),
    "Hookean": Hookean(a1=0, a2=7, rt=1.5, k=5.0),
}


@pytest.mark.parametrize("name", CONSTRAINTS)
@pytest.mark.parametrize("searches", [False, True])
def test_constraints_hold(name, searches, cluster, search):
    atoms = cluster()
    atoms.set_constraint(CONSTRAINTS[name])
    before = atoms.copy()
    opt = search(atoms, patience=1) if searches else LearnedHop(atoms, **LOCAL)
    assert opt.run(fmax=0.02, steps=600)
    move = atoms.positions - before.positions
    kept = {
        "FixAtoms": np.abs(move[[0, 3]]).max(),
        "FixedPlane": abs(move[2] @ [1, 1, 0]),
        "FixedLine": np.abs(move[2, :2]).max(),
        "FixBondLength": abs(atoms.get_distance(0, 1) - before.get_distance(0, 1)),
        "FixCom": np.abs(atoms.get_center_of_mass() - before.get_center_of_mass()).max(),
        "Hookean": 0.0,
    }
    assert kept[name] < 1e-8
    assert np.abs(move).max() > 0.01


@pytest.mark.parametrize("cell_filter", [UnitCellFilter, FrechetCellFilter, StrainFilter, ExpCellFilter])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_cell_filters(cell_filter, crystal):
    if cell_filter is StrainFilter:
        crystal.positions = bulk("Cu", a=3.75, cubic=True).positions
    opt = LearnedHop(cell_filter(crystal), **LOCAL)
    assert opt.run(fmax=0.005, steps=200)
    assert crystal.get_volume() == pytest.approx(3.59**3, rel=0.01)
    assert np.abs(crystal.get_stress()).max() < 1e-3
    assert np.isfinite(opt.best_energy)


def test_search_under_a_cell_filter(crystal):
    opt = LearnedHop(FrechetCellFilter(crystal), seed=0, max_hops=1, logfile=None)
    opt.run(fmax=0.02, steps=150)
    assert opt.n_hops == 1
    assert opt.best_energy == pytest.approx(crystal.get_potential_energy(), abs=1e-3)


def test_filter_moves_its_atoms_only(cluster):
    atoms = cluster()
    before = atoms.positions.copy()
    assert LearnedHop(Filter(atoms, indices=[2, 5]), **LOCAL).run(fmax=0.01, steps=100)
    np.testing.assert_array_equal(np.delete(atoms.positions, [2, 5], 0), np.delete(before, [2, 5], 0))
    assert np.abs(atoms.get_forces()[[2, 5]]).max() < 0.01


def test_search_keeps_a_slab_fixed():
    slab = fcc111("Cu", (2, 2, 3), vacuum=6.0)
    add_adsorbate(slab, "Au", 2.3, "bridge")
    slab.set_constraint(FixAtoms(mask=slab.positions[:, 2] < 9.0))
    slab.calc = EMT()
    before = slab.positions.copy()
    fixed = slab.constraints[0].get_indices()
    assert len(fixed) == 8
    opt = LearnedHop(slab, seed=0, max_hops=2, logfile=None)
    opt.run(fmax=0.05, steps=200)
    np.testing.assert_array_equal(slab.positions[fixed], before[fixed])
    assert opt.n_hops == 2


def test_band_of_images():
    initial = fcc111("Cu", (2, 2, 2), vacuum=6.0)
    final = initial.copy()
    add_adsorbate(initial, "Cu", 1.9, "fcc")
    add_adsorbate(final, "Cu", 1.9, "hcp")
    images = [initial, *(initial.copy() for _ in range(3)), final]
    for image in images:
        image.set_constraint(FixAtoms(range(8)))
        image.calc = EMT()
    for image in (initial, final):
        assert LearnedHop(image, **LOCAL).run(fmax=0.02)
    band = NEB(images, method="improvedtangent")
    band.interpolate()
    opt = LearnedHop(band, **LOCAL)
    assert opt.run(fmax=0.05, steps=100)
    barrier = max(image.get_potential_energy() for image in images) - initial.get_potential_energy()
    assert 0.0 < barrier < 0.2
    with pytest.raises(ValueError, match="max_hops=0"):
        LearnedHop(band, logfile=None)


class CountingEMT(EMT):
    """Counts its calls."""

    n_calls = 0

    def calculate(self, *args, **kwargs):
        self.n_calls += 1
        super().calculate(*args, **kwargs)


@pytest.fixture
def dimer_on():
    """Makes dimers that start next to the hollow site of an adatom; the saddle point is the bridge site."""
    with ExitStack() as stack:
        yield partial(make_dimer, stack)


def make_dimer(stack, metal, adatom):
    slab = fcc100(metal, (2, 2, 2))
    add_adsorbate(slab, adatom, 1.611, "hollow")
    slab.center(axis=2, vacuum=4.0)
    slab.set_constraint(FixAtoms(range(8)))
    slab.calc = CountingEMT()
    assert LearnedRelax(slab, logfile=None).run(fmax=0.02)
    control = DimerControl(
        initial_eigenmode_method="displacement", displacement_method="vector", mask=[0] * 8 + [1], logfile=None
    )
    stack.enter_context(control)  # it opens files
    dimer = MinModeAtoms(slab, control, random_seed=1)
    dimer.displace(displacement_vector=[[0.0, 0.0, 0.0]] * 8 + [[0.0, 0.1, 0.0]])
    return dimer


@pytest.mark.parametrize(("metal", "adatom"), [("Al", "Au"), ("Cu", "Cu"), ("Pt", "Pd")])
def test_dimer_climbs_to_the_saddle_point_that_ase_finds(metal, adatom, dimer_on, tmp_path):
    energies, calls = [], []
    for run in (MinModeTranslate, partial(LearnedRelax, trajectory=tmp_path / "up.traj")):
        dimer = dimer_on(metal, adatom)
        before, dimer.calc.n_calls = dimer.atoms.get_potential_energy(), 0
        opt = run(dimer, logfile=None)
        assert opt.run(fmax=0.01, steps=100)
        assert dimer.get_curvature() < 0.0
        energies.append(dimer.atoms.get_potential_energy() - before)
        calls.append(dimer.calc.n_calls)
    assert energies[1] == pytest.approx(energies[0], abs=1e-3) and energies[1] > 0.05
    assert calls[1] <= 1.2 * calls[0]
    assert opt.minima == [] and opt.status == "converged"
    assert len(read(tmp_path / "up.traj", ":")) == opt.nsteps + 1 == opt.n_evaluations
    with pytest.raises(ValueError, match="max_hops=0"):
        LearnedHop(dimer, logfile=None)


def test_dimer_without_a_calculator(dimer_on):
    dimer = dimer_on("Cu", "Cu")
    dimer.atoms.calc = None
    with pytest.raises(ValueError, match=r"atoms\.calc"):
        LearnedRelax(dimer, logfile=None).run(fmax=0.1)


class Booth(Optimizable):
    """The Booth function of two variables, minimum 0 at (1, 3)."""

    def __init__(self):
        self.x = np.array([1.234, 2.345])

    def ndofs(self):
        return 2

    def get_x(self):
        return self.x.copy()

    def set_x(self, x):
        self.x[:] = x

    def _residuals(self):
        return self.x[0] + 2 * self.x[1] - 7, 2 * self.x[0] + self.x[1] - 5

    def get_value(self):
        a, b = self._residuals()
        return a * a + b * b

    def get_gradient(self):
        a, b = self._residuals()
        return np.array([2 * a + 4 * b, 4 * a + 2 * b])

    def gradient_norm(self, gradient):
        return np.linalg.norm(gradient)

    def iterimages(self):
        return iter([])


def test_bare_function():
    target = Booth()
    with LearnedHop(target, **LOCAL) as opt:
        assert opt.run(fmax=1e-8, steps=100)
    assert target.x == pytest.approx([1, 3], abs=1e-7)


def test_rows_of_a_cell_filter(crystal):
    crystal.symbols[1] = "Au"
    crystal.set_constraint(FixAtoms([2]))
    target = FrechetCellFilter(crystal)
    rows = describe(target, target.__ase_optimizable__())
    system = to_system(rows, target.get_positions().ravel(), *resolve_scales(rows, None, None))
    assert system.species[:8].tolist() == [0, 1, 0, 0, -1, -1, -1, -1]
    assert system.movable.tolist() == [True, True, False, True, True, True, True, False]
    assert system.positions.shape == (8, 3)
    np.testing.assert_allclose(system.radii[:4], [1.32, 1.36, 1.32, 1.32])
    assert float(system.length_scale) == pytest.approx(2 * 1.33)
    assert system.pbc.all()


@pytest.mark.parametrize(("n", "size"), [(1, 8), (8, 8), (9, 16), (30, 32), (33, 40), (40, 40), (65, 80), (129, 160)])
def test_padded_sizes(n, size):
    assert padded_size(n) == size


def test_few_sizes_for_a_list_of_clusters():
    assert len({padded_size(n) for n in range(30, 41)}) == 2
    assert all(padded_size(n) <= 1.25 * n + 1 for n in range(32, 6000))


def test_a_hop_that_a_constraint_cannot_follow_is_shortened(cluster):
    class Stiff(FixBondLengths):
        failures = 0

        def adjust_positions(self, atoms, new):
            if np.abs(new - atoms.positions).max() > 0.05:
                Stiff.failures += 1
                raise RuntimeError("Did not converge")
            super().adjust_positions(atoms, new)

    atoms = cluster()
    atoms.set_constraint(Stiff([(0, 1)]))
    length = atoms.get_distance(0, 1)
    opt = LearnedHop(atoms, seed=0, max_hops=2, logfile=None)
    opt.run(fmax=0.05, steps=200)
    assert Stiff.failures > 0 and opt.n_hops > 0
    assert atoms.get_distance(0, 1) == pytest.approx(length)
