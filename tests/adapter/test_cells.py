"""Cells that cannot be are told before anything is evaluated, whatever holds the atoms; those that can be are taken."""

import numpy as np
import pytest
from ase.filters import ExpCellFilter, Filter, FrechetCellFilter, StrainFilter, UnitCellFilter
from ase.io import write
from ase.mep import NEB

from ase_learnedopt.adapter import LearnedHop, LearnedRelax
from ase_learnedopt.search import search
from ase_learnedopt.search.relaxing import relax_command

CELLS = {  # cell, pbc: what is said; None: nothing
    "none": ([0, 0, 0], False, None),
    "all": ([9, 9, 9], True, None),
    "slab": ([9, 9, 0], [1, 1, 0], None),
    "slab with vacuum": ([9, 9, 30], [1, 1, 0], None),
    "chain": ([[0, 0, 0], [0, 9, 0], [0, 0, 0]], [0, 1, 0], None),
    "left-handed": ([[0, 9, 0], [9, 0, 0], [0, 0, 9]], True, None),
    "flat, not periodic": ([[9, 0, 0], [9, 0, 0], [0, 0, 9]], False, None),
    "thin": ([[9, 0, 0], [9, 0.01, 0], [0, 0, 9]], [0, 0, 1], None),
    "no vectors": ([0, 0, 0], True, "periodic along a and b and c, where the cell"),
    "no vector c": ([9, 9, 0], True, "periodic along c, where the cell"),
    "no vector a": ([0, 9, 9], [1, 0, 0], "periodic along a, where the cell"),
    "parallel": ([[9, 0, 0], [18, 0, 0], [0, 0, 9]], True, "parallel or lie in one plane"),
    "two parallel ones": ([[9, 0, 0], [-9, 0, 0], [0, 0, 0]], [1, 1, 0], "parallel or lie in one plane"),
    "parallel to one that is not periodic": (
        [[9, 0, 0], [9, 0, 0], [0, 0, 9]],
        [1, 0, 0],
        "parallel or lie in one plane",
    ),
    "in one plane": ([[9, 0, 0], [0, 9, 0], [9, 9, 0]], True, "parallel or lie in one plane"),
    "no number": ([9, np.nan, 9], [1, 0, 0], "no numbers"),
    "no number, not periodic": ([9, np.inf, 9], False, "no numbers"),
}
WRONG = [name for name, (_, _, said) in CELLS.items() if said]


@pytest.fixture
def atoms_in(cluster):
    """Makes atoms in a cell of the table, with a calculator that counts its calls, and says what is to be said."""

    def make_atoms(name):
        cell, pbc, said = CELLS[name]
        atoms = cluster(rattle=0.05)
        atoms.positions += 2.0
        atoms.set_cell(cell)
        atoms.pbc = pbc
        return atoms, said

    return make_atoms


def require_told(run, atoms, message):
    before = atoms.positions.copy()
    with pytest.raises(ValueError, match=message) as caught:
        run()
    assert "set atoms.cell" in str(caught.value)
    assert atoms.calc.n_calls == 0
    np.testing.assert_array_equal(atoms.positions, before)


@pytest.mark.parametrize("name", CELLS)
def test_cells(name, make, atoms_in):
    atoms, said = atoms_in(name)
    opt = make(atoms)
    if said:
        require_told(lambda: opt.run(fmax=0.1, steps=3), atoms, said)
        require_told(lambda: next(opt.irun(fmax=0.1, steps=3)), atoms, said)
    else:
        opt.run(fmax=0.1, steps=1)
        assert atoms.calc.n_calls == 2


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize("holder", [lambda atoms: Filter(atoms, indices=[1, 2]), "band"], ids=["filter", "band"])
def test_whatever_holds_the_atoms(name, holder, atoms_in):
    atoms, said = atoms_in(name)
    target = NEB([atoms.copy(), atoms, atoms.copy()], method="improvedtangent") if holder == "band" else holder(atoms)
    require_told(lambda: LearnedRelax(target, logfile=None).run(fmax=0.1, steps=3), atoms, said)


@pytest.mark.parametrize("cell_filter", [UnitCellFilter, FrechetCellFilter, StrainFilter, ExpCellFilter])
@pytest.mark.parametrize("name", ["none", "slab", "chain", "flat, not periodic", "no vector c", "parallel"])
@pytest.mark.filterwarnings("ignore:Use FrechetCellFilter")
def test_cell_filters_need_a_volume(name, cell_filter, atoms_in):
    atoms, _ = atoms_in(name)
    opt = LearnedHop(cell_filter(atoms), max_hops=0, logfile=None)
    require_told(lambda: opt.run(fmax=0.1, steps=3), atoms, f"{cell_filter.__name__} needs a cell with a volume")


@pytest.mark.parametrize("name", WRONG)
def test_a_search_into_a_folder(name, tmp_path, atoms_in):
    atoms, said = atoms_in(name)
    require_told(lambda: search(atoms, evaluations=5, out=tmp_path / "out"), atoms, said)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("cell", "said"), [(False, "periodic along c"), (True, "relaxing the cell needs a cell with")])
def test_a_relaxation_of_a_file(cell, said, tmp_path, atoms_in):
    atoms, _ = atoms_in("no vector c")
    write(tmp_path / "a.json", atoms)
    given = {"input": str(tmp_path / "a.json"), "calculator": "lj", "cell": cell}
    with pytest.raises(ValueError, match=said):
        relax_command(given, resume=False, overwrite=False)
    assert [file.name for file in tmp_path.iterdir()] == ["a.json"]
