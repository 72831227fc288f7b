"""Measures the time to the first results in a fresh process, with and without a warm compilation cache. Layer 4."""

import tempfile
from collections.abc import Callable
from statistics import median
from typing import Any

from .speed_process import in_fresh_process

ASE_CLASS = """
import json, time
import ase.build, ase.calculators.lj
atoms = ase.build.molecule("C60")[:38]
atoms.calc = ase.calculators.lj.LennardJones(sigma=1.2, epsilon=1.0, rc=50.0)
begin = time.perf_counter()
from ase_learnedopt import LearnedHop
imported = time.perf_counter()
opt = LearnedHop(atoms, logfile=None, seed=0, length_scale=1.35, energy_scale=1.0{keywords})
{run}
print(json.dumps([imported - begin, time.perf_counter() - begin]))
"""
ROLLOUT = """
import json, time
begin = time.perf_counter()
import jax
from ase_learnedopt.optimizers import learned_hop
from ase_learnedopt.optimizers.learned_hop import LearnedHopConfig
from ase_learnedopt.potentials import cluster_system
from ase_learnedopt.rollout import rollout, start
imported = time.perf_counter()
keys = jax.random.split(jax.random.PRNGKey(0), 32)
potential, _ = cluster_system("lj38")
optimizer = learned_hop(config=LearnedHopConfig(imagined=0))
systems = jax.jit(jax.vmap(lambda key: cluster_system("lj38", key)[1]))(keys)
state = start(optimizer, keys, systems)
jax.block_until_ready(rollout(optimizer, potential, state, 10**6, -1e9, n_windows=1))
print(json.dumps([imported - begin, time.perf_counter() - begin]))
"""
ONE_STEP = "opt.run(fmax=1e-9, steps=1)"
ONE_HOP = "any(opt.n_hops for _ in opt.irun(fmax=1e-9, steps=2000))"
CASES = {
    "LearnedHop(max_hops=0), first step": ASE_CLASS.format(keywords=", max_hops=0", run=ONE_STEP),
    "LearnedHop, first step": ASE_CLASS.format(keywords="", run=ONE_STEP),
    "LearnedHop, first hop": ASE_CLASS.format(keywords="", run=ONE_HOP),
    "rollout of learned_hop, nothing imagined, first window": ROLLOUT,
}
"""What a fresh process does, 38 Lennard-Jones atoms each. It prints two times in s since it began to import: when the
import was done, and when the result was there."""


def measure_first_results(cases: tuple[str, ...], n_repeats: int, say: Callable) -> list[dict[str, Any]]:
    """Returns one row for each case: medians of seconds, cold and with the persistent cache of an earlier process."""
    rows = []
    for name in cases:
        cold = [in_fresh_process(CASES[name]) for _ in range(n_repeats)]
        with tempfile.TemporaryDirectory() as cache:
            in_fresh_process(CASES[name], cache)
            warm = [in_fresh_process(CASES[name], cache) for _ in range(n_repeats)]
        row = {
            "case": name,
            "processes": n_repeats,
            "import_s": median(imported for imported, _ in cold + warm),
            "cold_s": median(total for _, total in cold),
            "warm_s": median(total for _, total in warm),
        }
        rows.append(row)
        say(f"fresh process: {name}: {row['cold_s']:.2f} s cold, {row['warm_s']:.2f} s with a warm cache")
    return rows
