"""What can be said of a training before its first step: time scales, step limits and the inverse temperature to try.

Layer 2. After Agarwala, Pennington, Dauphin & Schoenholz, arXiv:2010.07344. Notation: logits z = apply(params, x) of N
examples and K classes, u = beta z, labels Y, residual r = Y - softmax(u), J the derivative of z by the parameters,
Theta = J J^T / N the neural tangent kernel (Jacot et al., arXiv:1806.07572), and P the projector off the direction in
which all logits of an example move alike. In the rescaled time tau = eta beta^2 t gradient flow on the mean loss is

    du/dtau = Theta r,        d2u/dtau2 = -Theta S Theta r + D / beta,        S = diag(softmax) - softmax softmax^T

where D = d(J J^T r / N)/dtheta along v = J^T r / N with r held fixed: the kernel's own change. Only that knows beta.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from .labels import probabilities

N_POWER = 20
"""Iterations for the largest eigenvalue of the kernel."""
CAUTION = 0.1
"""Of the critical step, for the first rate to try: measured limits at small beta lie at 0.1 to 0.4 of the estimate."""
RULES = ("sgd", "adam")
"""Of which `Diagnostics.suggest` knows a first rate."""


class Diagnostics(NamedTuple):
    """Holds what `diagnose` finds; times are those of tau: divide by `eta * beta**2` for steps of gradient descent."""

    beta: float  # inverse temperature
    n_classes: int
    logit_scale: float  # rms over examples of |P beta z|
    growth: float  # rms of |P Theta r|: how fast u moves
    tau_unit: float  # until predictions have changed by about one
    tau_z: float  # until the logits of the start are overwritten
    tau_early: float  # what one waits for: max(1, logit_scale) / growth
    tau_soft: float  # until the softmax bends
    tau_nl: float  # until the kernel itself has changed: linear theory ends
    lambda_max: float  # largest eigenvalue of P Theta P
    critical_step: float  # largest stable eta * beta^2 as far as the softmax is concerned: 2 K / lambda_max
    beta_one: float  # inverse temperature below which features move before anything is learned, from zero logits
    sign_growth: float  # rms of |P J sign(v)|: how fast u moves where every parameter moves alike, as with Adam

    def suggest(self, momentum: float = 0.0, rule: str = "sgd") -> float:
        """Returns the first learning rate to try.

        For gradient descent, a tenth of what should still be stable. Two limits hold, eta beta^2 < 2 K / lambda_max
        from the softmax and, below `beta_one`, one in eta beta from the movement of features. For Adam, whose first
        step moves every parameter by eta, the rate at which that step changes beta z by a tenth, with the same share
        below `beta_one`.

        Args:
          momentum: of gradient descent, in [0, 1); Adam's first step does not depend on it.
          rule: "sgd" or "adam".

        Raises:
          ValueError: an impossible momentum or an unknown rule.
        """
        if rule not in RULES:
            raise ValueError(f"rule is {rule!r}; what is known are the steps of {' and '.join(RULES)}")
        if not 0.0 <= momentum < 1.0:
            raise ValueError(f"momentum is {momentum:g}; give a number from 0 to below 1")
        share = min(1.0, self.beta / self.beta_one) if self.beta_one > 0.0 else 1.0
        if rule == "adam":
            return CAUTION * share / (self.beta * self.sign_growth)
        return CAUTION * self.critical_step * share * (1.0 - momentum) / self.beta**2


def diagnose(apply: Callable[[Any, Any], Any], params: Any, x, y, beta: float = 1.0) -> Diagnostics:
    """Computes the scales that govern early training, from a few derivatives at `params`.

    Args:
      apply: (params, x) -> logits `[n_examples, n_classes]`; any function that jax can differentiate twice.
      params: a tree of arrays.
      x: `[n_examples, ...]`; a few hundred examples suffice.
      y: integers `[n_examples]` or probabilities `[n_examples, n_classes]`.
      beta: inverse temperature.

    Raises:
      ValueError: labels that do not fit, logits that are not finite, or a beta that is not above zero.
    """
    if not (np.isfinite(beta) and beta > 0.0):
        raise ValueError(f"beta is {beta:g}; an inverse temperature is above zero, such as 1.0")
    shape = jax.eval_shape(apply, params, x)
    if len(shape.shape) != 2:
        raise ValueError(f"apply returns logits of the shape {shape.shape}; they must be [n_examples, n_classes]")
    targets = probabilities(y, shape.shape[1]).astype(shape.dtype)
    scales = _scales(apply)(params, x, targets, jnp.asarray(beta, shape.dtype))
    found = {name: float(value) for name, value in scales.items()}
    if any(np.isnan(value) for value in found.values()):  # infinity is fine: a linear model's kernel never changes
        raise ValueError(
            "logits or their derivatives are not finite: look at the inputs and at the start of the network"
        )
    return Diagnostics(beta=float(beta), n_classes=int(shape.shape[1]), **found)


@lru_cache(maxsize=64)
def _scales(apply):
    """Returns the compiled function that finds the scales of a network, kept since compiling it takes a second."""

    @jax.jit
    def compute(params, x, targets, beta) -> dict[str, Any]:
        logits = apply(params, x)
        n_examples, n_classes = logits.shape
        scaled = beta * centred(logits)
        share = jax.nn.softmax(scaled, axis=-1)
        residual = targets - share
        velocity, change = kernel_times(apply, params, x, residual)
        growth, logit_scale = rms(centred(velocity)), rms(scaled)
        bent = share * (velocity - jnp.sum(share * velocity, axis=-1, keepdims=True))
        soft, _ = kernel_times(apply, params, x, bent, with_change=False)
        # From zero logits, where every class is as likely.
        first, first_change = kernel_times(apply, params, x, targets - 1.0 / n_classes)
        (step,) = jax.vjp(lambda p: apply(p, x), params)[1](residual / n_examples)
        _, by_sign = jax.jvp(lambda p: apply(p, x), (params,), (jax.tree.map(jnp.sign, step),))
        lambda_max = largest_eigenvalue(apply, params, x, targets)
        return {
            "logit_scale": logit_scale,
            "growth": growth,
            "tau_unit": 1.0 / growth,
            "tau_z": logit_scale / growth,
            "tau_early": jnp.maximum(1.0, logit_scale) / growth,
            "tau_soft": rms(velocity) / rms(soft),
            "tau_nl": beta * rms(velocity) / rms(change),
            "lambda_max": lambda_max,
            "critical_step": 2.0 * n_classes / lambda_max,
            "beta_one": rms(first_change) / (rms(centred(first)) * rms(first)),
            "sign_growth": rms(centred(by_sign)),
        }

    return compute


def kernel_times(apply, params, x, residual, *, with_change: bool = True):
    """Returns the kernel times a residual `[n_examples, n_classes]`, and how that changes along it: Theta r and D.

    D is the derivative of Theta r, r fixed, along the step v = J^T r / N in the parameters.
    """

    def push(theta):
        logits, pull = jax.vjp(lambda p: apply(p, x), theta)
        (step,) = pull(residual / logits.shape[0])
        _, moved = jax.jvp(lambda p: apply(p, x), (theta,), (step,))
        return moved, step

    if not with_change:
        return push(params)[0], None
    _, pull = jax.vjp(lambda p: apply(p, x), params)
    (step,) = pull(residual / residual.shape[0])
    return jax.jvp(lambda theta: push(theta)[0], (params,), (step,))


def largest_eigenvalue(apply, params, x, targets):
    """Returns the largest eigenvalue `[]` of P Theta P by power iteration from the labels."""

    def iterate(_, carry):
        vector, _ = carry
        product = centred(kernel_times(apply, params, x, vector, with_change=False)[0])
        length = jnp.sqrt(jnp.sum(product * product))
        return product / jnp.maximum(length, jnp.finfo(product.dtype).tiny), length

    start = centred(targets)
    start = start / jnp.sqrt(jnp.sum(start * start))
    return jax.lax.fori_loop(0, N_POWER, iterate, (start, jnp.zeros((), targets.dtype)))[1]


def centred(logits):
    """Returns P times logits: their mean over the classes taken off."""
    return logits - jnp.mean(logits, axis=-1, keepdims=True)


def rms(rows):
    """Returns the root mean square over examples of the norm over classes."""
    return jnp.sqrt(jnp.mean(jnp.sum(rows * rows, axis=-1)))
