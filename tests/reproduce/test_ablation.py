"""What is taken away is not read or not written any more, and nothing else changes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ase_learnedopt.bench.problems import get_problem
from ase_learnedopt.optimizers.learn2hop import learn2hop
from ase_learnedopt.optimizers.learn2hop_features import SCALARS, VECTORS
from ase_learnedopt.optimizers.learn2hop_network import HOP_OUTPUTS, Learn2HopConfig, random, silent
from ase_learnedopt.reproduce import ablation
from ase_learnedopt.reproduce.ablation import INPUTS, OUTPUTS, best_energies, run_ablation, without

CONFIG = Learn2HopConfig(hidden=(4,))


def test_every_input_and_output_is_in_one_group():
    for name in SCALARS:
        assert sum(belongs(name) for belongs in INPUTS.values()) == 1, name
    grouped = [name for names in OUTPUTS.values() for name in names]
    assert sorted(grouped) == sorted({*VECTORS, *HOP_OUTPUTS})


@pytest.mark.parametrize(("group", "kind"), [("energy", "input"), ("kick", "output"), ("", "")])
def test_nothing_else_changes(group, kind):
    params = random(CONFIG, 1)
    changed = without(params, group, kind)
    same = jax.tree.map(lambda a, b: np.mean(np.asarray(a) == np.asarray(b)), params, changed)
    n_inputs = len(SCALARS)
    layer, move, hop = {
        ("energy", "input"): (1 - 2 / n_inputs, 1 - 2 / (n_inputs + 4), 1 - 2 / (n_inputs + 4)),
        ("kick", "output"): (1.0, 1.0, 1 - 1 / len(HOP_OUTPUTS)),
        ("", ""): (1.0, 1.0, 1.0),
    }[group, kind]
    assert same["layer0"]["weights"] == pytest.approx(layer)
    assert same["move"]["weights"] == pytest.approx(move)
    assert same["hop"]["weights"] == pytest.approx(hop)
    assert same["layer0"]["bias"] == 1.0


def test_a_network_without_its_quasi_newton_step_stays_where_it_is():
    problem, params = get_problem("lj7"), jax.tree.map(jnp.asarray, silent(CONFIG))
    whole, still = (
        best_energies(
            problem, learn2hop(without(params, group, "output" if group else ""), CONFIG), 3, np.array([8, 40])
        )
        for group in ("", "quasi-Newton step")
    )
    np.testing.assert_array_equal(still[0], still[1])
    assert (whole[1] < still[1] - 1.0).all()


def test_the_page(tmp_path, monkeypatch):
    monkeypatch.setattr(ablation, "INPUTS", {"energy": INPUTS["energy"]})
    monkeypatch.setattr(ablation, "OUTPUTS", {"quasi-Newton step": OUTPUTS["quasi-Newton step"]})
    text = run_ablation("lj7", tmp_path, weights="none", n_runs=3, evaluations=60, quiet=True).read_text()
    assert "| energy | input |" in text and "| quasi-Newton step | output |" in text
    assert (tmp_path / "plots" / "ablation.svg").read_text().startswith("<svg")


@pytest.mark.parametrize(("problem", "message"), [("lj7x", "no problem"), ("xtb-Si10", "no potential of ours")])
def test_impossible(problem, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        run_ablation(problem, tmp_path, weights="none")
