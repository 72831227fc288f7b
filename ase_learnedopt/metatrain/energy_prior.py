"""Learns what the model of the energy knows before a run, from runs on potentials with random parameters. Layer 2.

Empirical Bayes: the coefficients of every run are a sample of one normal distribution, whose mean and covariance are
found by expectation and maximization (Dempster, Laird & Rubin, J. R. Stat. Soc. B 39, 1, 1977), since a run tells its
coefficients only so far. What a run tells is in the square root that its model is left with.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import lru_cache
from itertools import product, starmap
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ..geometry import random_start
from ..optimizers.energy_features import morse_coefficients, n_features
from ..optimizers.energy_model import PRECISION, PRIORS, init_energy_model, learn
from ..optimizers.learned import for_training, load_learned
from ..optimizers.learned_hop import learned_hop
from ..optimizers.policy import PRIOR
from ..potentials import make_system
from ..precision import double_precision
from ..weights_io import AUTOMATIC, save_weights
from .random_potentials import draw_potential, random_energy

SIZES = (8, 13, 20, 30, 38)
"""Atoms of the runs, in turn."""
EVALUATIONS = 80
"""Of a run."""
WIDER = 4.0
"""Factor on the covariance: real potentials are farther from those drawn than these from each other."""
AT_ONCE = (100, 1200)
"""Runs of one call, on a CPU and on anything else; it says how far it is between them."""
PART = 500
"""Runs whose covariances are there at once."""
ROUNDS = 100
"""Of expectation and maximization."""
STEADY, N_STEADY = 0.25, 5
"""A covariance that counts as much as so many runs, so that no direction is ever taken for certain."""


def make_prior(
    weights: str, path: str | Path, command: str, runs: int, seed: int = 0, show: Callable[[str], None] = print
) -> Path:
    """Learns the priors and writes weights of LearnedHop with them; all else is as it was.

    Args:
      weights: name or path, whose policy makes the runs.
      path: of the new weights, with or without `.npz`.
      command: that makes them, for the card.
      runs: to learn from, for every number of kinds of atoms; a fifth as many are made to judge by.
      seed: of all that is random.
      show: is told how far it is, and what was found.

    Returns:
      The path of the `.npz` file.

    Raises:
      ValueError: no such weights, or fewer than ten runs.
    """
    if runs < 10:
        raise ValueError(f"runs is {runs}; a covariance needs 10 or more")
    params, constants, card = load_learned("learned_hop", weights)
    priors, found = {}, {}
    for (kinds, name), (learned, others) in zip(
        PRIORS.items(), _make_runs(params, constants, runs, seed, show), strict=True
    ):
        mean, covariance = fit_prior(learned, kinds)
        before = morse_coefficients(kinds)[1:], np.eye(len(mean)) / PRECISION
        gain = evidence(others, mean, WIDER * covariance) - evidence(others, *before)
        priors[name] = square_root(mean, WIDER * covariance).astype(np.float32)
        found[name] = {"runs": len(learned.seen), "gain": float(np.mean(gain))}
        found[name]["gain_error"] = float(np.std(gain) / len(gain) ** 0.5)
        show(f"{name}: each of {len(gain)} other runs is exp({found[name]['gain']:.0f}) times likelier than before")
    kept = {key: value for key, value in card.items() if key not in AUTOMATIC}
    learned = {"command": command, "from": str(weights), "seed": seed, "found": found}
    return save_weights(path, {**params, PRIOR: priors}, {**kept, PRIOR: learned})


class Told(NamedTuple):
    """Holds what runs tell of their coefficients, k of them.

    The energy of an atom alone is none of them: it is of no use to another run, and is averaged over.
    """

    precision: Any  # [n_runs, k, k] without that of the prior
    seen: Any  # [n_runs, k] precision times mean, likewise


def _make_runs(params, constants, runs: int, seed: int, show) -> list[tuple[Told, Told]]:
    """Returns for every number of kinds what runs tell to learn from, and to judge by; as many of every size."""
    to_learn, each = -(-runs // len(SIZES)), -(-(runs + runs // 5) // len(SIZES))
    on_cpu = jax.default_backend() == "cpu"

    def of_size(kinds, n_atoms):
        rng, parts, at_once = np.random.default_rng([seed, kinds, n_atoms]), [], AT_ONCE[not on_cpu]
        for first in range(0, each, at_once):
            show(f"{PRIORS[kinds]}, {n_atoms} atoms: {first} of {each} runs")
            parts.append(what_runs_tell(params, constants, kinds, rng, n_atoms, min(at_once, each - first)))
        return _joined(parts)

    all_sizes = list(product(PRIORS, SIZES))
    if on_cpu:
        told = list(starmap(of_size, all_sizes))
    else:  # to compile them one by one takes longer than the runs
        with ThreadPoolExecutor(len(all_sizes)) as pool:
            told = list(pool.map(lambda chosen: of_size(*chosen), all_sizes))
    groups = [told[k : k + len(SIZES)] for k in range(0, len(told), len(SIZES))]
    parts = np.s_[:to_learn], np.s_[to_learn:]
    return [tuple(_joined([Told(*(x[part] for x in of)) for of in group]) for part in parts) for group in groups]


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


def fit_prior(told: Told, kinds: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns mean `[k]` and covariance `[k, k]` of the coefficients of runs."""
    n, k = told.seen.shape

    @jax.jit
    def expect(precision, seen, mean, covariance):
        prior = jnp.linalg.inv(covariance)
        spreads = jnp.linalg.inv(precision + prior)
        means = jnp.einsum("nij,nj->ni", spreads, seen + prior @ mean)
        return jnp.sum(means, axis=0), jnp.sum(spreads, axis=0) + means.T @ means

    mean, covariance = morse_coefficients(kinds)[1:], np.eye(k) / PRECISION
    with double_precision():
        parts = [jax.device_put((told.precision[m : m + PART], told.seen[m : m + PART])) for m in range(0, n, PART)]
        for _ in range(ROUNDS):
            first, second = (
                sum(sums) for sums in zip(*(expect(*part, mean, covariance) for part in parts), strict=True)
            )
            mean = np.asarray(first) / n
            covariance = np.asarray(second) - n * np.outer(mean, mean) + N_STEADY * STEADY * np.eye(k)
            covariance = covariance / (n + N_STEADY)
    return mean, covariance


def evidence(told: Told, mean, covariance) -> np.ndarray:
    """Returns the log probability `[n_runs]` of runs, but for what all priors share (Bishop 2006, section 3.5.1)."""
    prior = np.linalg.inv(covariance)
    after = told.precision + prior
    pulled = told.seen + prior @ mean
    logdet = np.linalg.slogdet(prior)[1] - np.linalg.slogdet(after)[1]
    quadratic = np.einsum("ni,ni->n", pulled, np.linalg.solve(after, pulled[..., None])[..., 0])
    return 0.5 * (logdet + quadratic - mean @ prior @ mean)


def square_root(mean, covariance) -> np.ndarray:
    """Returns a prior as `EnergyModel.root` has it, with nothing known of the energy of an atom alone."""
    k = len(mean) + 1
    precision = np.zeros((k, k))
    precision[0, 0], precision[1:, 1:] = PRECISION, np.linalg.inv(covariance)
    root = np.sqrt(PRECISION) * np.eye(k + 1)
    root[:k, :k] = np.linalg.cholesky(precision).T
    root[:k, k] = root[:k, :k] @ np.concatenate([[0.0], mean])
    return root
