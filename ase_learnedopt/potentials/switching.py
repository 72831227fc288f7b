"""The smooth end of a potential without an end of its own. Layer 1."""

import math

import jax.numpy as jnp


def switch(distances, begin: float, end: float):
    """Returns a weight that falls from 1 at `begin` to 0 at `end`, and its derivative, both continuous.

    The quintic smoothstep, `1 - t^3 (10 - 15 t + 6 t^2)` with `t = (r - begin) / (end - begin)`; ASE's MorsePotential
    uses the same.
    """
    t = jnp.clip((distances - begin) / (end - begin), 0.0, 1.0)
    u = t * (1.0 - t)
    return 1.0 - t * t * t * (10.0 - t * (15.0 - 6.0 * t)), (-30.0 / (end - begin)) * u * u


def check_switch(begin: float | None, cutoff: float | None) -> float:
    """Returns where the switch begins, 0.85 cutoffs unless said otherwise; infinity without a cutoff.

    Raises:
      ValueError: if the range is empty or has no end.
    """
    if cutoff is None:
        if begin is not None:
            raise ValueError(f"switch_from={begin} needs a cutoff to switch off at; give cutoff=, in Angstrom")
        return math.inf
    begin = 0.85 * cutoff if begin is None else begin
    if not 0 < begin < cutoff:
        raise ValueError(f"switch_from={begin} must lie between 0 and cutoff={cutoff} Angstrom")
    return begin
