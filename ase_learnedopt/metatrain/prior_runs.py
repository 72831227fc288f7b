"""Runs of LearnedHop on potentials with random parameters, and what each tells of its energy. Layer 2.

What a run tells is in the square root that its model of the energy is left with.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import lru_cache
from itertools import product, starmap
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ..geometry import random_start
from ..optimizers.energy_features import morse_coefficients, n_features
from ..optimizers.energy_model import PRECISION, PRIORS, init_energy_model, learn
from ..optimizers.learned import for_training
from ..optimizers.learned_hop import learned_hop
from ..potentials import make_system
from ..precision import double_precision
from .kept_parts import KeptParts
from .random_potentials import draw_potential, random_energy

SIZES = (8, 13, 20, 30, 38)
"""Atoms of the runs, in turn."""
EVALUATIONS = 80
"""Of a run."""
AT_ONCE = (100, 1200)
"""Runs of one call, on a CPU and on anything else; it says how far it is between them."""


class Told(NamedTuple):
    """Holds what runs tell of their coefficients, k of them.

    The energy of an atom alone is none of them: it is of no use to another run, and is averaged over.
    """

    precision: Any  # [n_runs, k, k] without that of the prior
    seen: Any  # [n_runs, k] precision times mean, likewise


def make_runs(
    params, constants, runs: int, seed: int, kept: KeptParts, show, stopped
) -> list[tuple[Told, Told]] | None:
    """Makes runs of every number of kinds, as many of every size, in threads on anything but a CPU.

    Args:
      params, constants: of the policy that makes them.
      runs: to learn from, of each number of kinds; a fifth as many are made to judge by.
      seed: of all that is random.
      kept: has the runs of the kinds and sizes that are finished, and gets the others.
      show: is told how far it is.
      stopped: says whether to end.

    Returns:
      For every number of kinds what its runs tell, to learn from and to judge by; None if it was stopped.
    """
    to_learn, each = -(-runs // len(SIZES)), -(-(runs + runs // 5) // len(SIZES))
    on_cpu = jax.default_backend() == "cpu"

    def of_size(kinds, n_atoms):
        name = f"{PRIORS[kinds]}, {n_atoms} atoms"
        if (before := kept.load(name)) is not None:
            return Told(**before)
        rng, parts, at_once = np.random.default_rng([seed, kinds, n_atoms]), [], AT_ONCE[not on_cpu]
        for first in range(0, each, at_once):
            if stopped():
                return None
            show(f"{name}: {first} of {each} runs")
            parts.append(what_runs_tell(params, constants, kinds, rng, n_atoms, min(at_once, each - first)))
        told = _joined(parts)
        kept.save(name, **told._asdict())
        return told

    all_sizes = list(product(PRIORS, SIZES))
    if on_cpu:
        told = list(starmap(of_size, all_sizes))
    else:  # to compile them one by one takes longer than the runs
        with ThreadPoolExecutor(len(all_sizes)) as pool:
            told = list(pool.map(lambda chosen: of_size(*chosen), all_sizes))
    if any(of is None for of in told):
        return None
    groups = [told[k : k + len(SIZES)] for k in range(0, len(told), len(SIZES))]

    def part(group, chosen):
        return _joined([Told(of.precision[chosen], of.seen[chosen]) for of in group])

    return [(part(group, np.s_[:to_learn]), part(group, np.s_[to_learn:])) for group in groups]


def _joined(parts: list[Told]) -> Told:
    return Told(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


def what_runs_tell(params: dict, constants: Any, kinds: int, rng: np.random.Generator, n_atoms: int, n: int) -> Told:
    """Returns what n runs, each on a random potential of its own, tell of its coefficients, without the prior.

    Args:
      params, constants: of the policy that makes them.
      kinds: of atoms.
      rng: draws potentials, compositions and starts.
      n_atoms: of the clusters.
      n: runs.
    """
    drawn = [_draw_run(rng, kinds, n_atoms) for _ in range(n)]
    config = replace(for_training(constants), kinds=kinds, unrolled=False)
    with double_precision():
        roots = np.asarray(_run(config)(params, *jax.tree.map(lambda *leaves: jnp.stack(leaves), *drawn)))
    k = n_features(kinds)
    precision = np.swapaxes(roots[:, :k, :k], 1, 2) @ roots[:, :k, :k] - PRECISION * np.eye(k)
    seen = np.einsum("nij,ni->nj", roots[:, :k, :k], roots[:, :k, k]) - PRECISION * morse_coefficients(kinds)
    across, alone = precision[:, 1:, 0], precision[:, 0, 0] + PRECISION
    share = across / alone[:, None]
    return Told(precision[:, 1:, 1:] - share[:, :, None] * across[:, None, :], seen[:, 1:] - share * seen[:, :1])


def _draw_run(rng: np.random.Generator, kinds: int, n_atoms: int):
    """Returns a potential, a cluster that knows its scales more or less, and keys of its start and of the run."""
    potential, scales = draw_potential(rng, kinds)
    cuts = np.sort(rng.choice(np.arange(1, n_atoms), kinds - 1, replace=False))
    with double_precision():
        system = make_system(np.searchsorted(cuts, np.arange(n_atoms), side="right"), scales, dtype="float64")
    return potential, system, *jax.random.split(jax.random.PRNGKey(int(rng.integers(2**31))))


@lru_cache(maxsize=8)
def _run(config):
    """Returns the compiled function that makes runs, one after another on a CPU, and returns what their models know."""

    def run(params, potential, system, key_start, key):
        system = system._replace(positions=random_start(key_start, system))
        optimizer = learned_hop(params, config)
        hop = optimizer.hop
        assert hop is not None
        of_positions = jax.value_and_grad(lambda positions: random_energy(potential, positions, system))

        def step(carry, _):
            state, model = carry
            energy, gradient = of_positions(state.positions)
            gradient = jnp.where(system.movable[:, None], gradient, 0.0)
            model = learn(model, state.positions, energy, gradient, system, config.kinds)
            state = optimizer.advance(state, energy, -gradient)
            return (jax.lax.cond(state.pending, hop, lambda s: s, state), model), None

        begin = optimizer.init(key, system, jnp.asarray(1e3)), init_energy_model(config.kinds, jnp.float64)
        return jax.lax.scan(step, begin, None, length=EVALUATIONS)[0][1].root

    def of_params(params, *drawn):
        if jax.default_backend() == "cpu":
            return jax.lax.map(lambda each: run(params, *each), drawn)
        return jax.vmap(lambda *each: run(params, *each))(*drawn)

    return jax.jit(of_params)
