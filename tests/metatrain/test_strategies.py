"""Strategies: gradients against hand-written ones, clipping, progress on a noisy bowl, what is refused."""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ase_learnedopt.metatrain.strategies import STRATEGIES, esmc, foreign

optax = pytest.importorskip("optax")
pytest.importorskip("evosax")
CENTRE = jnp.linspace(-1.0, 1.0, 6)
KEY = jax.random.PRNGKey(0)
WIDTH = 0.1


def bowl(population, key, noise=0.0):
    """Returns losses `[n_members, 4]` of a bowl, with the same noise for every member at a start."""
    shared = noise * jax.random.normal(key, (1, 4, population.shape[1]))
    away = population[:, None, :] - CENTRE[None, None, :] + shared
    return jnp.sum(away * away, axis=2)


def sgd_gradient(strategy, population_of, losses_of, start):
    """Returns the gradient that a strategy gave to plain gradient descent of rate 1, and its population."""
    state = strategy.init(KEY, start)
    population, state = strategy.ask(KEY, state)
    losses = losses_of(population)
    new = strategy.tell(KEY, population, losses, state)
    return start - strategy.mean(new), population, losses


@pytest.mark.parametrize("n_members", [3, 8, 9])
def test_esmc_is_the_formula(n_members):
    start = jnp.zeros(6)
    strategy = esmc(n_members, 6, WIDTH, optax.sgd(1.0))
    gradient, population, losses = sgd_gradient(strategy, None, lambda p: bowl(p, KEY, 0.5), start)
    assert population.shape == (n_members, 6)
    np.testing.assert_array_equal(population[0], start)
    n_pairs = (n_members - 1) // 2
    expected = np.zeros(6)
    for k in range(n_pairs):
        z = np.asarray(population[1 + k]) / WIDTH
        np.testing.assert_allclose(population[1 + n_pairs + k], -population[1 + k])
        for s in range(4):
            zero, up, down = (float(losses[m, s]) for m in (0, 1 + k, 1 + n_pairs + k))
            expected += z * (min(up, zero) - min(down, zero)) / (2 * WIDTH * n_pairs * 4)
    np.testing.assert_allclose(gradient, expected, rtol=1e-4, atol=1e-6)


def test_esmc_of_many_pairs_is_half_the_gradient():
    """On a slope one of each pair is clipped, so the expected gradient is half of the plain one."""
    start = CENTRE + 20.0  # so far out that the bowl is a slope
    gradient, _, _ = sgd_gradient(esmc(4001, 6, 0.01, optax.sgd(1.0)), None, lambda p: bowl(p, KEY), start)
    np.testing.assert_allclose(gradient, 0.5 * 2.0 * (start - CENTRE), rtol=0.1)


def test_evosax_clips_the_same_for_a_single_start_up_to_a_factor():
    """Its ESMC has no division by the perturbation, and clips means over starts."""
    from evosax.algorithms import ESMC

    with foreign():
        population, losses, mean = one_step_of_evosax(ESMC)
    ours = esmc(10, 6, WIDTH, optax.sgd(1.0))
    mine = jnp.concatenate([population[1:], population[:1]])  # one mean first, the spare one last
    moved = ours.tell(KEY, mine, jnp.concatenate([losses[1:], losses[:1]]), ours.init(KEY, jnp.zeros(6))).mean
    np.testing.assert_allclose(mean, moved * 2.0 * WIDTH, rtol=1e-4, atol=1e-6)


def one_step_of_evosax(ESMC):
    theirs = ESMC(10, jnp.zeros(6), optimizer=optax.sgd(1.0), std_schedule=optax.constant_schedule(WIDTH))
    state = theirs.init(KEY, jnp.zeros(6), theirs.default_params)
    population, state = theirs.ask(KEY, state, theirs.default_params)
    losses = bowl(population, KEY)[:, :1]
    new, _ = theirs.tell(KEY, population, losses[:, 0], state, theirs.default_params)
    return population, losses, new.mean


def test_a_catastrophe_on_one_side_does_not_decide():
    strategy = esmc(3, 2, WIDTH, optax.sgd(1.0))
    state = strategy.init(KEY, jnp.zeros(2))
    population, state = strategy.ask(KEY, state)
    same = jnp.array([[1.0], [0.5], [1.0]])  # a gain up, nothing down
    awful = jnp.array([[1.0], [0.5], [1e6]])  # the same gain, a catastrophe down
    steps = [strategy.tell(KEY, population, losses, state).mean for losses in (same, awful)]
    np.testing.assert_array_equal(*steps)


@pytest.mark.parametrize("name", STRATEGIES)
def test_lowers_a_noisy_bowl_and_is_the_same_for_a_key(name):
    def train():
        strategy = STRATEGIES[name](16, 6, WIDTH, optax.adam(0.05))
        state = strategy.init(KEY, jnp.zeros(6))
        for step in range(150):
            key_ask, key_loss, key_tell = jax.random.split(jax.random.fold_in(KEY, step), 3)
            population, state = strategy.ask(key_ask, state)
            assert population.shape == (16, 6)
            state = strategy.tell(key_tell, population, bowl(population, key_loss, 0.3), state)
        return strategy.mean(state)

    found = train()
    first = float(jnp.sum(CENTRE**2))
    assert float(jnp.sum((found - CENTRE) ** 2)) < 0.15 * first
    np.testing.assert_array_equal(found, train())


def test_too_few_members():
    with pytest.raises(ValueError, match="esmc has 2 members"):
        esmc(2, 6, WIDTH, optax.sgd(1.0))
    with pytest.raises(ValueError, match="open_es has 7 members; give an even number"):
        STRATEGIES["open_es"](7, 6, WIDTH, optax.sgd(1.0))


def test_says_that_evosax_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "evosax", None)
    with pytest.raises(ValueError, match=r"needs evosax.*pip install 'ase-learnedopt\[train\]'"):
        STRATEGIES["simple_ga"](8, 6, WIDTH)
