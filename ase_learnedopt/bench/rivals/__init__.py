"""Rivals: other people's searches, their own code called, each at its defaults and tuned. Layer 4.

`benchmarks/tune_rivals.py` searches the tuned settings, on seeds that no benchmark uses; `benchmarks/tuning` holds what
it found. In them lengths and energies are in the scales of the problem, so that one set fits Lennard-Jones and metals.
Those with a model of the energy come once, in units that make their own settings fit.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from . import (
    agox_gofee,
    ase_basin_hopping,
    ase_ga,
    ase_gpmin,
    ase_minima_hopping,
    beacon,
    pele_basin_hopping,
    scipy_basinhopping,
)


@dataclass(frozen=True)
class Rival:
    """Describes one rival: what runs it, (problem, atoms, evaluator, seed, **settings), and what it needs."""

    run: Callable[..., None]
    settings: Mapping[str, Any] = field(default_factory=dict)
    extra: str | None = None  # module of an optional dependency
    install: str = "bench"  # extra of this package that brings it


TUNED: dict[str, dict[str, Any]] = {
    "scipy_basinhopping": {"stepsize": 0.4, "kT": 0.8, "gtol": 1e-2, "interval": 50, "memory": 10},
    "ase_basin_hopping": {"optimizer": "LBFGS", "dr": 0.36, "kT": 0.8, "fmax": 0.05, "maxstep": 0.2},
    "ase_minima_hopping": {
        "optimizer": "BFGS",
        "fmax": 0.05,
        "kT0": 0.6,
        "Ediff0": 1.0,
        "minima_threshold": 0.6,
        "mdmin": 2,
        "timestep": 0.02,
    },
    "ase_ga": {
        "optimizer": "LBFGS",
        "fmax": 0.05,
        "maxstep": 0.2,
        "steps": 200,
        "population": 10,
        "mutation": 0.3,
        "rattle": 0.4,
        "rattled": 0.4,
        "dE": 0.005,
        "stall": None,
    },
    "pele_basin_hopping": {
        "stepsize": 0.36,
        "kT": 0.8,
        "tol": 1e-2,
        "maxstep": 0.2,
        "maxErise": 0.1,
        "interval": 20,
        "memory": 5,
    },
}
"""Each is a value of the keyword `scaled`, described in the rival's module."""

_RUNS: dict[str, tuple[Callable[..., None], str | None]] = {
    "scipy_basinhopping": (scipy_basinhopping.run, None),
    "ase_basin_hopping": (ase_basin_hopping.run, None),
    "ase_minima_hopping": (ase_minima_hopping.run, None),
    "ase_ga": (ase_ga.run, "ase_ga"),
    "pele_basin_hopping": (pele_basin_hopping.run, "pele"),
}

RIVALS: dict[str, Rival] = {}
for _name, (_run, _extra) in _RUNS.items():
    RIVALS[_name] = Rival(_run, {}, _extra)
    RIVALS[f"{_name}_tuned"] = Rival(_run, {"scaled": TUNED[_name]}, _extra)

GPMIN = {"scale": 0.25, "fmax": 0.2, "fmin": 0.01, "worth": 0.3, "maxstep": 0.08, "memory": 50}
"""The better of 0.16, which is ASE's own scale in bonds of a metal, and 0.25, on six seeds from 900000 on."""
MODELLED: dict[str, Rival] = {
    "ase_gpmin": Rival(ase_gpmin.run, {"scaled": GPMIN}),
    "agox_gofee": Rival(agox_gofee.run, {}, "agox", "rivals"),
    "agox_local_gpr": Rival(agox_gofee.run, {"model": "local"}, "dscribe", "rivals"),
    "beacon": Rival(beacon.run, {}, "gpatom", "rivals"),
}
"""Those that learn a model of the energy during the run, as ours does."""
RIVALS |= MODELLED
