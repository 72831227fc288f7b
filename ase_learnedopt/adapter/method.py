"""One optimizer at work on one structure, in the shape of ASE's coming `OptimizerMethod`. Layer 3.

`update` absorbs an evaluation, `compute_step` says where to go from a point, `datafy` and `undatafy` make it data and
back, exactly, and so does pickle. ASE's shape has no energy and no hops, so `update` takes the energy too and `hop`
stands beside it.
"""

from dataclasses import replace
from functools import partial
from typing import Any

import jax
import numpy as np

from ..optimizers.environment import REACH
from ..precision import double_precision
from ..types import MODEL, Neighbors, System
from .compiled import Policy, compile_policy, flatten, host_device
from .convert import to_rows
from .followed import HeldDirections
from .scale_learning import ScaleLearner

HOST_NEIGHBORS_ABOVE = 300
"""Atoms above which optimizers read neighbour rows made on the host instead of all pairs."""

MOST_BENT = 0.03
"""Length scales that a constraint may take atoms from where a model moved them: more, and overlaps come of it."""


class LearnedMethod:
    """Holds the state of one optimizer and its proposal.

    Args:
      policy: names the optimizer.
      system: what is optimised, padded.
      n_dofs: numbers that are moved.
      key: `[2]` uint32, the random stream.
      budget: evaluations that may be used, infinity if unknown.
      learner: corrects the scales of the system in the first evaluations; None: they are right.
      held: knows the directions that constraints hold; None where the system says all.
    """

    def __init__(
        self,
        policy: Policy,
        system: System,
        n_dofs: int,
        key: np.ndarray,
        budget: float,
        learner: ScaleLearner | None = None,
        held: HeldDirections | None = None,
    ):
        self._prepare(policy, system, n_dofs)
        self._learner, self._held, self._here = learner, held, np.asarray(system.positions)
        self._begin(key, budget)

    def _begin(self, key: np.ndarray, budget: float) -> None:
        self._beginning: tuple | None = (key, budget)  # None once there was an evaluation
        with double_precision():
            inputs = key, self.system, np.asarray(budget, float)
            if self._policy.start is None:
                inputs = jax.device_put(inputs, host_device())
            state = self._functions.init(self._params, *inputs)
            self._take(jax.device_put(state, host_device()))

    def _prepare(self, policy: Policy, system: System, n_dofs: int) -> None:
        self._policy = policy
        config: Any = policy.config
        if policy.maxstep is not None:
            config = replace(config, maxstep=policy.maxstep / float(system.length_scale))
        self._config = config
        params, layout = flatten(policy.params)
        self._functions = compile_policy(policy.build, self._config, layout, policy.start, policy.imagine)
        self._waits = policy.renew is not None  # for models, and not for a hop, where the event is MODEL
        self.system, self._n_dofs, self._size = system, n_dofs, len(system.species)
        self._sees_neighbors, self._renew = policy.sees_neighbors, policy.renew
        with double_precision():
            self._params = jax.device_put(params, host_device())

    def __getstate__(self) -> dict:
        """Returns all but what is compiled or lies on a device."""
        kept = {name: value for name, value in vars(self).items() if name not in ("_functions", "_params")}
        return {**kept, "_state": (None, self._state[1])}

    def _wake(self) -> None:
        """Makes anew what a pickle leaves out; not at once, because a process may only want to look at it."""
        if self._state[0] is not None:
            return
        self._prepare(self._policy, self.system, self._n_dofs)
        self._resume(self._state[1])

    def _resume(self, state: np.ndarray) -> None:
        """Takes a state that another object of this kind had.

        Raises:
          ValueError: it belongs to another optimizer.
        """
        with double_precision():
            length = self._functions.length(self._params, np.zeros(2, np.uint32), self.system, np.zeros(()))
            if state.shape != (length,):
                raise ValueError("the saved state belongs to another optimizer or version")
            self._take(jax.device_put(state, host_device()))

    def _take(self, state) -> None:
        # One assignment, so that an interrupt leaves either the old or the new state.
        self._state = state, np.asarray(state)

    @property
    def event(self) -> int:
        """Returns what the last call did, see `types`."""
        return int(self._state[1][3 * self._size])

    @property
    def pending(self) -> bool:
        """Returns whether `hop` must be called before `compute_step`."""
        return bool(self._state[1][3 * self._size + 1])

    def update(self, x: np.ndarray, gradient: np.ndarray, energy: float) -> None:
        """Absorbs the evaluation at `x` `[n_dofs]`: `gradient` likewise in eV/Angstrom, `energy` in eV."""
        self._wake()
        if self._learner is not None:
            self._learn_scales(self._learner, to_rows(x, self._size), energy, to_rows(gradient, self._size))
        if self._held is not None and np.isfinite(energy):  # from elsewhere moves may lead nowhere
            self._turn(self._held, to_rows(x, self._size))
        observation = np.zeros(6 * self._size + 1)
        observation[: len(x)] = x
        observation[3 * self._size : 3 * self._size + len(x)] = gradient
        observation[-1] = energy
        neighbors = self._neighbors(x) if self._sees_neighbors else None
        with double_precision():
            self._take(self._functions.advance(self._params, self._state[0], observation, neighbors))
        self._beginning = None

    def _turn(self, held: HeldDirections, here: np.ndarray) -> None:
        """Takes the directions held at `here` `[n_atoms, 3]` where they are others: those of bonds turn."""
        known: Any = self.system.held
        directions: Any = held.directions(here, known)
        self._here = here
        if directions is not known:
            self.system = self.system._replace(held=directions)
            self._revise(lambda state: state._replace(system=state.system._replace(held=directions)))

    def _followed(self, held: HeldDirections, state):
        """Returns a state vector whose hop is where constraints let it go, so that models judge what will be there."""
        there = self._proposed(state)
        moved = held.follow(self._here, there)
        return state if np.array_equal(moved, there) else self._placed(state, moved, hopped=True)

    def _shortened(self, held: HeldDirections, state, origin: np.ndarray, hopped: bool):
        """Returns a state vector whose move from `origin` `[n_atoms, 3]` ends about where models expect it.

        They move straight on, and what a constraint bends is about the square of the way off in the end.
        """
        there = self._proposed(state)
        followed = held.follow(origin, there)
        off = float(np.abs(followed - there).max()) / float(self.system.length_scale)
        if off <= MOST_BENT:
            return self._placed(state, followed, hopped) if hopped and off else state
        return self._placed(state, origin + np.sqrt(MOST_BENT / off) * (there - origin), hopped)

    def _proposed(self, state) -> np.ndarray:
        """Returns the geometry `[n_atoms, 3]` that a state vector proposes."""
        return np.asarray(state)[: 3 * self._size].reshape(-1, 3)

    def _placed(self, state, positions: np.ndarray, hopped: bool):
        """Returns a state vector with another proposal; `hopped`: its relaxation begins there."""

        def placed(state):
            relax = state.relax._replace(positions=positions) if hopped else state.relax
            return state._replace(positions=positions, relax=relax)

        return jax.device_put(self._functions.revise(placed, state, self._size), host_device())

    def _revise(self, function) -> None:
        """Takes what a function in NumPy makes of the state."""
        with double_precision():
            state = self._functions.revise(function, self._state[0], self._size)
            self._take(jax.device_put(state, host_device()))

    def _learn_scales(self, learner: ScaleLearner, positions: np.ndarray, energy: float, gradient: np.ndarray) -> None:
        """Takes the state to other scales where the forces say so; a search of one evaluation simply begins again."""
        system = learner.look(self.system, positions, energy, gradient)
        if system is None:
            return
        self._prepare(self._policy, system, self._n_dofs)  # a given maxstep is compiled in, in length scales
        if self._beginning is not None:
            self._begin(*self._beginning)
            return
        before = learner.evaluations[:-1]
        assert self._policy.rescale is not None
        with double_precision():
            self._functions.length(self._params, np.zeros(2, np.uint32), system, np.zeros(()))  # lays states out
        self._revise(partial(self._rescaled, self._policy.rescale, system, before))

    def _rescaled(self, rescale, system, evaluations, state):
        return rescale(self._config, self._policy.params, state, system, evaluations)

    def hop(self) -> None:
        """Proposes a new start, or makes anew what a relaxation knows of its surroundings, where one is pending.

        A hop may find its proposal to be in vain; then another one is pending.
        """
        self._wake()
        with double_precision():
            state, origin = self._state[0], self._here
            hopped = self.event != MODEL or not self._waits
            if hopped:
                neighbors = self._neighbors(self._state[1][: self._n_dofs])
                state = self._functions.hop(self._params, state, self._size, neighbors)
                if self._held is not None and self._functions.imagine is not None:
                    state = self._followed(self._held, state)
                    origin = self._proposed(state)
            if self._functions.imagine is not None:
                state = self._functions.imagine(self._params, state, self._size)
            in_vain = self._reads(state, 1) and self._reads(state, 0) != MODEL
            if self._held is not None and self._functions.imagine is not None and not in_vain:
                state = self._shortened(self._held, state, origin, hopped)
            if self._renew is not None and not in_vain:
                state = jax.device_put(self._functions.revise(self._renew, state, self._size), host_device())
            self._take(state)

    def _reads(self, state, which: int):
        """Returns the event (0) of a state that is not yet taken, or whether a hop is pending (1)."""
        return int(np.asarray(state)[3 * self._size + which])

    def compute_step(self, x: np.ndarray) -> np.ndarray:
        """Returns the move `[n_dofs]` from `x` to the next geometry to evaluate."""
        return self._state[1][: self._n_dofs] - x

    def _neighbors(self, x: np.ndarray) -> Neighbors | None:
        """Returns the neighbour rows of a geometry where all pairs are too many, or their nearest images few.

        Made anew each time: rows kept from an earlier geometry would make a restarted run sum in another order.
        """
        from ..neighbors import n_images, neighbor_rows  # only those who need them pay for its imports

        system = self.system
        atoms = system.species >= 0
        cutoff = REACH * 2.0 * float(system.radii[atoms].max())
        small = self._n_dofs <= 3 * HOST_NEIGHBORS_ABOVE
        if small and not any(n_images(system.cell, system.pbc, cutoff)):
            return None
        positions = to_rows(x, self._size)
        return neighbor_rows(positions, system.cell, system.pbc, cutoff, mask=atoms)

    def datafy(self) -> dict:
        """Returns the state as plain data."""
        learner = None if self._learner is None else self._learner.datafy()
        held = {} if self._held is None else {"held": self.system.held, "here": self._here}
        return {"state": self._state[1], "learner": learner, **held}

    @classmethod
    def undatafy(
        cls,
        data: dict,
        policy: Policy,
        system: System,
        n_dofs: int,
        learner: ScaleLearner | None = None,
        held: HeldDirections | None = None,
    ) -> "LearnedMethod":
        """Returns the method that `datafy` described; the system is in the scales that it had then.

        Raises:
          ValueError: the data belong to another optimizer.
        """
        method = cls.__new__(cls)
        if held is not None:
            directions: Any = np.asarray(data["held"], float)
            pairs: Any = held.pairs(directions.shape[1])
            system = system._replace(held=directions, held_pairs=pairs)
        method._prepare(policy, system, n_dofs)
        method._learner, method._held, method._beginning = learner, held, None
        method._here = np.asarray(system.positions if held is None else data["here"], float)
        if learner is not None and data["learner"] is not None:
            learner.undatafy(data["learner"])
        method._resume(np.asarray(data["state"], float))
        return method
