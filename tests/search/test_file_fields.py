"""What goes into the files of a search comes back, or is told: every field of Atoms, every constraint of ASE."""

import ase.constraints
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.constraints import FixAtoms, FixCartesian, FixConstraint, FixScaled, Hookean
from ase.db import connect
from ase.io import read
from every_constraint import EVERY
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ase_learnedopt.search import MinimaDatabase
from ase_learnedopt.search.file_fields import for_ase_files, for_extxyz, same, what_is_lost
from ase_learnedopt.search.folder import Folder, write_structure
from ase_learnedopt.search.kept import copy_atoms, remember


class Mine(FixConstraint):
    """A user's own constraint, which cannot be written."""

    def __eq__(self, other):
        return type(self) is type(other)

    __hash__ = None  # type: ignore[assignment]

    def adjust_positions(self, atoms, new):
        new[2] = atoms.positions[2]

    def adjust_forces(self, atoms, forces):  # noqa: ARG002
        forces[2] = 0.0


class MineWithName(Mine):
    """One that says what it is, but ASE cannot make it again."""

    def todict(self):
        return {"name": "Mine", "kwargs": {}}


def structure() -> Atoms:
    atoms = bulk("Cu", a=3.7, cubic=True) * (2, 1, 1)
    atoms.rattle(0.1, seed=2)
    return atoms


XYZ, ASE, NOWHERE = "best.xyz", "only minima.db", "told"
CONSTRAINTS = {
    **{name: (make, XYZ if name in ("FixAtoms", "FixCartesian") else ASE) for name, make in EVERY.items()},
    "FixAtoms from the end": (lambda a: FixAtoms([-1]), XYZ),
    "FixCartesian, two": (lambda a: FixCartesian([0, 3], (True, False, True)), XYZ),
    "both": (lambda a: [FixCartesian([0, 3], (True, False, True)), FixAtoms([0, 4])], XYZ),
    "Hookean to a point": (lambda a: Hookean(0, (0.0, 0.0, 9.0), k=5.0, rt=1.0), ASE),
    "Hookean to a plane": (lambda a: Hookean(0, (0.0, 0.0, 1.0, -9.0), k=5.0), ASE),
    "Hookean and FixAtoms": (lambda a: [Hookean(0, 1, k=5.0, rt=1.0), FixAtoms([0])], ASE),
    "a user's own": (lambda a: Mine(), NOWHERE),
    "a user's own with a name": (lambda a: MineWithName(), NOWHERE),
    "a user's own and FixAtoms": (lambda a: [FixAtoms([0]), Mine()], NOWHERE),
}


def test_the_table_has_every_constraint_of_ase():
    classes = {name for name in ase.constraints.__all__ if isinstance(getattr(ase.constraints, name), type)}
    assert classes - {"FixConstraint", "FixParametricRelations"} == EVERY.keys() - {"FixBondLength"}  # a function
    atoms = structure()
    for name, make in EVERY.items():
        if name != "FixSymmetry":
            assert type(make(atoms)).__name__ == {"FixBondLength": "FixBondLengths"}.get(name, name)


def words(constraints) -> list[dict]:
    """Returns what constraints say of themselves, but for the atoms that FixSymmetry makes symmetric anew."""
    said = [c.todict() for c in constraints]
    for one in said:
        one["kwargs"].pop("atoms", None)
    return said


@pytest.mark.parametrize("name", CONSTRAINTS)
def test_constraints_are_kept_or_told(name, tmp_path):
    make, where = CONSTRAINTS[name]
    if name == "FixSymmetry":
        pytest.importorskip("spglib")
    atoms = structure()
    atoms.calc = EMT()
    atoms.set_constraint(make(atoms))
    energy, forces = atoms.get_potential_energy(), atoms.get_forces()
    best = copy_atoms(atoms)
    remember(best, energy, atoms.get_forces(apply_constraint=False))
    told, nowhere = what_is_lost(best)
    assert (told is not None, nowhere) == (where != XYZ, where == NOWHERE)
    lost = [f"the constraint {type(c).__name__}" for c in atoms.constraints if not isinstance(c, FixAtoms)]
    assert told is None or told.startswith(
        f"no file can hold {lost[0]}" if nowhere else f"best.xyz cannot hold {lost[0]}"
    )
    write_structure(tmp_path / "best.xyz", for_extxyz(best).atoms)
    MinimaDatabase(tmp_path / "minima.db").add(best, energy, 1, label="seed 0")
    folder = Folder(tmp_path)
    folder.write_start(best)
    stored, row = MinimaDatabase(tmp_path / "minima.db").sorted()[0], connect(tmp_path / "minima.db").get(1).toatoms()
    for back in (best, read(tmp_path / "best.xyz"), stored.atoms, row):
        assert back.get_potential_energy() == pytest.approx(energy, abs=1e-9)
    assert stored.energy == energy
    for back in (best, read(tmp_path / "best.xyz")):
        np.testing.assert_allclose(back.get_forces(), forces, atol=2e-8)
    known = words(c for c in atoms.constraints if not isinstance(c, Mine))
    for back in (stored.atoms, row, folder.read_start()):
        assert same(words(back.constraints), known, 1e-12)
    if where == XYZ:
        back = read(tmp_path / "best.xyz")
        back.calc = EMT()
        np.testing.assert_allclose(back.get_forces(), forces, atol=1e-6)


def texts(**options):
    return st.text(st.characters(blacklist_categories=("Cs",)), **options)


def values():
    """Returns what users may put into `info`, and some that no file holds."""
    numbers = st.one_of(st.integers(-(10**6), 10**6), st.floats(), st.complex_numbers(), st.booleans(), st.none())
    fields = [arrays(dtype, st.integers(1, 3).map(lambda n: (n, 3)), fill=st.nothing()) for dtype in (int, float, bool)]
    odd = st.sampled_from([Mine(), lambda: 0, {1, 2}, b"bytes", np.float32(0.1), np.array([None, "a"], dtype=object)])
    flat = st.one_of(numbers, texts(), odd, *fields)
    deep = st.one_of(st.lists(flat, max_size=3), st.dictionaries(texts() | st.integers(0, 9), flat, max_size=3))
    return st.one_of(flat, deep, st.tuples(flat, flat))


def per_atom(n: int):
    """Returns arrays for n atoms of many kinds and shapes."""
    shapes = st.sampled_from([(n,), (n, 1), (n, 2), (n, 3, 3)])
    kinds = [float, np.float32, int, np.int32, np.uint8, bool, complex, "U4", "S3"]
    return st.one_of(*(arrays(kind, shapes, fill=st.nothing()) for kind in kinds))


@st.composite
def any_atoms(draw):
    """Returns atoms with random fields of every kind that ASE knows."""
    n = draw(st.integers(3, 5))
    finite = st.floats(-9.0, 9.0)
    vectors, scalars = arrays(float, (n, 3), elements=finite), arrays(float, n, elements=finite)
    pbc = draw(st.tuples(st.booleans(), st.booleans(), st.booleans()))
    atoms = Atoms(draw(st.lists(st.integers(0, 90), min_size=n, max_size=n)), pbc=pbc)
    atoms.cell = np.diag([9.0, 10.0, 11.0]) + draw(arrays(float, (3, 3), elements=st.floats(-2.0, 2.0)))
    atoms.positions = draw(vectors)
    makers = {
        "tags": arrays(int, n, elements=st.integers(-9, 9)),
        "momenta": vectors,
        "masses": arrays(float, n, elements=st.floats(0.5, 300.0)),
        "initial_charges": scalars | scalars.map(np.float32) | scalars.map(np.int16),
        "initial_magmoms": scalars | vectors,
    }
    for name, made in makers.items():
        if draw(st.booleans()):
            atoms.arrays[name] = draw(made)
    names = texts(min_size=1, max_size=8).filter(lambda name: name not in ("numbers", "positions"))
    atoms.arrays.update(draw(st.dictionaries(names | st.sampled_from(["forces", "pos"]), per_atom(n), max_size=2)))
    keys = st.one_of(
        texts(max_size=8), st.integers(0, 9), st.sampled_from(["charge", "spin", "energy", "Lattice", "pbc"])
    )
    atoms.info = draw(st.dictionaries(keys, values(), max_size=3))
    atoms.set_celldisp(draw(st.sampled_from([(0.0, 0.0, 0.0), (0.1, 0.2, 0.3)])))
    indices = draw(st.lists(st.integers(-n, n - 1), min_size=1, max_size=n, unique_by=lambda i: i % n))
    chosen = [FixAtoms(indices), FixScaled(indices[:1]), Hookean(0, 1, k=2.0, rt=1.0), Mine()]
    atoms.set_constraint(draw(st.lists(st.sampled_from(chosen), max_size=3, unique_by=id)))
    return atoms


def check_fields(back: Atoms, atoms: Atoms, lost: list[str], digits: float) -> None:
    """Makes sure that every field came back, but for what was said to be lost."""
    for kind in ("info", "arrays"):
        wanted = {k: v for k, v in getattr(atoms, kind).items() if k != "positions" and f"{kind}[{k!r}]" not in lost}
        found = getattr(back, kind)
        if kind == "info" and back.calc is not None:
            found = {**{key: value for key, value in back.calc.results.items() if key in wanted}, **found}
        assert found.keys() - {"positions"} == wanted.keys()
        for key, value in wanted.items():
            assert same(value, found[key], digits), (kind, key)
    assert np.allclose(back.cell, atoms.cell, rtol=0.0, atol=1e-7) and (back.pbc == atoms.pbc).all()
    assert "celldisp" in lost or np.array_equal(back.get_celldisp().ravel(), atoms.get_celldisp().ravel())
    told = {type(c).__name__ for c in atoms.constraints if f"the constraint {type(c).__name__}" in lost}
    assert {type(c).__name__ for c in back.constraints} == {type(c).__name__ for c in atoms.constraints} - told


@settings(max_examples=40, deadline=None, phases=[Phase.explicit, Phase.generate])
@given(atoms=any_atoms(), energy=st.floats(-9.0, 9.0), smearing=st.none() | st.floats(-1.0, 1.0))
def test_what_goes_into_files_comes_back(tmp_path_factory, atoms, energy, smearing):
    path = tmp_path_factory.mktemp("fields")
    plain = None if smearing is None else energy + smearing
    best = copy_atoms(atoms)
    check_fields(best, atoms, [], 0.0)
    remember(best, energy, np.ones((len(atoms), 3)), plain)
    write_structure(path / "best.xyz", for_extxyz(best).atoms)
    folder = Folder(path)
    folder.write_start(best)
    MinimaDatabase(path / "minima.db").add(best, energy, 3, label="seed 0", without_smearing=plain)
    stored = MinimaDatabase(path / "minima.db").sorted()[0].atoms
    xyz = read(path / "best.xyz")
    check_fields(xyz, atoms, for_extxyz(best).lost, 1e-6)
    check_fields(stored, atoms, for_ase_files(best).lost, 0.0)
    check_fields(folder.read_start(), atoms, for_ase_files(best).lost, 0.0)
    row = connect(path / "minima.db").get(1).toatoms()
    for back in (best, xyz, stored, row):
        assert back.get_potential_energy() == pytest.approx(energy if plain is None else plain, abs=1e-9)
        if plain is not None:
            assert back.get_potential_energy(force_consistent=True) == pytest.approx(energy, abs=1e-9)
    for array in best.arrays.values():  # nothing is shared with what the search goes on with
        assert not any(np.shares_memory(array, other) for other in atoms.arrays.values())
