"""Early learning depends on beta through eta beta^2 t alone, until the kernel has changed. Layer 2.

Gradient descent on all examples from zero logits, with eta beta^2 the same share of the predicted tau_nl at every beta.
What it is held against is the network made linear in its parameters at the start, for which beta means nothing but a
unit of time; both in float64, since the first steps at a large beta move logits by less than float32 tells.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ...markup import Entry, Table
from ...precision import double_precision
from ..init_scale import offset_start
from ..kept import Kept
from ..losses import softmax_xent
from ..theory import centred, diagnose, rms
from .found import Claim, Found, Verdict, Work
from .pairs import Pair, chosen
from .plots import collapse_plot

BETAS = tuple(float(f"{10.0**power:.3g}") for power in np.arange(-3.0, 1.1, 0.5))
"""From well below beta_one of every pair to the largest of the paper."""
N_EXAMPLES = 300
STEP = 2e-3
"""eta beta^2 in units of tau_nl."""
FIRST_STEP = 1e-2
"""The same for the first step, in units of tau_nl at the smallest beta."""
OFF = 0.1
"""Relative distance from the linear network at which a curve has left it."""
SMALL = 3.0
"""Times beta_one: betas up to here are those at which the kernel changes before learning is over."""


def run(work: Work) -> Found:
    """Follows early learning at betas from 0.001 to 10 on every pair."""
    n_steps = 100 if work.short else 500
    measured = {
        name: [_once(work, name, pair, split, n_steps) for split in work.splits]
        for name, pair in chosen(work.pairs).items()
    }
    verdicts = [_verdict(name, runs) for name, runs in measured.items()]
    numbers = {name: [_plain(one) for one in runs] for name, runs in measured.items()}
    return Found(verdicts, [_table(measured)], {"collapse": collapse_plot(measured)}, numbers)


def _once(work: Work, name: str, pair: Pair, split: int, n_steps: int) -> dict[str, Any]:
    """Returns what `measure` does, from the file of the work where it has been measured.

    Raises:
      KeyboardInterrupt: a signal came; what was measured is kept.
    """
    kept = Kept(work.file("collapse", name, split), {"betas": BETAS, "examples": N_EXAMPLES, "steps": n_steps})
    found = kept.get(("curves",))
    if found is None:
        if work.stop is not None and work.stop.signal is not None:
            raise KeyboardInterrupt
        measured = {key: np.asarray(value, float) for key, value in measure(pair, split, n_steps).items()}
        found = {key: _without_nan(value) for key, value in measured.items()}
        kept.add({("curves",): found})
    return {key: np.array(value, float) for key, value in found.items()}  # None is NaN


def _without_nan(values: np.ndarray) -> Any:
    """Returns values as JSON can hold them: None in place of what is not finite."""
    found = values.astype(object)
    found[~np.isfinite(values)] = None
    return found.tolist()


def measure(pair: Pair, seed: int, n_steps: int) -> dict[str, Any]:
    """Follows the logits of a network at every beta.

    Returns:
      beta, tau_nl, left (the share of tau_nl at which a curve leaves the linear one; NaN if it does not) and first
      (rms |P beta z| after one step) `[n_betas]`, tau, size and linear `[n_betas, n_steps]`, beta_one `[]`.
    """
    learn = pair.parts(seed).learn
    rows = np.random.RandomState(seed).permutation(len(learn.y))[:N_EXAMPLES]
    n_classes = int(learn.y.max()) + 1
    with double_precision():
        x, y = jnp.asarray(learn.x[rows]), jnp.asarray(learn.y[rows])
        if learn.x.dtype.kind == "f":
            x = x.astype(jnp.float64)
        params = pair.model().init(jax.random.key(seed), x[:1], n_classes)
        params = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float64), params)
        apply, _ = offset_start(pair.model().apply, params, x)

        def linear(moved, x):
            step = jax.tree.map(jnp.subtract, moved, params)
            return jax.jvp(lambda p: apply(p, x), (params,), (step,))[1]

        betas = np.array(BETAS)
        scales = [diagnose(apply, params, x, y, beta) for beta in betas]
        tau_nl = np.array([scale.tau_nl for scale in scales])
        follow = _follower(apply, params, x, y, n_steps)
        size, first = (
            np.asarray(follow(betas, s)) for s in (STEP * tau_nl, np.full(len(betas), FIRST_STEP * tau_nl[0]))
        )
        lazy = np.asarray(_follower(linear, params, x, y, n_steps)(betas, STEP * tau_nl))
    shares = STEP * np.arange(1, n_steps + 1)
    off = np.abs(size / lazy - 1.0)
    left = np.where((off > OFF).any(axis=1), shares[(off > OFF).argmax(axis=1)], np.nan)
    tau = tau_nl[:, None] * shares
    return {
        "beta": betas, "tau_nl": tau_nl, "left": left, "first": first[:, 0], "tau": tau, "size": size, "linear": lazy,
        "beta_one": scales[0].beta_one,
    }  # fmt: skip


def _follower(apply, params, x, y, n_steps: int):
    """Returns the function from betas and steps `[n_betas]` to rms |P beta z| `[n_betas, n_steps]` after every step.

    The steps are those of gradient descent with eta = step / beta^2.
    """

    def one(beta, step):
        def advance(p, _):
            gradient = jax.grad(lambda q: softmax_xent(apply(q, x), y, beta))(p)
            p = jax.tree.map(lambda leaf, g: leaf - step / beta**2 * g, p, gradient)
            return p, rms(centred(beta * apply(p, x)))

        return jax.lax.scan(advance, params, None, length=n_steps)[1]

    return jax.jit(jax.vmap(one))


def _spread(run: dict[str, Any]) -> float:
    return float(run["first"].max() / run["first"].min() - 1.0)


def _verdict(name: str, runs: list[dict[str, Any]]) -> Verdict:
    spread, beta_one = max(_spread(run) for run in runs), float(np.mean([run["beta_one"] for run in runs]))
    small = np.array(BETAS) <= SMALL * beta_one
    left = np.mean([run["left"] for run in runs], axis=0)  # NaN where some start never leaves
    why = f"the first step differs by {100 * spread:.2g} % over beta 0.001 to 10"
    if not small.any():
        return Verdict(name, False, f"{why}; no beta is below {SMALL:g} beta_one = {SMALL * beta_one:.2g}")
    known, tau_nl = left[small], runs[0]["tau_nl"][small]
    why += (
        f"; for beta up to {SMALL:g} beta_one = {SMALL * beta_one:.2g}, over which tau_nl grows "
        f"{tau_nl[-1] / tau_nl[0]:.0f} times, curves are {100 * OFF:.0f} % off at "
    )
    if not np.isfinite(known).all():
        return Verdict(name, False, f"{why}no time at {np.sum(np.isnan(known))} of {len(known)} betas")
    n_later = sum(not value <= 2.0 * known.max() for value in left[~small])
    why += (
        f"{known.min():.2f} to {known.max():.2f} tau_nl; of the {np.sum(~small)} larger betas {n_later} leave more "
        "than twice as late, or not at all"
    )
    fine = len(known) > 1 and known.max() < 2.0 * known.min()
    return Verdict(name, bool(spread < 0.01 and fine), why)


def _table(measured: dict[str, list[dict[str, Any]]]) -> Table:
    rows: list[tuple[Entry, ...]] = []
    for name, runs in measured.items():
        for k, beta in enumerate(BETAS):
            left = np.array([run["left"][k] for run in runs])
            off = [np.abs(run["size"] / run["linear"] - 1.0)[k, round(0.1 / STEP) - 1] for run in runs]
            share = (
                f"{left.mean():.2f} ({left.min():.2f} to {left.max():.2f})" if np.isfinite(left).all() else "not seen"
            )
            rows.append((
                Entry(f"{name}, beta {beta:g}"), Entry(f"{np.mean([run['tau_nl'][k] for run in runs]):.3g}"),
                Entry(f"{100 * np.mean(off):.1f} %"), Entry(share),
            ))  # fmt: skip
    return Table(("pair", "tau_nl", "off at 0.1 tau_nl", f"{100 * OFF:.0f} % off at, in tau_nl"), rows, ())


def _plain(run: dict[str, Any]) -> dict[str, Any]:
    names = ("beta", "tau_nl", "left", "first")
    lists = {name: [float(v) if np.isfinite(v) else None for v in run[name]] for name in names}
    return lists | {"beta_one": float(run["beta_one"])}


COLLAPSE = Claim(
    "Early learning collapses",
    "Early learning depends on beta through eta beta² t alone; it ends when the kernel has changed, at a share of the "
    "predicted time tau_nl. Confirmed if the first step at fixed eta beta² differs by less than 1 % over beta 0.001 to "
    "10, and if, for beta up to 3 beta_one, where the kernel changes before learning is over, curves leave the linear "
    "network at a share of tau_nl that varies less than twofold.",
    ("digits-mlp", "wine-mlp-norm", "blobs-mlp"),
    3,
    run,
)
