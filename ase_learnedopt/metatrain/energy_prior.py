"""Learns what the model of the energy knows before a run, from runs on potentials with random parameters. Layer 2.

Empirical Bayes: the coefficients of every run are a sample of one normal distribution, whose mean and covariance are
found by expectation and maximization (Dempster, Laird & Rubin, J. R. Stat. Soc. B 39, 1, 1977), since a run tells its
coefficients only so far. What a run tells is in the square root that its model is left with.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

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
SHOWN = 100
"""Runs after which it says how far it is."""
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
      runs: to learn from, for one kind of atoms and for two; a fifth as many are made to judge by.
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
    for kinds, name in PRIORS.items():
        rng = np.random.default_rng([seed, kinds])
        told, total = [], runs + runs // 5
        for k in range(total):
            if k % SHOWN == 0:
                show(f"{name}: {k} of {total} runs")
            told.append(what_a_run_tells(params, constants, kinds, rng, SIZES[k % len(SIZES)]))
        mean, covariance = fit_prior(told[:runs], kinds)
        before = morse_coefficients(kinds)[1:], np.eye(len(mean)) / PRECISION
        gain = [evidence(run, mean, WIDER * covariance) - evidence(run, *before) for run in told[runs:]]
        priors[name] = square_root(mean, WIDER * covariance).astype(np.float32)
        found[name] = {"runs": runs, "gain": float(np.mean(gain)), "gain_error": float(np.std(gain) / len(gain) ** 0.5)}
        show(f"{name}: each of {len(gain)} other runs is exp({found[name]['gain']:.0f}) times likelier than before")
    kept = {key: value for key, value in card.items() if key not in AUTOMATIC}
    learned = {"command": command, "from": str(weights), "seed": seed, "found": found}
    return save_weights(path, {**params, PRIOR: priors}, {**kept, PRIOR: learned})


def what_a_run_tells(params: dict, constants: Any, kinds: int, rng: np.random.Generator, n_atoms: int):
    """Returns the precision `[k, k]` of the coefficients after a run on a random potential, and that times their mean.

    Of the evaluations alone, without the prior; k is `n_features - 1`: the energy of an atom alone is of no use to
    another run, and is averaged over.
    """
    potential, scales = draw_potential(rng, kinds)
    first = int(rng.integers(1, n_atoms)) if kinds > 1 else n_atoms
    with double_precision():
        system = make_system(np.repeat([0, 1], [first, n_atoms - first]), scales, dtype="float64")
        key_start, key_run = jax.random.split(jax.random.PRNGKey(int(rng.integers(2**31))))
        system = system._replace(positions=random_start(key_start, system))
        config = replace(for_training(constants), kinds=kinds, unrolled=False)
        root = np.asarray(_run(config)(params, jax.tree.map(jnp.asarray, potential), key_run, system))
    k = n_features(kinds)
    precision = root[:k, :k].T @ root[:k, :k] - PRECISION * np.eye(k)
    seen = root[:k, :k].T @ root[:k, k] - PRECISION * morse_coefficients(kinds)
    alone = precision[0, 0] + PRECISION
    across = precision[1:, 0]
    return precision[1:, 1:] - np.outer(across, across) / alone, seen[1:] - across * seen[0] / alone


@lru_cache(maxsize=8)
def _run(config):
    """Returns the compiled function that makes one run and returns what its model is left with."""

    @jax.jit
    def run(params, potential, key, system):
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

    return run


def fit_prior(told, kinds: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns mean `[k]` and covariance `[k, k]` of the coefficients of runs, from `what_a_run_tells` of each."""
    precisions, seen = (np.array(part) for part in zip(*told, strict=True))
    n, k = seen.shape
    mean, covariance = morse_coefficients(kinds)[1:], np.eye(k) / PRECISION
    for _ in range(ROUNDS):
        prior = np.linalg.inv(covariance)
        spreads = np.linalg.inv(precisions + prior)
        means = np.einsum("nij,nj->ni", spreads, seen + prior @ mean)
        mean = means.mean(axis=0)
        off = means - mean
        covariance = (spreads.sum(axis=0) + off.T @ off + N_STEADY * STEADY * np.eye(k)) / (n + N_STEADY)
    return mean, covariance


def evidence(told, mean, covariance) -> float:
    """Returns the logarithm of the probability of a run, but for what all priors share (Bishop 2006, section 3.5.1)."""
    precision, seen = told
    prior = np.linalg.inv(covariance)
    after = precision + prior
    pulled = seen + prior @ mean
    logdet = np.linalg.slogdet(prior)[1] - np.linalg.slogdet(after)[1]
    return 0.5 * float(logdet + pulled @ np.linalg.solve(after, pulled) - mean @ prior @ mean)


def square_root(mean, covariance) -> np.ndarray:
    """Returns a prior as `EnergyModel.root` has it, with nothing known of the energy of an atom alone."""
    k = len(mean) + 1
    precision = np.zeros((k, k))
    precision[0, 0], precision[1:, 1:] = PRECISION, np.linalg.inv(covariance)
    root = np.sqrt(PRECISION) * np.eye(k + 1)
    root[:k, :k] = np.linalg.cholesky(precision).T
    root[:k, k] = root[:k, :k] @ np.concatenate([[0.0], mean])
    return root
