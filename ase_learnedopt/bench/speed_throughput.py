"""Measures evaluations per second of batches: ours and rivals on the same Lennard-Jones clusters. Layer 4."""

import time
from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from statistics import median
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ..adapter.compiled import host_device
from ..optimizers import OPTIMIZERS, learned_hop
from ..optimizers.learned_hop import LearnedHopConfig
from ..potentials import cluster_system
from ..rollout import rollout, start
from ..types import Optimizer, PotentialFn, System
from .speed_rivals import RIVALS, why_missing

NOT_IMAGINED = "learned_hop, nothing imagined"
METHODS = {
    NOT_IMAGINED: partial(learned_hop, config=LearnedHopConfig(imagined=0)),
    "basin_hopping": OPTIMIZERS["basin_hopping"],
    "fire": OPTIMIZERS["fire"],
}
"""In a batch that imagines hops every step waits for the walker that imagines the most of them."""
WINDOW = 8
NEVER = -1e9
DISTINCT = 64
"""Clusters that are drawn and relaxed; larger batches repeat them, with other random streams."""
PAIRS_PER_CALL = 4e7


class Search(NamedTuple):
    """Holds what is timed: `advance(state) -> state`, and `count(state)`, the evaluations so far.

    `settling`: evaluations of each walker before the measurement, so that hops come at their usual rate.
    """

    state: Any
    advance: Callable[[Any], Any]
    count: Callable[[Any], int]
    settling: int = 0


def measure_throughput(sizes: tuple[int, ...], batches: tuple[int, ...], seconds: float, say: Callable) -> list[dict]:
    """Returns one row for each device, cluster, method and batch: evaluations per second.

    Args:
      sizes: atoms.
      batches: walkers at once.
      seconds: that each row is measured for, after compilation.
      say: is told of each row.
    """
    rows = []
    for device in find_devices():
        for n_atoms in sizes:
            for n_walkers in batches:
                for name, build in contestants(*relaxed_clusters(n_atoms, n_walkers, device)):
                    row = {"device": device.platform, "device_kind": device.device_kind, "method": name}
                    row |= {"n_atoms": n_atoms, "walkers": n_walkers}
                    row |= evaluations_per_second(build(), n_walkers, seconds)
                    rows.append(row)
                    rate = row["evaluations_per_s"]
                    say(f"throughput: {row['device']}, lj{n_atoms}, {n_walkers} walkers, {name}: {rate:,.0f} /s")
    return rows


def find_devices() -> list:
    """Returns the processor, and one GPU where jax has one."""
    found = [device for device in (host_device(),) if device is not None]
    return found + [device for device in jax.devices() if device.platform not in ("cpu", "tpu")][:1]


def relaxed_clusters(n_atoms: int, n_walkers: int, device) -> tuple[PotentialFn, System, jax.Array]:
    """Returns potential, clusters `[n_walkers]` after 256 evaluations of FIRE from random starts, and their keys."""
    potential, _ = cluster_system(f"lj{n_atoms}")
    repeated = np.arange(n_walkers) % DISTINCT
    systems = jax.tree.map(lambda leaf: leaf[repeated], _relaxed(n_atoms, device))
    keys = np.asarray(jax.random.split(jax.random.PRNGKey(1), n_walkers))
    return potential, *jax.device_put((systems, keys), device)


@lru_cache
def _relaxed(n_atoms: int, device) -> System:
    """Returns the distinct clusters in NumPy, where slices need not be compiled."""
    name, fire = f"lj{n_atoms}", optimizer_of("fire")
    keys = jax.device_put(jax.random.split(jax.random.PRNGKey(0), DISTINCT), device)
    state = start(fire, keys, _draw(name, keys))
    state, _ = rollout(fire, cluster_system(name)[0], state, 2**30, NEVER, n_windows=32)
    return jax.tree.map(np.asarray, state.system._replace(positions=state.positions))


@partial(jax.jit, static_argnums=0)
def _draw(name: str, keys) -> System:
    return jax.vmap(lambda key: cluster_system(name, key)[1])(keys)


def contestants(potential: PotentialFn, systems: System, keys) -> Iterator[tuple[str, Callable[[], Search]]]:
    """Yields name and builder of everything that is timed and can run here."""
    n_walkers, n_atoms = systems.species.shape
    n_windows = int(np.clip(PAIRS_PER_CALL / (WINDOW * n_walkers * n_atoms**2), 4, 64))
    yield "potential alone", partial(bare_potential, potential, systems, WINDOW * n_windows)
    for name in METHODS:
        yield name, partial(search, optimizer_of(name), potential, systems, keys, n_windows)
    first = next(iter(METHODS))
    steps = partial(steps_only, optimizer_of(first), potential, systems, keys, n_windows)
    yield f"{first.partition(',')[0]}, no hops", steps
    for name, build in RIVALS.items():
        if why_missing(name) is None:
            yield name, partial(_rival, build, systems.positions, WINDOW * n_windows)


def _rival(build: Callable, positions, n_steps: int) -> Search:
    return Search(*build(positions, n_steps))


@lru_cache
def optimizer_of(name: str) -> Optimizer:
    """Returns one and the same optimizer for a name: rollouts compile for each."""
    return METHODS[name]()


def search(optimizer: Optimizer, potential: PotentialFn, systems: System, keys, n_windows: int) -> Search:
    """Returns a rollout that never ends."""

    def advance(state):
        return rollout(optimizer, potential, state, 2**30, NEVER, n_windows=n_windows, window=WINDOW)[0]

    settling = 100 if optimizer.hop is not None else 0
    return Search(start(optimizer, keys, systems), advance, lambda state: int(state.n_evaluations.sum()), settling)


def steps_only(optimizer: Optimizer, potential: PotentialFn, systems: System, keys, n_windows: int) -> Search:
    """Returns the ordinary steps of an optimizer, with neither hops nor the selection of what each walker keeps."""

    @jax.jit
    def advance(state):
        def step(state, _):
            energy, forces = jax.vmap(potential)(state.positions, state.system)
            return jax.vmap(optimizer.advance)(state, energy, forces), None

        return jax.lax.scan(step, state, None, length=WINDOW * n_windows)[0]

    return Search(start(optimizer, keys, systems), advance, lambda state: int(state.n_evaluations.sum()))


def bare_potential(potential: PotentialFn, systems: System, n_steps: int) -> Search:
    """Returns energies and forces without any optimizer: positions creep along the forces, so that none is skipped."""
    n_walkers = systems.species.shape[0]

    @jax.jit
    def advance(state):
        def step(positions, _):
            energy, forces = jax.vmap(potential)(positions, systems)
            return positions + 1e-9 * (forces + energy[:, None, None]), None

        positions, done = state
        return jax.lax.scan(step, positions, None, length=n_steps)[0], done + n_steps

    return Search((systems.positions, jnp.zeros((), jnp.int32)), advance, lambda state: n_walkers * int(state[1]))


def evaluations_per_second(search: Search, n_walkers: int, seconds: float) -> dict[str, float]:
    """Returns the median rate of calls, at least three of them, after compilation and settling."""
    state = jax.block_until_ready(search.advance(search.state))
    while search.count(state) < search.settling * n_walkers:
        state = search.advance(state)
    rates: list[float] = []
    spent = 0.0
    while spent < seconds or len(rates) < 3:
        before, begin = search.count(state), time.perf_counter()
        state = jax.block_until_ready(search.advance(state))
        took = time.perf_counter() - begin
        rates.append((search.count(state) - before) / took)
        spent += took
    return {"evaluations_per_s": median(rates), "calls": len(rates)}
