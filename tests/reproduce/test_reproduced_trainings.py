"""Variants of meta-training differ in what their name says and in nothing else; a stopped comparison goes on."""

from dataclasses import asdict

import pytest

pytest.importorskip("evosax")

from ase_learnedopt.reproduce import training
from ase_learnedopt.reproduce.training import RESULT, VARIANTS, config_of, folder_of, run_training


@pytest.mark.parametrize("name", VARIANTS)
def test_variants_differ_in_what_they_say(name):
    plain, other = (asdict(config_of(n, 1)) for n in ("as shipped (esmc)", name))
    changed = {f"{part}.{key}" for part in plain if isinstance(plain[part], dict)
               for key in plain[part] if plain[part][key] != other[part][key]}  # fmt: skip
    assert changed == {f"{part}.{key}" for part, changes in VARIANTS[name].items() for key in changes}
    assert {part for part in plain if plain[part] != other[part]} == set(VARIANTS[name])


def test_a_comparison_runs_and_goes_on(tmp_path, monkeypatch, capsys):
    small = {"rollout": {"budget": 16, "starts": 2}, "evaluation": {"every": 1, "starts": 2},
             "strategy": training.BASE["strategy"] | {"members": 4},
             "families": [{"family": "lennard_jones", "sizes": [3]}],
             "held_out": [{"family": "lennard_jones", "sizes": [4]}]}  # fmt: skip
    monkeypatch.setattr(training, "BASE", training.BASE | small)
    monkeypatch.setattr(training, "VARIANTS", {name: VARIANTS[name] for name in ("as shipped (esmc)", "simple_ga")})
    text = run_training(tmp_path, seeds=(1,), steps=2).read_text()
    assert "| as shipped (esmc) |" in text and "| simple_ga |" in text
    assert "lj4 is never trained on" in text
    assert capsys.readouterr().out.count("done") == 2
    (folder_of(tmp_path, "simple_ga", 1) / RESULT).unlink()
    assert run_training(tmp_path, seeds=(1,), steps=2).read_text() == text
    assert capsys.readouterr().out.count("done") == 1
