"""Measures what each trained head of LearnedHop is worth: evaluations per success with it silent.

    python benchmarks/heads.py --out heads

Every policy gets the same starts and random streams. Results are kept in `heads/runs.jsonl`; what is there is not run
again. The table has the mean evaluations per success with its standard error, and the geometric mean of the ratios to
the whole policy; "none" is untrained, "no walls" and "only walls" have one kind of compression. What the head "hop"
says of a cluster early and late in a run:

    python benchmarks/heads.py --outputs
"""

import argparse
import json
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np

PROBLEMS = "lj26:5000,lj31:40000,lj38:20000,lj55:20000,gupta-Ag7Cu6:5000,emt-Cu38:40000"
WALLS = {"no walls": 0.0, "only walls": 1.0}


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", default="learned_hop", help="name or path (default learned_hop)")
    parser.add_argument("--problems", default=PROBLEMS, help=f"with the budget of a run (default {PROBLEMS})")
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
    problems = [(name, int(budget)) for name, budget in (entry.split(":") for entry in arguments.problems.split(","))]
    jobs = [
        (arguments.weights, policy, name, budget, arguments.first_seed, arguments.seeds)
        for policy in policies(arguments.weights)
        for name, budget in problems
        if (policy, name) not in done
    ]
    with ProcessPoolExecutor(arguments.workers) as pool:
        for row in pool.map(measure, jobs):
            rows.append(row)
            with file.open("a") as stream:
                stream.write(json.dumps(row) + "\n")
    print(table(rows, policies(arguments.weights), [name for name, _ in problems]))


def policies(weights: str) -> list[str]:
    """Returns the names of what is compared: all heads, all but one that is not silent, none, all with one `wall`."""
    from ase_learnedopt.optimizers.learned import load_policy

    params, _ = load_policy("learned_hop", weights)
    spoken = [head for head, arrays in params.items() if arrays["output_weights"].any() or arrays["output_bias"].any()]
    return ["all", *(f"without {head}" for head in spoken), "none", *WALLS]


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
    from ase_learnedopt.bench.batched import run_batched
    from ase_learnedopt.bench.problems import get_problem
    from ase_learnedopt.optimizers import learned_hop
    from ase_learnedopt.optimizers.learned import load_policy

    weights, policy, name, budget, first, seeds = job
    params, config = load_policy("learned_hop", "none" if policy == "none" else weights)
    silent, _ = load_policy("learned_hop", "none")
    if policy.startswith("without "):
        head = policy.removeprefix("without ")
        params = {**params, head: silent[head]}
    if policy in WALLS:
        config = replace(config, wall=WALLS[policy])
    problem = get_problem(name)
    target = problem.reference + problem.tolerance  # type: ignore[operator]
    runs = list(
        run_batched(problem, learned_hop(params, config), range(first, first + seeds), budget, target, width=64)
    )
    hits, spent = sum(run.hit for run in runs), sum(run.evaluations for run in runs)
    return {"policy": policy, "problem": name, "budget": budget, "seeds": seeds, "hits": hits, "evaluations": spent}


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
