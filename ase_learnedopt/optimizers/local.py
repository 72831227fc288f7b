"""What local optimizers share: masked gradients, step caps, the report of a minimum, nesting inside a search. Layer 1.

A local optimizer reports MINIMUM once: at the first evaluation whose root-mean-square gradient over the movable rows is
below its tolerance. It goes on iterating afterwards, so a driver with a tighter criterion of its own may simply go on.
"""

import jax.numpy as jnp

from ..geometry import free_part
from ..types import MINIMUM, STEP, Optimizer, System
from .base import record

TOLERANCE = 0.01
"""Root-mean-square gradient of a minimum, in energy scales per length scale."""
LARGEST_GRADIENT = 1e6
"""Components are clipped to this many energy scales per length scale, so that squares stay finite in float32."""


def energy_gradient(system: System, forces):
    """Returns the gradient `[n_atoms, 3]` eV/Angstrom: minus the forces, clipped, where the system is free to move."""
    largest = LARGEST_GRADIENT * system.energy_scale / system.length_scale
    return free_part(system, -jnp.clip(forces, -largest, largest))


def rms_gradient(system: System, gradient):
    """Returns the root mean square `[]` over movable rows of the gradient's norm, energy scales per length scale."""
    n_movable = jnp.maximum(jnp.sum(system.movable.astype(gradient.dtype)), 1.0)
    return jnp.sqrt(jnp.sum(gradient * gradient) / n_movable) * system.length_scale / system.energy_scale


def cap_rows(move, maxstep):
    """Shortens each row of a move `[n_atoms, 3]` to at most `maxstep` `[]`, so one overlap does not stop the rest."""
    longest = jnp.sqrt(jnp.sum(move * move, axis=1, keepdims=True))
    return move * jnp.minimum(1.0, maxstep / jnp.maximum(longest, 1e-30))


def report(state, gradient, tolerance: float) -> dict:
    """Returns the fields `event` and `arrived` after an evaluation with this gradient."""
    low = rms_gradient(state.system, gradient) < tolerance
    event = jnp.where(low & ~state.arrived, MINIMUM, STEP)
    return {"event": event.astype(jnp.int32), "arrived": state.arrived | low}


def check_local(local: Optimizer) -> Optimizer:
    """Returns the optimizer unchanged if it can be nested in a search.

    Raises:
      ValueError: it hops by itself.
    """
    if local.hop is not None:
        raise ValueError("local must be an optimizer that never hops, such as lbfgs() or fire(); this one has a hop")
    return local


def init_nested(local: Optimizer, key, system: System, positions, budget):
    """Returns the state of a relaxation from `positions`, without its system, which the state around it holds."""
    return local.init(key, system._replace(positions=positions), budget)._replace(system=None)


def advance_nested(local: Optimizer, max_steps: int, state, energy, forces):
    """Returns a search's state after one evaluation for the relaxation `state.local`; pending where that has ended.

    A relaxation ends at its minimum (event MINIMUM), after `max_steps` evaluations, or where there is no energy.
    """
    inner = local.advance(state.local._replace(system=state.system), energy, forces)
    minimum = (inner.event == MINIMUM) & jnp.isfinite(energy)
    pending = minimum | (inner.n_evaluations >= max_steps) | ~jnp.isfinite(energy)
    return state._replace(
        **record(state, energy),
        positions=jnp.where(pending, state.positions, inner.positions),
        event=jnp.where(minimum, MINIMUM, STEP).astype(jnp.int32),
        pending=pending,
        local=inner._replace(system=None),
    )
