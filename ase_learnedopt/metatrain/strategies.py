"""Evolution strategies behind one interface: our own ESMC, and those of evosax. Layer 2.

A strategy sees parameters as one flat vector, in units of its perturbation, and lowers a mean of losses. It asks for a
population and is told the losses of every member at every start.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp


class Strategy(NamedTuple):
    """Searches for parameters.

    `init`: (key, mean `[n_params]`) -> state.

    `ask`: (key, state) -> (population `[n_members, n_params]`, state).

    `tell`: (key, population, losses `[n_members, n_starts]`, state) -> state.

    `mean`: state -> `[n_params]`, what it thinks best.
    """

    init: Callable
    ask: Callable
    tell: Callable
    mean: Callable


class ESMCState(NamedTuple):
    """Carries ESMC."""

    mean: jax.Array  # [n_params]
    optimizer: Any  # state of optax


def esmc(n_members: int, n_params: int, perturbation: float, optimizer: Any, n_unrolls: int = 1) -> Strategy:
    """Builds evolution strategies with meta-loss clipping (Merchant et al., arXiv:2107.09661).

    Antithetic pairs `mean +- perturbation * z`; the loss of a member is clipped at that of the unperturbed mean, so
    that a direction is judged by what it can gain and not by how badly it can fail:

        gradient = sum_k z_k [min(L(+k), L(0)) - min(L(-k), L(0))] / (2 perturbation n_pairs)

    With common random numbers the clip is taken start by start, which evosax's ESMC, clipping means, cannot. The first
    member is the mean, and so is the last one of an even population.

    Args:
      n_members: 3 or more.
      n_params: parameters.
      perturbation: standard deviation of a member's parameters.
      optimizer: of optax, fed with the gradient.
      n_unrolls: parts that a run is cut into; only `persistent_es` takes account of it.

    Raises:
      ValueError: there are fewer than three members.
    """
    del n_unrolls
    if n_members < 3:
        raise ValueError(f"esmc has {n_members} members; give 3 or more, the mean and a pair")
    n_pairs = (n_members - 1) // 2

    def init(key, mean):
        del key
        with foreign():
            return ESMCState(mean, optimizer.init(mean))

    def ask(key, state):
        noise = perturbation * jax.random.normal(key, (n_pairs, n_params), state.mean.dtype)
        spare = jnp.zeros((n_members - 2 * n_pairs - 1, n_params), state.mean.dtype)
        steps = jnp.concatenate([jnp.zeros_like(noise[:1]), noise, -noise, spare])
        return state.mean[None] + steps, state

    def tell(key, population, losses, state):
        del key
        gain = jnp.minimum(losses, losses[:1]).mean(axis=1)
        up, down = gain[1 : n_pairs + 1], gain[n_pairs + 1 : 2 * n_pairs + 1]
        steps = population[1 : n_pairs + 1] - state.mean[None]
        gradient = (up - down) @ steps / (2.0 * perturbation**2 * n_pairs)
        with foreign():
            updates, new = optimizer.update(gradient, state.optimizer, state.mean)
        return ESMCState(state.mean + updates, new)

    return Strategy(init, ask, tell, lambda state: state.mean)


def open_es(n_members: int, n_params: int, perturbation: float, optimizer: Any, n_unrolls: int = 1) -> Strategy:
    """Builds plain evolution strategies with antithetic pairs and centred ranks (Salimans et al., arXiv:1703.03864)."""
    del n_unrolls
    _check_even("open_es", n_members)
    algorithms, schedule = _evosax(perturbation)
    return _distribution(algorithms.Open_ES(n_members, jnp.zeros(n_params), optimizer=optimizer, std_schedule=schedule))


def persistent_es(n_members: int, n_params: int, perturbation: float, optimizer: Any, n_unrolls: int = 1) -> Strategy:
    """Builds persistent evolution strategies for runs cut into `n_unrolls` parts (Vicol et al., arXiv:2112.13835)."""
    _check_even("persistent_es", n_members)
    algorithms, schedule = _evosax(perturbation)
    algorithm = algorithms.PersistentES(n_members, jnp.zeros(n_params), optimizer=optimizer, std_schedule=schedule)
    return _distribution(algorithm, T=n_unrolls, K=1)


def cma_es(n_members: int, n_params: int, perturbation: float, optimizer: Any = None, n_unrolls: int = 1) -> Strategy:
    """Builds CMA-ES, for few parameters: its cost grows with their cube (Hansen, arXiv:1604.00772)."""
    del optimizer, n_unrolls
    _check_even("cma_es", n_members)
    algorithms, _ = _evosax(perturbation)
    with foreign():
        algorithm = algorithms.CMA_ES(n_members, jnp.zeros(n_params))
    return _distribution(algorithm, std_init=perturbation)


def simple_ga(
    n_members: int, n_params: int, perturbation: float, optimizer: Any = None, n_unrolls: int = 1
) -> Strategy:
    """Builds a genetic algorithm: mutated children of a generation's better half (Such et al., arXiv:1712.06567)."""
    del optimizer, n_unrolls
    algorithms, schedule = _evosax(perturbation)
    algorithm = algorithms.SimpleGA(n_members, jnp.zeros(n_params), std_schedule=schedule)
    params = algorithm.default_params

    def init(key, mean):
        return algorithm.init(key, jnp.tile(mean[None], (n_members, 1)), jnp.zeros(n_members), params)

    def best(state):
        return state.population[jnp.argmin(state.fitness)]

    return _strategy(algorithm, params, init, best)


STRATEGIES: dict[str, Callable[..., Strategy]] = {
    "esmc": esmc,
    "open_es": open_es,
    "persistent_es": persistent_es,
    "cma_es": cma_es,
    "simple_ga": simple_ga,
}
"""Builders by the name they have in a config."""


def _evosax(perturbation: float) -> tuple[Any, Callable]:
    """Returns evosax's algorithms and a schedule that keeps the perturbation.

    Raises:
      ValueError: evosax is not installed.
    """
    try:
        import optax
        from evosax import algorithms
    except ImportError as error:
        raise ValueError(
            f"this strategy needs evosax, which cannot be imported ({error}): pip install 'ase-learnedopt[train]', "
            "or choose strategy esmc"
        ) from error
    return algorithms, optax.constant_schedule(perturbation)


@contextmanager
def foreign() -> Iterator[None]:
    """Sets jax's default promotion, whatever is set outside: evosax and optax rely on it."""
    with jax.numpy_rank_promotion("allow"), jax.numpy_dtype_promotion("standard"):
        yield


def _check_even(name: str, n_members: int) -> None:
    if n_members < 4 or n_members % 2:
        raise ValueError(f"{name} has {n_members} members; give an even number from 4 on")


def _distribution(algorithm: Any, **params: Any) -> Strategy:
    """Wraps one of evosax's algorithms that carry a mean."""
    with foreign():
        chosen = algorithm.default_params.replace(**params)
    return _strategy(algorithm, chosen, lambda key, mean: algorithm.init(key, mean, chosen), lambda state: state.mean)


def _strategy(algorithm: Any, params: Any, init: Callable, mean: Callable) -> Strategy:
    def begin(key, start):
        with foreign():
            return init(key, start)

    def ask(key, state):
        with foreign():
            return algorithm.ask(key, state, params)

    def tell(key, population, losses, state):
        with foreign():
            return algorithm.tell(key, population, losses.mean(axis=1), state, params)[0]

    return Strategy(begin, ask, tell, mean)
