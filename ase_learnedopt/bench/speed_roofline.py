"""States how far Lennard-Jones evaluations are from what the processor could do: the roofline. Layer 4.

Williams, Waterman & Patterson, Commun. ACM 52, 65 (2009): what can be attained is the lower of the peak of arithmetic
and of intensity (operations per byte) times bandwidth. Peak and bandwidth are measured, in float32:

- a loop of fused multiply-adds: 1,024 numbers, eight independent chains of sixteen for each, all in the first cache;
- a matrix product of jax. The faster of the two is the peak;
- bandwidth: one added, again and again, to every number of an array that fits no cache: read and written.
"""

import os
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ..types import PotentialFn, System
from .speed_process import in_fresh_process
from .speed_throughput import bare_potential, relaxed_clusters

OPERATIONS = {
    "distance": 8,  # 3 differences, 3 products, 2 sums
    "powers": 4,  # a division, 1/r^2 to 1/r^6 and 1/r^12
    "energy": 2,  # difference and sum over pairs
    "slope": 3,
    "core": 4,  # the linear continuation below 0.3 sigma
    "forces": 7,  # a factor, 3 products, 3 sums over pairs
}
"""Floating-point operations for each pair of `potentials.lennard_jones`; a division is one, comparisons are none."""
CORE = """
import json, os
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {{min(os.sched_getaffinity(0))}})
os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_cpu_multi_thread_eigen=false"
os.environ["JAX_PLATFORMS"] = "cpu"
from ase_learnedopt.bench.speed_roofline import measure
print(json.dumps(measure({sizes}, {n_walkers}, "cpu")))
"""


class Load(NamedTuple):
    """Sizes that keep a kind of device busy."""

    chains: int  # numbers in the loop of multiply-adds
    matrix: int
    stream: int  # numbers that fit no cache


LOADS = {"cpu": Load(1024, 384, 2**24), "gpu": Load(2**22, 4096, 2**27)}


def measure_roofline(sizes: tuple[int, ...], n_walkers: int, say: Callable) -> list[dict[str, Any]]:
    """Returns one entry for one core of the processor and one for a GPU where there is one.

    Args:
      sizes: atoms.
      n_walkers: clusters evaluated at once.
      say: is told of each.
    """
    found = [in_fresh_process(CORE.format(sizes=tuple(sizes), n_walkers=n_walkers))]
    if any(device.platform == "gpu" for device in jax.devices()):
        found.append(measure(sizes, n_walkers, "gpu"))
    for entry in found:
        fractions = ", ".join(f"lj{row['n_atoms']} {row['of_attainable']:.0%}" for row in entry["rows"])
        say(f"roofline: {entry['device']}: peak {entry['peak_flops'] / 1e9:.1f} Gflop/s; {fractions}")
    return found


def measure(sizes: tuple[int, ...], n_walkers: int, platform: str) -> dict[str, Any]:
    """Returns peak, bandwidth and a row for each cluster, measured on a device of this process."""
    device, load = jax.devices(platform)[0], LOADS[platform]
    multiply_add, product = multiply_add_rate(load, device), product_rate(load, device)
    peak, bandwidth = max(multiply_add, product), stream_rate(load, device)
    measured = {"multiply_add_flops": multiply_add, "matrix_product_flops": product}
    measured |= {"peak_flops": peak, "bytes_per_s": bandwidth, "walkers": n_walkers}
    rows = [{"n_atoms": n, **_row(n, n_walkers, peak, bandwidth, device)} for n in sizes]
    alone = platform == "cpu" and hasattr(os, "sched_setaffinity")
    return {"device": "one core" if alone else device.device_kind, **measured, "rows": rows}


def flops_per_evaluation(n_atoms: int) -> int:
    """Returns the operations of one evaluation: every pair comes from both its ends, the diagonal is masked."""
    return n_atoms**2 * sum(OPERATIONS.values())


def bytes_per_evaluation(n_atoms: int) -> int:
    """Returns the least that has to be moved: positions in, forces and energy out, in float32."""
    return 4 * (6 * n_atoms + 1)


def attainable_rate(flops: float, n_bytes: float, peak: float, bandwidth: float) -> float:
    """Returns the evaluations per second that the roofline allows."""
    return min(peak / flops, bandwidth / n_bytes)


def xla_cost(potential: PotentialFn, system: System) -> dict[str, float | None]:
    """Returns the operations and bytes of one evaluation as XLA counts them in what it has compiled."""
    analysis = jax.jit(potential).lower(system.positions, system).compile().cost_analysis()
    analysis = analysis[0] if isinstance(analysis, list) else analysis or {}
    return {"xla_flops": analysis.get("flops"), "xla_bytes": analysis.get("bytes accessed")}


def multiply_add_rate(load: Load, device) -> float:
    """Returns operations per second, two for each multiply-add."""
    n_lanes, depth = 8, 16
    n_repeats = max(1, int(1e8 / (load.chains * n_lanes * depth)))

    @jax.jit
    def loop(x, a, b):
        def once(_, x):
            chains = [x + float(k) for k in range(n_lanes)]
            for _ in range(depth):
                chains = [chain * a + b for chain in chains]
            return 1e-3 * sum(chains[1:], chains[0])

        return jax.lax.fori_loop(0, n_repeats, once, x)

    ones = jnp.ones(load.chains, jnp.float32, device=device)
    return 2.0 * load.chains * n_lanes * depth * n_repeats / shortest(loop, ones, 0.999 * ones, 1e-3 * ones)


def product_rate(load: Load, device) -> float:
    """Returns operations per second of a matrix product."""
    product = jax.jit(lambda a: jnp.dot(a, a, precision="highest"))
    ones = jnp.ones((load.matrix, load.matrix), jnp.float32, device=device)
    return 2.0 * load.matrix**3 / shortest(product, ones, n_repeats=30)


def stream_rate(load: Load, device) -> float:
    """Returns bytes per second that are read and written."""
    n_repeats = 8  # in place: the first touch of new memory costs more than the stream
    numbers = jnp.ones(load.stream, jnp.float32, device=device)
    stream = jax.jit(lambda x: jax.lax.fori_loop(0, n_repeats, lambda _, x: x + 1.0, x))
    return 2.0 * n_repeats * numbers.nbytes / shortest(stream, numbers)


def shortest(function: Callable, *arguments, n_repeats: int = 9) -> float:
    """Returns the seconds of the shortest of some calls, after one to compile."""
    jax.block_until_ready(function(*arguments))
    times = []
    for _ in range(n_repeats):
        begin = time.perf_counter()
        jax.block_until_ready(function(*arguments))
        times.append(time.perf_counter() - begin)
    return min(times)


def _row(n_atoms: int, n_walkers: int, peak: float, bandwidth: float, device) -> dict[str, Any]:
    potential, systems, _ = relaxed_clusters(n_atoms, n_walkers, device)
    first = jax.tree.map(lambda leaf: jax.device_put(np.asarray(leaf)[0], device), systems)
    n_steps = max(4, int(2e6 / (n_walkers * n_atoms**2)))
    bare = bare_potential(potential, systems, n_steps)
    rate = n_walkers * n_steps / shortest(bare.advance, bare.state, n_repeats=30)
    flops, n_bytes = flops_per_evaluation(n_atoms), bytes_per_evaluation(n_atoms)
    limit = attainable_rate(flops, n_bytes, peak, bandwidth)
    row: dict[str, Any] = {"flops": flops, "bytes": n_bytes, **xla_cost(potential, first)}
    row |= {"bound": "arithmetic" if peak / flops < bandwidth / n_bytes else "memory"}
    return row | {"attainable_per_s": limit, "measured_per_s": rate, "of_attainable": rate / limit}
