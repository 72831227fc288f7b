"""The relaxations of LearnedHop: one evaluation is one step, on the deformed objective or on the energy. Layer 1.

An energy that is not finite says that the calculator failed there: the step is taken back, as one that raised the
energy. Where no geometry of the relaxation has an energy, or many steps in a row had none, the hop was in vain.

The quasi-Newton core works in a model of the Hessian from geometry alone. That is dear, so a relaxation that wants a
new one asks for it as for a hop (event MODEL), which in batches is done for few at a time.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from ..geometry import free_part, has_element
from ..types import MINIMUM, MODEL, STEP
from .base import record
from .cell_model import cell_measure
from .deform import deformation_value_and_gradient
from .energy_model import learn
from .foresight import came_true
from .hop_state import give_up_features, is_trusted, step_features
from .kinds import is_cluster
from .local import energy_gradient, rms_gradient
from .model_hessian import inverse_model_hessian, untrained_springs
from .networks import apply_head
from .portfolio import FRESH
from .relax import MAX_REJECTIONS, RelaxState, relax_init, relax_step


class Step(NamedTuple):
    """Describes one step of a relaxation, before anything is decided."""

    relax: RelaxState
    proposal: jax.Array  # [n_atoms, 3]
    rms: jax.Array  # [] rms gradient, in energy scales per length scale
    deforming: jax.Array  # [] bool
    doubts: jax.Array  # [len(GIVE_UP_FEATURES)] what the head that gives up reads


def fresh_relaxation(config, system, positions):
    """Returns a relaxation that has evaluated nothing yet."""
    scale = config.inverse_curvature * system.length_scale**2 / system.energy_scale
    return relax_init(positions, scale, config.memory)


def with_model(config, state, xp=jnp):
    """Returns a state with a model of the Hessian at the last good point of its relaxation, where a new one is due.

    Where the state waited for one, it waits no longer. `xp`: jax.numpy, or numpy for a state of NumPy arrays.
    """
    waited = state.event == MODEL
    steps = state.relax.n_steps
    due = xp.where(waited, (steps <= 1) | (steps % config.refresh == 0), ~state.pending)
    metric = state.metric
    if metric is not None:

        def renewed():
            return inverse_model_hessian(untrained_springs(), state.relax.positions, state.system, xp)

        metric = jax.lax.cond(due, renewed, lambda: metric) if xp is jnp else renewed() if due else metric
    return state._replace(
        metric=metric,
        event=xp.where(waited, STEP, state.event).astype(state.event.dtype),
        pending=state.pending & ~waited,
    )


def step_relaxation(config, params, state, energy, forces) -> Step:
    """Takes one step."""
    system, failed = state.system, ~jnp.isfinite(energy)
    deformation = state.deformation._replace(
        strength=state.deformation.strength * state.strength_factor,
        exponent=state.deformation.exponent * state.exponent_factor,
    )
    added, slope = deformation_value_and_gradient(
        deformation, state.positions, has_element(system), system.length_scale, system.energy_scale
    )
    plain = energy_gradient(system, forces)
    deformed = plain + free_part(system, slope)
    relaxed_start = (state.n_evaluations == 0) & (rms_gradient(system, plain) < config.deform_start)
    ended = (rms_gradient(system, deformed) < config.deform_tolerance) | (
        state.relax.n_steps >= config.max_deform_steps
    )
    deforming = state.deforming & (failed | (~ended & ~relaxed_start))
    turned = state.deforming & ~deforming
    gradient = jnp.where(failed, state.relax.gradient, jnp.where(deforming, deformed, plain))
    value = energy + jnp.where(deforming, added, 0.0)
    seen = jnp.where(failed, state.relax.value, value)

    fresh = relax_init(state.positions, state.relax.inverse_curvature, config.memory)
    relax = jax.tree.map(lambda new, old: jnp.where(turned, new, old), fresh, state.relax)
    size = rms_gradient(system, gradient)
    outputs = apply_head(params["step"], step_features(state, relax, size, seen, deforming))
    cap = config.maxstep * system.length_scale * jnp.exp(outputs[1])
    relax, proposal = relax_step(
        relax, state.positions, value, gradient, cap, jnp.exp(outputs[0]), state.metric, config.unrolled,
        measure=cell_measure(system),
    )  # fmt: skip
    if system.held is not None:  # what curved constraints have turned of the last steps leads out of them
        proposal = relax.positions + free_part(system, proposal - relax.positions)
    decrease = -jnp.sum(relax.gradient * (proposal - relax.positions))
    return Step(relax, proposal, size, deforming, give_up_features(config, state, relax, size, decrease))


def advance_relaxation(config, params, state, energy, forces, imagined=False):
    """Absorbs one evaluation: takes a step, or stops at a minimum or where none worth having can follow.

    `imagined`: the energy is that of a model, of which nothing is learned or counted.
    """
    step = step_relaxation(config, params, state, energy, forces)
    tolerance = _tolerance(config, state, step, imagined)
    failed = ~jnp.isfinite(energy)
    minimum = ~failed & ~step.deforming & ((step.rms < tolerance) | (step.relax.n_steps >= config.max_relax_steps))
    doubt = apply_head(params["give up"], step.doubts)[0]
    # The first relaxation of a run has nothing to be worse than; in a cell that from a fresh start is long.
    known = jnp.isfinite(state.current_energy) & ((state.move != FRESH) | is_cluster(state.system))
    doubted = ~minimum & ~step.deforming & known & (doubt > config.give_up)
    lost = failed & ((state.relax.n_steps == 0) | (state.relax.n_rejected >= MAX_REJECTIONS))
    gave_up = doubted | lost
    pending = minimum | gave_up
    turned = state.deforming & ~step.deforming
    due = jnp.zeros((), bool)
    if not imagined:
        due = _asks(config, state, step, turned) & ~pending
        foresight = _learned(config, state, step, energy, forces, minimum)
        state = state._replace(**record(state, energy), foresight=foresight)
    event = jnp.where(minimum, MINIMUM, jnp.where(due, MODEL, STEP))
    return state._replace(
        positions=jnp.where(pending, state.positions, step.proposal),
        event=event.astype(jnp.int32),
        pending=pending | due,
        relax=step.relax,
        deforming=step.deforming,
        gave_up=gave_up,
    )


def _asks(config, state, step: Step, turned):
    """Returns `[]` bool: whether a model is wanted, that of the Hessian or that of the energy."""
    if state.metric is None and state.foresight is None:
        return jnp.zeros((), bool)
    due = turned | (state.n_evaluations == 0)
    if state.metric is not None:
        due = due | (step.relax.n_steps % config.refresh == 0)
    if state.foresight is not None:
        due = due | (is_trusted(config, state) & (step.relax.n_steps % config.ahead == 0))
    return due


def _learned(config, state, step: Step, energy, forces, minimum):
    """Returns what is foreseen after an evaluation."""
    if state.foresight is None:
        return None
    system = state.system
    model = learn(state.foresight.model, state.positions, energy, energy_gradient(system, forces), system, config.kinds)
    return came_true(state.foresight._replace(model=model), step.relax.value, system, minimum)


def _tolerance(config, state, step: Step, imagined: bool):
    """Returns the rms gradient `[]` of a minimum, in energy scales per length scale."""
    tolerance = jnp.where(is_cluster(state.system), config.tolerance, config.other_tolerance)
    energy = step.relax.value
    # Molecules slide along shallow valleys: where they may have come to the best place, it is worth to go to its end.
    soft = jnp.where(energy < state.run_best, config.best_tolerance, config.soft_tolerance)
    tolerance = tolerance * jnp.where(state.softness < 1.0, soft, 1.0)
    if state.foresight is None or imagined:
        return tolerance
    # A model that foretells forces leads to a minimum but for a rest that only the lowest energy is worth paying for.
    rest = jnp.where(energy < state.best_energy, config.foreseen_best_tolerance, config.foreseen_tolerance)
    model = state.foresight.model
    fully = is_trusted(config, state) & (model.error < config.full_trust * model.size)
    return tolerance * jnp.where(fully, rest, 1.0)
