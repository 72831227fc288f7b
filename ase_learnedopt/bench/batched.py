"""Runs the seeds of a problem of ours as walkers of one rollout; a walker that has ended makes room for the next seed.

A batch costs what its slowest walker costs, and times to success are spread like an exponential: with lanes that are
refilled nearly all work counts.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import jax
import jax.numpy as jnp
import numpy as np

from ..rollout import counted_rollout, start
from ..sanity import MIN_DISTANCE
from ..types import Optimizer
from .counting import FINE, HIT, LOWER, WRONG
from .problems import Problem
from .referee import Referee
from .starts import seed_keys

N_WINDOWS, WINDOW = 32, 8
"""Windows between two looks at the walkers, what a finished walker waits for its successor; evaluations of each."""


@dataclass
class Run:
    """Holds what one seed has found so far; `referee` judges what ends it.

    `trace` lists (evaluations, best energy in eV) at each improvement, to a window of evaluations; its last entry is
    exact. `wall_s` shares the batch's time by evaluations; the calculator's part is that of the bare potential in a
    batch of the same size.
    """

    seed: int
    referee: Referee
    evaluations: int = 0
    best_energy: float = float("inf")
    best_positions: np.ndarray | None = None  # [n_atoms, 3] Angstrom
    trace: list[tuple[int, float]] = field(default_factory=list)
    hit: bool = False
    fused: int = 0
    wall_s: dict[str, float] = field(default_factory=dict)


def run_batched(
    problem: Problem, optimizer: Optimizer, seeds: Sequence[int], budget: int, target: float | None, *, width: int = 32
) -> Iterator[Run]:
    """Yields the run of each seed as it ends: at `target` eV (None: never) if the referee agrees, or after `budget`.

    Args:
      problem: one with a `potential`.
      optimizer: what searches.
      seeds: give start and random stream.
      budget: evaluations of each run.
      target: eV.
      width: walkers at once.
    """
    pool = _Pool(problem, optimizer, seeds, budget, target, min(width, len(seeds)))
    while pool.busy:
        yield from pool.advance()


class _Pool:
    """Holds the lanes of a batch, and which seed each of them runs."""

    def __init__(self, problem: Problem, optimizer: Optimizer, seeds, budget: int, target: float | None, width: int):
        self._problem, self._optimizer, self._budget = problem, optimizer, budget
        self._target = np.float32(-np.inf if target is None else target)
        self._waiting = list(seeds)
        self._systems: list = [None] * width
        self._lanes: list[Run | None] = [None] * width
        for lane in range(width):
            self._seat(lane)
        begin = time.perf_counter()
        self._state = self._fresh()
        self._roll(0)  # compiles, and evaluates nothing
        self._per_evaluation = _seconds_of_potential(problem, self._state)
        self._compile = (time.perf_counter() - begin) / max(len(seeds), 1)

    @property
    def busy(self) -> bool:
        """Whether any lane still runs."""
        return any(run is not None for run in self._lanes)

    def advance(self) -> list[Run]:
        """Rolls all lanes on and returns the runs that have ended."""
        before = np.array(self._state.n_evaluations)
        begin = time.perf_counter()
        trace, contacts = self._roll(self._budget)
        seconds = time.perf_counter() - begin
        counts, fused = np.asarray(trace.n_evaluations), np.asarray(contacts.n_fused).sum(axis=0)
        energies = np.where(contacts.is_sane, np.asarray(trace.best_energy, float), np.inf)
        positions = np.asarray(self._state.best_positions, float)
        busy = np.array([run is not None for run in self._lanes])
        spent = np.where(busy, counts[-1] - before, 0)
        ended, free = [], []
        for lane, run in enumerate(self._lanes):
            if run is None:
                continue
            run.fused += int(fused[lane])
            done = self._judge(run, lane, counts[:, lane], energies[:, lane], positions[lane])
            self._time(run, seconds * spent[lane] / max(spent.sum(), 1))
            if done or run.evaluations >= self._budget:
                ended.append(run)
                free.append(lane)
        self._refill(free)
        return ended

    def _roll(self, budget: int):
        self._state, trace, contacts = counted_rollout(
            self._optimizer,
            self._problem.potential,
            self._state,
            budget,
            self._target,
            n_windows=N_WINDOWS,
            window=WINDOW,
            min_distance=MIN_DISTANCE,
        )
        return jax.block_until_ready((trace, contacts))

    def _judge(self, run: Run, lane: int, counts, energies, positions: np.ndarray) -> bool:
        """Absorbs what a walker has found; returns whether that ends its run, else lets it forget what is not real."""
        run.evaluations = int(counts[-1])
        stopped = bool(energies[-1] <= self._target)
        verdict = run.referee.judge(positions, float(energies[-1])) if stopped else None
        if verdict == WRONG:
            energies = np.where(energies <= self._target, np.inf, energies)
        for count, energy in zip(counts, energies, strict=True):
            if energy < run.best_energy:
                run.best_energy = float(energy)
                run.best_positions = None if verdict == WRONG else positions
                run.trace.append((int(count), run.best_energy))
        if verdict == WRONG:
            self._state = self._state._replace(best_energy=self._state.best_energy.at[lane].set(run.best_energy))
        run.hit = verdict in (HIT, FINE)  # in float64 the target may be missed by a rounding
        return run.hit or verdict == LOWER

    def _time(self, run: Run, seconds: float) -> None:
        total = run.wall_s.get("total", self._compile) + seconds
        calculator = min(self._per_evaluation * run.evaluations, total - self._compile)
        method = total - self._compile - calculator
        run.wall_s = {"calculator": calculator, "method": method, "compile": self._compile, "total": total}

    def _seat(self, lane: int) -> None:
        """Gives a lane the next seed that waits, or none."""
        if not self._waiting:
            self._lanes[lane] = None
            return
        seed = self._waiting.pop(0)
        assert self._problem.system is not None
        self._lanes[lane] = Run(seed, Referee(self._problem, self._problem.start(seed)))
        self._systems[lane] = self._problem.system(seed)

    def _refill(self, lanes: list[int]) -> None:
        for lane in lanes:
            self._seat(lane)
        renewed = np.array([lane in lanes and run is not None for lane, run in enumerate(self._lanes)])
        if renewed.any():
            self._state = _merge(self._state, self._fresh(), renewed)

    def _fresh(self):
        """Returns a state in which every lane stands at the start of its seed."""
        keys = jnp.stack([seed_keys(0 if run is None else run.seed)[1] for run in self._lanes])
        batch = jax.tree.map(lambda *leaves: jnp.stack(leaves), *self._systems)
        return start(self._optimizer, keys, batch, self._budget)


@jax.jit
def _merge(state, new, chosen):
    return jax.tree.map(lambda a, b: jnp.where(chosen.reshape((-1,) + (1,) * (a.ndim - 1)), b, a), state, new)


def _seconds_of_potential(problem: Problem, state, repeats: int = 100) -> float:
    """Returns the seconds that one evaluation takes in a batch of this size, without any optimizer."""
    potential = problem.potential
    assert potential is not None

    @jax.jit
    def evaluate(positions):
        def once(_, x):
            energy, forces = jax.vmap(potential)(x, state.system)
            return x + 1e-12 * (forces + energy[:, None, None])

        return jax.lax.fori_loop(0, repeats, once, positions)

    jax.block_until_ready(evaluate(state.positions))
    begin = time.perf_counter()
    jax.block_until_ready(evaluate(state.positions))
    return (time.perf_counter() - begin) / (repeats * state.positions.shape[0])
