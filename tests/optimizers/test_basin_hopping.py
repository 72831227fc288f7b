"""What basin hopping and random restart promise beyond the contract."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import SYSTEMS, lennard_jones, make_system, run

from ase_learnedopt.optimizers import basin_hopping, fire, lbfgs, random_restart
from ase_learnedopt.optimizers.basin_hopping import _contain
from ase_learnedopt.types import HOP, MINIMUM, RESTART

pytestmark = pytest.mark.usefixtures("dtype")
LJ7 = -16.505384  # Cambridge Cluster Database, as the next
LJ13 = -44.326801


def begin(optimizer, system_name="lj13", seed=0):
    system = make_system(**SYSTEMS[system_name])
    return system, optimizer.init(jax.random.PRNGKey(seed), system)


def relax_and_hop(optimizer, state):
    """Advances to the next pending state; returns it and the state after its hop."""
    advance = jax.jit(optimizer.advance)
    while not state.pending:
        state = advance(state, *lennard_jones(state.positions, state.system))
    return state, jax.jit(optimizer.hop)(state, None)


@pytest.mark.parametrize("swaps", [-0.1, 1.5])
def test_refuses_an_impossible_share(swaps):
    with pytest.raises(ValueError, match=f"swaps is {swaps}"):
        basin_hopping(swaps=swaps)


@pytest.mark.parametrize("name", ["mixed", "lj7"])
def test_swaps_two_unlike_atoms_or_shakes(name):
    optimizer = basin_hopping(swaps=1.0, max_relax_steps=25)
    system, state = begin(optimizer, name)
    _, hopped = relax_and_hop(optimizer, state)
    before, after = np.asarray(_contain(hopped.current_positions, system)), np.asarray(hopped.positions)
    moved = np.flatnonzero(np.abs(after - before).max(axis=1) > 1e-4)  # compiled by itself, _contain rounds otherwise
    if name == "lj7":
        assert len(moved) == 7
        return
    first, second = moved
    assert system.species[first] != system.species[second]
    np.testing.assert_allclose(after[[first, second]], before[[second, first]], atol=1e-4)


@pytest.mark.parametrize("build", [basin_hopping, random_restart])
def test_finds_the_icosahedron(build):
    optimizer = build()
    _, state = begin(optimizer)
    state, _ = run(optimizer, state, 6000)
    np.testing.assert_allclose(state.best_energy, LJ13, atol=1e-3)


@pytest.mark.parametrize("build", [basin_hopping, random_restart])
def test_any_local_optimizer_may_relax(build):
    optimizer = build(fire(), **{"basin_hopping": {"max_relax_steps": 400}}.get(build.__name__, {"max_steps": 400}))
    _, state = begin(optimizer, "lj7")
    state, trajectory = run(optimizer, state, 3000)
    np.testing.assert_allclose(state.best_energy, LJ7, atol=1e-3)
    assert {HOP, RESTART} & set(trajectory.events.tolist())


@pytest.mark.parametrize("build", [basin_hopping, random_restart])
def test_refuses_to_nest_a_search(build):
    with pytest.raises(ValueError, match="never hops"):
        build(basin_hopping())


def test_refuses_an_empty_neighborhood():
    with pytest.raises(ValueError, match="neighborhood is 0"):
        basin_hopping(neighborhood=0)


@pytest.mark.parametrize("neighborhood", [1, 4, 100])
@pytest.mark.parametrize("system_name", ["periodic", "slab"])
def test_neighborhood_bounds_how_many_atoms_are_shaken(system_name, neighborhood):
    optimizer = basin_hopping(neighborhood=neighborhood, shake=0.3, target_acceptance=None)
    system, state = begin(optimizer, system_name)
    relaxed, hopped = relax_and_hop(optimizer, state)
    displacement = np.abs(hopped.positions - hopped.current_positions)
    n_atoms = int(jnp.sum((system.species >= 0) & system.movable))
    assert np.sum(displacement.max(axis=1) > 0) == min(neighborhood, n_atoms)
    assert displacement.max() <= 0.3 * system.length_scale
    assert relaxed.event == MINIMUM
    assert hopped.event == HOP


@pytest.mark.parametrize(("kT", "accepted"), [(1e-9, False), (1e9, True)])
def test_metropolis(kT, accepted):
    optimizer = basin_hopping(kT=kT)
    _, state = begin(optimizer, "lj7")
    state = state._replace(current_energy=jnp.full((), LJ7 - 1.0), pending=jnp.ones((), bool))
    state = state._replace(local=state.local._replace(best_energy=jnp.full((), LJ7)))
    after = optimizer.hop(state, None)
    assert after.current_energy == (LJ7 if accepted else LJ7 - 1.0)
    assert bool(after.n_accepted) == accepted
    assert bool(after.shake > state.shake) == accepted


def test_shake_length_is_steered_to_the_wanted_acceptance():
    optimizer = basin_hopping(lbfgs(tolerance=0.1), shake=0.05, adaption=0.3)
    _, state = begin(optimizer)
    state, _ = run(optimizer, state, 4020)
    assert 0.2 < state.shake < 1.0
    assert 0.3 < state.n_accepted / state.n_hops < 0.8


def test_a_relaxation_is_given_up_after_max_steps():
    optimizer = random_restart(max_steps=10)
    _, state = begin(optimizer)
    state, trajectory = run(optimizer, state, 120)
    assert np.flatnonzero(np.asarray(trajectory.events) == RESTART).tolist() == list(range(9, 120, 10))
    assert state.n_restarts == 12
    assert state.best_energy == trajectory.energies.min()
