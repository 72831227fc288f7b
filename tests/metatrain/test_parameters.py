"""The vector of trained parameters, and the table of tasks."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ase_learnedopt.metatrain.parameters import Parameters, starting_parameters
from ase_learnedopt.metatrain.task_table import LEAST_SPREAD, TaskTable, make_tasks
from ase_learnedopt.optimizers.hop_state import LearnedHopConfig
from ase_learnedopt.optimizers.learn2hop_network import Learn2HopConfig
from ase_learnedopt.optimizers.policy import HEADS, PRIOR, warm_start

LJ = {"family": "lennard_jones", "sizes": [7, 13]}
MORSE = {"family": "morse", "weight": 3.0, "sizes": [7], "ranges": [6]}


def test_zeros_are_the_start():
    parameters = Parameters(warm_start(1))
    jax.tree.map(np.testing.assert_array_equal, parameters(jnp.zeros(parameters.n)), warm_start(1))
    heads = {name: warm_start()[name] for name in HEADS}  # the prior is taught in another way
    assert parameters.n == sum(leaf.size for leaf in jax.tree.leaves(heads))


def test_only_the_chosen_heads_move_and_by_their_scale():
    parameters = Parameters(warm_start(), heads=("hop", "shake"), scales={"shake": 0.5})
    moved = parameters.to_numpy(np.ones(parameters.n))
    for name in HEADS:
        change = jax.tree.map(lambda a, b: np.asarray(a) - np.asarray(b), moved[name], warm_start()[name])
        for leaf in jax.tree.leaves(change):
            np.testing.assert_allclose(leaf, {"hop": 1.0, "shake": 0.5}.get(name, 0.0), atol=1e-6)


def test_a_population_is_a_vmap():
    parameters = Parameters(warm_start(), heads=("hop",))
    population = jax.vmap(parameters)(jnp.zeros((3, parameters.n)))
    assert {leaf.shape[0] for leaf in jax.tree.leaves(population)} == {3}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"heads": ["hops"]}, "no heads hops; there are exchange, give up, hop"),
        ({"scales": {"hop": 0.0}}, "each must be above zero"),
    ],
)
def test_bad_parameters(options, message):
    with pytest.raises(ValueError, match=message):
        Parameters(warm_start(), **options)


def test_shipped_weights_can_be_continued():
    config = LearnedHopConfig()
    assert set(starting_parameters("learned_hop", "learned_hop", config, 0)) == {*HEADS, PRIOR}
    with pytest.raises(ValueError, match="no weights 'nothing'"):
        starting_parameters("learned_hop", "nothing", config, 0)
    with pytest.raises(ValueError, match="those of 'learned_hop', not of 'learn2hop'"):
        starting_parameters("learn2hop", "learned_hop", Learn2HopConfig(), 0)


def test_shares_of_families():
    shares = {task.name: share[0] for task, share in make_tasks([LJ, MORSE])}
    assert shares == {"lj7": 0.5, "lj13": 0.5, "morse7-rho6": 3.0}
    table = TaskTable([LJ, MORSE])
    drawn = [table.draw(0, step).name for step in range(400)]
    assert drawn == [TaskTable([LJ, MORSE]).draw(0, step).name for step in range(400)]
    assert drawn.count("morse7-rho6") / 400 == pytest.approx(0.75, abs=0.07)
    assert drawn != [table.draw(1, step).name for step in range(400)]


def test_calibration_and_the_best_known():
    table = TaskTable([LJ, MORSE])
    lj, morse = table.tasks["lj7"], table.tasks["morse7-rho6"]
    assert not table.is_calibrated(lj)
    table.calibrate(lj, np.array([-15.0, -16.0, np.inf, -14.0]), 2.0)
    assert table.is_calibrated(lj)
    goal = table.goal(lj)
    assert float(goal.reference) == pytest.approx(lj.reference)
    assert float(goal.spread) == pytest.approx((-15.0 - lj.reference) / 2.0)
    assert not table.observe(lj, -100.0)  # its reference is not ours to change
    table.calibrate(morse, np.array([-10.0, -10.0]), 1.0)
    known = {"reference": -10.0, "first_reference": -10.0, "energy_scale": 1.0, "spread": LEAST_SPREAD}
    assert table.known[morse.name] == known
    assert table.observe(morse, -12.0)
    assert not table.observe(morse, -11.0)
    assert float(table.goal(morse).reference) == -12.0
    again = TaskTable([LJ, MORSE], table.known)
    assert again.goal(morse) == table.goal(morse)


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ([LJ, LJ], "task lj7 comes twice"),
        ([{"family": "morse", "size": [3]}], "family morse: .*unexpected keyword argument 'size'"),
        ([{"family": "water"}], "no family 'water'"),
    ],
)
def test_bad_tables(entries, message):
    with pytest.raises(ValueError, match=message):
        TaskTable(entries)


def test_nothing_to_measure_a_unit_with():
    table = TaskTable([LJ])
    with pytest.raises(ValueError, match="lj7: no run of what its unit is measured with"):
        table.calibrate(table.tasks["lj7"], np.array([np.inf]), 1.0)


def test_shares_move_with_the_curriculum():
    table = TaskTable([{**LJ, "weight": [1.0, 0.0]}, {**MORSE, "weight": [0.0, 1.0]}])
    for progress, expected in ((0.0, 0.0), (0.5, 0.5), (1.0, 1.0)):
        share = np.mean([table.draw(0, step, progress).name.startswith("morse") for step in range(400)])
        assert share == pytest.approx(expected, abs=0.1 * (0 < expected < 1))


def test_the_first_goal_never_moves():
    table = TaskTable([MORSE])
    (task,) = table.tasks.values()
    table.calibrate(task, np.array([-3.0, -1.0]), 1.0)
    assert table.observe(task, -7.0)
    assert float(table.first_goal(task).reference) == -3.0
    assert float(table.goal(task).reference) == -7.0
