"""What a user can get wrong, and what the answer says."""

import re

import numpy as np
import pytest
from ase import Atoms
from ase.filters import Filter
from counting_lj import CountingLJ

from ase_learnedopt.adapter import Learn2Hop, LearnedHop, LearnedRelax
from ase_learnedopt.adapter.evaluating import MOST_FAILURES


class Changing(CountingLJ):
    """Gives forces of another kind from one call on."""

    def __init__(self, change, change_from):
        super().__init__()
        self.change, self.change_from = change, change_from

    def calculate(self, *args, **kwargs):
        super().calculate(*args, **kwargs)
        if self.n_calls >= self.change_from:
            self.results["forces"] = self.change(self.results["forces"])


POSITIVE = ("length_scale", "energy_scale", "maxstep")
BAD_VALUES = [
    {"seed": -1},
    {"seed": 1.5},
    {"seed": True},
    {"seed": 2**64},
    {"max_hops": -1},
    {"max_hops": 2.5},
    {"patience": -3},
    {"target_energy": float("nan")},
    {"walltime": 0},
    {"length_scale": -1.0},
    {"energy_scale": 0.0},
    {"maxstep": float("inf")},
    *({name: value} for name in ("target_energy", "walltime", *POSITIVE) for value in ("2", True, [2.0], 2j)),
]


@pytest.mark.parametrize("keyword", BAD_VALUES, ids=str)
def test_bad_value(make, cluster, keyword):
    name, value = next(iter(keyword.items()))
    with pytest.raises(ValueError, match=rf"{name} must be .*{re.escape(repr(value))}"):
        make(cluster(), **keyword)


@pytest.mark.parametrize("number", [np.float32(0.5), np.float64(0.5), np.array(0.5), np.int64(1), 1], ids=repr)
def test_numbers_of_numpy_are_numbers(make, cluster, number):
    opt = make(cluster(), walltime=100 * number, **dict.fromkeys(POSITIVE, number))
    opt.run(fmax=number, steps=np.int64(4))
    assert [opt.length_scale, opt.energy_scale, opt.maxstep] == [float(number)] * 3 and 1 <= opt.n_evaluations <= 5


@pytest.mark.parametrize("config", [{}, 3, "fast"], ids=repr)
@pytest.mark.parametrize("cls", [LearnedHop, Learn2Hop, LearnedRelax])
def test_constants_of_another_kind(cls, config, cluster):
    with pytest.raises(
        ValueError, match=rf"config must be a {cls.__name__}Config or None, not {re.escape(repr(config))}"
    ):
        cls(cluster(), config=config)


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (np.ndarray.tolist, "a list of shape (8, 3)"),
        (lambda forces: forces.T, "a ndarray of float64 of shape (3, 8)"),
        (np.ravel, "a ndarray of float64 of shape (24,)"),
        (lambda forces: forces[:-1], "a ndarray of float64 of shape (7, 3)"),
        (lambda forces: forces + 0j, "a ndarray of complex128 of shape (8, 3)"),
        (lambda forces: forces.astype(str), "a ndarray of <U"),
        (lambda forces: None, "a NoneType of shape ()"),
    ],
)
@pytest.mark.parametrize("call", [1, 3])
def test_forces_of_another_shape(make, cluster, change, found, call):
    atoms = cluster()
    atoms.calc = Changing(change, call)
    with pytest.raises(ValueError, match=f"the forces that the calculator gives are {re.escape(found)}"):
        make(atoms).run(fmax=1e-3, steps=20)
    assert atoms.calc.n_calls == call


def test_a_calculator_that_ends_the_program_leaves_the_best(make, cluster, tmp_path):
    atoms = cluster(broken_from=9, error=SystemExit(3))
    opt = make(atoms, restart=str(tmp_path / "restart.json"))
    with pytest.raises(SystemExit):
        opt.run(fmax=1e-3, steps=50)
    atoms.calc.broken_from = None
    assert atoms.get_potential_energy() == opt.best_energy and (tmp_path / "restart.json").exists()
    assert make(atoms, restart=str(tmp_path / "restart.json")).n_evaluations == 8


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        *(((value,), "fmax must be") for value in (-0.1, float("nan"), None, "0.05", np.array([0.05]), True)),
        *(((0.1, value), "steps must be") for value in (-1, float("nan"), None, "5", True)),
    ],
)
def test_bad_run(make, cluster, arguments, message):
    atoms = cluster()
    with pytest.raises(ValueError, match=message):
        make(atoms).run(*arguments)
    assert atoms.calc.n_calls == 0


@pytest.mark.parametrize("target", [lambda atoms: Atoms(), lambda atoms: Filter(atoms, indices=[])])
def test_nothing_to_optimize(make, cluster, target):
    with pytest.raises(ValueError, match="no atoms"):
        make(target(cluster()))


def test_no_calculator(make, cluster):
    atoms = cluster()
    atoms.calc = None
    with pytest.raises(ValueError, match=r"atoms\.calc"):
        make(atoms).run(fmax=0.1)


@pytest.mark.parametrize(
    ("change", "n"), [(lambda a: a.pop(), 7), (lambda a: a.append("Ar"), 9)], ids=["pop", "append"]
)
@pytest.mark.parametrize("steps", [None, 0, 5])
def test_another_number_of_atoms(make, cluster, change, n, steps):
    atoms = cluster()
    opt = make(atoms)
    if steps is not None:
        opt.run(fmax=1e-3, steps=steps)
    change(atoms)
    done = atoms.calc.n_calls
    with pytest.raises(
        ValueError, match=f"there were 8 atoms or rows when this optimizer was made, and there are {n} now"
    ):
        opt.run(fmax=1e-3, steps=5)
    assert atoms.calc.n_calls == done


@pytest.mark.parametrize("pbc", [False, True])
def test_atoms_at_the_same_place(make, cluster, pbc):
    atoms = cluster()
    atoms.positions[5] = atoms.positions[2]
    if pbc:
        atoms.set_cell([9.0, 9.0, 9.0])
        atoms.pbc = True
        atoms.positions[5, 1] += 9.0
    before = atoms.positions.copy()
    with pytest.raises(ValueError, match="atoms 2 and 5"):
        make(atoms).run(fmax=0.1)
    assert atoms.calc.n_calls == 0
    np.testing.assert_array_equal(atoms.positions, before)


def test_position_that_is_no_number(make, cluster):
    atoms = cluster()
    atoms.positions[3, 1] = np.nan
    with pytest.raises(ValueError, match="atom 3"):
        make(atoms).run(fmax=0.1)
    assert atoms.calc.n_calls == 0


@pytest.mark.parametrize("call", [1, 2, 6])
def test_forces_that_are_no_numbers(make, cluster, call):
    atoms = cluster(broken_from=call, broken_atom=4)
    before = atoms.positions.copy()
    opt, last = make(atoms), call + _tolerated(make, call)
    with pytest.raises(ValueError, match=f"force on atom 4 is not a finite number at evaluation {last} ") as told:
        opt.run(fmax=1e-3, steps=50)
    assert told.value.__notes__ == ["the atoms are back at the lowest structure found before"]
    assert atoms.calc.n_calls == last
    if call == 1:
        np.testing.assert_array_equal(atoms.positions, before)
    else:
        atoms.calc.broken_from = None
        assert atoms.get_potential_energy() == opt.best_energy


def _tolerated(make, call):
    """Returns how many evaluations may fail in a row before the error is the user's."""
    return MOST_FAILURES if make.searches and call > 1 else 0


@pytest.mark.parametrize("error", [RuntimeError("no convergence"), KeyError("no convergence")])
def test_calculator_that_fails_for_good(make, cluster, error):
    atoms = cluster(broken_from=4, error=error)
    opt = make(atoms)
    with pytest.raises(type(error), match="no convergence"):
        opt.run(fmax=1e-3, steps=50)
    assert atoms.calc.n_calls == 4 + _tolerated(make, 4)
    atoms.calc.broken_from = None
    assert atoms.get_potential_energy() == opt.best_energy
    assert opt.status is None


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (RuntimeError("SCF not\nconverged"), "SCF not converged"),
        (None, "the force on atom 0 is not a finite number"),
        (-1e9, "an energy of -1e+09 eV is 1e+09 eV below those before, 1.25e+08 eV for each atom"),
    ],
    ids=["raises", "NaN", "hole"],
)
def test_a_search_goes_on_where_the_calculator_fails_now_and_then(make, cluster, error, reason, tmp_path):
    if not make.searches:
        pytest.skip("a relaxation cannot do without")
    if error == -1e9 and make.cls is Learn2Hop:
        pytest.skip("it has not met a minimum before")
    within = 1.0 if make.cls is Learn2Hop else 1.08  # what has a model of the energy comes no nearer
    atoms, log, observed = cluster(rattle=0.02, broken_within=within, error=error), tmp_path / "log", []
    opt = make(atoms, patience=None, logfile=str(log))
    opt.attach(lambda: observed.append(atoms.get_potential_energy()))
    opt.run(fmax=1e-3, steps=300)
    n_failed = log.read_text().count(f"no energy, the search goes on: {reason}")
    assert n_failed > 3 and np.isfinite(observed).all()
    assert opt.n_evaluations == atoms.calc.n_calls == n_failed + len(observed)
    assert opt.n_hops > 3 and -20 < opt.best_energy < -18.9  # two of the lowest three minima of eight atoms
    assert opt.status in ("converged", "budget")


def test_a_run_that_ended_with_failures_goes_on_when_the_calculator_works_again(search, cluster):
    atoms = cluster(broken_from=20, error=RuntimeError("no licence"))
    opt = search(atoms, patience=None)
    for _ in range(2):
        with pytest.raises(RuntimeError, match="no licence"):
            opt.run(fmax=1e-3, steps=300)
    # Before the second run the energy of the best structure is asked for, which may have changed.
    assert atoms.calc.n_calls == 19 + 2 * (MOST_FAILURES + 1) + 1
    atoms.calc.broken_from = None
    opt.run(fmax=1e-3, steps=300)
    assert opt.status in ("converged", "budget") and not opt.has_failed and opt.best_energy < -19.82


@pytest.mark.parametrize("name", ["nowhere", "", 3])
def test_unknown_weights(search, cluster, name):
    with pytest.raises(ValueError, match=f"there are no weights '{name}'"):
        search(cluster(), weights=name)


def test_a_relaxation_has_no_keywords_of_searches(cluster):
    with pytest.raises(TypeError, match="no keyword max_hops: it never hops; use LearnedHop"):
        LearnedRelax(cluster(), max_hops=3)
