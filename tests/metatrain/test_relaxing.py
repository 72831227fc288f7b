"""Training of LearnedRelax: what relaxations cost, and that a training which was stopped goes on."""

from dataclasses import replace
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ase_learnedopt.metatrain.config import Evaluation, Optimizer, Rollout, Strategy, TrainConfig
from ase_learnedopt.metatrain.relaxation_cost import TOLERANCES, costs, relaxations
from ase_learnedopt.metatrain.relaxing import make_relax
from ase_learnedopt.metatrain.task_table import make_tasks
from ase_learnedopt.optimizers.learned import load_policy
from ase_learnedopt.optimizers.learned_relax import LearnedRelaxConfig, learned_relax, untrained_relaxation
from ase_learnedopt.weights_io import read_card

BUDGET = 96
CONFIG = TrainConfig(
    steps=3,
    optimizer=Optimizer(name="learned_relax"),
    rollout=Rollout(budget=BUDGET, starts=2),
    strategy=Strategy(name="esmc", members=3, perturbation=0.1, learning_rate=0.05),
    evaluation=Evaluation(starts=2),
    families=[{"family": "lennard_jones", "sizes": [5]}],
)
KINDS = relaxations([task for task, _ in make_tasks(CONFIG.families)], 3, BUDGET, jax.random.PRNGKey(0))


def population(n=1, scale=0.0):
    """Returns the untrained parameters, and others that differ from them."""
    stream = np.random.default_rng(1)

    def of_leaf(leaf):
        return jnp.stack([leaf + scale * (k > 0) * stream.normal(size=leaf.shape).astype(leaf.dtype) for k in range(n)])

    return jax.tree.map(of_leaf, untrained_relaxation())


def test_starts_far_from_a_minimum_come_with_others_near_one():
    assert [kind.name for kind in KINDS] == ["lj5", "lj5, near"]
    far, near = (np.asarray(jax.vmap(k.potential)(k.systems.positions, k.systems)[0]) for k in KINDS)
    assert np.median(near) < -6.0  # the minimum is at -9.10
    assert np.median(far) > np.median(near)


def test_costs_are_evaluations_of_the_optimizer():
    kind = KINDS[1]  # rounding sends paths from far away to other minima
    optimizer = learned_relax(untrained_relaxation(), LearnedRelaxConfig())
    update = jax.jit(lambda state: _update(optimizer, kind.potential, state))
    found = np.exp(np.asarray(costs(kind.potential, LearnedRelaxConfig(), BUDGET, population(), kind.systems)))[0]
    for start in range(3):
        state = optimizer.init(jnp.zeros(2, jnp.uint32), jax.tree.map(lambda leaf, s=start: leaf[s], kind.systems))
        largest = []
        for _ in range(BUDGET):
            state, force = update(state)
            largest.append(float(force))
        for tolerance, cost in zip(TOLERANCES, found[:, start], strict=True):
            number = 1 + int(np.argmax(np.array(largest) < tolerance))
            assert number - 1.001 <= cost <= number + 0.001


def _update(optimizer, potential, state):
    energy, forces = potential(state.positions, state.system)
    return optimizer.update(state, energy, forces), jnp.sqrt(jnp.max(jnp.sum(forces**2, axis=1)))


def test_members_cost_what_they_cost_alone():
    kind = KINDS[1]
    together = costs(kind.potential, LearnedRelaxConfig(), BUDGET, population(3, 0.2), kind.systems)
    alone = costs(kind.potential, LearnedRelaxConfig(), BUDGET, population(), kind.systems)
    np.testing.assert_allclose(together[0], alone[0], atol=0.05)
    assert np.ptp(np.asarray(together), axis=0).max() > 0.01


def test_a_budget_is_the_most_that_counts():
    found = costs(KINDS[0].potential, LearnedRelaxConfig(), 8, population(), KINDS[0].systems)
    np.testing.assert_allclose(np.exp(found), 8.0, rtol=1e-5)


def test_a_training_that_was_stopped_goes_on(tmp_path):
    pytest.importorskip("optax")
    told = []
    whole = make_relax(CONFIG, tmp_path / "whole", "command", show=told.append)
    assert [text.split(":")[0] for text in told] == ["step 1/3", "step 2/3", "step 3/3"]
    assert [p.name for p in sorted(tmp_path.iterdir())] == ["whole.json", "whole.npz"]
    stop = SimpleNamespace(signal=None)
    given = {"stop": stop, "show": lambda _: setattr(stop, "signal", 2)}
    assert make_relax(CONFIG, tmp_path / "parts", "command", **given) is None
    with pytest.raises(ValueError, match="other settings"):
        make_relax(replace(CONFIG, seed=5), tmp_path / "parts", "command")
    assert make_relax(CONFIG, tmp_path / "parts", "command", show=lambda _: None) == tmp_path / "parts.npz"
    one, other = (load_policy("learned_relax", path)[0] for path in (whole, tmp_path / "parts"))
    jax.tree.map(np.testing.assert_array_equal, one, other)
    assert np.abs(one["control"]["weights"]).max() > 0
    card = read_card(whole)
    assert card["budget"]["outer_steps"] == 3
    assert set(card["result"]) == {"lj5", "lj5, near"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"optimizer": Optimizer(name="learned_hop")}, "learned_hop is no relaxation"),
        ({"rollout": Rollout(budget=100)}, "budget is 100; give a multiple of refresh = 8"),
    ],
)
def test_what_cannot_be_trained(tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        make_relax(replace(CONFIG, **changes), tmp_path / "x", "command")
