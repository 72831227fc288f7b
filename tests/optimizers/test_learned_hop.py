"""LearnedHop's state machine, and that every output of every head is wired to what it names."""

from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import CHUNK, SYSTEMS, lennard_jones, make_system, precision, run

from ase_learnedopt.geometry import random_start
from ase_learnedopt.optimizers import portfolio
from ase_learnedopt.optimizers.learned_hop import LearnedHopConfig, learned_hop
from ase_learnedopt.optimizers.policy import HEADS, HOP_OUTPUTS, RESTART_OUTPUTS, STEP_OUTPUTS, warm_start
from ase_learnedopt.optimizers.portfolio import ARMS, FRESH, LOCAL, MOVES, RELOCATE, SHAKE, STEERED
from ase_learnedopt.types import HOP, MINIMUM, MODEL, RESTART

CONFIG = LearnedHopConfig(patience_per_atom=1e6, imagined=0)  # the state machine alone


@jax.jit
def advance(params, state):
    energy, forces = lennard_jones(state.positions, state.system)
    return learned_hop(params, CONFIG).advance(state, energy, forces)


@jax.jit
def hop(params, state):
    return learned_hop(params, CONFIG).hop(state)


@jax.jit
def init(params, system):
    return learned_hop(params, CONFIG).init(jax.random.PRNGKey(2), system)


@pytest.fixture(scope="module")
def at_minimum():
    """Returns states with a hop pending, by name of system: not the first minimum of their run."""
    states = {}
    with precision("float64"), jax.numpy_rank_promotion("raise"), jax.numpy_dtype_promotion("strict"):
        for name in ("lj13", "mixed"):
            params = warm_start()
            state = init(params, make_system(**SYSTEMS[name]))
            for _ in range(2):
                state = hop(params, state) if bool(state.pending) else state
                while not bool(state.pending) or int(state.event) == MODEL:
                    state = hop(params, state) if bool(state.pending) else advance(params, state)
            states[name] = state
    return states


def _biased(head: str, output: int, value: float) -> dict:
    params = warm_start()
    params[head]["output_bias"] = params[head]["output_bias"].at[output].set(value)
    return params


def _hop_bias(name: str, value: float) -> dict:
    return _biased("hop", HOP_OUTPUTS.index(name), value)


def test_a_run_relaxes_hops_and_restarts():
    optimizer = learned_hop(None, LearnedHopConfig(patience_per_atom=0.3, imagined=0))
    with precision("float64"):
        system = make_system(**SYSTEMS["mixed"])
        state, trajectory = run(optimizer, optimizer.init(jax.random.PRNGKey(0), system), 40 * CHUNK)
    events = np.bincount(trajectory.events, minlength=4)
    assert events[HOP] >= 8 and events[RESTART] >= 2
    assert int(state.n_restarts) == events[RESTART] and int(state.n_hops) == events[HOP] + events[RESTART]
    assert float(state.best_energy) == np.asarray(trajectory.energies).min()


@jax.jit
def advance_without_energy(params, state):
    return learned_hop(params, CONFIG).advance(state, jnp.full_like(state.best_energy, jnp.inf), state.positions * 0.0)


def test_a_hop_without_an_energy_is_refused(at_minimum):
    with precision("float64"):
        params, state = warm_start(), at_minimum["lj13"]
        before = hop(params, state)
        failed = advance_without_energy(params, before)
        again = hop(params, failed)
    assert bool(failed.pending) and bool(failed.gave_up) and int(failed.event) != MINIMUM
    assert int(again.n_hops) == int(before.n_hops) + 1 and int(again.n_restarts) == int(before.n_restarts)
    np.testing.assert_array_equal(again.current_positions, before.current_positions)
    assert float(again.current_energy) == float(before.current_energy)
    assert _is_finite(again.positions) and _is_finite(again.exchange)


def test_a_fresh_start_without_an_energy_is_followed_by_another(at_minimum):
    with precision("float64"):
        params, state = _hop_bias("log patience", -40.0), at_minimum["lj13"]
        restarted = hop(params, state)
        failed = advance_without_energy(params, restarted)
        again = hop(warm_start(), failed)
    assert int(restarted.event) == int(again.event) == RESTART and bool(failed.pending)
    assert _is_finite(again.positions) and not np.array_equal(again.positions, restarted.positions)


def test_a_step_without_an_energy_is_taken_back(at_minimum):
    with precision("float64"):
        params, state = warm_start(), at_minimum["lj13"]
        good = advance(params, hop(params, state))
        shorter, lengths = good, []
        for _ in range(6):
            if bool(shorter.pending):
                break
            lengths.append(float(jnp.max(jnp.abs(shorter.positions - good.relax.positions))))
            shorter = advance_without_energy(params, shorter)
    assert bool(shorter.pending) and bool(shorter.gave_up) and len(lengths) == 5
    assert all(b < 0.51 * a for a, b in pairwise(lengths)) and lengths[-1] > 0
    np.testing.assert_array_equal(shorter.relax.positions, good.relax.positions)
    assert float(shorter.relax.value) == float(good.relax.value)


def _is_finite(tree) -> bool:
    return all(bool(np.isfinite(leaf).all()) for leaf in jax.tree.leaves(tree))


@pytest.mark.slow
def test_finds_the_icosahedron_from_random_starts():
    optimizer = learned_hop(None, LearnedHopConfig(imagined=0))
    system = make_system(np.zeros((13, 3)), dtype="float32")

    @jax.vmap
    def search(key):
        key_start, key_run = jax.random.split(key)
        start = system._replace(positions=random_start(key_start, system))
        return run(optimizer, optimizer.init(key_run, start), 16 * CHUNK)[0].best_energy

    found = search(jax.random.split(jax.random.PRNGKey(0), 6))
    np.testing.assert_allclose(found, -44.326801, atol=2e-3)


@pytest.mark.parametrize("name", HEADS)
def test_untrained_heads_say_nothing(at_minimum, dtype, name):
    params = warm_start()
    other = warm_start(seed=7)
    state = at_minimum["mixed"]
    for step in (advance, hop):
        for mine, same in zip(
            jax.tree.leaves(step(params, state)),
            jax.tree.leaves(step({**params, name: other[name]}, state)),
            strict=True,
        ):
            np.testing.assert_array_equal(mine, same)


@pytest.mark.parametrize("output", STEP_OUTPUTS)
def test_step_outputs_are_wired(dtype, output):
    state = init(warm_start(), make_system(**SYSTEMS["far"]))._replace(deforming=jnp.zeros((), bool))
    plain = advance(warm_start(), state)
    steered = advance(_biased("step", STEP_OUTPUTS.index(output), -1.0), state)
    longest = np.linalg.norm(np.asarray(plain.positions - state.positions), axis=1).max()
    shorter = np.linalg.norm(np.asarray(steered.positions - state.positions), axis=1).max()
    assert shorter <= 0.5 * longest or output == "log step"
    free = state._replace(relax=state.relax._replace(inverse_curvature=1e-6 * state.relax.inverse_curvature))
    small, smaller = advance(warm_start(), free), advance(_biased("step", 0, -1.0), free)
    ratio = np.linalg.norm(smaller.positions - free.positions) / np.linalg.norm(small.positions - free.positions)
    np.testing.assert_allclose(ratio, np.exp(-1.0), rtol=1e-6)


def test_only_what_can_be_worse_than_something_is_given_up(dtype):
    doubtful = _biased("give up", 0, 11.0)
    first = init(warm_start(), make_system(**SYSTEMS["far"]))._replace(deforming=jnp.zeros((), bool))
    assert not bool(advance(doubtful, first).gave_up)
    later = first._replace(current_energy=jnp.full((), -7.0, first.positions.dtype), current_positions=first.positions)
    assert not bool(advance(doubtful, later._replace(deforming=jnp.ones((), bool))).gave_up)
    given_up = advance(doubtful, later)
    assert bool(given_up.gave_up) and bool(given_up.pending) and int(given_up.event) != MINIMUM
    hopped = hop(warm_start(), given_up)
    assert float(hopped.current_energy) == -7.0 and not bool(hopped.gave_up)


def test_luck_decides_the_next_minimum(at_minimum, dtype):
    state = at_minimum["lj13"]
    state = state._replace(current_energy=state.relax.value - 0.9 * 0.3, luck=jnp.ones_like(state.luck))  # kT is 0.3
    assert float(hop(warm_start(), state).current_energy) == float(state.relax.value)
    state = state._replace(luck=0.5 * state.luck)
    hopped = hop(warm_start(), state)
    assert float(hopped.current_energy) == float(state.current_energy)
    assert float(hopped.luck) != float(state.luck) and float(hopped.luck) > 0


def test_accept_output_is_wired(at_minimum, dtype):
    state = at_minimum["lj13"]
    state = state._replace(current_energy=state.relax.value - 50.0, current_positions=state.positions + 1.0)
    assert float(hop(_hop_bias("accept", 1e4), state).current_energy) == float(state.relax.value)
    assert float(hop(_hop_bias("accept", -1e4), state).current_energy) == float(state.relax.value) - 50.0


def test_patience_output_is_wired(at_minimum, dtype):
    state = at_minimum["lj13"]._replace(stall=jnp.full((), 3, jnp.int32), run_best=jnp.full((), -1e3))
    assert int(hop(warm_start(), state).event) == HOP
    assert int(hop(_hop_bias("log patience", -20.0), state).event) == RESTART


def test_a_run_ends_sooner_where_an_earlier_one_has_ended(at_minimum, dtype):
    n_atoms, state = 13, at_minimum["lj13"]
    lowest = state.relax.value - 10.0
    hops = round(0.5 * CONFIG.patience_per_atom * n_atoms)
    state = state._replace(stall=jnp.full((), hops, jnp.int32), run_best=lowest)
    assert int(hop(warm_start(), state).event) == HOP
    known = state._replace(dead_ends=state.dead_ends.at[3].set(lowest + 1e-3 * state.system.energy_scale))
    restarted = hop(warm_start(), known)
    assert int(restarted.event) == RESTART
    assert float(restarted.dead_ends[int(known.n_restarts)]) == float(lowest), "and is remembered"
    other = state._replace(dead_ends=state.dead_ends.at[3].set(lowest + 0.01 * state.system.energy_scale))
    assert int(hop(warm_start(), other).event) == HOP


@pytest.mark.parametrize("move", range(len(STEERED)))
def test_move_outputs_are_wired(at_minimum, dtype, move):
    assert int(hop(_hop_bias(f"move {MOVES[move]}", 40.0), at_minimum["mixed"]).move) == move


def _shaken(at_minimum, **outputs):
    params = _hop_bias("move shake", 40.0)
    for name, value in outputs.items():
        output = HOP_OUTPUTS.index(name.replace("_", " "))
        params["hop"]["output_bias"] = params["hop"]["output_bias"].at[output].set(value)
    return hop(params, at_minimum["lj13"])


def test_amplitude_and_strength_outputs_are_wired(at_minimum, dtype):
    plain = _shaken(at_minimum, log_odds_of_a_wall=-40.0)
    steered = _shaken(at_minimum, log_odds_of_a_wall=-40.0, log_amplitude=-2.0, log_strength=0.7)
    ratio = (steered.positions - plain.current_positions)[:13] / (plain.positions - plain.current_positions)[:13]
    np.testing.assert_allclose(ratio, np.exp(-2.0), rtol=1e-6)
    np.testing.assert_allclose(steered.strength_factor, np.exp(0.7), rtol=1e-6)


def test_a_wall_is_steeper_and_stronger(at_minimum, dtype):
    soft, wall = (_shaken(at_minimum, log_odds_of_a_wall=odds) for odds in (-40.0, 40.0))
    assert (soft.exponent_factor, soft.strength_factor) == (1.0, 1.0)
    assert (wall.exponent_factor, wall.strength_factor) == (CONFIG.wall_exponent, CONFIG.wall_strength)
    grown = wall._replace(positions=1.3 * wall.positions)
    energies = [
        advance(warm_start(), grown._replace(exponent_factor=p)).relax.value for p in (1.0, wall.exponent_factor)
    ]
    assert energies[1] > energies[0]


def test_temperatures_of_a_relocation_are_wired(at_minimum, dtype):
    """Cold, the weakest atom goes to the best site; hot, any atom anywhere."""
    state = at_minimum["lj13"]
    rattled = state.relax.positions + 0.2 * np.random.default_rng(0).normal(size=state.positions.shape)
    state = state._replace(current_positions=rattled, relax=state.relax._replace(positions=rattled))

    def relocated(value):
        params = _hop_bias("move relocate", 40.0)
        for name in ("log atom temperature", "log site temperature"):
            output = HOP_OUTPUTS.index(name)
            params["hop"]["output_bias"] = params["hop"]["output_bias"].at[output].set(value)
        moved = set()
        for seed in range(12):
            new = hop(params, state._replace(key=jax.random.PRNGKey(seed)))
            moved |= set(np.flatnonzero(np.any(np.asarray(new.positions != new.current_positions), axis=1)).tolist())
        return moved

    assert len(relocated(-8.0)) < len(relocated(8.0))


@pytest.mark.parametrize("output", range(len(RESTART_OUTPUTS)))
def test_restart_outputs_are_wired(dtype, output):
    system = make_system(**SYSTEMS["lj13"])
    params = _biased("restart", RESTART_OUTPUTS.index("arm ellipsoid"), 40.0)
    plain = init(params, system)
    value = 80.0 if output < len(ARMS) else 0.5
    params["restart"]["output_bias"] = params["restart"]["output_bias"].at[output].set(value)
    steered = init(params, system)
    assert int(plain.portfolio.arm) == 2
    if output < len(ARMS):
        assert int(steered.portfolio.arm) == output
    else:
        changed = ("strength", "exponent", "metric")[output - len(ARMS)]
        for field, mine, other in zip(plain.deformation._fields, plain.deformation, steered.deformation, strict=True):
            assert np.array_equal(mine, other) == (field != changed)


@pytest.mark.parametrize(
    ("head", "move", "system"),
    [("shake", "shake", "lj13"), ("relocate", "relocate", "lj13"), ("exchange", "exchange", "mixed")],
)
def test_atom_heads_are_wired(at_minimum, dtype, head, move, system):
    params = _hop_bias(f"move {move}", 40.0)
    plain = hop(params, at_minimum[system])
    shape, steered = params[head]["output_weights"].shape, []
    for seed in range(4):  # by luck one choice may be the same
        weights = 30.0 * np.random.default_rng(seed).normal(size=shape)
        params[head]["output_weights"] = jnp.asarray(weights, jnp.float32)
        steered.append(hop(params, at_minimum[system]).positions)
    assert not all(np.array_equal(plain.positions, positions) for positions in steered)


def test_a_relaxed_start_is_not_deformed_and_a_random_one_is(at_minimum, dtype):
    params = warm_start()
    relaxed = at_minimum["lj13"]
    start = init(params, relaxed.system._replace(positions=relaxed.positions))
    assert bool(start.deforming) and not bool(advance(params, start).deforming)
    wild = init(params, make_system(**SYSTEMS["lj13"]))
    assert bool(advance(params, wild).deforming)


def test_only_shakes_are_deformed(at_minimum, dtype):
    for move, deforms in ((SHAKE, True), (RELOCATE, False)):
        state = hop(_hop_bias(f"move {MOVES[move]}", 40.0), at_minimum["lj13"])
        assert bool(state.deforming) is deforms


def test_a_model_is_renewed_and_nothing_else_changes(dtype):
    params, state = warm_start(), init(warm_start(), make_system(**SYSTEMS["lj13"]))
    events = []
    for _ in range(2 * CONFIG.refresh):
        state = advance(params, state)
        events.append(int(state.event))
        if events[-1] != MODEL:
            assert not bool(state.pending)
            continue
        renewed = hop(params, state)
        assert not bool(renewed.pending) and not np.array_equal(renewed.metric, state.metric)
        for field in ("positions", "n_hops", "n_restarts", "deforming", "stall"):
            np.testing.assert_array_equal(getattr(renewed, field), getattr(state, field))
        state = renewed
    due = {0, CONFIG.refresh - 1, 2 * CONFIG.refresh - 1}
    assert {k for k, event in enumerate(events) if event == MODEL} == due


def test_large_systems_have_no_model(dtype):
    optimizer = learned_hop(None, LearnedHopConfig(modelled=12, imagined=0))
    system = make_system(**SYSTEMS["lj13"])
    state, _ = run(optimizer, optimizer.init(jax.random.PRNGKey(0), system), 16 * CHUNK)
    assert state.metric is None and int(state.n_hops) > 2


@pytest.mark.slow
def test_a_model_saves_evaluations():
    """From the same 16 random starts of LJ26 to the first minimum of each."""

    def evaluations(modelled):
        optimizer = learned_hop(None, LearnedHopConfig(modelled=modelled, imagined=0))
        system = make_system(np.zeros((26, 3)), dtype="float32", n_rows=26)

        @jax.vmap
        def first_minimum(key):
            start = system._replace(positions=random_start(key, system))
            events = run(optimizer, optimizer.init(key, start), 8 * CHUNK)[1].events
            return jnp.argmax(events == HOP)

        found = np.asarray(first_minimum(jax.random.split(jax.random.PRNGKey(3), 16)))
        assert np.all(found > 0)
        return found.mean()

    assert evaluations(128) < 0.85 * evaluations(0)


@pytest.fixture
def fresh_start(monkeypatch):
    """Returns a function from a state with a hop pending to the state after a hop that was a fresh start."""
    for kind, weights in portfolio.MOVE_WEIGHTS.items():
        monkeypatch.setitem(portfolio.MOVE_WEIGHTS, kind, (*(0.0 for _ in weights[:-1]), 1.0))
    return jax.jit(lambda state: learned_hop(None, CONFIG).hop(state))


def test_a_fresh_start_is_a_hop_that_may_be_refused(at_minimum, dtype, fresh_start):
    state = at_minimum["lj13"]
    begun = fresh_start(state)
    assert int(begun.move) == FRESH and int(begun.event) == HOP and int(begun.n_restarts) == int(state.n_restarts)
    assert bool(begun.deforming) == (float(state.deformation.strength) > 0)
    before = np.asarray(begun.operations.lowest)
    refused = begun._replace(luck=jnp.asarray(0.0), relax=begun.relax._replace(value=begun.current_energy + 5.0))
    refused = fresh_start(refused._replace(pending=jnp.asarray(True), event=jnp.asarray(MINIMUM, jnp.int32)))
    np.testing.assert_array_equal(refused.current_positions, begun.current_positions)
    credited = np.asarray(refused.operations.lowest) != before
    assert credited.sum() == 1 and credited[int(begun.operations.last)]


def test_a_fresh_start_in_a_cell_is_relaxed_to_the_end(at_minimum, dtype, fresh_start):
    eager = {**warm_start(), "give up": _biased("give up", 0, 40.0)["give up"]}
    cluster = fresh_start(at_minimum["lj13"])._replace(deforming=jnp.asarray(False))
    cell = cluster._replace(system=cluster.system._replace(cell=jnp.eye(3) * 9.0, pbc=jnp.ones(3, bool)))
    for state, move, gives_up in ((cell, FRESH, False), (cell, LOCAL, True), (cluster, FRESH, True)):
        after = advance(eager, state._replace(move=jnp.asarray(move, jnp.int32)))
        assert bool(after.gave_up) is gives_up
