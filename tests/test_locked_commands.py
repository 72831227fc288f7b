"""Every command that writes has its place to itself: another process is refused, a dead one is in nobody's way."""

import argparse
import json
import os
from pathlib import Path

import pytest
from ase import Atoms

from ase_learnedopt.bench.runner import Job, results_file, run_benchmark
from ase_learnedopt.cli import _parser, main
from ase_learnedopt.one_writer import _this_process, one_writer

CONFIG = """
steps = 1
[rollout]
budget = 20
starts = 1
[strategy]
members = 3
[[families]]
family = "lennard_jones"
sizes = [5]
"""
RUN = ["--problem", "lj5,lj6", "--method", "basin_hopping", "--seeds", "1", "--evaluations", "20"]
COMPARE = ["--problems", "lj38", "--seeds", "1"]
LOCKED = {  # command: its arguments, the lock, and what begins its work
    "search": (["Cu7", "--out", "x"], "x/search.lock", "search.run.check_calculator"),
    "relax": (["c.xyz", "--out", "r.traj"], "r.traj.relaxing/relax.lock", "search.relaxing._prepare"),
    "bench run": ([*RUN, "--out", "x"], "x/lj5__basin_hopping.jsonl.lock", "bench.runner.run_seeds"),
    "bench speed": (["--out", "x"], "x/speed.lock", "bench.speed.measure_speed"),
    "train run": (["c.toml", "--out", "x"], "x/train.lock", "metatrain.driver._loop"),
    "train give-up": (["learned_hop_give_up", "--out", "x"], "x.lock", "metatrain.give_up.make_give_up"),
    "train prior": (["learned_hop", "--out", "x"], "x.lock", "metatrain.energy_prior.make_prior"),
    "train relax": (["learned_relax", "--out", "x.npz"], "x.npz.lock", "metatrain.relaxing.make_relax"),
    "train export": (["training", "x"], "x.lock", "metatrain.export.export"),
    "reproduce learn2hop clusters": ([*COMPARE, "--out", "x"], "x/lj38__learn2hop*.lock", "bench.runner.run_seeds"),
    "reproduce learn2hop hopping": (["--out", "x"], "x/reproduce.lock", "reproduce.hopping_page.run_hopping"),
    "reproduce learn2hop ablation": (["--out", "x"], "x/reproduce.lock", "reproduce.ablation.run_ablation"),
    "temperature sweep": (["iris", "--out", "x"], "x/trainings.json.lock", "temperature.sweep.Trainer"),
    "temperature reproduce": (["collapse", "--out", "x"], "x/collapse.lock", "temperature.claims.Work"),
}
LIKE_ANOTHER = {"reproduce learn2hop gupta", "reproduce learn2hop silicon"}
IN_TURNS = {"reproduce learn2hop training"}  # several processes share the work, see reproduce/turns.py
WHOLE_FILES = {"bench report", "bench adopt", "train plot"}  # made of what is there, and put in place in one move
READERS = {"bench list", "train", "weights list", "weights show", "temperature diagnose"}


@pytest.fixture(params=LOCKED, ids=lambda name: name)
def command(request, tmp_path, monkeypatch):
    """Returns a command, its lock, and when it has begun its work, the lock as it was then; the work is left out."""
    if request.param == "train run":
        pytest.importorskip("evosax")
    monkeypatch.chdir(tmp_path)
    Atoms("Cu2", [[0, 0, 0], [0, 0, 2.5]]).write("c.xyz")
    Path("c.toml").write_text(CONFIG)
    arguments, lock, work = LOCKED[request.param]
    if "*" in lock:
        lock = _first_of_clusters()
    seen = []

    def begin(*_, **__):
        seen.append(json.loads(Path(lock).read_text()))
        raise ValueError("it has begun")

    monkeypatch.setattr(f"ase_learnedopt.{work}", begin)
    return [*request.param.split(), *arguments], tmp_path / lock, seen


def _first_of_clusters():
    from ase_learnedopt.reproduce.experiments import EXPERIMENTS

    weights = EXPERIMENTS["clusters"].weights[0]
    return f"{results_file('x', Job('lj38', 'learn2hop', 1, weights))}.lock"


def files():
    return {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()}


def test_another_process_is_refused(command, capsys):
    arguments, lock, seen = command
    lock.parent.mkdir(exist_ok=True)
    with one_writer(lock, "another"):
        before = files()
        assert main(arguments) == 1
        assert files() == before
    printed, errors = capsys.readouterr()
    assert (printed, errors.count("\n"), seen) == ("", 1, [])
    assert f" is being written to by process {os.getpid()} on " in errors
    assert errors.startswith("ase-learnedopt: ") and errors.endswith(f"delete {lock}\n")


@pytest.mark.parametrize("stale", [False, True])
def test_a_free_place_and_one_of_a_dead_process_are_taken(command, capsys, stale):
    arguments, lock, seen = command
    if stale:
        lock.parent.mkdir(exist_ok=True)
        lock.write_text(json.dumps({**_this_process(), "pid": 2**22 - 3}))
    assert main(arguments) == 1
    assert capsys.readouterr().err == "ase-learnedopt: it has begun\n"
    assert [holder["pid"] for holder in seen] == [os.getpid()]
    assert not lock.exists()


def test_the_table_has_all_commands():
    def leaves(parser, name=()):
        inner = [a for a in parser._actions if isinstance(a, argparse._SubParsersAction)]
        if not inner or (not inner[0].required and name):
            yield " ".join(name)
        for action in inner:
            for word, child in action.choices.items():
                yield from leaves(child, (*name, word))

    assert sorted(leaves(_parser())) == sorted({*LOCKED, *LIKE_ANOTHER, *IN_TURNS, *WHOLE_FILES, *READERS})


def test_runs_of_a_benchmark_share_a_folder_each_at_its_own_file(tmp_path):
    jobs = [Job("lj5", "basin_hopping", 20), Job("lj6", "basin_hopping", 20)]
    with one_writer(results_file(tmp_path, jobs[0]).with_name("lj5__basin_hopping.jsonl.lock"), "another"):
        with pytest.raises(ValueError, match=f"{results_file(tmp_path, jobs[0])} is being written to by process"):
            list(run_benchmark(jobs[0], [1], tmp_path))
        assert len(list(run_benchmark(jobs[1], [1], tmp_path))) == 1
    assert len(list(run_benchmark(jobs[0], [1], tmp_path))) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"{p}__basin_hopping.jsonl" for p in ("lj5", "lj6")]
