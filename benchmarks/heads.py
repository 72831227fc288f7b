"""Measures what each trained head of LearnedHop is worth: evaluations per success with it silent.

    python benchmarks/heads.py --out heads

Every policy gets the same starts and random streams. Results are kept in `heads/runs.jsonl`; what is there is not run
again. The table has the mean evaluations per success with its standard error, and the geometric mean of the ratios to
the whole policy; "prior" is what the model of the energy knows before a run, "none" is untrained, "no walls" and "only
walls" have one kind of compression, and with "nothing imagined" hops are not tried in a model of the energy first. What
the head "hop" says of a cluster early and late in a run:

    python benchmarks/heads.py --outputs
"""

import argparse
import json
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np

PROBLEMS = "lj26:5000,lj31:40000,lj38:20000,lj55:20000,gupta-Ag7Cu6:5000,emt-Cu38:40000"
WALLS = {"no walls": 0.0, "only walls": 1.0}
BLIND = ", nothing imagined"


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", default="learned_hop", help="name or path (default learned_hop)")
    parser.add_argument("--problems", default=PROBLEMS, help=f"with the budget of a run (default {PROBLEMS})")
    parser.add_argument(
        "--policies", help='of the table, with semicolons between them (default: all); "all" must be one'
    )
    parser.add_argument("--first-seed", type=int, default=91000, help="(default 91000)")
    parser.add_argument("--seeds", type=int, default=96, help="of each problem (default 96)")
    parser.add_argument("--workers", type=int, default=2, help="processes (default 2)")
    parser.add_argument("--out", type=Path, default=Path("heads"), help="folder of the results (default heads)")
    parser.add_argument("--outputs", action="store_true", help="print outputs of the head hop, and exit")
    arguments = parser.parse_args()
    if arguments.outputs:
        print(outputs(arguments.weights))
        return
    arguments.out.mkdir(parents=True, exist_ok=True)
    file = arguments.out / "runs.jsonl"
    rows = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    done = {(row["policy"], row["problem"]) for row in rows}
    wanted = {name.strip() for name in (arguments.policies or "").split(";")}
    problems = [(name, int(budget)) for name, budget in (entry.split(":") for entry in arguments.problems.split(","))]
    unknown = wanted - {"", *policies(arguments.weights)}
    if unknown or (arguments.policies and "all" not in wanted):
        parser.error(f"--policies must have all, and others of {'; '.join(policies(arguments.weights))}")
    chosen = [name for name in policies(arguments.weights) if not arguments.policies or name in wanted]
    jobs = [
        (arguments.weights, policy, name, budget, arguments.first_seed, arguments.seeds)
        for policy in chosen
        for name, budget in problems
        if (policy, name) not in done
    ]
    with ProcessPoolExecutor(arguments.workers, mp_context=get_context("spawn")) as pool:
        for row in pool.map(measure, jobs):
            rows.append(row)
            with file.open("a") as stream:
                stream.write(json.dumps(row) + "\n")
    print(table(rows, chosen, [name for name, _ in problems]))


def policies(weights: str) -> list[str]:
    """Returns the names of what is compared: all heads, all but one that is not silent, none, all with one `wall`."""
    from ase_learnedopt.optimizers.learned import load_policy

    params, _ = load_policy("learned_hop", weights)
    silent, _ = load_policy("learned_hop", "none")
    taught = [part for part in params if not _same_outputs(params[part], silent[part])]
    return ["all", *(f"without {part}" for part in taught), "none", *WALLS, f"all{BLIND}", f"none{BLIND}"]


def _same_outputs(arrays: dict, untrained: dict) -> bool:
    """Says whether a part says what it said untrained; the layers before a silent last one make no difference."""
    last = [key for key in arrays if not key.startswith("hidden")]
    return all(np.array_equal(arrays[key], untrained[key]) for key in last)


def outputs(weights: str, n_atoms: int = 38) -> str:
    """Returns what the head hop writes at the first hop, and after 500 hops and 8 restarts at a stall; no budget."""
    from ase_learnedopt.optimizers.learned import load_policy
    from ase_learnedopt.optimizers.networks import apply_head
    from ase_learnedopt.optimizers.policy import HOP_FEATURES, HOP_OUTPUTS

    head = load_policy("learned_hop", weights)[0]["hop"]
    columns = []
    for hops, restarts, stall in ((0, 0, 0.0), (500, 8, 1.0)):
        features = dict.fromkeys(HOP_FEATURES, 0.0)
        features |= {"log n_atoms": np.log(n_atoms) / 5, "arm deforms": 1.0, "stall": stall}
        features |= {"log hops": np.log1p(hops) / 5, "log restarts": np.log1p(restarts) / 3}
        columns.append(apply_head(head, np.array(list(features.values()), np.float32)))
    return "\n".join(
        f"{name:22}{early:8.2f}{late:8.2f}" for name, early, late in zip(HOP_OUTPUTS, *columns, strict=True)
    )


def measure(job: tuple[str, str, str, int, int, int]) -> dict[str, object]:
    """Runs one policy on one problem."""
    import jax

    from ase_learnedopt.bench.problems import get_problem
    from ase_learnedopt.optimizers.hop_state import count_kinds
    from ase_learnedopt.optimizers.learned import load_policy

    weights, policy, name, budget, first, seeds = job
    params, config = load_policy("learned_hop", "none" if policy.startswith("none") else weights)
    silent, _ = load_policy("learned_hop", "none")
    if policy.startswith("without "):
        head = policy.removeprefix("without ")
        params = {**params, head: silent[head]}
    if policy in WALLS:
        config = replace(config, wall=WALLS[policy])
    problem = get_problem(name)
    config = replace(config, kinds=count_kinds(problem.start(first).numbers))
    if policy.endswith(BLIND):
        config = replace(config, imagined=0)
    run = run_in_batches if policy.endswith(BLIND) else run_one_by_one
    hits, spent = run(problem, params, config, range(first, first + seeds), budget)
    jax.clear_caches()  # a process that keeps what it has compiled for many policies runs out of memory maps
    return {"policy": policy, "problem": name, "budget": budget, "seeds": seeds, "hits": hits, "evaluations": spent}


def run_in_batches(problem, params, config, seeds, budget: int) -> tuple[int, int]:
    """Returns the number of successes and all evaluations; quick where nothing is imagined."""
    from ase_learnedopt.bench.batched import run_batched
    from ase_learnedopt.optimizers import learned_hop

    target = problem.reference + problem.tolerance
    runs = list(run_batched(problem, learned_hop(params, config), seeds, budget, target, width=64))
    return sum(run.hit for run in runs), sum(run.evaluations for run in runs)


def run_one_by_one(problem, params, config, seeds, budget: int) -> tuple[int, int]:
    """Returns the number of successes and all evaluations; as ASE runs it, and `ase-learnedopt bench run`."""
    from ase_learnedopt.bench.counting import Evaluator, RunEnded
    from ase_learnedopt.bench.single import drive
    from ase_learnedopt.optimizers import learned_hop

    hits = spent = 0
    for seed in seeds:
        atoms = problem.start(seed)
        evaluator = Evaluator(atoms, problem.calculator(), budget, problem.reference + problem.tolerance)
        with suppress(RunEnded):
            drive(problem, atoms, evaluator, seed, learned_hop, params, config)
        hits, spent = hits + (evaluator.hit_at is not None), spent + evaluator.n_evaluations
    return hits, spent


def table(rows: list[dict], names: list[str], problems: list[str]) -> str:
    """Returns a table in Markdown."""
    cells = {(row["policy"], row["problem"]): row for row in rows}
    lines = [f"| heads | {' | '.join(problems)} | ratio to all |", f"|---|{'---|' * len(problems)}---|"]
    for policy in names:
        costs = [_cost(cells[policy, name]) for name in problems]
        whole = [_cost(cells["all", name])[0] for name in problems]
        ratio = np.exp(np.mean(np.log([cost / best for (cost, _), best in zip(costs, whole, strict=True)])))
        values = " | ".join(f"{cost:,.0f} ± {error:,.0f}" for cost, error in costs)
        lines.append(f"| {policy} | {values} | {ratio:.2f} |")
    return "\n".join(lines)


def _cost(row: dict) -> tuple[float, float]:
    """Returns evaluations per success and their standard error, as of times that are spread like an exponential."""
    hits = max(row["hits"], 1)
    return row["evaluations"] / hits, row["evaluations"] / hits**1.5


if __name__ == "__main__":
    main()
