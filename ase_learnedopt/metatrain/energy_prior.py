"""Learns what the model of the energy knows before a run, from runs on potentials with random parameters. Layer 2.

Empirical Bayes: the coefficients of every run are a sample of one normal distribution, whose mean and covariance are
found by expectation and maximization (Dempster, Laird & Rubin, J. R. Stat. Soc. B 39, 1, 1977), since a run tells its
coefficients only so far.
"""

from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from ..optimizers.energy_features import morse_coefficients
from ..optimizers.energy_model import PRECISION, PRIORS
from ..optimizers.learned import load_learned
from ..optimizers.policy import PRIOR
from ..precision import double_precision
from ..stopping import Stop
from ..weights_io import AUTOMATIC, save_weights
from .kept_parts import KeptParts
from .prior_runs import Told, make_runs

WIDER = 4.0
"""Factor on the covariance: real potentials are farther from those drawn than these from each other."""
PART = 500
"""Runs whose covariances are there at once."""
UNDER_WAY = ".runs"
"""Suffix of the folder of the runs that are finished."""
ROUNDS = 100
"""Of expectation and maximization."""
STEADY, N_STEADY = 0.25, 5
"""A covariance that counts as much as so many runs, so that no direction is ever taken for certain."""


def make_prior(
    weights: str,
    path: str | Path,
    command: str,
    runs: int,
    seed: int = 0,
    *,
    stop: Stop | None = None,
    show: Callable[[str], None] = print,
) -> Path | None:
    """Learns the priors and writes weights of LearnedHop with them; all else is as it was.

    Args:
      weights: name or path, whose policy makes the runs.
      path: of the new weights, with or without `.npz`; beside them is, while it is under way, a folder of the runs
        that are finished.
      command: that makes them, for the card.
      runs: to learn from, for every number of kinds of atoms; a fifth as many are made to judge by.
      seed: of all that is random.
      stop: whose signal ends the work; the same call goes on.
      show: is told how far it is, and what was found.

    Returns:
      The path of the `.npz` file; None if it was stopped.

    Raises:
      ValueError: no such weights, fewer than ten runs, or work under way with other settings.
    """
    if runs < 10:
        raise ValueError(f"runs is {runs}; a covariance needs 10 or more")
    params, constants, card = load_learned("learned_hop", weights)
    settings = {"weights": card["sha256"], "runs": runs, "seed": seed}
    kept = KeptParts(Path(path).with_suffix(UNDER_WAY), settings)
    told = make_runs(params, constants, runs, seed, kept, show, lambda: stop is not None and stop.signal is not None)
    if told is None:
        return None
    priors, found = {}, {}
    for (kinds, name), (learned, others) in zip(PRIORS.items(), told, strict=True):
        mean, covariance = fit_prior(learned, kinds)
        before = morse_coefficients(kinds)[1:], np.eye(len(mean)) / PRECISION
        gain = evidence(others, mean, WIDER * covariance) - evidence(others, *before)
        priors[name] = square_root(mean, WIDER * covariance).astype(np.float32)
        found[name] = {"runs": len(learned.seen), "gain": float(np.mean(gain))}
        found[name]["gain_error"] = float(np.std(gain) / len(gain) ** 0.5)
        show(f"{name}: each of {len(gain)} other runs is exp({found[name]['gain']:.0f}) times likelier than before")
    about = {"command": command, "from": str(weights), "seed": seed, "found": found}
    rest = {key: value for key, value in card.items() if key not in AUTOMATIC}
    made = save_weights(path, {**params, PRIOR: priors}, {**rest, PRIOR: about})
    kept.delete()
    return made


def fit_prior(told: Told, kinds: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns mean `[k]` and covariance `[k, k]` of the coefficients of runs."""
    n, k = told.seen.shape

    @jax.jit
    def expect(precision, seen, mean, covariance):
        prior = jnp.linalg.inv(covariance)
        spreads = jnp.linalg.inv(precision + prior[None])
        means = jnp.einsum("nij,nj->ni", spreads, seen + (prior @ mean)[None])
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
