"""Compiled functions of an optimizer, shared by all objects that use the same one. Layer 3.

Everything runs in double precision inside a local context: no global flag of jax is changed. A call of a compiled
function costs some four microseconds for every array that goes in or comes out, more than a small system's arithmetic,
so a state travels as one vector of float64, in which its integers are exact. The vector begins with what the host
reads: the next positions `[3 * n_atoms]`, the event, and whether a hop is pending.
"""

import math
import warnings
from collections.abc import Callable, Hashable
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

OFTEN: dict[str, bool | int | str] = {"xla_cpu_use_fusion_emitters": False}
"""How to compile what every step calls: XLA's older emitters take half the time to compile, and run as fast."""
RARELY: dict[str, bool | int | str] = {**OFTEN, "xla_backend_optimization_level": 0}
"""How to compile what is called rarely: a third of the time to compile, and no slower for small systems."""


class Policy(NamedTuple):
    """Names an optimizer: `build(params, config)` returns it; `params` are arrays, `config` is compiled in.

    `start(params, config, key, system, budget)`, if there is one, returns what its `init` returns, in NumPy: for one
    structure that takes less time than to compile `init`.

    `imagine(config, params, state)` and `renew(state)`, if there are any, do what `build` leaves out after every hop,
    and instead of one where the event is MODEL: the first asks a model of the energy what to evaluate next, which may
    leave another hop pending; the second, in NumPy, makes anew what relaxations know of their surroundings.

    `rescale(config, params, state, system, evaluations)`, if there is one, takes a state, in NumPy, to other scales.

    `maxstep`: Angstrom, takes the place of that of `config`, which is in length scales; None: that one.

    `sees_neighbors`: whether `advance` takes neighbour rows as its last argument, as every `hop` does.
    """

    build: Callable
    params: Any
    config: Hashable
    start: Callable | None = None
    sees_neighbors: bool = False
    renew: Callable | None = None
    imagine: Callable | None = None
    rescale: Callable | None = None
    maxstep: float | None = None


class Compiled(NamedTuple):
    """Holds the compiled functions; each but `length` returns the state as a vector."""

    init: Callable  # (params, key, system, budget); not compiled where the policy has a `start`
    advance: Callable  # (params, state, observation, neighbors or None); positions, gradient, energy: [6 * n_atoms + 1]
    hop: Callable  # (params, state, n_atoms, neighbors); n_atoms is compiled in
    imagine: Callable | None  # (params, state, n_atoms)
    revise: Callable  # (function, state, n_atoms): the function in NumPy; not compiled
    length: Callable  # as init: the length of a state of this size


@lru_cache(maxsize=1)
def host_device():
    """Returns the processor, where one step of one structure is quickest; None where jax is kept from it."""
    try:
        return jax.local_devices(backend="cpu")[0]
    except RuntimeError:
        return None


class Layout(NamedTuple):
    """Says how a tree of arrays lies in one vector; hashable."""

    structure: Any
    shapes: tuple[tuple[int, ...], ...]


def flatten(tree) -> tuple[np.ndarray, Layout]:
    """Returns the arrays of a tree as one vector of float64, and their layout."""
    leaves, structure = jax.tree.flatten(tree)
    arrays = [np.asarray(leaf, float) for leaf in leaves]
    vector = np.concatenate([array.reshape(-1) for array in arrays]) if arrays else np.zeros(0)
    return vector, Layout(structure, tuple(array.shape for array in arrays))


def unflatten(vector, layout: Layout):
    """Returns the tree that `flatten` laid out."""
    values, begin = [], 0
    for shape in layout.shapes:
        end = begin + math.prod(shape)
        values.append(vector[begin:end].reshape(shape))
        begin = end
    return jax.tree.unflatten(layout.structure, values)


def reads_programs_back() -> bool:
    """Says whether this jax can use a compilation cache on disk: of loops that 0.6.0 reads none does a step."""
    return jax.__version__ != "0.6.0"


def _warn_of_broken_cache() -> None:
    if getattr(jax.config, "jax_compilation_cache_dir", None) and not reads_programs_back():
        warnings.warn(
            f"jax {jax.__version__} reads programs back from its compilation cache broken, and searches go wrong: "
            "unset JAX_COMPILATION_CACHE_DIR, or install a newer jax",
            RuntimeWarning,
            stacklevel=3,
        )


@lru_cache(maxsize=64)
def compile_policy(
    build: Callable,
    config: Hashable,
    params_layout: Layout,
    start: Callable | None,
    imagine: Callable | None = None,
) -> Compiled:
    """Returns the compiled functions of `build(., config)`, see `Policy`; sizes are compiled as they come.

    Their parameters come as the vector that `params_layout` describes, for the same reason as the state.
    """
    _warn_of_broken_cache()
    layouts: dict[tuple[int, int], Any] = {}  # n_atoms and length of the vector: the structure of the state

    def optimizer(params):
        return build(unflatten(params, params_layout), config)

    def pack(state):
        n_atoms = state.positions.shape[0]
        parts = [state.positions, state.event, state.pending, *jax.tree.leaves(state)]
        join = np.concatenate if isinstance(state.positions, np.ndarray) else jnp.concatenate
        vector = join([part.astype(state.positions.dtype).reshape(-1) for part in parts])
        structure = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), state)
        layouts[n_atoms, vector.shape[0]] = structure
        return vector

    def unpack(vector, n_atoms):
        leaves, structure = jax.tree.flatten(layouts[n_atoms, vector.shape[0]])
        values, begin = [], 3 * n_atoms + 2
        for leaf in leaves:
            end = begin + math.prod(leaf.shape)
            values.append(vector[begin:end].reshape(leaf.shape).astype(leaf.dtype))
            begin = end
        return jax.tree.unflatten(structure, values)

    def init(params, key, system, budget):
        return pack(optimizer(params).init(key, system, budget))

    def init_on_host(params, key, system, budget):
        assert start is not None
        return pack(start(unflatten(np.asarray(params), params_layout), config, key, system, budget))

    def advance(params, vector, observation, neighbors=None):
        n_atoms = observation.shape[0] // 6
        positions, gradient = observation[:-1].reshape(2, n_atoms, 3)
        # The positions reached, not those proposed: constraints may have projected the move.
        state = unpack(vector, n_atoms)._replace(positions=positions)
        given = () if neighbors is None else (neighbors,)
        return pack(optimizer(params).advance(state, observation[-1], -gradient, *given))

    def hop(params, vector, n_atoms, neighbors):
        return pack(optimizer(params).hop(unpack(vector, n_atoms), neighbors))

    def think(params, vector, n_atoms):
        assert imagine is not None
        return pack(imagine(config, unflatten(params, params_layout), unpack(vector, n_atoms)))

    def revise(function, vector, n_atoms):
        return pack(function(unpack(np.asarray(vector), n_atoms)))

    def length(*args):
        return (jax.eval_shape(init, *args) if start is None else init_on_host(*args)).shape[0]

    think_over = None if imagine is None else _jit(think, OFTEN, static_argnums=2)
    first = _jit(init, RARELY) if start is None else init_on_host
    return Compiled(first, _jit(advance, OFTEN), _jit(hop, RARELY, static_argnums=2), think_over, revise, length)


def _jit(function: Callable, options: dict[str, bool | int | str], **kwargs) -> Callable:
    """Compiles with options of XLA, or without any where its version has given one of them up."""
    variants = [jax.jit(function, compiler_options=options, **kwargs), jax.jit(function, **kwargs)]

    def call(*args):
        try:
            return variants[0](*args)
        except jax.errors.JaxRuntimeError as error:
            if len(variants) == 1 or "No such compile option" not in str(error):
                raise
        del variants[0]
        return variants[0](*args)

    return call
