"""Runs one of our optimizers on any ASE calculator, one structure, one evaluation at a time.

The same pure functions as in a batch, in float64: the counts mean the same.
"""

import time
from collections.abc import Callable, Hashable
from functools import partial
from typing import Any

import numpy as np
from ase import Atoms

from ..adapter.compiled import Policy
from ..adapter.guard import Guard
from ..adapter.method import LearnedMethod
from ..adapter.scale_learning import scale_learner
from ..optimizers.hop_relaxation import with_model
from ..optimizers.host_start import start_learned_hop
from ..optimizers.imagine import imagine
from ..optimizers.learned_hop import learned_hop, unmodelled_hop
from ..optimizers.rescaling import rescaled_state
from .counting import EvaluationFailed, Evaluator
from .problems import Problem
from .rivals.common import padded_system
from .starts import seed_keys


def drive(
    problem: Problem, atoms: Atoms, evaluator: Evaluator, seed: int, build: Callable, params: Any, config: Hashable
) -> float:
    """Runs `build(params, config)` from the start until the evaluator ends it; returns the seconds spent compiling.

    Args:
      problem: gives the scales of the system where its potential is ours.
      atoms: the start.
      evaluator: counts, and raises `RunEnded`, which is let through.
      seed: of the random stream.
      build, params, config: see `adapter.compiled.Policy`.
    """
    x, system = atoms.positions.reshape(-1).copy(), padded_system(problem, atoms)
    begin = time.perf_counter()
    budget = float(evaluator.budget)
    policy = _policy(build, params, config)
    given = problem.system is not None
    learner = scale_learner(policy, system, (given, given))
    method = LearnedMethod(policy, system, len(x), np.asarray(seed_keys(seed)[1]), budget, learner)
    evaluator.compile_seconds = time.perf_counter() - begin
    moved, first = atoms.copy(), True
    guard = Guard(moved)
    while True:
        try:
            energy, forces = evaluator.evaluate(x.reshape(-1, 3))
        except EvaluationFailed:
            energy, forces = np.inf, np.zeros_like(atoms.positions)
        begin = time.perf_counter()
        length_scale = float(method.system.length_scale)
        if not guard.evaluated(length_scale) and not guard.comes_apart(length_scale, forces):
            energy = np.inf  # as in the ASE class
        method.update(x, -np.asarray(forces, float).reshape(-1), energy)
        if first:
            evaluator.compile_seconds += time.perf_counter() - begin
            first = False
        x = _proposal(method, guard, moved, x)


def _proposal(method: LearnedMethod, guard: Guard, atoms: Atoms, x: np.ndarray) -> np.ndarray:
    """Returns the next geometry `[n_dofs]` that may be evaluated, and moves the atoms there."""
    while True:
        while method.pending:
            method.hop()
        x = x + method.compute_step(x)
        atoms.positions = x.reshape(-1, 3)
        if guard.allows(float(method.system.length_scale)):
            return x
        method.update(x, np.zeros_like(x), np.inf)


def _policy(build: Callable, params: Any, config: Hashable) -> Policy:
    """Returns how the optimizer is compiled: as in ASE where its hops are tried in a model of the energy first."""
    if build is not learned_hop:
        return Policy(build, params, config)
    renew = partial(with_model, config, xp=np)
    return Policy(
        unmodelled_hop, params, config, start_learned_hop, renew=renew, imagine=imagine, rescale=rescaled_state
    )
