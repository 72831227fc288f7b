"""LearnedHop: a state machine that deforms, relaxes and hops, steered by small networks. Layer 1.

One relaxation after another: optionally first on a deformed objective, then on the energy alone; at each minimum an
exchange, a relocation, a shake or a symmetric structure proposes the next start, of whole molecules where there are
some (Metropolis acceptance as in basin
hopping, Wales & Doye, J. Phys. Chem. A 101, 5111, 1997); after too many hops without a new best, a fresh start whose
kind a bandit chooses.
"""

import jax
import jax.numpy as jnp

from ..geometry import APART, pushed_apart
from ..types import MODEL, RESTART, Optimizer
from .base import common_fields, compose
from .deform import Deformation
from .exchange import N_PAIR_FEATURES, exchange_noise, init_model, observe
from .foresight import init_foresight, remember
from .hop_proposal import propose, turned
from .hop_relaxation import advance_relaxation, fresh_relaxation, with_model
from .hop_state import (
    N_DEAD_ENDS,
    LearnedHopConfig,
    LearnedHopState,
    energy_unit,
    foresees,
    hop_features,
    patience,
    temperature,
)
from .imagine import imagine
from .moves import relocation_noise
from .networks import apply_head
from .noise import uniforms
from .policy import PRIOR, warm_start
from .portfolio import (
    EXCHANGE,
    FRESH,
    MOVES,
    PLAY_NOISE,
    SHAKE,
    found,
    init_portfolio,
    play,
)
from .symmetry import START_NOISE, init_operations, relaxed, symmetric_start
from .units import SOFT, all_molecules, find_units, single_atoms

FAILED = 10.0
"""Energy scales that a hop counts to have risen by where no energy came of it."""


def learned_hop(params: dict | None = None, config: LearnedHopConfig | None = None) -> Optimizer:
    """Builds the optimizer from the parameters of its heads (None: the untrained, classical policy)."""
    config, params = config or LearnedHopConfig(), warm_start() if params is None else params
    init, advance, unmodelled = _parts(params, config)

    def hop(state, neighbors=None):
        hopped = jax.lax.cond(state.event == MODEL, lambda s: s, lambda s: unmodelled(s, neighbors), state)
        return with_model(config, imagine(config, params, hopped))

    return compose(init, advance, hop)


def unmodelled_hop(params: dict | None = None, config: LearnedHopConfig | None = None) -> Optimizer:
    """Builds the optimizer for a driver that asks the models itself: `imagine.imagine`, `hop_relaxation.with_model`.

    It is to do so after every hop, and instead of one where the event is MODEL.
    """
    return compose(*_parts(params, config))


def _parts(params, config):
    """Returns `init`, `advance` and a `hop` that makes no model."""
    config = config or LearnedHopConfig()
    params = warm_start() if params is None else params

    def init(key, system, budget=jnp.inf):
        return _init(config, params, key, system, budget)

    def advance(state, energy, forces):
        return advance_relaxation(config, params, state, energy, forces)

    def hop(state, neighbors=None):
        return _hop(config, params, state, neighbors)

    return init, advance, hop


def _init(config, params, key, system, budget):
    n, dtype = system.positions.shape[0], system.positions.dtype
    key, key_arm = jax.random.split(key)
    zero, nothing = jnp.zeros((), jnp.int32), jnp.full((), jnp.inf, dtype)
    state = LearnedHopState(
        **common_fields(key, system),
        budget=jnp.asarray(budget, dtype),
        relax=fresh_relaxation(config, system, system.positions),
        foresight=init_foresight(config.kinds, dtype, jnp, params[PRIOR]) if foresees(config, system) else None,
        metric=jnp.eye(3 * n, dtype=dtype) if n <= config.modelled else None,  # until the first evaluation
        deforming=jnp.zeros((), bool),
        deformation=Deformation(jnp.zeros((), dtype), jnp.full((), 4.0, dtype), jnp.eye(3, dtype=dtype)),
        strength_factor=jnp.ones((), dtype),
        exponent_factor=jnp.ones((), dtype),
        n_hops=zero,
        n_restarts=zero,
        current_positions=system.positions,
        current_energy=nothing,
        run_best=nothing,
        stall=zero,
        dead_ends=jnp.full((N_DEAD_ENDS,), jnp.inf, dtype),
        move=jnp.full((), SHAKE, jnp.int32),
        softness=jnp.ones((), dtype),
        gave_up=jnp.zeros((), bool),
        portfolio=init_portfolio(dtype),
        operations=init_operations(dtype),
        exchange=init_model(dtype),
        pair_features=jnp.zeros((N_PAIR_FEATURES,), dtype),
        luck=jnp.zeros((), dtype),
    )
    correction = apply_head(params["restart"], hop_features(state, jnp.zeros((), dtype), config))
    portfolio, deformation = play(
        uniforms(key_arm, dtype, *PLAY_NOISE), state.portfolio, system, correction, explore=False
    )
    deforming, softness = deformation.strength > 0, state.softness
    if config.molecules:
        molecular = all_molecules(system.positions, system)
        deforming, softness = deforming & ~molecular, jnp.where(molecular, SOFT, softness).astype(dtype)
    return state._replace(portfolio=portfolio, deformation=deformation, deforming=deforming, softness=softness)


def _hop(config, params, state, neighbors):
    """Judges the minimum just reached and proposes the next start: a hop from the accepted minimum, or a fresh one."""
    key, key_noise, key_start = jax.random.split(state.key, 3)
    n, dtype = state.positions.shape[0], state.positions.dtype
    exchanges, relocations = exchange_noise(n), relocation_noise(n)
    noise = uniforms(
        key_noise, dtype, (), (len(MOVES),), (), (n,), (n, 3), *relocations, *exchanges, *PLAY_NOISE, *START_NOISE,
        (n, 3),
    )  # fmt: skip
    *noise, for_turn = noise
    for_accept, noise, for_start = noise[0], noise[1 : -len(START_NOISE)], noise[-len(START_NOISE) :]
    for_hop, for_play = noise[: -len(PLAY_NOISE)], noise[-len(PLAY_NOISE) :]
    state, outputs = _judge(config, params, state._replace(key=key), for_accept)
    stalled = state.stall.astype(dtype) >= patience(config, state) * jnp.exp(outputs[1])
    lost = ~jnp.isfinite(state.current_energy)  # of a start without an energy nothing can be made
    ends = stalled | lost
    contacts = jnp.where(lost, 1.0, APART).astype(dtype)  # where the calculator could not follow, with more room
    find = find_units if config.molecules else single_atoms
    units = find(state.current_positions, state.system, neighbors)
    start, operation = symmetric_start(key_start, for_start, state.operations, units.system)
    hopped = propose(config, params, state, for_hop, outputs, neighbors, start, units)
    restarted = _restart(params, config, state, for_play, start)
    state = jax.tree.map(lambda new, old: jnp.where(ends, new, old), restarted, hopped)
    begun = ends | (state.move == FRESH)
    last = jnp.where(begun, operation, state.operations.last)
    middles = jax.lax.cond(begun, lambda p: pushed_apart(p, units.system, contacts), lambda p: p, state.positions)
    positions = turned(config, state._replace(positions=middles), for_turn, units, begun)
    return state._replace(
        positions=positions,
        softness=jnp.where(units.molecular, SOFT, 1.0).astype(dtype),
        deforming=state.deforming & ~units.molecular,
        relax=fresh_relaxation(config, state.system, positions),
        operations=state.operations._replace(last=last),
        pending=jnp.zeros((), bool),
        gave_up=jnp.zeros((), bool),
    )


def _judge(config, params, state, noise):
    """Accepts or rejects the minimum, and tells portfolio and exchange model about it."""
    scale = energy_unit(state)
    energy = state.relax.value
    first = ~jnp.isfinite(state.current_energy)
    failed = ~jnp.isfinite(energy)
    change = jnp.where(first, 0.0, jnp.where(failed, FAILED, (energy - state.current_energy) / scale))
    outputs = apply_head(params["hop"], hop_features(state, change, config))
    tolerated = temperature(config, state) * (outputs[0] + state.luck)
    accepted = (first | (change <= jnp.maximum(tolerated, 0.0))) & ~state.gave_up
    better = (energy < state.run_best - 1e-3 * scale) & ~state.gave_up
    exchanged = (state.move == EXCHANGE) & ~first & ~failed
    began = ((state.move == FRESH) | (first & (state.n_restarts > 0))) & ~failed
    foresight = state.foresight
    if foresight is not None:
        foresight = remember(foresight, jnp.where(state.gave_up, jnp.inf, energy))
    kept = state._replace(
        foresight=foresight,
        luck=-jnp.log(noise),  # Metropolis: of the next hop a rise of kT times this is accepted, which it may know
        current_positions=jnp.where(accepted, state.relax.positions, state.current_positions),
        current_energy=jnp.where(accepted, energy, state.current_energy),
        run_best=jnp.where(better, energy, state.run_best),
        stall=jnp.where(better, 0, state.stall + 1),
        portfolio=found(state.portfolio, jnp.where(state.gave_up, jnp.inf, energy), in_vain=first & state.gave_up),
        operations=relaxed(state.operations, energy, began),
        exchange=observe(state.exchange, state.pair_features, change, exchanged),
    )
    return kept, outputs


def _restart(params, config, state, noise, start):
    """Returns the state after a fresh start of a kind the portfolio chose."""
    dtype = state.positions.dtype
    correction = apply_head(params["restart"], hop_features(state, jnp.zeros((), dtype), config))
    portfolio, deformation = play(noise, state.portfolio, state.system, correction, explore=True)
    nothing = jnp.full((), jnp.inf, dtype)
    return state._replace(
        positions=start,
        event=jnp.full((), RESTART, jnp.int32),
        n_hops=state.n_hops + 1,
        n_restarts=state.n_restarts + 1,
        current_energy=nothing,
        run_best=nothing,
        stall=jnp.zeros((), jnp.int32),
        dead_ends=state.dead_ends.at[state.n_restarts % N_DEAD_ENDS].set(state.run_best),
        move=jnp.full((), SHAKE, jnp.int32),
        portfolio=portfolio,
        deformation=deformation,
        deforming=deformation.strength > 0,
        strength_factor=jnp.ones((), dtype),
        exponent_factor=jnp.ones((), dtype),
    )
