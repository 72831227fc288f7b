"""Configs: what is printed can be read again, what is wrong is refused with the way out."""

import tomllib
from dataclasses import replace

import pytest

from ase_learnedopt.metatrain.config import Curriculum, Rollout, TrainConfig
from ase_learnedopt.metatrain.config_file import list_recipes, load_config, parse_config, print_config
from ase_learnedopt.metatrain.task_table import make_tasks


def test_what_is_printed_is_the_default():
    text = print_config()
    assert parse_config(tomllib.loads(text)) == TrainConfig()
    for line in text.splitlines():
        if " = " in line and not line.startswith(("family", "weight", "sizes")):
            assert " # " in line, f"{line} has no meaning"


def test_any_config_can_be_printed_and_read(tmp_path):
    config = replace(
        TrainConfig(),
        seed=3,
        rollout=Rollout(budget=4000, unrolls=4),
        curriculum=Curriculum(until=50, first_budget=500),
        families=[{"family": "gupta", "weight": 0.5, "elements": ["Pd", "Pt"], "sizes": [13, 38], "fractions": [0.5]}],
        held_out=[{"family": "lennard_jones", "weight": [1.0, 0.5], "sizes": [26]}],
    )
    path = tmp_path / "run.toml"
    path.write_text(print_config(config))
    assert load_config(path) == config


def test_a_whole_number_serves_for_a_float():
    assert parse_config({"loss": {"clip": 2}}).loss.clip == 2.0


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ({"sed": 1}, "no setting 'sed'; did you mean seed"),
        ({"strategy": {"popsize": 1}}, "config, strategy: there is no setting 'popsize'; there are name, members"),
        ({"strategy": 3}, r"strategy is 3; give a table \[strategy\]"),
        ({"steps": "many"}, "steps is 'many'; give a int"),
        ({"seed": True}, "seed is True; give a int"),
        ({"steps": 0}, "steps is 0; it must be above zero"),
        ({"loss": {"kind": "best"}}, "loss.kind is 'best'; give one of final"),
        ({"strategy": {"name": "adam"}}, "strategy.name is 'adam'; give one of esmc"),
        ({"families": []}, "no families to train on"),
        ({"families": [{"family": "dipoles"}]}, "family is 'dipoles'; give one of lennard_jones"),
        ({"held_out": [{"family": "morse", "weight": -1}]}, "weight of morse is -1"),
        ({"families": [{"family": "morse", "weight": [1, 2, 3]}]}, r"weight of morse is \[1, 2, 3\]"),
        ({"optimizer": {"name": "adam"}}, "optimizer.name is 'adam'; give one of learned_hop, learn2hop"),
        ({"loss": {"unit": "eV"}}, "loss.unit is 'eV'; give one of policy, relaxation"),
        ({"rollout": {"budget": 3, "unrolls": 4}}, "4 unrolls are more than the evaluations"),
    ],
)
def test_bad_settings(found, message):
    with pytest.raises(ValueError, match=message):
        parse_config(found)


def test_bad_files(tmp_path):
    with pytest.raises(ValueError, match=r"no config .*nothing\.toml: `ase-learnedopt train --print-config`"):
        load_config(tmp_path / "nothing.toml")
    path = tmp_path / "broken.toml"
    path.write_text("seed = [")
    with pytest.raises(ValueError, match=r"broken\.toml is not TOML"):
        load_config(path)


@pytest.mark.parametrize("name", list_recipes())
def test_recipes_can_be_trained_and_printed(name, tmp_path):
    config = load_config(name)
    assert config != TrainConfig()
    assert make_tasks(config.families)
    path = tmp_path / "copy.toml"
    path.write_text(print_config(config))
    assert load_config(path) == config


def test_unknown_recipe():
    with pytest.raises(ValueError, match=r"recipes are .*learn2hop_lj13"):
        load_config("learn2hop_lj14")
