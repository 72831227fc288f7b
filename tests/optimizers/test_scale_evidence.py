"""What forces say of length and energy scale: right where these are known, and the same whatever is assumed."""

from functools import cache

import numpy as np
import pytest
from ase import Atoms
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from ase_learnedopt.adapter.convert import describe, to_rows, to_system
from ase_learnedopt.bench.problems import get_problem
from ase_learnedopt.optimizers.learned import load_policy
from ase_learnedopt.optimizers.scale_evidence import disorder, scaled, weigh_scales


@cache
def prior():
    return np.asarray(load_policy("learned_hop", "learned_hop")[0]["prior"]["one kind"], float)


@cache
def start(name, seed):
    """Returns a random start in known scales, and the gradient on it."""
    problem = get_problem(name)
    atoms, ours = problem.start(seed), problem.system(seed)
    atoms.calc = problem.calculator()
    rows = describe(atoms, atoms.__ase_optimizable__())
    system = to_system(rows, atoms.positions.reshape(-1), float(ours.length_scale), float(ours.energy_scale))
    system.radii[: len(atoms)] = np.asarray(ours.radii)
    return system, to_rows(-atoms.get_forces().reshape(-1), len(system.species))


def weigh(system, gradient, **kwargs):
    return weigh_scales(prior(), system, system.positions, gradient, **kwargs)


@pytest.mark.parametrize(
    ("name", "length", "energy"),
    [
        ("lj13", 1.06, 2.0),
        ("lj38", 1.03, 1.3),
        ("emt-Cu38", 1.12, 1.5),
        ("gupta-Pt19", 1.25, 2.0),
        ("emt-Pt13", 1.1, 2.5),
    ],
)
def test_known_scales_are_found(name, length, energy):
    """Within these factors, from each of a few random starts."""
    for seed in range(52000, 52003):
        found = weigh(*start(name, seed))
        assert abs(np.log(found.length)) < np.log(length), (seed, found)
        assert abs(np.log(found.energy)) < np.log(energy), (seed, found)
        assert found.misfit < 0.17


@settings(max_examples=12, deadline=None)
@given(k=st.integers(-12, 12), m=st.integers(-6, 6), seed=st.integers(0, 3))
@example(k=16, m=-8, seed=0)
@example(k=-8, m=8, seed=1)
def test_what_is_found_does_not_depend_on_what_is_assumed(k, m, seed):
    """Factors of the first grid, so that all that is looked at is the same."""
    system, gradient = start("lj13", 52000 + seed)
    length, energy = 2.0 ** (k / 8), 10.0 ** (m / 4)
    right, found = weigh(system, gradient), weigh(scaled(system, length, energy), gradient)
    assert found.length * length == pytest.approx(right.length, rel=1e-6)
    assert found.energy * energy == pytest.approx(right.energy, rel=1e-6)
    assert found.misfit == pytest.approx(right.misfit, abs=1e-6)


@settings(max_examples=8, deadline=None)
@given(length=st.floats(0.3, 3.0), energy=st.floats(0.01, 100.0), seed=st.integers(0, 3))
def test_factors_between_those_of_the_grid(length, energy, seed):
    system, gradient = start("lj13", 52000 + seed)
    right, found = weigh(system, gradient), weigh(scaled(system, length, energy), gradient)
    assert found.length * length == pytest.approx(right.length, rel=0.03)
    assert found.energy * energy == pytest.approx(right.energy, rel=0.2)


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 1000), angles=st.tuples(*[st.floats(-3, 3)] * 3), shift=st.floats(-50, 50))
def test_directions_places_and_order_do_not_matter(seed, angles, shift):
    system, gradient = start("lj13", 52000)
    n, turn = np.count_nonzero(system.species >= 0), Rotation.from_rotvec(angles).as_matrix()
    order = np.concatenate([np.random.default_rng(seed).permutation(n), np.arange(n, len(system.species))])
    moved = system._replace(positions=system.positions[order] @ turn.T + shift)
    before, after = weigh(system, gradient), weigh(moved, gradient[order] @ turn.T)
    for name, value in before._asdict().items():
        assert getattr(after, name) == pytest.approx(value, rel=1e-6, abs=1e-6), name
    assert disorder(moved, moved.positions) == pytest.approx(disorder(system, system.positions))


@pytest.mark.parametrize(("length", "energy"), [(1.0, 10.0), (1.0, 0.05), (1.5, 1.0), (0.6, 1.0)])
def test_what_is_fixed_stays(length, energy):
    system, gradient = start("lj38", 52001)
    fix_length = length == 1.0
    found = weigh(scaled(system, length, energy), gradient, fix_length=fix_length, fix_energy=not fix_length)
    assert (found.length == 1.0) == fix_length
    assert (found.energy == 1.0) == (not fix_length)
    assert found.length * length == pytest.approx(1.0, rel=0.1)
    assert found.energy * energy == pytest.approx(1.0, rel=0.5)


def test_gain_is_over_what_is_assumed():
    system, gradient = start("lj38", 52000)
    assert abs(weigh(system, gradient).gain) < 3.0
    assert weigh(scaled(system, 2.0, 1.0), gradient).gain > 30.0


def test_far_lengths_at_which_calm_atoms_would_overlap():
    """Four calm atoms of thirteen, whose forces alone would allow 3.8 times the length."""
    system, gradient = start("lj13", 40011)
    found = weigh(scaled(system, 2.0, 0.01), gradient)
    assert found.n_data == 12
    assert found.length * 2.0 == pytest.approx(1.0, rel=0.1)
    assert found.energy * 0.01 == pytest.approx(1.0, rel=0.5)


@pytest.mark.parametrize("factor", [0.0, np.nan, np.inf])
def test_forces_that_say_nothing(factor):
    system, gradient = start("lj13", 52000)
    assert weigh(system, factor * np.ones_like(gradient)) is None


def test_fixed_atoms_are_not_asked():
    """Their forces are said to be zero, but they are neighbours of the others."""
    system, gradient = start("lj38", 52000)
    movable = system.movable & (np.arange(len(system.species)) >= 8)
    found = weigh(system._replace(movable=movable), np.where(movable[:, None], gradient, 0.0))
    assert found.n_data <= 90
    assert found.length == pytest.approx(1.0, rel=0.05)
    assert found.energy == pytest.approx(1.0, rel=0.4)


def test_middle_of_many_atoms():
    """A shaken crystal of 500 atoms, of which a part is looked at."""
    edge, rng = np.arange(5) * 2.0**0.5 * 1.09, np.random.default_rng(0)
    corners = np.array(np.meshgrid(edge, edge, edge)).reshape(3, -1).T
    basis = np.array([[0, 0, 0], [0, 1, 1], [1, 0, 1], [1, 1, 0]]) * 2.0**-0.5 * 1.09
    positions = (corners[:, None] + basis[None]).reshape(-1, 3)
    atoms = Atoms("Ar500", positions + rng.normal(0.0, 0.1, positions.shape))
    away = atoms.positions[:, None] - atoms.positions[None]
    square = (away**2).sum(-1) + np.eye(500) * 1e12
    slope = (48.0 * square**-6 - 24.0 * square**-3) / square
    gradient = -(slope[:, :, None] * away).sum(1)
    rows = describe(atoms, atoms.__ase_optimizable__())
    system = to_system(rows, atoms.positions.reshape(-1), 1.5 * 2.0 ** (1 / 6), 20.0)
    found = weigh(system, to_rows(gradient.reshape(-1), len(system.species)))
    assert 200 < found.n_data <= 3 * 128
    assert found.length * 1.5 == pytest.approx(1.0, rel=0.1)
    assert 0.4 < found.energy * 20.0 < 2.5
