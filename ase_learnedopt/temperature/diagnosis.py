"""What theory says of a training, as a table to read. Layer 2."""

from collections.abc import Sequence

from .fitting import scales_of, started
from .models import Model
from .parts import in_parts
from .scaling import Scaling

LARGE = 10.0
"""Of the rms |beta z| at the start: softmax begins saturated, and the start has to be unlearned."""


def diagnosis(
    X, y, model: Model, betas: Sequence[float], momentum: float = 0.9, scaling: Scaling = "auto", random_state: int = 0
) -> str:
    """Returns the time scales and the first rates of a network on data at several betas, as text.

    Args:
      X: `[n, ...]` numbers.
      y: `[n]` classes.
      model: the network.
      betas: inverse temperatures.
      momentum: of gradient descent, for the rates.
      scaling: of inputs, see `scaler`.
      random_state: seed of the start and of the examples that are looked at.

    Raises:
      ValueError: data or a momentum that are not as they should be.
    """
    parts, seed = in_parts(X, y, random_state=random_state, scaling=scaling), 1000 * (random_state + 1)
    params = started(model, parts.learn.x, parts.n_classes, seed)
    scales = scales_of(model, params, parts.learn, parts.n_classes, seed)
    found = [scales(beta) for beta in betas]
    lines = [
        f"{'beta':>8}{'|beta z|':>10}{'tau_early':>11}{'tau_nl':>10}{'tau_nl/early':>14}{'rate sgd':>11}{'adam':>11}"
    ]
    lines += [
        f"{d.beta:8.3g}{d.logit_scale:10.3g}{d.tau_early:11.3g}{d.tau_nl:10.3g}{d.tau_nl / d.tau_early:14.3g}"
        f"{d.suggest(momentum):11.3g}{d.suggest(momentum, 'adam'):11.3g}"
        for d in found
    ]
    first = found[0]
    lines += [
        "",
        f"Below beta_one = {first.beta_one:.3g} features move before anything is learned: the beta to search about.",
        f"eta beta^2 / (1 - momentum) is stable up to {first.critical_step:.3g}, below beta_one in proportion to beta.",
        "Times are eta beta^2 t. tau_early: until what was there at the start is overwritten; tau_nl: until the",
        f"kernel has changed. Rates, at momentum {momentum:g}, are first ones: the best may be a hundred times larger.",
    ]
    one = scales(1.0).logit_scale
    if one > LARGE:
        lines.append(
            f"Logits begin at {one:.3g}: scale the inputs, or a small beta gains what only a smaller start is due."
        )
    return "\n".join(lines) + "\n"
