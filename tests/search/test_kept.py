"""What a search keeps of users' atoms and of energies of every kind, and that all its files and figures agree."""

import json
from contextlib import nullcontext

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.calculators.emt import EMT
from ase.constraints import FixAtoms, FixConstraint, FixScaled, Hookean
from ase.db import connect
from ase.io import read

from ase_learnedopt import LearnedHop, LearnedRelax
from ase_learnedopt.cli import main
from ase_learnedopt.search import MinimaDatabase, relaxing, search
from ase_learnedopt.search.inputs import place, read_structure
from ase_learnedopt.search.report import table
from ase_learnedopt.search.trace import read_trace

CHARGE = 0.25


class Smeared(EMT):
    """EMT with another energy, as extrapolated to no smearing, which forces do not belong to."""

    def calculate(self, *args, **kwargs):
        super().calculate(*args, **kwargs)
        self.results["energy"] = self.results["free_energy"] + 1.0 + 0.5 * np.tanh(self.atoms.positions[0, 0])


class OnlyFree(Calculator):
    """EMT that calls its energy `free_energy` and gives no other."""

    implemented_properties = ("free_energy", "forces")

    def calculate(self, atoms=None, properties=None, system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        copy = atoms.copy()
        copy.calc = EMT()
        self.results = {"free_energy": copy.get_potential_energy(), "forces": copy.get_forces(apply_constraint=False)}


class Reading(EMT):
    """EMT of atoms whose charge, spin and own array it needs."""

    def calculate(self, atoms=None, *args):
        assert atoms.info["charge"] == 1 and len(atoms.arrays["radius"]) == len(atoms)
        super().calculate(atoms, *args)
        self.results["energy"] += CHARGE * atoms.info["charge"]
        self.results["free_energy"] = self.results["energy"]


class OfShape(EMT):
    """EMT whose energy is an array."""

    def __init__(self, shape: tuple):
        super().__init__()
        self.shape = shape

    def calculate(self, *args, **kwargs):
        super().calculate(*args, **kwargs)
        self.results["energy"] = self.results["free_energy"] = np.full(self.shape, self.results["energy"])


class Shifted(EMT):
    """EMT of another zero of energy, which says nothing of it."""

    zero = 0.0

    def calculate(self, *args, **kwargs):
        super().calculate(*args, **kwargs)
        self.results["energy"] = self.results["free_energy"] = self.results["energy"] + self.zero


class Mine(FixConstraint):
    """A user's own constraint, which no file holds: atom 2 stays."""

    def adjust_positions(self, atoms, new):
        new[2] = atoms.positions[2]

    def adjust_forces(self, atoms, forces):  # noqa: ARG002
        forces[2] = 0.0


def start(calculator, constraint=None) -> Atoms:
    atoms = place(read_structure("Cu7"), 0)
    atoms.info.update(charge=1, spin=[0, 1], note="of mine")
    atoms.arrays["radius"] = np.linspace(1.0, 2.0, 7)
    atoms.set_initial_magnetic_moments(np.arange(21.0).reshape(7, 3))
    atoms.set_constraint(constraint)
    atoms.calc = calculator
    return atoms


def energy_again(atoms: Atoms, calculator) -> float:
    """Returns what the calculator says of a structure that was kept, in eV."""
    atoms = atoms.copy()
    atoms.calc = calculator
    return LearnedRelax(atoms, logfile=None).optimizable.get_value()


@pytest.mark.parametrize(
    ("make", "constraint"),
    [
        (EMT, Hookean(0, 1, k=20.0, rt=1.0)),
        (EMT, [Hookean(0, 1, k=20.0, rt=1.0), FixAtoms([3]), Hookean(2, (0.0, 0.0, 0.0), k=2.0, rt=0.5)]),
        (Smeared, Hookean(0, 1, k=20.0, rt=1.0)),
        (Smeared, None),
        (OnlyFree, None),
        (Reading, None),
    ],
    ids=["a spring", "two springs", "a spring and smearing", "smearing", "only free_energy", "info and arrays"],
)
def test_energies_and_fields_agree_everywhere(make, constraint, tmp_path):
    atoms = start(make(), constraint)
    result = search(atoms, evaluations=60, out=tmp_path / "x", show_progress=False)
    best, kept = result.best_energy, result.out
    trace, run = read_trace(kept / "trace.csv"), json.loads((kept / "run.json").read_text())
    lowest = MinimaDatabase(kept / "minima.db").sorted()[0]
    row = min((row.toatoms() for row in connect(kept / "minima.db").select()), key=free_energy)
    xyz = read(kept / "best.xyz")
    assert trace.energy.min() == pytest.approx(best, abs=1e-7)
    assert run["figures"]["best_energy_eV"] == best
    assert lowest.energy == result.minima[0].energy == pytest.approx(best, abs=1e-9)
    for back in (result.best, xyz, lowest.atoms, result.minima[0].atoms, row):
        assert free_energy(back) == pytest.approx(best, abs=1e-7)
    for back in (result.best, lowest.atoms):
        assert energy_again(back, make()) == pytest.approx(best, abs=1e-7)
        assert back.get_potential_energy() == pytest.approx(plain_energy(back, make()), abs=1e-7)
    assert xyz.get_potential_energy() == pytest.approx(plain_energy(result.best, make()), abs=1e-6)
    for back in (result.best, xyz, lowest.atoms):
        info = {**back.calc.results, **back.info}  # ASE takes the charge in an extended XYZ file for a result
        assert (info["charge"], list(info["spin"]), info["note"]) == (1, [0, 1], "of mine")
        np.testing.assert_allclose(back.arrays["radius"], atoms.arrays["radius"])
        np.testing.assert_allclose(back.arrays["initial_magmoms"], atoms.arrays["initial_magmoms"])
    assert f"{best:.5f}" in table(result.minima)
    smeared = make is Smeared
    assert ("without smearing" in (kept / "search.log").read_text()) == smeared
    other = run["figures"]["best_energy_without_smearing_eV"]
    assert (other is None) == (make is OnlyFree) and (not smeared or other > best + 0.4)


def free_energy(atoms: Atoms) -> float:
    name = "free_energy" if "free_energy" in atoms.calc.results else "energy"
    springs = atoms.get_potential_energy() - atoms.calc.results["energy"]
    return atoms.calc.results[name] + springs


def plain_energy(atoms: Atoms, calculator) -> float:
    atoms = atoms.copy()
    atoms.calc = calculator
    return energy_again(atoms, calculator) if isinstance(calculator, OnlyFree) else atoms.get_potential_energy()


def test_the_target_is_of_the_energy_that_forces_belong_to(tmp_path):
    known = search(start(Smeared()), evaluations=60, out=tmp_path / "x", show_progress=False).best_energy
    found = search(start(Smeared()), evaluations=60, out=tmp_path / "y", target_energy=known + 0.2, show_progress=False)
    assert found.status == "target"
    assert free_energy(found.best) == pytest.approx(found.best_energy, abs=1e-7)
    assert known - 0.01 < found.best_energy <= known + 0.2


@pytest.mark.parametrize("shape", [(1,), (1, 1), (7,), (0,)])
def test_an_energy_that_is_no_number_is_named(shape, tmp_path):
    atoms = start(OfShape(shape))
    message = rf"the energy that the calculator gives is no number in eV but .*, of shape \({shape[0]},"
    with pytest.raises(ValueError, match=message):
        search(atoms, evaluations=30, out=tmp_path / "x", show_progress=False)
    assert not (tmp_path / "x").exists()
    for optimizer in (LearnedRelax, LearnedHop):
        with pytest.raises(ValueError, match=message):
            optimizer(start(OfShape(shape)), logfile=None).run(steps=5)


@pytest.mark.parametrize(
    ("constraint", "told", "warned"),
    [
        (
            FixScaled([2], (True, True, True)),
            "best.xyz cannot hold the constraint FixScaled, which minima.db does",
            False,
        ),
        (Mine(), "no file can hold the constraint Mine", True),
    ],
)
def test_constraints_that_files_cannot_hold(constraint, told, warned, tmp_path):
    atoms = start(EMT(), [FixAtoms([0]), constraint])
    atoms.cell, atoms.pbc = np.diag([14.0, 15.0, 16.0]), True
    settings = {"out": tmp_path / "x", "show_progress": False}
    with pytest.warns(RuntimeWarning, match="no file can hold") if warned else nullcontext():
        search(atoms, evaluations=40, **settings)
        result = search(atoms, evaluations=60, resume=True, **settings)
    assert result.not_kept.startswith(told) and told in (result.out / "search.log").read_text()
    assert {type(c).__name__ for c in result.best.constraints} == {"FixAtoms", type(constraint).__name__}
    np.testing.assert_allclose(result.best.positions[[0, 2]], atoms.positions[[0, 2]], atol=1e-8)
    xyz, frames = read(result.out / "best.xyz"), read(result.out / "trajectory.traj", ":")
    for back in (xyz, frames[-1], MinimaDatabase(result.out / "minima.db").sorted()[0].atoms):
        assert back.constraints[0].index.tolist() == [0]
    assert len(frames) == result.n_evaluations
    assert np.linalg.norm(xyz.get_forces(), axis=1).max() == pytest.approx(result.fmax, abs=1e-6)


@pytest.mark.parametrize("zero", [-500.0, 0.5, 500.0])
def test_a_search_with_other_energies_is_not_continued(zero, tmp_path, monkeypatch):
    settings = {"out": tmp_path / "x", "show_progress": False}
    out = search(start(Shifted()), evaluations=40, **settings).out
    before = {file.name: file.read_bytes() for file in out.iterdir()}
    monkeypatch.setattr(Shifted, "zero", zero)
    message = r"--resume continues the same search, but the energy of the same geometry was .* and is .* now"
    with pytest.raises(ValueError, match=message):
        search(start(Shifted()), evaluations=60, resume=True, **settings)
    assert {file.name: file.read_bytes() for file in out.iterdir()} == before
    monkeypatch.setattr(Shifted, "zero", 0.0)
    assert search(start(Shifted()), evaluations=60, resume=True, **settings).n_evaluations > 40


@pytest.mark.parametrize("make", [Smeared, OnlyFree])
def test_a_relaxed_file_has_the_energy_that_was_printed(make, tmp_path, monkeypatch):
    atoms = start(None, [Hookean(0, 1, k=20.0, rt=1.0), FixAtoms([3])])
    atoms.info["stress"] = "much"  # where the file says another
    atoms.cell, atoms.pbc = np.diag([14.0, 15.0, 16.0]), make is Smeared
    atoms.write(tmp_path / "start.traj")
    monkeypatch.setattr(relaxing, "make_calculator", lambda *_: make())
    given = {"input": str(tmp_path / "start.traj"), "log": str(tmp_path / "log")}
    result = relaxing.relax_command(given, str(tmp_path / "relaxed.xyz"), resume=False, overwrite=False)
    assert result.converged and result.lost == ["info['stress']", "the constraint Hookean"]
    back = read(result.out)
    assert result.energy == pytest.approx(energy_again(result.atoms, make()), abs=1e-9)
    assert free_energy(back) == pytest.approx(result.energy, abs=1e-9)
    assert back.get_potential_energy() == pytest.approx(plain_energy(result.atoms, make()), abs=1e-9)
    assert np.linalg.norm(back.get_forces(), axis=1).max() == pytest.approx(result.fmax, abs=1e-6)
    if make is Smeared:
        np.testing.assert_allclose(back.get_stress(), result.atoms.get_stress(), atol=1e-9)
        np.testing.assert_allclose(back.get_potential_energies(), result.atoms.get_potential_energies(), atol=1e-7)


@pytest.mark.parametrize("name", ["POSCAR", "CONTCAR", "mine.POSCAR", "start.traj", "start.xyz.gz"])
def test_what_has_no_name_is_written_as_xyz(name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    atoms = place(read_structure("Cu7"), 0)
    atoms.cell, atoms.pbc = np.diag([14.0, 15.0, 16.0]), True
    atoms.set_constraint(FixAtoms([0]))
    atoms.write(name)
    assert main(["relax", name, "--fmax", "0.5", "--log", "log"]) == 0
    out = capsys.readouterr().out.split("written to ")[1].split()[0]
    found = read(out, format="extxyz")
    assert out.endswith("-relaxed.xyz") and found.constraints[0].index.tolist() == [0]
    assert energy_again(found, EMT()) == pytest.approx(found.get_potential_energy(), abs=1e-5)
