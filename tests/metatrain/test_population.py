"""A population on one task: what a member does is what it does alone, whatever shares its batch."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ase_learnedopt.metatrain import population as module
from ase_learnedopt.metatrain.meta_loss import Goal
from ase_learnedopt.metatrain.population import Job, advance, begin, n_segments, run, split_members, start_runs, unroll
from ase_learnedopt.metatrain.tasks import FAMILIES, draw_batch
from ase_learnedopt.optimizers import learned_hop
from ase_learnedopt.optimizers.hop_state import LearnedHopConfig
from ase_learnedopt.optimizers.learned import for_training
from ase_learnedopt.optimizers.policy import warm_start
from ase_learnedopt.rollout import rollout, start

(TASK,) = FAMILIES["lennard_jones"](sizes=[7])
KEYS = jax.random.split(jax.random.PRNGKey(1), 6)
SYSTEMS = draw_batch(TASK, jax.random.split(jax.random.PRNGKey(2), 6))
GOAL = Goal(jnp.float32(TASK.reference), jnp.float32(1.0), jnp.float32(2.0), jnp.float32(0.003))
TARGET = jnp.float32(TASK.reference + 1e-3)
BUDGET = 160


CONFIG = for_training(LearnedHopConfig())


def build(params):
    return learned_hop(params, CONFIG)


def members(n, scale=0.3):
    """Returns the warm start and `n - 1` that differ from it."""
    mean = warm_start()
    keys = jax.random.split(jax.random.PRNGKey(5), n)

    def of_leaf(leaf):
        noise = jnp.stack([jax.random.normal(key, leaf.shape) for key in keys])
        return leaf[None] + scale * noise.at[0].set(0.0)

    return jax.tree.map(of_leaf, mean)


JOB = Job(TASK.potential, KEYS, SYSTEMS, GOAL, TARGET, BUDGET)


def losses(population, **how):
    return run(build, JOB, population, **how)


@pytest.fixture(scope="module")
def outcome():
    return losses(members(4))


def assert_walkers_agree(found, expected, atol):
    """Rounding, which depends on the program, may part one walker of a row from its twin: they are chaotic."""
    apart = np.sum(np.abs(np.asarray(found) - np.asarray(expected)) > atol, axis=-1)
    assert np.all(apart <= 1), f"{apart} walkers of a row differ by more than {atol}: {found}, {expected}"


def test_the_unperturbed_member_is_the_optimizer_itself(outcome):
    optimizer = build(warm_start())
    state = start(optimizer, KEYS, SYSTEMS, jnp.float32(BUDGET))
    n_windows = module.SEGMENT * n_segments(BUDGET)
    state, _ = rollout(optimizer, TASK.potential, state, BUDGET, TARGET, n_windows=n_windows)
    assert_walkers_agree(outcome.excess[0], state.best_energy - TASK.reference, atol=2e-3)


def test_members_differ_and_walkers_do(outcome):
    assert outcome.loss.shape == outcome.diverged.shape == (4, 6)
    assert len(np.unique(np.asarray(outcome.loss).round(4), axis=0)) == 4
    assert np.ptp(outcome.loss[0]) > 0
    assert not outcome.diverged.any()


def test_common_random_numbers():
    twins = jax.tree.map(lambda leaf: jnp.stack([leaf, leaf]), warm_start())
    found = losses(twins)
    np.testing.assert_array_equal(found.loss[0], found.loss[1])


def test_micro_batches_change_nothing():
    few = JOB._replace(budget=60)  # relaxations and hops, and too few of them for rounding to part any walker
    whole, halves = run(build, few, members(4)), run(build, few, members(4), micro_batch=2)
    np.testing.assert_allclose(halves.loss, whole.loss, rtol=0, atol=2e-3)
    assert np.asarray(whole.n_evaluations).max() == 60


@pytest.mark.parametrize("micro_batch", [0, 3])
def test_micro_batches_must_fit(micro_batch):
    with pytest.raises(ValueError, match="must divide the 4 members"):
        losses(members(4), micro_batch=micro_batch)


def test_parts_of_a_run_make_up_the_whole(outcome):
    batches = split_members(members(4), 2)
    runs = start_runs(build, JOB, batches)
    first, runs = unroll(build, JOB, batches, runs, (0, 70))
    assert np.all(np.asarray(first.n_evaluations) <= 70)
    last, runs = unroll(build, JOB, batches, runs, (70, BUDGET))
    assert np.all(np.asarray(last.loss) <= np.asarray(first.loss) + 1e-6)
    # A wait for a hop may end one part early and not the other, so the counts differ by a few.
    np.testing.assert_allclose(last.n_evaluations, outcome.n_evaluations, rtol=0, atol=60)
    assert_walkers_agree(last.excess[0], outcome.excess[0], atol=0.5)


def test_a_run_ends_when_all_walkers_have(monkeypatch):
    calls = []
    monkeypatch.setattr(module, "advance", lambda *args: calls.append(1) or advance(*args))
    population = jax.tree.map(lambda leaf: leaf[None], warm_start())
    run(build, JOB._replace(target=jnp.float32(1e9), budget=10_000), population)
    assert len(calls) == 1
    assert n_segments(10_000) > 30


def test_budgets_share_a_program():
    population, sizes = members(2), []
    for budget in (40, 130, 300):
        run(build, JOB._replace(budget=budget), population)
        sizes.append(advance._cache_size())
    assert len(set(sizes)) == 1


def test_most_walkers_spend_their_budget():
    population = jax.tree.map(lambda leaf: leaf[None], warm_start())
    states = begin(build, population, KEYS, SYSTEMS, jnp.float32(BUDGET))
    for _ in range(n_segments(BUDGET)):
        states, trace = advance(build, TASK.potential, population, states, jnp.float32(-1e9), jnp.int32(BUDGET))
    assert trace.n_evaluations.shape == (1, module.SEGMENT, 6)
    assert np.all(np.diff(trace.n_evaluations, axis=1) >= 0)
    assert np.mean(np.asarray(states.n_evaluations) == BUDGET) > 0.5
