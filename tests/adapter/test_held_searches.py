"""A search with each of ASE's constraints, of a cluster, a slab and a cell: it hops, and what is held stays."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.constraints import FixAtoms, FixBondLength, FixCartesian
from every_constraint import HOLDING, MODE, PUSHING

from ase_learnedopt import LearnedHop, LearnedRelax
from ase_learnedopt.adapter import restart_file

ROW = np.array([[0.0, 0.0], [1.0, 0.0], [2.0, 0.0], [3.0, 0.0]])
"""Nearest-neighbour distances; the first three atoms are in a row, as `FixLinearTriatomic` wants them."""
SHIFT = np.array([0.5, np.sqrt(0.75)])


def shaken(places, **kwargs):
    """Returns copper at places in nearest-neighbour distances, all but the row displaced at random."""
    positions = 2.6 * np.array(places, float) + 1.0  # `FixScaledParametricRelations` wraps what is outside the cell
    positions[3:] += np.random.default_rng(3).normal(0, 0.08, positions[3:].shape)
    return Atoms(f"Cu{len(places)}", positions, **kwargs)


def cluster():
    """Returns eight atoms, five of them below the others."""
    top = [[0.5, 0.29, 0.82], [1.5, 0.29, 0.82], [1.0, 1.15, 0.82]]
    return shaken([*([*place, 0.0] for place in [*ROW[:3], *(ROW + SHIFT)[:2]]), *top], cell=[12.0] * 3)


def slab():
    """Returns one layer of sixteen atoms with a gap; bonds have but one image that is nearest."""
    places = [[*place, 0.0] for i in range(4) for place in ROW + i * SHIFT]
    return shaken(places, cell=[[12.0, 0, 0], [5.2, 9.007, 0], [0, 0, 15.0]], pbc=[True, True, False])


def cell():
    """Returns a crystal of such layers, each above the next."""
    atoms = slab()
    atoms.set_cell([[12.0, 0, 0], [5.2, 9.007, 0], [0, 0, 5.4]])
    atoms.pbc = True
    return atoms


SYSTEMS = {"cluster": cluster, "slab": slab, "cell": cell}


def distance(a, i, j):
    return a.get_distance(i, j, mic=True)


def scaled(a):
    return a.get_scaled_positions(wrap=False)


def along(a, i, direction):
    return a.positions[i] @ np.asarray(direction) / np.linalg.norm(direction)


def across(a, i, direction):
    return np.cross(a.positions[i], direction) / np.linalg.norm(direction)


WHAT = {
    "FixAtoms": lambda a: a.positions[[0, -1]],
    "FixCartesian": lambda a: a.positions[[0, -1]],
    "FixedPlane": lambda a: along(a, [0, -1], (1, 1, 0)),
    "FixedLine": lambda a: across(a, [0, -1], (1, 1, 0)),
    "FixedMode": lambda a: np.sum(a.positions * MODE[: len(a)]) / np.linalg.norm(MODE),
    "FixScaled": lambda a: scaled(a)[[0, -1]][:, [0, 2]],
    "FixBondLength": lambda a: distance(a, 0, 5),
    "FixBondLengths": lambda a: [distance(a, 0, 5), distance(a, 5, 6)],
    "FixInternals": lambda a: a.get_distance(0, 5),  # not that of the nearest images
    "FixLinearTriatomic": lambda a: [distance(a, 0, 1), distance(a, 1, 2), distance(a, 0, 2)],
    "FixCom": lambda a: a.get_center_of_mass(),
    "FixSubsetCom": lambda a: a[[0, 1, 4]].get_center_of_mass(),
    "FixScaledParametricRelations": lambda a: a.positions[0],
    "FixCartesianParametricRelations": lambda a: a.positions[0],
}
CONSTRAINTS = {  # what makes it, what it holds
    **{name: (make, WHAT[name]) for name, make in HOLDING.items()},
    "FixCartesian, one": (lambda a: FixCartesian([0, -1], (False, False, True)), lambda a: a.positions[[0, -1], 2]),
    "two": (lambda a: [FixAtoms([0]), FixBondLength(3, 4)], lambda a: [*a.positions[0], distance(a, 3, 4)]),
}
STEPS = {"FixBondLengths": 120}  # in which there is a hop; else 40


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("name", CONSTRAINTS)
def test_a_search_holds_what_is_held(name, system):
    make, held = CONSTRAINTS[name]
    atoms = SYSTEMS[system]()
    atoms.set_constraint(make(atoms))
    before = np.array(held(atoms))
    atoms.calc = EMT()
    seen = []
    opt = LearnedHop(atoms, seed=1, patience=None, logfile=None)
    opt.attach(lambda: seen.append(np.array(held(atoms))))
    opt.run(fmax=0.05, steps=STEPS.get(name, 40))
    assert opt.n_hops >= 1
    assert np.isfinite(atoms.positions).all()
    assert np.abs(np.array(seen) - before).max() < 1e-8


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("name", PUSHING)
def test_a_search_with_constraints_that_only_push(name, system):
    atoms = SYSTEMS[system]() if name != "FixSymmetry" or system == "cluster" else bulk("Cu", cubic=True)
    if (name, system) == ("FixSymmetry", "cluster"):
        pytest.skip("spglib knows crystals only")
    if name == "FixSymmetry":
        pytest.importorskip("spglib")
    atoms.set_constraint(PUSHING[name](atoms))
    atoms.calc = EMT()
    LearnedHop(atoms, seed=1, patience=None, logfile=None).run(fmax=0.05, steps=20)
    assert np.isfinite(atoms.positions).all()


@pytest.mark.parametrize("optimizer", [LearnedHop, LearnedRelax])
@pytest.mark.parametrize("name", CONSTRAINTS)
def test_resumed_is_uninterrupted(name, optimizer, tmp_path, monkeypatch):
    monkeypatch.setattr(restart_file, "SHARE_OF_TIME", 1e9)

    def path(steps, stop_after=None, restart=None):
        atoms = cluster()
        atoms.set_constraint(CONSTRAINTS[name][0](atoms))
        atoms.calc = EMT()
        opt = optimizer(atoms, seed=1, logfile=None, restart=restart)
        done, geometries = opt.nsteps, []
        for _ in opt.irun(fmax=1e-3, steps=steps - done):
            geometries.append(atoms.positions.copy())
            if len(geometries) - 1 == stop_after:
                break
        return done, geometries

    _, whole = path(24)
    _, begin = path(24, stop_after=3, restart=tmp_path / "state.json")
    done, end = path(24, restart=tmp_path / "state.json")
    assert done == 2
    np.testing.assert_array_equal(np.array(begin[:done] + end), np.array(whole))
