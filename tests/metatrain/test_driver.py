"""A run in a folder: what it leaves, how it goes on, what it refuses."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.lj import LennardJones

from ase_learnedopt import LearnedHop
from ase_learnedopt.cli import main
from ase_learnedopt.metatrain.checkpoint import load_checkpoint
from ase_learnedopt.metatrain.config import Evaluation, Rollout, Strategy, TrainConfig
from ase_learnedopt.metatrain.config_file import load_config, print_config
from ase_learnedopt.metatrain.driver import finite, train
from ase_learnedopt.metatrain.export import export
from ase_learnedopt.metatrain.plot import plot
from ase_learnedopt.metatrain.trainer import Trainer
from ase_learnedopt.one_writer import one_writer
from ase_learnedopt.weights_io import load_weights

pytest.importorskip("optax")
CONFIG = TrainConfig(
    steps=6,
    checkpoint_s=1e-9,
    rollout=Rollout(budget=60, starts=2),
    strategy=Strategy(members=3, perturbation=0.1),
    evaluation=Evaluation(every=2, starts=2),
    families=[{"family": "lennard_jones", "sizes": [5]}],
)


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def final(folder, config=CONFIG):
    trainer = Trainer(config)
    state, best = load_checkpoint(folder / "checkpoint.npz", trainer)
    return np.asarray(trainer.strategy.mean(state.strategy)), best


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    shown = []
    best = train(CONFIG, folder, show=shown.append)
    return folder, best, shown


def test_what_a_run_leaves(whole):
    folder, best, shown = whole
    assert load_config(folder / "config.toml") == CONFIG
    assert [row["step"] for row in lines(folder / "metrics.jsonl")] == [1, 2, 3, 4, 5, 6]
    assert [row["step"] for row in lines(folder / "evaluation.jsonl")] == [2, 4, 6]
    assert best.score == min(row["score"] for row in lines(folder / "evaluation.jsonl"))
    assert ["evaluation" in row for row in shown] == [False, True] * 3
    assert not list(folder.glob(".*"))
    np.testing.assert_array_equal(final(folder)[1].vector, best.vector)


def test_a_run_that_was_stopped_goes_on_to_the_same_end(whole, tmp_path):
    assert train(CONFIG, tmp_path, minutes=1e-9) is None
    assert not (tmp_path / "metrics.jsonl").exists()

    def stop(metrics):
        if metrics["step"] == 3:
            os.kill(os.getpid(), signal.SIGTERM)

    train(CONFIG, tmp_path, resume=True, show=stop)
    assert [row["step"] for row in lines(tmp_path / "metrics.jsonl")] == [1, 2, 3]
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 4, "los')
    train(CONFIG, tmp_path, resume=True)
    assert [row["step"] for row in lines(tmp_path / "metrics.jsonl")] == [1, 2, 3, 4, 5, 6]
    np.testing.assert_array_equal(final(tmp_path)[0], final(whole[0])[0])
    assert lines(tmp_path / "evaluation.jsonl") == lines(whole[0] / "evaluation.jsonl")


@pytest.mark.slow
def test_a_killed_run_goes_on_to_the_same_end(whole, tmp_path):
    config = tmp_path / "run.toml"
    config.write_text(print_config(CONFIG))
    code = (
        "import sys\nfrom ase_learnedopt.metatrain.config_file import load_config\n"
        "from ase_learnedopt.metatrain.driver import train\n"
        "train(load_config(sys.argv[1]), sys.argv[2])\n"
    )
    folder = tmp_path / "run"
    with subprocess.Popen([sys.executable, "-c", code, str(config), str(folder)], cwd=Path(__file__).parents[2]) as run:
        while run.poll() is None:  # without a limit: on a busy machine minutes pass before the first checkpoint
            if (folder / "checkpoint.npz").exists() and len((folder / "metrics.jsonl").read_text().splitlines()) >= 2:
                break
            time.sleep(0.01)
        run.kill()
    train(CONFIG, folder, resume=True)
    np.testing.assert_array_equal(final(folder)[0], final(whole[0])[0])
    assert [row["step"] for row in lines(folder / "metrics.jsonl")] == [1, 2, 3, 4, 5, 6]


def test_refuses_to_mix_runs(whole, tmp_path):
    folder = whole[0]
    with pytest.raises(ValueError, match="holds a training run: give --resume"):
        train(CONFIG, folder)
    with pytest.raises(ValueError, match="config, rollout, budget = 60, not 80"):
        train(replace(CONFIG, rollout=Rollout(budget=80, starts=2)), folder, resume=True)
    with pytest.raises(ValueError, match="no training to resume"):
        train(CONFIG, tmp_path, resume=True)
    (tmp_path / "checkpoint.npz").write_bytes((folder / "checkpoint.npz").read_bytes()[:-200])
    with pytest.raises(ValueError, match="is damaged"):
        train(CONFIG, tmp_path, resume=True)


def test_weights_of_a_run_can_be_used(whole, tmp_path):
    path = export(whole[0], tmp_path / "mine")
    params, card = load_weights(path, expect={"architecture": "learned_hop"})
    assert card["chosen_by"] == finite(whole[1].evaluation)
    assert card["result"].keys() == card["chosen_by"].keys()
    assert card["result"] != card["chosen_by"]  # starts that nothing was chosen on
    assert card["training"]["rollout"]["budget"] == 60
    assert card["tasks"] == ["lj5"]
    assert card["budget"]["judging"] == sum(
        row["tasks"]["lj5"]["evaluations"] for row in lines(whole[0] / "evaluation.jsonl")
    )
    expected = Trainer(CONFIG).parameters.to_numpy(whole[1].vector)
    for name, head in params.items():
        for key, value in head.items():
            np.testing.assert_array_equal(value, expected[name][key])
    atoms = Atoms("Ar5", np.random.default_rng(0).normal(size=(5, 3)) * 3.0, calculator=LennardJones(sigma=3.4))
    before = atoms.get_potential_energy()
    opt = LearnedHop(atoms, weights=path, logfile=None, seed=0)
    opt.run(fmax=0.05, steps=50)
    assert opt.best_energy < before


@pytest.mark.parametrize("resume", [False, True])
def test_one_process_writes_to_a_folder(tmp_path, resume):
    if resume:
        train(CONFIG, tmp_path, minutes=1e-9)
    lock = tmp_path / "train.lock"
    with one_writer(lock, "another"):
        before = {path: path.read_bytes() for path in tmp_path.iterdir()}
        with pytest.raises(ValueError, match=f"{tmp_path} is being written to by process {os.getpid()} on "):
            train(CONFIG, tmp_path, minutes=1e-9, resume=resume)
        assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
    train(CONFIG, tmp_path, minutes=1e-9, resume=resume)
    assert not lock.exists()


def test_export_needs_an_evaluation(tmp_path):
    train(CONFIG, tmp_path, minutes=1e-9)
    with pytest.raises(ValueError, match="no evaluation yet"):
        export(tmp_path, tmp_path / "mine")


def test_curves(whole, tmp_path):
    pytest.importorskip("matplotlib")
    text = plot(whole[0]).read_text()
    assert text.count("<svg") == 1
    with pytest.raises(ValueError, match="holds no training run"):
        plot(tmp_path)


def test_command(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["train", "--print-config"]) == 0
    assert load_config_text(capsys.readouterr().out, tmp_path) == TrainConfig()
    assert main(["train", "--print-config", "learn2hop_lj13"]) == 0
    assert load_config_text(capsys.readouterr().out, tmp_path) == load_config("learn2hop_lj13")
    Path("run.toml").write_text(print_config(replace(CONFIG, steps=2)))
    assert main(["train", "run", "run.toml", "--out", "run"]) == 0
    out = capsys.readouterr().out
    assert "best after step 2" in out
    assert "lj5" in out
    assert main(["train", "export", "run", "mine"]) == 0
    assert Path("mine.npz").exists()
    assert main(["train"]) == 1
    assert "say what to do" in capsys.readouterr().err
    assert main(["train", "run", "run.toml", "--out", "run"]) == 1
    assert "give --resume" in capsys.readouterr().err


def load_config_text(text, folder):
    path = folder / "printed.toml"
    path.write_text(text)
    return load_config(path)
