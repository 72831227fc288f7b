"""Formulas, files and calculators: what they give, and what they say when they cannot."""

import json

import numpy as np
import pytest
from ase.build import bulk, molecule
from ase.io import write

from ase_learnedopt.adapter.scales import contact_radii
from ase_learnedopt.search.calculators import check_calculator, make_calculator, natural_scales, parse_keywords
from ase_learnedopt.search.inputs import CLOSEST, place, read_structure

FORMULAS = {"Cu38": "Cu38", "Ag32Cu6": "Ag32Cu6", "Cu": "Cu", "(H2O)4": "H8O4", "Cu3(CO)2": "C2Cu3O2", "SiO2": "O2Si"}


@pytest.mark.parametrize(("text", "formula"), FORMULAS.items())
def test_formulas(text, formula):
    first, again, other = (place(read_structure(text), seed) for seed in (0, 0, 1))
    assert first.get_chemical_formula() == formula
    assert np.array_equal(first.positions, again.positions)
    assert len(first) == 1 or not np.allclose(first.positions, other.positions)


@pytest.mark.parametrize("length_scale", [None, 1.122])
def test_random_start_fills_its_sphere_and_keeps_atoms_apart(length_scale):
    atoms = place(read_structure("Ag200Cu200"), 3, length_scale)
    radii = contact_radii(atoms.numbers, length_scale)
    distance = atoms.get_all_distances() / (radii[:, None] + radii[None, :])
    assert distance[~np.eye(len(atoms), dtype=bool)].min() >= CLOSEST
    sphere = (2.0 * np.sum((2.0 * radii) ** 3) / np.sqrt(2.0) * 3.0 / (4.0 * np.pi)) ** (1 / 3)
    assert 0.95 * sphere < np.linalg.norm(atoms.positions, axis=1).max() <= sphere


def test_molecules_stay_whole_and_apart():
    atoms = place(read_structure("(H2O)8"), 0)
    oxygen = np.flatnonzero(atoms.numbers == 8)
    bonds = atoms.get_all_distances()[oxygen]
    assert np.sum(bonds < 1.2, axis=1).tolist() == [3] * 8  # itself and two hydrogens
    assert not np.any((bonds > 1.2) & (bonds < 1.5))


def test_files(tmp_path):
    path = tmp_path / "two.traj"
    crystal = bulk("Cu")
    crystal.write(path)
    assert place(read_structure(str(path)), 0).pbc.all()
    assert len(read_structure(f"{path}@0").atoms) == 1


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    """A working directory of files and folders with all kinds of names; every file holds two structures or one."""
    monkeypatch.chdir(tmp_path)
    two = [bulk("Cu", cubic=True), bulk("Au")]
    for name in ("m.xyz", "m.traj", "m.db", "m.xyz.gz"):
        write(name, two)
    write("XDATCAR", [two[0]] * 2, format="vasp-xdatcar")
    write("b.bundle", [two[0]] * 2, format="bundletrajectory")
    for name, atoms in {"POSCAR": two[0], "odd@1": two[1], "Cu9": molecule("H2O")}.items():
        write(name, atoms, format="vasp" if name == "POSCAR" else "extxyz")
    for name in ("Cu7", "Cu8O2", "results", "a.b"):
        (tmp_path / name).mkdir()


@pytest.mark.parametrize(
    ("text", "formula", "is_file"),
    [
        ("Cu7", "Cu7", False),
        ("Cu8O2", "Cu8O2", False),
        ("Cu10", "Cu10", False),
        ("Cu9", "H2O", True),
        ("odd@1", "Au", True),
        ("b.bundle", "Cu4", True),
        ("b.bundle@0", "Cu4", True),
        *[(f"m.{kind}", "Au", True) for kind in ("xyz", "traj", "db", "xyz.gz")],
        *[(f"m.{kind}@{at}", "Cu4", True) for kind in ("xyz", "traj", "xyz.gz") for at in ("0", "-2", "0:1")],
    ],
)
def test_a_formula_is_one_unless_a_file_has_its_name(shelf, text, formula, is_file):
    found = read_structure(text)
    assert (found.atoms.get_chemical_formula(), found.parts is None) == (formula, is_file)


@pytest.mark.parametrize("at", ["2", "7", "-3", "abc", "5:9"])
@pytest.mark.parametrize("name", ["m.xyz", "m.traj", "m.db", "m.xyz.gz", "XDATCAR", "b.bundle"])
def test_an_index_that_is_not_there(shelf, name, at):
    with pytest.raises(ValueError, match=f"{name} holds 2 structures, @0 to @1, and none @{at}"):
        read_structure(f"{name}@{at}")


@pytest.mark.parametrize("name", ["my_calculator.py", "my_calculator/__init__.py"])
def test_a_calculator_beside_the_command(tmp_path, monkeypatch, name):
    """Console scripts, unlike `python -m`, do not search the folder that they are called in."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).touch()
    with pytest.raises(ValueError, match="where my_calculator lies: put PYTHONPATH="):
        make_calculator("my_calculator:Mine", {}, bulk("Cu"))


@pytest.mark.parametrize(
    ("text", "message"),
    [("POSCAR@1", "POSCAR holds 1 structure, @0, and none @1"), ("m.xyz@:", "m.xyz@: means 2 structures, but one")],
)
def test_one_structure_is_needed(shelf, text, message):
    with pytest.raises(ValueError, match=message):
        read_structure(text)


@pytest.mark.parametrize("text", ["results", "a.b", "Cu7/", "Cu7@1"])
def test_a_folder_is_no_structure(shelf, text):
    with pytest.raises(ValueError, match=f"ASE cannot read {text}"):
        read_structure(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nothing.xyz", "no file"),
        ("nothing.xyz@3", "no file nothing.xyz"),
        ("folder/Cu7", "no file folder/Cu7"),
        ("Cux", "neither an existing file nor a formula"),
        ("Zz3", "neither an existing file nor a formula"),
        ("", "no atoms"),
    ],
)
def test_bad_structures(text, message):
    with pytest.raises(ValueError, match=message):
        read_structure(text)


def test_unreadable_file(tmp_path):
    path = tmp_path / "broken.xyz"
    path.write_text("nonsense")
    with pytest.raises(ValueError, match="ASE cannot read"):
        read_structure(str(path))


CALCULATORS = {"emt": "EMT", "lj": "LennardJones", "morse": "MorsePotential", "ase.calculators.emt:EMT": "EMT"}


@pytest.mark.parametrize(("name", "kind"), CALCULATORS.items())
def test_calculators(name, kind):
    assert type(make_calculator(name, {}, bulk("Cu"))).__name__ == kind


@pytest.mark.parametrize(("pbc", "cutoff"), [(False, 2000.0), (True, 6.0)])
def test_lennard_jones_of_clusters_has_no_cutoff(pbc, cutoff):
    atoms = bulk("Ar")
    atoms.pbc = pbc
    calculator = make_calculator("lj", {"sigma": 2.0}, atoms)
    assert calculator.parameters["rc"] == cutoff
    assert natural_scales(calculator) == (pytest.approx(2.0 * 2 ** (1 / 6)), 1.0)


@pytest.mark.parametrize(
    ("name", "keywords", "message"),
    [
        ("emtt", {}, "did you mean .*emt"),
        ("ase.calculators.emt:EMTT", {}, "did you mean EMT"),
        ("no_such_package.x:Foo", {}, "pip install no_such_package"),
        ("lj", {"sigma": []}, "could not be made|cannot"),
        ("tersoff", {}, "could not be made: TypeError"),
    ],
)
def test_bad_calculators(name, keywords, message):
    with pytest.raises((ValueError, TypeError), match=message):
        make_calculator(name, keywords, bulk("Cu"))


@pytest.mark.parametrize(
    ("symbol", "name", "message"),
    [("Fe", "emt", "no parameters for Fe; it knows Al Cu"), ("Cu", "tip3p", "cannot evaluate")],
)
def test_calculator_that_cannot_do_the_job(symbol, name, message):
    atoms = bulk(symbol)
    atoms.calc = make_calculator(name, {}, atoms)
    with pytest.raises(ValueError, match=message):
        check_calculator(atoms, name)


def test_the_check_costs_no_evaluation():
    atoms, calls = bulk("Cu"), []
    atoms.calc = make_calculator("emt", {}, atoms)
    original = atoms.calc.calculate
    atoms.calc.calculate = lambda *args, **kwargs: (calls.append(1), original(*args, **kwargs))
    check_calculator(atoms, "emt")
    atoms.get_forces()
    assert len(calls) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": 1,\n b: 2}', "line 2, column 2\n     b: 2}\n     \\^"),
        ("{'a': 1}", "column 2"),
        ("[1]", "must be a JSON object"),
        ("nothing", "no JSON"),
    ],
)
def test_bad_keywords(text, message):
    with pytest.raises(ValueError, match=message):
        parse_keywords(text)


def test_keywords(tmp_path):
    path = tmp_path / "keywords.json"
    path.write_text(json.dumps({"a": 1}))
    assert parse_keywords(str(path)) == parse_keywords('{"a": 1}') == {"a": 1}
    assert parse_keywords(None) == {}
