"""FIRE of jax-md and of torch-sim on batches of Lennard-Jones clusters, for comparison of speed. Layer 4.

Both are their own code on their own Lennard-Jones energy, without a cutoff that matters, in float32. Neither is
imported before it is used.
"""

import sys
import warnings
from collections.abc import Callable
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

import jax
import numpy as np

NEEDS = {
    "jax-md FIRE": ("jax_md", "jax-md", (3, 11)),
    "torch-sim FIRE": ("torch_sim", "torch-sim-atomistic", (3, 12)),
}
"""Module, package and Python that each rival needs."""
TIME_STEPS = {"dt_start": 0.01, "dt_max": 0.05}
"""Of jax-md's FIRE, which has no longest move: at its defaults, 0.1 and 0.4, clusters fly apart."""


def why_missing(name: str) -> str | None:
    """Returns why a rival cannot run here and what to do about it; None where it can."""
    module, package, python = NEEDS[name]
    if sys.version_info < python:
        return f"needs Python {'.'.join(map(str, python))} or later and `pip install {package}`"
    return None if find_spec(module) else f"needs `pip install {package}`"


def jax_md_fire(positions, n_steps: int) -> tuple[Any, Callable, Callable]:
    """Returns state, `advance(state) -> state` by so many steps, and `count(state)` of evaluations; batched with vmap.

    One step is one evaluation of forces; it never computes the energy.

    Args:
      positions: `[n_walkers, n_atoms, 3]` in sigma.
      n_steps: of one call.
    """
    with _default_promotion():
        from jax_md import energy, minimize, smap, space

        displacement, shift = space.free()
        metric = space.canonicalize_displacement_or_metric(displacement)
        energy_fn = smap.pair(energy.lennard_jones, metric, sigma=1.0, epsilon=1.0)
        init, step = minimize.fire_descent(energy_fn, shift, **TIME_STEPS)
        batch = jax.jit(jax.vmap(init))(positions)

    @jax.jit
    def steps(batch):
        return jax.lax.scan(lambda batch, _: (jax.vmap(step)(batch), None), batch, None, length=n_steps)[0]

    def advance(state):
        with _default_promotion():
            return steps(state[0]), state[1] + n_steps

    return (batch, 0), advance, lambda state: positions.shape[0] * state[1]


def torch_sim_fire(positions, n_steps: int) -> tuple[Any, Callable, Callable]:
    """Returns the same for torch-sim, which runs many systems as one.

    Written against the interface that torch-sim documents (0.6); not tested, for want of Python 3.12 where this was
    written.

    Args:
      positions: `[n_walkers, n_atoms, 3]` in sigma.
      n_steps: of one call.
    """
    import torch
    import torch_sim
    from ase import Atoms
    from torch_sim.models.lennard_jones import LennardJonesModel

    on_gpu = next(iter(positions.devices())).platform != "cpu"
    device, positions = torch.device("cuda" if on_gpu else "cpu"), np.asarray(positions, float)
    width = 4.0 * float(np.ptp(positions, axis=1).max())
    model = LennardJonesModel(sigma=1.0, epsilon=1.0, cutoff=width, device=device, dtype=torch.float32)
    evaluations = [0]
    model.register_forward_hook(
        lambda _model, inputs, _output: evaluations.__setitem__(0, evaluations[0] + inputs[0].n_systems)
    )

    def advance(state):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that the steps have run out
            state = torch_sim.optimize(
                system=state,
                model=model,
                optimizer=torch_sim.Optimizer.fire,
                max_steps=n_steps,
                convergence_fn=lambda state, _: torch.zeros(state.n_systems, dtype=torch.bool, device=device),
            )
        if on_gpu:
            torch.cuda.synchronize()
        return state

    symbols = ["Ar"] * positions.shape[1]
    return [Atoms(symbols, x, cell=[width] * 3) for x in positions], advance, lambda _state: evaluations[0]


RIVALS: dict[str, Callable[..., tuple[Any, Callable, Callable]]] = {
    "jax-md FIRE": jax_md_fire,
    "torch-sim FIRE": torch_sim_fire,
}


@contextmanager
def _default_promotion():
    """Sets jax's default promotion, whatever is set outside: jax-md relies on it, even when imported.

    It also asks for sums in float64, and jax warns that they will not be.
    """
    with jax.numpy_rank_promotion("allow"), jax.numpy_dtype_promotion("standard"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
