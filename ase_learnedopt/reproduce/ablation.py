"""What the network of Learn2Hop reads and what it writes with: runs without one group of either at a time. Layer 4.

A group of inputs is taken away by zeros in their place, and one of outputs by leaving it at zero, whatever the network
would write. Nothing is trained anew, so what is measured is how much these weights rely on a group, not how well others
could do without it.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ..bench.formats import format_count
from ..bench.page import Block, Figure, markdown_page
from ..bench.problems import Problem, get_problem
from ..bench.report import write_text
from ..bench.results import energy_unit
from ..bench.starts import seed_keys
from ..markup import Entry, Table
from ..optimizers.learn2hop import learn2hop
from ..optimizers.learn2hop_features import SCALARS, VECTORS
from ..optimizers.learn2hop_network import HOP_OUTPUTS
from ..optimizers.learned import load_policy
from ..optimizers.neighborhoods import NEIGHBORHOOD
from ..plot_style import PALE, SETTINGS, to_svg
from ..rollout import rollout, start
from ..types import Optimizer
from .experiments import FIRST_SEED

INPUTS: dict[str, Callable[[str], bool]] = {
    "gradient and momenta": lambda name: name.startswith(("log gradient", "log momentum", "log rms gradient 0", "cos")),
    "rms gradient of all atoms": lambda name: name in ("log rms gradient of all atoms", "at a minimum"),
    "quasi-Newton step": lambda name: name == "log quasi-Newton step",
    "neighbourhood": lambda name: name in NEIGHBORHOOD,
    "distance from centroid": lambda name: name == "distance from centroid",
    "way to the best geometry": lambda name: "distance to best" in name,
    "energy": lambda name: name in ("energy above best", "energy change"),
    "time since the best": lambda name: name == "log evaluations since best",
    "time since the last hop": lambda name: name.startswith("exp -evaluations since hop"),
    "share of the budget and time": lambda name: name == "budget used" or name.startswith("tanh evaluations"),
    "noise and site of a hop": lambda name: "noise" in name or name == "nearness to site of hop",
    "number of atoms": lambda name: name == "log n_atoms",
}
OUTPUTS = {
    "quasi-Newton step": ("quasi-Newton step",),
    "all other vectors": tuple(name for name in VECTORS if name != "quasi-Newton step"),
    **{name: (name,) for name in HOP_OUTPUTS},
}


class Ablation(NamedTuple):
    """Holds what runs without a group came to."""

    group: str
    kind: str  # "input", "output" or "" for the whole network
    energies: np.ndarray  # [n_marks, n_runs] eV, lowest so far


def run_ablation(
    problem_name: str,
    out: str | Path,
    *,
    weights: str,
    n_runs: int = 150,
    evaluations: int = 5_000,
    quiet: bool = False,
) -> Path:
    """Runs Learn2Hop whole and without each group from the same starts, and writes the page.

    Args:
      problem_name: of a problem with a potential of ours.
      out: folder.
      weights: of an equivariant Learn2Hop.
      n_runs: starts.
      evaluations: of each run.
      quiet: whether to say nothing.

    Returns:
      The page.

    Raises:
      ValueError: no such problem or weights, a problem whose energy is not one of ours, or a cartesian network.
    """
    problem = get_problem(problem_name)
    if problem.potential is None:
        raise ValueError(f"{problem_name} has no potential of ours, so its runs cannot be made in batches")
    params, config = load_policy("learn2hop", weights)
    if config.variant != "equivariant":
        raise ValueError(f"weights {weights} are {config.variant}; the groups are those of equivariant ones")
    marks, found = np.array([evaluations // 10, evaluations // 3, evaluations]), []
    for group, kind in (("", ""), *((g, "input") for g in INPUTS), *((g, "output") for g in OUTPUTS)):
        energies = best_energies(problem, learn2hop(without(params, group, kind), config), n_runs, marks)
        found.append(Ablation(group, kind, energies))
        if not quiet:
            print(f"{problem_name} without {group or 'nothing'} {kind}: {energies[-1].mean():.3f}", flush=True)
    return _write(problem, found, marks, Path(out), weights)


def without(params: dict[str, Any], group: str, kind: str) -> dict[str, Any]:
    """Returns parameters that do not read, or do not write, what is in a group."""
    if not group:
        return params
    changed = {name: dict(layer) for name, layer in params.items()}
    if kind == "input":
        rows = np.array([k for k, name in enumerate(SCALARS) if INPUTS[group](name)])
        for layer in ("layer0", "move", "hop"):  # the outputs read the inputs, too
            changed[layer]["weights"] = jnp.asarray(changed[layer]["weights"]).at[rows].set(0.0)
    else:
        for part, names in (("move", VECTORS), ("hop", HOP_OUTPUTS)):
            columns = [k for k, name in enumerate(names) if name in OUTPUTS[group]]
            for array, value in changed[part].items():
                changed[part][array] = jnp.asarray(value).at[..., np.array(columns, int)].set(0.0)
    return changed


def best_energies(problem: Problem, optimizer: Optimizer, n_runs: int, marks: np.ndarray) -> np.ndarray:
    """Returns the lowest energies `[n_marks, n_runs]` eV within so many evaluations from the benchmark's starts."""
    assert problem.system is not None
    assert problem.potential is not None
    seeds, budget = range(FIRST_SEED, FIRST_SEED + n_runs), int(marks[-1])
    systems = jax.tree.map(lambda *leaves: jnp.stack(leaves), *[problem.system(seed) for seed in seeds])
    keys = jnp.stack([seed_keys(seed)[1] for seed in seeds])
    state = start(optimizer, keys, systems, float(budget))
    _, trace = rollout(optimizer, problem.potential, state, budget, -jnp.inf, n_windows=-(-budget // 8))
    counts, best = np.asarray(trace.n_evaluations), np.asarray(trace.best_energy, float)
    return np.array([np.where(counts <= mark, best, np.inf).min(axis=0) for mark in marks])


def ablation_table(problem: Problem, found: Sequence[Ablation], marks: Sequence[int]) -> Table:
    """Returns the mean best energy without each group, and by how much it is higher than that of the whole network."""
    whole = found[0].energies
    rows: list[tuple[Entry, ...]] = []
    zero = _zero(problem, found)
    for group, kind, energies in found:
        mean, error = energies[-1].mean() - zero, _error(energies[-1])
        change = energies[-1] - whole[-1]
        more = f"{change.mean():+.3f} ± {_error(change):.3f}" if group else ""
        rows.append((Entry(group or "nothing"), Entry(kind), Entry(f"{mean:.3f} ± {error:.3f}"), Entry(more)))
    note = (
        f"Mean (± standard error) over {whole.shape[1]} starts of the best energy after {format_count(marks[-1])} "
        f"evaluations, in {energy_unit(problem.name)} above {zero:.4f}, and its change, start by start."
    )
    return Table(("without", "kind", "mean best energy", "change"), rows, (note,))


def plot_ablation(problem: Problem, found: Sequence[Ablation]) -> str:
    """Draws by how much the mean best energy is higher without each group."""
    from matplotlib.figure import Figure

    parts = sorted(found[1:], key=lambda part: part.energies[-1].mean())
    changes = [part.energies[-1] - found[0].energies[-1] for part in parts]
    figure = Figure(figsize=(8.2, 0.3 * len(parts) + 1.2))
    axes = figure.subplots()
    colors = ["#1f6fb4" if part.kind == "input" else "#c4582b" for part in parts]
    axes.barh(
        [f"{part.group} ({part.kind})" for part in parts], [c.mean() for c in changes],
        xerr=[_error(c) for c in changes], color=colors, ecolor=PALE,
    )  # fmt: skip
    axes.axvline(0.0, color="black", linewidth=0.8)
    axes.set_xscale("symlog", linthresh=1.0)
    axes.set_xlabel(f"mean best energy above that of the whole network ({energy_unit(problem.name)})")
    axes.set_title(f"{problem.name}: Learn2Hop without one group of inputs or outputs", loc="left", fontsize=11)
    figure.tight_layout()
    return to_svg(figure)


def _write(problem: Problem, found: Sequence[Ablation], marks, out: Path, weights: str) -> Path:
    from matplotlib import rc_context

    with rc_context(SETTINGS):
        write_text(out / "plots" / "ablation.svg", plot_ablation(problem, found))
    blocks: list[Block] = [
        f"Weights {weights}.",
        ablation_table(problem, found, marks),
        Figure("ablation.svg", "Ablation"),
    ]
    return write_text(out / "report.md", markdown_page(f"What Learn2Hop uses on {problem.name}", blocks, "plots"))


def _zero(problem: Problem, found: Sequence[Ablation]) -> float:
    return problem.reference if problem.reference is not None else min(float(p.energies.min()) for p in found)


def _error(values: np.ndarray) -> float:
    return float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else 0.0
