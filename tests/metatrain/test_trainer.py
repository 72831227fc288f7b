"""The outer loop: its steps follow from seed and number, its numbers add up, its evaluation is its own."""

from dataclasses import replace

import jax
import numpy as np
import pytest

from ase_learnedopt.metatrain import population
from ase_learnedopt.metatrain.config import Curriculum, Evaluation, Loss, Optimizer, Rollout, Strategy, TrainConfig
from ase_learnedopt.metatrain.trainer import REPORT, Trainer

pytest.importorskip("optax")
CONFIG = TrainConfig(
    steps=4,
    rollout=Rollout(budget=120, starts=3),
    strategy=Strategy(members=3, perturbation=0.1),
    evaluation=Evaluation(starts=4),
    families=[{"family": "lennard_jones", "sizes": [5, 7]}],
    held_out=[{"family": "lennard_jones", "sizes": [8]}],
)


@pytest.fixture(scope="module")
def trained():
    trainer = Trainer(CONFIG)
    state, rows = trainer.begin(), []
    for _ in range(CONFIG.steps):
        state, metrics = trainer.step(state)
        rows.append(metrics)
    return trainer, state, rows


def test_metrics_of_steps(trained):
    trainer, state, rows = trained
    assert [row["step"] for row in rows] == [1, 2, 3, 4]
    assert state.step == 4
    assert {row["task"] for row in rows} <= set(trainer.table.tasks)
    assert np.all(np.diff([row["evaluations"] for row in rows]) > 0)
    assert state.evaluations == rows[-1]["evaluations"]
    for row in rows:
        assert 0.0 <= row["success"] <= 1.0
        assert row["diverged"] == 0.0
        assert abs(row["loss"]) <= 10.0


def test_after_warming_up_steps_compile_nothing_and_are_the_same(trained):
    _, _, rows = trained
    compiled = population.begin, population.advance, population.judge
    # Threads have jax's defaults and not what is set around the tests, and what is compiled depends on that.
    with (
        jax.numpy_rank_promotion("allow"),
        jax.numpy_dtype_promotion("standard"),
        jax.default_matmul_precision("highest"),
    ):
        trainer = Trainer(CONFIG)
        state = trainer.begin()
        for task in trainer.table.tasks.values():
            trainer._calibrate(trainer.table, task)  # a program of its own
        trainer.warm_up(state)
        programs = [function._cache_size() for function in compiled]
        _, metrics = trainer.step(state)
    assert [function._cache_size() for function in compiled] == programs
    assert metrics["loss"] == rows[0]["loss"]


def test_the_mean_moves(trained):
    trainer, state, _ = trained
    assert float(np.abs(trainer.strategy.mean(state.strategy)).max()) > 1e-3
    assert not np.asarray(trainer.strategy.mean(trainer.begin().strategy)).any()


def test_a_step_follows_from_its_number(trained):
    """Another trainer, taken to the same state, takes the same step: nothing is remembered outside the state."""
    _, state, rows = trained
    other = Trainer(CONFIG)
    again = other.begin()
    for row in rows:
        again, metrics = other.step(again)
        assert {k: v for k, v in metrics.items() if "second" not in k and "per_s" not in k} == {
            k: v for k, v in row.items() if "second" not in k and "per_s" not in k
        }
    jax.tree.map(np.testing.assert_array_equal, again.strategy, state.strategy)


def test_evaluation_covers_held_out_tasks_and_repeats(trained):
    trainer, state, _ = trained
    mean = trainer.strategy.mean(state.strategy)
    found = trainer.evaluate(mean)
    assert set(found) == {"lj5", "lj7", "lj8"}
    assert found == trainer.evaluate(mean)
    assert found != trainer.evaluate(mean, REPORT)
    for row in found.values():
        assert set(row) == {"loss", "success", "evaluations_per_success", "median_excess", "evaluations"}
    assert found["lj5"]["success"] == 1.0  # the bipyramid is found from any start
    assert found["lj5"]["evaluations_per_success"] < 120


def test_budgets_grow_in_their_logarithm():
    config = replace(CONFIG, rollout=Rollout(budget=800), curriculum=Curriculum(until=30, first_budget=100))
    trainer = Trainer(config)
    assert [trainer.budget(step) for step in (0, 10, 20, 30, 99)] == [100, 200, 400, 800, 800]


def test_bad_configs():
    with pytest.raises(ValueError, match="no heads"):
        Trainer(replace(CONFIG, optimizer=replace(CONFIG.optimizer, heads=["legs"])))
    with pytest.raises(ValueError, match="esmc has 2 members"):
        Trainer(replace(CONFIG, strategy=Strategy(members=2)))


@pytest.mark.parametrize("name", ["esmc", "persistent_es"])
def test_a_run_in_parts_moves_the_strategy_after_each(name):
    if name != "esmc":
        pytest.importorskip("evosax")
    rollout, strategy = Rollout(budget=96, starts=3, unrolls=3), Strategy(name=name, members=4, perturbation=0.1)
    config = replace(CONFIG, rollout=rollout, strategy=strategy)
    trainer = Trainer(config)
    asked, told = [], []
    ask, tell = trainer.strategy.ask, trainer.strategy.tell
    trainer.strategy = trainer.strategy._replace(
        ask=lambda *args: asked.append(1) or ask(*args), tell=lambda *args: told.append(args[2]) or tell(*args)
    )
    state, metrics = trainer.step(trainer.begin())
    assert (len(asked), len(told)) == (3, 3)
    assert metrics["evaluations"] <= 96 * 4 * 3 * 2  # with the calibration
    later, earlier = np.asarray(told[-1]), np.asarray(told[0])
    assert later.mean() < earlier.mean()  # the runs went on where they were
    again, _ = Trainer(config).step(Trainer(config).begin())
    jax.tree.map(np.testing.assert_array_equal, again.strategy, state.strategy)


def test_a_network_for_every_atom_is_trained_as_well():
    optimizer = Optimizer(name="learn2hop", start="random", config={"hidden": [8]})
    strategy = Strategy(members=9, perturbation=0.1)
    trainer = Trainer(replace(CONFIG, optimizer=optimizer, strategy=strategy, loss=Loss(unit="relaxation")))
    assert trainer.constants.hidden == (8,)
    state, metrics = trainer.step(trainer.begin())
    assert metrics["diverged"] == 0.0
    assert float(np.abs(trainer.strategy.mean(state.strategy)).max()) > 1e-3
    spread = trainer.table.known[metrics["task"]]["spread"]
    assert 0.0 < spread < 3.0  # of relaxed structures, and not of a network that knows nothing
