"""The head that gives up learns from steps that are labelled with how their relaxations ended."""

import dataclasses

import jax
import numpy as np
import pytest

from ase_learnedopt.cli import main
from ase_learnedopt.metatrain import give_up
from ase_learnedopt.metatrain.config_file import parse_config
from ase_learnedopt.metatrain.give_up import Steps, collect, judge, make_give_up, train_head
from ase_learnedopt.metatrain.tasks import lennard_jones_clusters
from ase_learnedopt.optimizers.hop_state import LearnedHopConfig
from ase_learnedopt.optimizers.learned import load_policy
from ase_learnedopt.optimizers.learned_hop import learned_hop
from ase_learnedopt.optimizers.policy import GIVE_UP_FEATURES, warm_start

CONFIG = LearnedHopConfig(give_up=float("inf"), unrolled=False)
FAMILIES = [{"family": "lennard_jones", "sizes": [19]}]


def made_up(n=2000):
    """Returns steps whose class is the sign of the first feature, and nothing else."""
    features = np.random.default_rng(0).normal(size=(n, len(GIVE_UP_FEATURES))).astype(np.float32)
    return Steps(features, features[:, 0] > 0.0, np.ones(n, int))


def test_steps_are_labelled_by_the_minimum_they_came_to():
    ended = np.array([[0, 0], [1, 0], [0, 1], [0, 0], [1, 0], [0, 0]], bool)
    accepted = np.array([[0, 0], [1, 0], [0, 0], [0, 0], [0, 0], [0, 0]], bool)
    features = np.arange(12.0).reshape(6, 2, 1)
    steps = give_up._label(features, ~ended, ended, accepted)
    assert steps.features[:, 0].tolist() == [0.0, 1.0, 3.0, 4.0, 6.0]  # the last ones came to no minimum
    assert steps.rejected.tolist() == [False, True, True, True, True]
    assert steps.left.tolist() == [1, 2, 1, 2, 1]


def test_steps_of_real_runs():
    params = warm_start()
    (task,) = lennard_jones_clusters([19])
    steps = collect(task, learned_hop(params, CONFIG), params, CONFIG, jax.random.PRNGKey(0), 4, 250)
    assert steps.features.shape == (len(steps.left), len(GIVE_UP_FEATURES)) and len(steps.left) > 100
    assert np.isfinite(steps.features).all() and (steps.left > 0).all()
    assert 0.1 < steps.rejected.mean() < 0.95
    above = steps.features[:, GIVE_UP_FEATURES.index("energy above acceptance")]
    name = "energy less half the predicted decrease above the last minimum"
    same = np.abs(steps.features[:, GIVE_UP_FEATURES.index(name)]) < 0.03
    near = steps.left <= 2  # at the end a step knows
    assert ((above > 0) | same)[near & steps.rejected].mean() > 0.9
    assert (above[near & ~steps.rejected] < 0.1).mean() > 0.9


def test_the_head_writes_log_odds():
    steps = made_up()
    head = train_head(steps, n_steps=400)
    assert judge(head, steps, 3.0)["accuracy"] > 0.9
    wrong = judge(head, steps._replace(rejected=~steps.rejected), 3.0)
    right = judge(head, steps, 3.0)
    assert wrong["accuracy"] == pytest.approx(1.0 - right["accuracy"])
    assert right["given_up_of_accepted"] < 0.05 < right["given_up_of_rejected"]


def test_one_class_is_not_enough():
    steps = made_up(50)
    with pytest.raises(ValueError, match="all 50 steps led to minima of one kind"):
        train_head(steps._replace(rejected=np.ones(50, bool)))


def test_the_command_makes_weights(tmp_path, capsys, monkeypatch):
    file = tmp_path / "small.toml"
    file.write_text('[rollout]\nbudget = 250\nstarts = 4\n[[families]]\nfamily = "lennard_jones"\nsizes = [19]\n')
    monkeypatch.setattr(give_up, "train_head", lambda steps, seed: train_head(steps, seed, 100))
    assert main(["train", "give-up", str(file), "--out", str(tmp_path / "mine")]) == 0
    assert "lj19:" in capsys.readouterr().out
    params, config = load_policy("learned_hop", tmp_path / "mine")
    assert np.any(params["give up"]["output_weights"]) and not np.any(params["hop"]["output_weights"])
    assert dataclasses.replace(config, unrolled=True) == LearnedHopConfig()


def test_a_task_that_is_solved_at_once_teaches_nothing(tmp_path):
    small = {"rollout": {"budget": 60, "starts": 1}, "families": [{"family": "lennard_jones", "sizes": [3]}]}
    with pytest.raises(ValueError, match=r"lj3 gave no steps: .* raise rollout.budget above 60"):
        make_give_up(parse_config(small), tmp_path / "x", "")


def test_only_learned_hop_gives_up(tmp_path):
    with pytest.raises(ValueError, match="learn2hop does not give up"):
        make_give_up(parse_config({"optimizer": {"name": "learn2hop"}, "families": FAMILIES}), tmp_path / "x", "")
