"""What beta changes are the dynamics, not the confidence. Layer 2."""

import numpy as np

from ...markup import Entry, Table
from ..sweep_result import Sweep
from .found import Claim, Found, Verdict, Work
from .plots import confidence_plot
from .sweeps import between, common_betas, interval, of_finals, plain, sweeps


def run(work: Work) -> Found:
    """Rescales the logits of networks trained at every beta, and looks what is left of the differences between them."""
    found = sweeps(work)
    verdicts = [_verdict(name, runs) for name, runs in found.items()]
    numbers = {name: plain(runs) for name, runs in found.items()}
    tables = [_table(name, runs) for name, runs in found.items()]
    return Found(verdicts, tables, {"confidence": confidence_plot(found)}, numbers)


def gaps(runs: list[Sweep]) -> dict[str, tuple[float, float]]:
    """Returns by how much the largest beta is behind the chosen ones: accuracy and loss, before and after rescaling.

    Each a mean over splits and the half width of its 95 % interval.
    """
    last, found = common_betas(runs)[-1], {}
    for name in ("accuracy", "loss", "calibrated_loss"):
        of_last = of_finals(runs, last, name).mean(axis=1)
        of_best = np.array([of_finals([run], run.best_.beta, name).mean() for run in runs])
        found[name] = interval(of_last - of_best)
    return found


def _verdict(name: str, runs: list[Sweep]) -> Verdict:
    found, last = gaps(runs), common_betas(runs)[-1]
    accuracy, after = found["accuracy"], found["calibrated_loss"]
    why = (
        f"beta = {last:g} against the chosen one: {between(accuracy, 100.0)} points of accuracy, which "
        f"no rescaling changes; test loss {found['loss'][0]:+.3f}, and {between(after, digits=3)} after rescaling"
    )
    return Verdict(name, bool(accuracy[0] < -accuracy[1] and after[0] > after[1]), why)


def _table(name: str, runs: list[Sweep]) -> Table:
    rows: list[tuple[Entry, ...]] = []
    for beta in common_betas(runs):
        cells = [of_finals(runs, beta, k) for k in ("accuracy", "loss", "calibrated_loss", "error", "calibrated_error")]
        rows.append((Entry(f"{beta:g}"), *(Entry(f"{values.mean():.4f}") for values in cells)))
    header = (f"{name}: beta", "accuracy", "loss", "after rescaling", "calibration error", "after rescaling")
    return Table(header, rows, ("On the test, means over splits and seeds; rescaled by a temperature of validation.",))


CONFIDENCE = Claim(
    "The dynamics, not the confidence",
    "The dependence on beta is one of the dynamics of learning and not of the model's confidence: if it were "
    "confidence, rescaling the logits after training would make networks of all betas alike. Confirmed if the largest "
    "beta is behind the chosen one in accuracy, which rescaling cannot change, and still in test loss after rescaling, "
    "both by 95 % intervals over splits.",
    ("digits-mlp", "digits-mlp-norm", "digits-mlp-deep", "blobs-mlp", "breast_cancer-mlp"),
    4,
    run,
)
