"""Writes the measurements of the speed suite as a page of Markdown. Layer 4."""

from collections.abc import Iterator
from typing import Any

from ..markup import Entry, Table
from .formats import significant
from .page import Block, Heading, markdown_page
from .speed_overhead import OURS

NONE = "-"
CLOCKS = {
    "without_requests": "All requests of energy and forces are taken off, with ASE's comparison of old and new atoms "
    "that each of them makes.",
    "without_calculate": "Only `calculate` of the calculator is taken off: what ASE does around it counts.",
}


def speed_page(data: dict[str, Any]) -> str:
    """Returns the page for the content of `speed.json`."""
    return markdown_page("Speed", list(_blocks(data)), "")


def _blocks(data: dict[str, Any]) -> Iterator[Block]:
    yield _provenance(data)
    yield Heading("Time per step in ASE")
    for clock in CLOCKS:
        yield overhead_table(data, clock)
    yield (
        "The calculator is springs to fixed sites. LearnedHop learns its model of the energy here, for up to 128 "
        "atoms, but that cannot foretell such forces, so no hops are imagined. What these cost is in the tables of "
        "wall time of `ase-learnedopt bench report`."
    )
    yield Heading("First results in a fresh process")
    yield first_results_table(data)
    yield Heading("Evaluations per second in batches")
    yield (
        "Evaluations of energy and forces per second, all walkers together, in float32, on all cores that the process "
        "may use; compilation is not counted; median of at least three calls. “potential alone” is the arithmetic "
        "without any optimizer, “no hops” the ordinary steps of learned_hop. No hops are imagined (`imagined=0`): in a "
        "batch every step would wait for the walker that imagines the most of them."
    )
    for method, reason in data["missing"].items():
        yield f"{method} did not run: it {reason}."
    for device, n_atoms in dict.fromkeys((row["device"], row["n_atoms"]) for row in data["throughput"]):
        yield Heading(f"lj{n_atoms}, {device}", 3)
        yield throughput_table(data, device, n_atoms)
    yield Heading("Roofline")
    for entry in data["roofline"]:
        yield roofline_table(entry)


def overhead_table(data: dict[str, Any], clock: str) -> Table:
    """Returns milliseconds of a step by one of the two clocks, methods by atoms."""
    rows = data["overhead"]
    sizes = sorted({row["n_atoms"] for row in rows})
    found = {(row["method"], row["n_atoms"]): row for row in rows}
    lines = []
    for method in dict.fromkeys(row["method"] for row in rows):
        for kind in ("median_ms", "mean_ms") if method == "LearnedHop" else ("median_ms",):
            fields = [found.get((method, n)) for n in sizes]
            texts = [NONE if row is None else significant(row[kind][clock]) for row in fields]
            name = method if kind == "median_ms" else f"{method}, mean, hops included"
            lines.append((Entry(name, is_ours=method in OURS), *map(Entry, texts)))
    counts = [row["steps"] for row in rows]
    note = f"Time that is not the calculator's, median of {min(counts)} to {max(counts)} steps. {CLOCKS[clock]}"
    return Table(("ms per step", *(f"{n:,} atoms" for n in sizes)), lines, (f"{note} “{NONE}”: not run.",))


def first_results_table(data: dict[str, Any]) -> Table:
    """Returns seconds to the first results, cases by state of the cache."""
    rows = data["first_results"]
    lines = [
        tuple(map(Entry, (row["case"], *(f"{row[key]:.2f}" for key in ("cold_s", "warm_s", "import_s")))))
        for row in rows
    ]
    count = rows[0]["processes"]
    note = (
        f"38 Lennard-Jones atoms; {'one fresh process' if count == 1 else f'medians of {count} fresh processes'}, from "
        "the import of this package to the result. Warm: an earlier process has filled jax's persistent compilation "
        "cache (`JAX_COMPILATION_CACHE_DIR`, `JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS=0`). Import: this package and "
        "jax; ASE, where it is used, has been imported before."
    )
    return Table(("s", "cold", "warm cache", "import, of these"), lines, (note,))


def throughput_table(data: dict[str, Any], device: str, n_atoms: int) -> Table:
    """Returns evaluations per second, methods by walkers, on one device for one cluster."""
    rows = [row for row in data["throughput"] if row["device"] == device and row["n_atoms"] == n_atoms]
    batches = sorted({row["walkers"] for row in rows})
    found = {(row["method"], row["walkers"]): row["evaluations_per_s"] for row in rows}
    lines = []
    for method in (*dict.fromkeys(row["method"] for row in rows), *data["missing"]):
        texts = [f"{found[method, n]:,.0f}" if (method, n) in found else NONE for n in batches]
        lines.append((Entry(method, is_ours=method.startswith("learned")), *map(Entry, texts)))
    processor = data["machine"]["processor"] if device == "cpu" else rows[0]["device_kind"]
    header = (f"{n:,} walker{'s' if n > 1 else ''}" for n in batches)
    return Table(("evaluations/s", *header), lines, (f"On {processor}.",))


def roofline_table(entry: dict[str, Any]) -> Table:
    """Returns what an evaluation costs and how near it comes to what the device allows."""
    lines = []
    for row in entry["rows"]:
        counts = [f"{row['flops']:,}", _count(row["xla_flops"]), f"{row['bytes']:,}", _count(row["xla_bytes"])]
        rates = [f"{row['attainable_per_s']:,.0f}", f"{row['measured_per_s']:,.0f}", f"{row['of_attainable']:.0%}"]
        lines.append(tuple(map(Entry, [f"lj{row['n_atoms']}", *counts, row["bound"], *rates])))
    header = ("flop per FE", "by XLA", "bytes per FE", "by XLA", "bound by", "attainable FE/s", "FE/s", "share")
    peak, loop, product = (
        f"{entry[name] / 1e9:,.1f}" for name in ("peak_flops", "multiply_add_flops", "matrix_product_flops")
    )
    note = (
        f"The potential alone, {entry['walkers']} clusters at once, float32. Peak {peak} Gflop/s: the faster of a "
        f"jitted loop of fused multiply-adds in the first cache ({loop}) and a matrix product ({product}). Bandwidth "
        f"{entry['bytes_per_s'] / 1e9:,.1f} GB/s: one added to an array that fits no cache, read and written. "
        "Operations are counted from the formula, each pair from both its ends, a division as one; bytes are positions "
        "in, forces and energy out. By XLA: its own count for what it compiled, with comparisons and all that it "
        "computes twice; its bytes mostly stay in caches. All rates are those of the shortest call."
    )
    return Table((entry["device"], *header), lines, (note,))


def _count(value: float | None) -> str:
    return NONE if value is None else f"{value:,.0f}"


def _provenance(data: dict[str, Any]) -> str:
    machine = data["machine"]
    cores = f"{machine['cores_usable']} of {machine['cores']} cores usable"
    devices = f"jax on {machine['jax_backend']} ({', '.join(machine['devices'])})"
    environment = " ".join(f"{name}={value}" for name, value in machine["environment"].items())
    lines = [
        f"Made by `{data['command']}` on {data['date']}.",
        f"Machine: {machine['processor']}, {machine['system']}, {cores}; {devices}.",
        f"Load before and after (processes that wanted a core): {machine['load']} and {data['load_after']}.",
        "Versions: " + ", ".join(f"{name} {text}" for name, text in data["versions"].items()) + ".",
    ]
    return "  \n".join([*lines, f"Environment: `{environment}`."] if environment else lines)
