"""Finds what each constant of LearnedHop is worth, from runs with all of them drawn at random.

    python benchmarks/constants.py --out constants.npz
    python benchmarks/constants.py --table benchmarks/constants.npz
    python benchmarks/constants.py --table benchmarks/constants.npz --only lj57

The logarithm of the evaluations per success, averaged over systems, is fitted by a constant for each round, a line and
a parabola in every constant. The table has, for each constant, its range, the effect of going from the middle of the
range to its upper end (negative: fewer evaluations) with its standard error, and where the parabola is lowest. A second
round draws within a third of the ranges around the point that the first one found. Minutes on a GPU, hours on two
cores. `benchmarks/constants.npz` is a record of the same form, by a forerunner (see docs/training.md).
"""

import argparse
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from ase_learnedopt.metatrain.meta_loss import Goal
from ase_learnedopt.metatrain.population import PRECISION, Job, run
from ase_learnedopt.metatrain.tasks import FAMILIES, Task, draw_batch
from ase_learnedopt.metatrain.trainer import TOLERANCE
from ase_learnedopt.optimizers.hop_state import LearnedHopConfig
from ase_learnedopt.optimizers.learned import load_policy
from ase_learnedopt.optimizers.learned_hop import learned_hop

RANGES = {
    "tolerance": (0.015, 0.06),
    "maxstep": (0.1, 0.3),
    "inverse_curvature": (0.005, 0.02),
    "deform_tolerance": (0.3, 2.0),
    "kT": (0.15, 0.6),
    "shake": (0.2, 0.8),
    "plain_shake": (0.1, 0.4),
    "wall": (0.1, 0.7),
    "wall_exponent": (1.5, 3.0),
    "wall_strength": (0.8, 2.0),
    "patience_per_atom": (0.4, 2.0),
    "known_patience": (0.1, 1.0),
    "more": (0.1, 0.8),
    "atom_temperature": (0.3, 1.5),
    "site_temperature": (0.2, 1.0),
    "exchange_temperature": (0.05, 0.4),
    "give_up": (1.2, 4.0),
}
"""Of the constants, drawn evenly in their logarithms."""
SYSTEMS = "lj27:20000,lj31:30000,lj46:10000,lj53:8000,lj57:12000,Pd14Pt6:8000"
"""With the budget of a run. None of those that the weights are held out from."""
LOWEST = {"Pd14Pt6": -80.8228}
"""eV, lowest energy known where the reference data have none: of 64 runs of 6,000 evaluations, 8 of which find it."""
LATER = 0.35
"""Share of the ranges in the second round."""


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("constants.npz"), help="record to write")
    parser.add_argument("--table", type=Path, help="print the table of a record, and exit")
    parser.add_argument("--only", help="systems that the table is of, with commas; default all")
    parser.add_argument("--systems", default=SYSTEMS, help=f"(default {SYSTEMS})")
    parser.add_argument("--points", type=int, default=256, help="of each round (default 256)")
    parser.add_argument("--starts", type=int, default=32, help="of each system, the same for all points (default 32)")
    parser.add_argument("--seed", type=int, default=810, help="(default 810)")
    arguments = parser.parse_args()
    if arguments.points < 2 * len(RANGES) + 2:
        parser.error(f"--points is {arguments.points}; the fit of {len(RANGES)} constants needs {2 * len(RANGES) + 2}")
    if arguments.table is None:
        measure(arguments)
    record = dict(np.load(arguments.table or arguments.out))
    if arguments.only:
        wanted = arguments.only.split(",")
        if unknown := set(wanted) - set(record["systems"]):
            parser.error(f"--only: {', '.join(sorted(unknown))} not among {', '.join(record['systems'])}")
        record["log_cost"] = record["log_cost"][:, np.isin(record["systems"], wanted)]
    print(table(record))


def measure(arguments) -> None:
    """Runs two rounds and writes the record after each."""
    systems = dict(entry.split(":") for entry in arguments.systems.split(","))
    tasks = {name: task_of(name) for name in systems}
    params = load_policy("learned_hop", "learned_hop")[0]

    def build(point):
        constants = {name: point[k] for k, name in enumerate(RANGES)}
        return learned_hop(params, replace(LearnedHopConfig(), **constants))

    low, high = np.log(np.array(list(RANGES.values()))).T
    default = np.log([getattr(LearnedHopConfig(), name) for name in RANGES])
    default = 2.0 * (default - low) / (high - low) - 1.0
    stream, center, share = np.random.default_rng(arguments.seed), np.zeros(len(RANGES)), 1.0
    record: dict[str, list] = {"points": [], "log_cost": []}
    for round_ in range(2):
        draws = stream.uniform(-1.0, 1.0, (arguments.points, len(RANGES)))
        points = np.clip(center + share * draws, -1.0, 1.0)
        points[0] = default
        values = jnp.asarray(np.exp(low + (points + 1.0) / 2.0 * (high - low)), jnp.float32)

        def cost(name, values=values, round_=round_):
            with jax.default_matmul_precision(PRECISION):
                return log_cost(build, tasks[name], values, arguments, round_, int(systems[name]))

        with ThreadPoolExecutor(1 if jax.default_backend() == "cpu" else len(tasks)) as pool:
            costs = list(pool.map(cost, tasks))
        record["points"].append(points)
        record["log_cost"].append(np.array(costs))
        about = {"names": list(RANGES), "ranges": np.array(list(RANGES.values())), "logarithmic": [True] * len(RANGES)}
        np.savez_compressed(
            arguments.out,
            **about,
            systems=list(tasks),
            default=default,
            **{key: np.array(v) for key, v in record.items()},
        )
        center, share = best_point(fit(dict(np.load(arguments.out)))[0], center), LATER


def task_of(name: str) -> Task:
    """Returns Lennard-Jones clusters by the name they have in benchmarks, or the one alloy."""
    if name in LOWEST:
        (task,) = FAMILIES["gupta"](elements=("Pd", "Pt"), sizes=[20], fractions=[0.7], parameter_set="pd-pt-average")
        return replace(task, reference=LOWEST[name])
    return FAMILIES["lennard_jones"](sizes=[int(name.removeprefix("lj"))])[0]


def log_cost(build, task: Task, values, arguments, round_: int, budget: int) -> np.ndarray:
    """Returns the logarithm of the evaluations per success of every point `[n_points]`."""
    for_starts, for_runs = jax.random.split(jax.random.PRNGKey(arguments.seed + round_))
    scale = float(task.draw(for_starts).energy_scale)
    goal = Goal(*(jnp.float32(x) for x in (task.reference, scale, 1.0, 0.1)))
    job = Job(
        potential=task.potential,
        keys=jax.random.split(for_runs, arguments.starts),
        systems=draw_batch(task, jax.random.split(for_starts, arguments.starts)),
        goal=goal,
        target=jnp.float32(task.reference + TOLERANCE * scale),
        budget=budget,
    )
    outcome = run(build, job, values)
    hits = np.sum(np.asarray(outcome.excess) <= TOLERANCE, axis=1)
    print(f"{task.name}: {np.mean(hits):.1f} of {arguments.starts} starts succeed", flush=True)
    return np.log(np.sum(np.asarray(outcome.n_evaluations), axis=1) / np.maximum(hits, 0.5))


def fit(record) -> tuple[np.ndarray, np.ndarray]:
    """Returns slopes and curvatures `[2, n_constants]` of the mean over systems, and standard errors."""
    rounds, n_points, n = record["points"].shape
    x = record["points"].reshape(-1, n)
    y = np.concatenate([costs.mean(axis=0) for costs in record["log_cost"]])
    design = np.concatenate([np.repeat(np.eye(rounds), n_points, axis=0), x, x**2], axis=1)
    # Slopes beyond one and curvatures beyond a half are not expected of any constant.
    prior = np.diag([0.0] * rounds + [1.0] * n + [2.0] * n)
    inverse = np.linalg.inv(design.T @ design + prior)
    found = inverse @ design.T @ y
    variance = np.sum((y - design @ found) ** 2) / (len(y) - design.shape[1])
    errors = np.sqrt(variance * np.diag(inverse))
    return found[rounds:].reshape(2, n), errors[rounds:].reshape(2, n)


def best_point(effects: np.ndarray, center: np.ndarray) -> np.ndarray:
    """Returns where every parabola is lowest within the ranges; where there is none to speak of, the center."""
    grid = np.linspace(-1.0, 1.0, 81)[:, None]
    costs = effects[0] * grid + effects[1] * grid**2
    gains = costs.min(axis=0) - (effects[0] * center + effects[1] * center**2)
    return np.where(gains < -0.01, grid[np.argmin(costs, axis=0), 0], center)


def table(record) -> str:
    """Returns the effects in Markdown, the largest first."""
    effects, errors = fit(record)
    best = best_point(effects, record["default"])
    rows = [
        "| constant | range | before | effect of the line | of the parabola | lowest at |",
        "|---|---|---|---|---|---|",
    ]
    for k in np.argsort(-np.abs(effects[0])):
        low, high = record["ranges"][k]
        logarithmic = bool(record["logarithmic"][k])

        def value(x, low=low, high=high, logarithmic=logarithmic):
            share = (x + 1.0) / 2.0
            return low * (high / low) ** share if logarithmic else low + share * (high - low)

        rows.append(
            f"| {str(record['names'][k]).replace('_', ' ')} | {low:g} to {high:g} | {value(record['default'][k]):.2g} "
            f"| {effects[0, k]:+.3f} ± {errors[0, k]:.3f} | {effects[1, k]:+.3f} ± {errors[1, k]:.3f} "
            f"| {value(best[k]):.2g} |"
        )
    return "\n".join(rows)


if __name__ == "__main__":
    main()
