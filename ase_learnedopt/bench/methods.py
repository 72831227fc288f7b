"""The one table of methods: ours and the rivals, at their defaults and, where that has been done, tuned.

Ours are builders of an `Optimizer`; `random_restart_*` puts fresh random starts around a local one. Rivals run their
own code, see `rivals`. Tuned constants come from `benchmarks/tune_restarts.py`, `benchmarks/tune_rivals.py` and, for
silicon, `benchmarks/silicon.py --tune`, on seeds that no benchmark uses.
"""

import difflib
import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from ..optimizers import OPTIMIZERS, basin_hopping, learn2hop, learned_hop, random_restart, two_phase
from ..optimizers.hop_state import LearnedHopConfig
from ..optimizers.learned import load_policy
from ..types import Optimizer
from .released import label_of
from .rivals import RIVALS


@dataclass(frozen=True)
class Method:
    """Describes one row of the table."""

    name: str
    build: Callable[[Any, Any], Optimizer] | None = None  # ours: (params, config) -> Optimizer
    run: Callable[..., None] | None = None  # rivals: (problem, atoms, evaluator, seed, **settings)
    settings: Mapping[str, Any] = field(default_factory=dict)
    extra: str | None = None  # module that a rival needs
    install: str = "bench"  # extra of this package that brings it
    weights: str | None = None  # default weights of a learned one

    @property
    def is_ours(self) -> bool:
        """Whether it is an `Optimizer` of this package, which can run in batches."""
        return self.build is not None


TUNED_RESTARTS: dict[str, dict[str, float]] = {
    "gradient_descent": {"learning_rate": 0.0025, "maxstep": 0.4},
    "momentum": {"learning_rate": 0.002, "decay": 0.9, "maxstep": 0.05},
    "adam": {"learning_rate": 0.02, "half_life": 100, "b2": 0.95, "clip": 30.0},
    "fire": {"dt_max": 0.1, "n_min": 5, "maxstep": 0.05},
    "lbfgs": {"maxstep": 0.15, "tolerance": 0.05},
}
"""Of the local optimizers in random restarts."""


def _without_heads(build: Callable[..., Optimizer], **settings: Any) -> Callable[[Any, Any], Optimizer]:
    """Returns a builder with the arguments of one that has parameters and a config, which it leaves unread."""
    return lambda _params, _config: build(**settings)


def _restarts(local: str, **settings: Any) -> Callable[[Any, Any], Optimizer]:
    return _without_heads(lambda: random_restart(OPTIMIZERS[local](**settings)))


TUNED_TWO_PHASE: dict[str, float] = {"compression": 5.0, "kT": 0.8, "shake": 0.4}
SWAPS: dict[str, float] = {"swaps": 0.5, "kT": 0.4}
TWO_PHASE_SWAPS: dict[str, float] = {"compression": 1.0, "swaps": 0.8, "kT": 0.4}
"""Of basin hopping with a compression, with swaps of unlike atoms, and with both."""


def two_phase_basin_hopping(*, kT=0.8, shake=0.4, swaps=0.0, **settings: Any) -> Optimizer:
    """Builds basin hopping whose relaxations begin with a compression: the strongest classical search of clusters.

    Args:
      kT, shake, swaps: see `basin_hopping`.
      settings: of `two_phase`.
    """
    return basin_hopping(two_phase(**{"tolerance": 0.02, **settings}), kT=kT, shake=shake, swaps=swaps)


def _table() -> dict[str, Method]:
    rows = [
        Method("learned_hop", learned_hop, weights="learned_hop"),
        Method("learned_hop_untrained", _without_heads(learned_hop)),
    ]
    rows += [Method("learn2hop", learn2hop, weights="learn2hop")]
    rows += [
        Method(name, _without_heads(OPTIMIZERS[name], **tuned), settings=tuned)
        for name, tuned in TUNED_RESTARTS.items()
    ]
    rows += [Method("basin_hopping", _without_heads(basin_hopping))]
    silicon: dict[str, Any] = {"kT": 0.05, "shake": 0.45, "target_acceptance": None, "neighborhood": 8}
    name, tuned = "two_phase_basin_hopping", TUNED_TWO_PHASE
    rows += [Method(name, _without_heads(two_phase_basin_hopping))]
    rows += [Method(f"{name}_tuned", _without_heads(two_phase_basin_hopping, **tuned), settings=tuned)]
    rows += [Method("basin_hopping_swap", _without_heads(basin_hopping, **SWAPS), settings=SWAPS)]
    swap = _without_heads(two_phase_basin_hopping, **TWO_PHASE_SWAPS)
    rows += [Method(f"{name}_swap", swap, settings=TWO_PHASE_SWAPS)]
    rows += [Method("basin_hopping_local", _without_heads(basin_hopping, **silicon), settings=silicon)]
    for local, tuned in TUNED_RESTARTS.items():
        rows += [Method(f"random_restart_{local}", _restarts(local))]
        rows += [Method(f"random_restart_{local}_tuned", _restarts(local, **tuned), settings=tuned)]
    rows += [
        Method(name, run=r.run, settings=r.settings, extra=r.extra, install=r.install) for name, r in RIVALS.items()
    ]
    return {row.name: row for row in rows}


METHODS = _table()


def get_method(name: str) -> Method:
    """Returns a row of the table.

    Raises:
      ValueError: there is no such method, or what it needs is not installed.
    """
    if name not in METHODS:
        near = difflib.get_close_matches(name, METHODS, 3, 0.4)
        hint = f"did you mean {' or '.join(near)}?" if near else "see `ase-learnedopt bench list`"
        raise ValueError(f"no method {name!r}: {hint}")
    method = METHODS[name]
    if not is_installed(method):
        raise ValueError(f"method {name} needs the module {method.extra}: {how_to_install(method)}")
    return method


def how_to_install(method: Method) -> str:
    """Returns the command that brings what a method needs."""
    return f"pip install 'ase-learnedopt[{method.install}]'"


def is_installed(method: Method) -> bool:
    """Whether the module that a method needs is there."""
    return method.extra is None or importlib.util.find_spec(method.extra) is not None


@lru_cache(maxsize=16)
def load(name: str, weights: str | None = None) -> tuple[Any, Any, str | None]:
    """Returns parameters, config and the label of the weights, for a method of ours; nothing for one without heads.

    Raises:
      ValueError: weights given to a method that has none, or weights of another architecture.
    """
    method = get_method(name)
    if method.weights is None:
        if weights is not None:
            raise ValueError(f"method {name} reads no weights; leave out --weights {weights}")
        return {}, None, None
    chosen = weights or method.weights
    params, config = load_policy(name, chosen)
    return params, config, label_of(chosen)


@lru_cache(maxsize=16)
def optimizer(name: str, weights: str | None = None, kinds: int = 2) -> Optimizer:
    """Returns the optimizer of a method of ours; one object for each name, so that it is compiled once.

    kinds: of atoms that a model of the energy is to tell apart.
    """
    params, config, _ = load(name, weights)
    build = get_method(name).build
    assert build is not None
    return build(params, told_apart(config, kinds))


def told_apart(config: Any, kinds: int) -> Any:
    """Returns the constants of an optimizer for so many kinds of atoms."""
    return replace(config, kinds=kinds) if isinstance(config, LearnedHopConfig) else config
