"""Every optimizer of the registry keeps the promises of `Optimizer`, on every system of the table."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import (
    CHUNK,
    LOCAL,
    OPTIMIZERS,
    SEARCHES,
    SYSTEMS,
    build,
    full_run,
    lennard_jones,
    make_system,
    precision,
    quadratic,
    run,
    start,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from ase_learnedopt.optimizers.hop_state import LearnedHopConfig
from ase_learnedopt.optimizers.learned_hop import learned_hop
from ase_learnedopt.types import HOP, MINIMUM, RESTART

every_optimizer = pytest.mark.parametrize("name", OPTIMIZERS)
every_system = pytest.mark.parametrize("system_name", SYSTEMS)
pytestmark = pytest.mark.usefixtures("dtype")
few_seeds = settings(
    max_examples=4, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def shapes(tree):
    return jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype, leaf.weak_type), tree)


@every_system
@every_optimizer
def test_descends(name, system_name):
    _, state, trajectory = full_run(name, system_name)
    n_atoms = len(SYSTEMS[system_name]["positions"])
    gain = trajectory.energies[0] - state.best_energy
    assert gain >= (0.5 if n_atoms > 1 else 0.0)


@every_system
@every_optimizer
def test_stays_finite(name, system_name):
    _, state, trajectory = full_run(name, system_name)
    assert np.isfinite(trajectory.positions).all()
    assert np.isfinite(state.positions).all()


@every_system
@every_optimizer
def test_fixed_atoms_and_padding_never_move(name, system_name):
    system, _, trajectory = full_run(name, system_name)
    still = ~system.movable
    np.testing.assert_array_equal(
        trajectory.positions[:, still], np.broadcast_to(system.positions[still], trajectory.positions[:, still].shape)
    )


@every_system
@every_optimizer
def test_counts_and_remembers_the_best(name, system_name, dtype):
    system, state, trajectory = full_run(name, system_name)
    assert state.n_evaluations == len(trajectory.energies)
    assert state.best_energy == trajectory.energies.min()
    energy, _ = lennard_jones(jnp.asarray(state.best_positions), jax.tree.map(jnp.asarray, system))
    np.testing.assert_allclose(energy, state.best_energy, rtol=1e-12)


@every_optimizer
def test_float32_pass(name):
    _, state, trajectory = full_run(name, "lj13", "float32")
    assert {np.asarray(leaf).dtype for leaf in jax.tree.leaves(state)}.isdisjoint({np.dtype("float64")})
    assert np.isfinite(trajectory.positions).all()
    assert state.best_energy == trajectory.energies.min() < trajectory.energies[0]


@pytest.mark.parametrize("dtype", ["float64", "float32"], indirect=True)
@every_optimizer
def test_keeps_structure(name, dtype):
    optimizer, system = build(name), make_system(**SYSTEMS["lj13"], dtype=dtype)
    energy, forces = jnp.zeros((), dtype), jnp.zeros_like(system.positions)
    before = jax.eval_shape(optimizer.init, jax.random.PRNGKey(0), system)
    assert before.positions.dtype == dtype
    assert shapes(jax.eval_shape(optimizer.advance, before, energy, forces)) == shapes(before)
    assert shapes(jax.eval_shape(optimizer.update, before, energy, forces)) == shapes(before)
    if optimizer.hop is not None:
        assert shapes(jax.eval_shape(optimizer.hop, before, None)) == shapes(before)


@every_optimizer
def test_is_traced_once(name, dtype):
    optimizer, n_traces = build(name), 0

    @jax.jit
    def advance(state, energy, forces):
        nonlocal n_traces
        n_traces += 1
        return optimizer.advance(state, energy, forces)

    system = make_system(**SYSTEMS["lj13"])
    state = start(name, system)
    for _ in range(3):
        state = advance(state, *lennard_jones(state.positions, system))
    assert n_traces == 1


def _without_a_model(name):
    """Returns an optimizer that asks no model of the energy: long relaxations in one part by rounding."""
    if name != "learned_hop":
        return build(name)
    return learned_hop(
        None, LearnedHopConfig(max_relax_steps=25, max_deform_steps=10, patience_per_atom=0.2, imagined=0)
    )


@every_optimizer
def test_vmapped_walkers_equal_single_runs(name):
    optimizer, seeds, n = _without_a_model(name), (0, 1, 2), CHUNK
    systems = [make_system(np.random.default_rng(seed).uniform(-1.6, 1.6, (13, 3))) for seed in seeds]
    begin = jax.jit(optimizer.init)
    states = [begin(jax.random.PRNGKey(seed), system) for seed, system in zip(seeds, systems, strict=True)]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *states)
    together, _ = jax.vmap(lambda state: run(optimizer, state))(stacked)
    for k, state in enumerate(states):
        alone, _ = run(optimizer, state)
        np.testing.assert_allclose(together.positions[k], alone.positions, atol=1e-5)
        assert together.n_evaluations[k] == n
        assert together.event[k] == alone.event


@pytest.mark.parametrize("name", SEARCHES)
def test_update_is_advance_then_hop(name):
    optimizer, system = _without_a_model(name), make_system(**SYSTEMS["lj13"])
    advance, hop = jax.jit(optimizer.advance), jax.jit(optimizer.hop)
    begin = jax.jit(optimizer.init)(jax.random.PRNGKey(0), system)
    state, events = begin, []
    for _ in range(CHUNK):
        state = advance(state, *lennard_jones(state.positions, system))
        while state.pending:
            state = hop(state, None)
        events.append(int(state.event))
    whole, trajectory = run(optimizer, begin)
    assert {HOP, RESTART} & set(events)
    assert events == trajectory.events.tolist()
    np.testing.assert_allclose(state.positions, whole.positions, atol=1e-6)


@pytest.mark.parametrize("name", sorted({*LOCAL} - {"learn2hop"}))  # which says so when it leaves a minimum
def test_local_optimizers_never_hop(name):
    _, state, trajectory = full_run(name, "overlapping")
    assert not state.pending
    assert build(name).update is build(name).advance
    assert not {HOP, RESTART} & set(trajectory.events.tolist())


@pytest.mark.parametrize("name", LOCAL)
def test_converges_on_a_quadratic_and_says_so_once(name):
    system = make_system(np.random.default_rng(7).uniform(-0.5, 0.5, (14, 3)))
    state, trajectory = run(build(name), start(name, system), 4020, quadratic)
    assert trajectory.events.tolist().count(MINIMUM) == 1
    _, forces = quadratic(trajectory.positions[trajectory.events.tolist().index(MINIMUM)], system)
    assert jnp.sqrt(jnp.mean(jnp.sum(forces * forces, axis=1))) * system.length_scale < 0.01
    assert jnp.max(jnp.abs(state.best_positions)) < 1e-3


@pytest.mark.parametrize("name", LOCAL)
@given(seed=st.integers(0, 1000))
@few_seeds
def test_permutation_equivariance(name, seed):
    with precision("float64"):
        system = make_system(**SYSTEMS["mixed"])
        order = np.random.default_rng(seed).permutation(len(system.positions))
        rows = ("positions", "species", "movable", "radii")
        permuted = system._replace(**{field: getattr(system, field)[order] for field in rows})
        _, plain = run(build(name), start(name, system))
        _, other = run(build(name), start(name, permuted))
        np.testing.assert_allclose(other.positions[:30], plain.positions[:30, order], atol=1e-6)


# Adam scales each Cartesian component by itself, so it has no rotational symmetry to keep.
@pytest.mark.parametrize("name", [name for name in LOCAL if name != "adam"])
@given(seed=st.integers(0, 1000))
@few_seeds
def test_rotation_and_translation_equivariance(name, seed):
    with precision("float64"):
        system = make_system(np.random.default_rng(8).uniform(-1.6, 1.6, (14, 3)))
        rotation = jnp.asarray(Rotation.random(random_state=seed).as_matrix())
        shift = jnp.asarray([1.0, -2.0, 3.0])
        moved = system._replace(positions=system.positions @ rotation.T + shift[None, :])
        _, plain = run(build(name), start(name, system))
        _, other = run(build(name), start(name, moved))
        expected = plain.positions[:30] @ rotation.T + shift[None, None, :]
        np.testing.assert_allclose(other.positions[:30], expected, atol=1e-6)


@every_optimizer
def test_padding_changes_nothing_before_the_first_hop(name):
    padded, plain = (make_system(**SYSTEMS["lj13"], n_rows=n_rows) for n_rows in (14, 13))
    _, with_rows = run(build(name), start(name, padded))
    _, without = run(build(name), start(name, plain))
    until = int(np.argmax(np.isin(np.append(without.events[:20], HOP), (HOP, RESTART))))
    assert until > 10
    np.testing.assert_allclose(with_rows.positions[:until, :13], without.positions[:until], atol=1e-6)
    np.testing.assert_allclose(with_rows.energies[:until], without.energies[:until], rtol=1e-6)


@every_optimizer
def test_saved_state_resumes_bit_for_bit(name, tmp_path):
    optimizer, system = build(name), make_system(**SYSTEMS["lj13"])
    half, _ = run(optimizer, start(name, system))
    leaves, structure = jax.tree.flatten(half)
    np.savez(tmp_path / "state.npz", *leaves)
    with np.load(tmp_path / "state.npz") as file:
        loaded = jax.tree.unflatten(structure, [jnp.asarray(file[key]) for key in file.files])
    resumed, _ = run(optimizer, loaded)
    uninterrupted, _ = run(optimizer, half)
    jax.tree.map(np.testing.assert_array_equal, resumed, uninterrupted)


@every_optimizer
def test_key_decides_everything(name):
    system = make_system(**SYSTEMS["lj13"])
    first, again, other = (run(build(name), start(name, system, seed))[0] for seed in (0, 0, 1))
    np.testing.assert_array_equal(first.positions, again.positions)
    assert np.array_equal(first.positions, other.positions) == (name in LOCAL)
