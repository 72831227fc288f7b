"""The sweep: what is chosen on what, trainings in parallel as one by one, one program, tables and files."""

import json
import signal

import jax
import numpy as np
import pytest

from ase_learnedopt.temperature import Sweep, mlp, parallel, sweep_beta, trainer
from ase_learnedopt.temperature.examples import merged
from ase_learnedopt.temperature.parallel import Job, Parallel
from ase_learnedopt.temperature.parts import in_parts
from ase_learnedopt.temperature.steps import Settings, on_device
from ase_learnedopt.temperature.sweep_result import Row, Trial
from ase_learnedopt.temperature.theory import Diagnostics
from ase_learnedopt.temperature.trainer import FAILED, Final
from ase_learnedopt.temperature.training import DIVERGED, train

MODEL = mlp((8,))
SETTINGS = Settings(n_steps=100, batch_size=16, early_stopping=False)


def blobs(n, seed=0):
    random = np.random.RandomState(seed)
    y = random.randint(3, size=n)
    x = np.random.RandomState(9).normal(size=(3, 4))[y] + 0.5 * random.normal(size=(n, 4))
    return x.astype(np.float32), np.array(["a", "b", "c"])[y]


@pytest.fixture(scope="module")
def swept():
    parallel._mapped.cache_clear()
    trials = []
    settings = {"model": MODEL, "settings": SETTINGS, "at_once": 4, "seeds": 2, "final_seeds": 3}
    found = sweep_beta(*blobs(300), betas=(0.1, 3.0), **settings, show=trials.append)
    return found, trials, parallel._mapped(MODEL, "sgd")._cache_size()


def test_one_program_for_everything(swept):
    assert swept[2] == 1


def test_every_beta_is_tried_until_it_does_worse(swept):
    found, shown, _ = swept
    assert found.trials == shown
    assert [row.trial.beta for row in found.rows] == [0.1, 1.0, 3.0]
    for row in found.rows:
        mine = [trial for trial in found.trials if trial.beta == row.trial.beta]
        assert row.trial == max(mine, key=lambda trial: trial.score)
        assert max(trial.rate for trial in mine) > row.trial.rate or row.at_edge
        assert not row.at_edge
        assert len(row.accuracies) == 3
        assert 0.7 < np.mean(row.accuracies) <= 1.0
    assert found.best_.score == max(trial.score for trial in found.trials)


def test_parts_are_disjoint_and_hold_everything(swept):
    assert sum(swept[0].n_examples) == 300


@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_in_parallel_as_one_by_one(solver):
    x, y = blobs(150)
    examples = merged(x, np.unique(y, return_inverse=True)[1], np.ones(150))
    data = on_device(examples, examples, 500)
    jobs = [Job(0.3, 0.05, 1), Job(1.0, 0.01, 1), Job(1.0, 0.01, 2), Job(1.0, 1e30, 1), Job(2.0, 0.002, 3)]
    settings = SETTINGS._replace(solver=solver, weight_decay=0.1)
    found = [made for batch in Parallel(MODEL, examples, 3, settings, at_once=2)(jobs, data) for made in batch]
    assert [made.job for made in found] == jobs
    assert [made.learned for made in found] == [True, True, True, False, True]
    for job, (_, score, _, ended) in zip(jobs, found, strict=True):
        params = MODEL.init(jax.random.key(job.seed), x[:1], 3)
        alone = train(MODEL, params, examples, data, job.beta, job.rate, settings, job.seed)
        if job.rate < 1e20:
            assert score == pytest.approx(alone.score, rel=1e-3)
            assert jax.tree.map(np.shape, ended) == jax.tree.map(np.shape, params)
        assert (score == DIVERGED) == alone.diverged == (job.rate == 1e30)


def test_given_rates_are_those_tried_and_edges_are_told():
    x, y = blobs(200)
    changes = {"model": MODEL, "settings": SETTINGS, "seeds": 1, "final_seeds": 1, "at_once": 2}
    found = sweep_beta(x, y, betas=[1.0], rates=[0.1, 10.0], test=blobs(50, seed=1), **changes)
    assert [trial.factor for trial in found.trials] == [0.1, 10.0]
    assert found.rows[0].at_edge
    assert "(largest tried)" in found.table()
    assert found.n_examples[2] == 50
    assert np.isnan(found.gain()[1])


def test_a_killed_sweep_goes_on_from_its_file(tmp_path, swept):
    """With everything kept nothing is trained again, and the result is the same; with the file cut short, the rest."""
    given = {"model": MODEL, "settings": SETTINGS, "at_once": 4, "seeds": 2, "final_seeds": 3, "betas": (0.1, 3.0)}
    path, count = tmp_path / "kept.json", []
    seen = pytest.MonkeyPatch()
    whole = parallel.Parallel._together
    seen.setattr(parallel.Parallel, "_together", lambda self, jobs, data: count.append(1) or whole(self, jobs, data))
    with seen.context():
        first = sweep_beta(*blobs(300), **given, keep=path)
        n_batches = len(count)
        with seen.context() as nothing:
            nothing.setattr(trainer, "scales_of", None)  # nor is anything diagnosed again
            again = sweep_beta(*blobs(300), **given, keep=path)
        assert len(count) == n_batches
        content = json.loads(path.read_text())
        content["trainings"] = dict(list(content["trainings"].items())[:20])
        path.write_text(json.dumps(content))
        cut = sweep_beta(*blobs(300), **given, keep=path)
    seen.undo()
    assert n_batches < len(count) < 2 * n_batches
    assert first.rows == again.rows == cut.rows == swept[0].rows
    assert first.diagnostics == again.diagnostics
    with pytest.raises(ValueError, match=r"holds other trainings \(settings: .*delete it"):
        sweep_beta(*blobs(300), **{**given, "settings": SETTINGS._replace(momentum=0.5)}, keep=path)
    path.write_text("{")
    with pytest.raises(ValueError, match="is no file of trainings"):
        sweep_beta(*blobs(300), **given, keep=path)


def test_an_interrupted_sweep_returns_what_it_has(tmp_path):
    given = {"model": MODEL, "settings": SETTINGS, "at_once": 4, "seeds": 1, "final_seeds": 1, "betas": (0.1, 3.0)}

    def interrupt(trial):
        if trial.factor > 1.0:
            signal.raise_signal(signal.SIGINT)

    with pytest.warns(UserWarning, match=r"interrupted after 6 trials; it goes on from"):
        found = sweep_beta(*blobs(300), **given, keep=tmp_path / "kept.json", show=interrupt)
    assert found.interrupted == signal.SIGINT
    assert "interrupted before its test" in found.table()
    assert found.plot(tmp_path / "sweep.svg").read_text().startswith("<svg")
    assert json.loads(found.to_json(tmp_path / "sweep.json").read_text())["gain"] is None


def test_usable_rates_and_betas_without_any():
    found = made_up([[0.9, 0.8], [0.8, 0.7]], (0.9, 0.8))
    trials = [Trial(1.0, rate, 1.0, (score, -0.1)) for rate, score in ((0.1, 0.70), (0.2, 0.79), (1.0, 0.781))]
    found = found._replace(trials=[*found.trials, *trials, Trial(9.0, 1.0, 1.0, (0.5, -3.0), learned=False)])
    assert found.window(1.0) == (0.2, 1.0)
    with pytest.raises(ValueError, match="nothing was learned at beta 9"):
        found.window(9.0)
    assert "Nothing was learned at any rate at beta = 9." in found.table()


def test_a_rate_too_large_is_told_though_its_loss_is_finite():
    found = sweep_beta(*blobs(300), model=MODEL, settings=SETTINGS, betas=[1.0], rates=[1.0, 1e9], seeds=1, at_once=2)
    assert [trial.learned for trial in found.trials] == [True, False]
    assert found.best_.factor == 1.0


@pytest.mark.parametrize("scaling", ["features", "whole", "none"])
def test_scaling_is_that_of_examples_to_learn_from(scaling):
    x, y = blobs(200)
    x = x * np.array([1.0, 10.0, 0.0, 1e3], np.float32) + 5.0
    parts = in_parts(x, y, scaling=scaling)
    axis = {"features": 0, "whole": None}.get(scaling)
    if axis is None and scaling == "none":
        assert parts.learn.x.max() > 100.0
        return
    spread = parts.learn.x.std(axis=axis)
    np.testing.assert_allclose(parts.learn.x.mean(axis=axis), 0.0, atol=1e-5)
    np.testing.assert_allclose(spread, [1.0, 1.0, 0.0, 1.0] if scaling == "features" else 1.0, rtol=1e-5)
    assert not np.allclose(parts.test.x.mean(axis=axis), 0.0, atol=1e-5)


def made_up(accuracies, validation, betas=(0.1, 1.0)):
    rows = [
        Row(Trial(beta, 0.5, 1.0, (score, -0.2)), tuple(Final(a, 0.3, 0.04, 0.2, 0.01, 2.0) for a in found), False)
        for beta, found, score in zip(betas, accuracies, validation, strict=True)
    ]
    trials = [*(row.trial for row in rows), Trial(0.1, 50.0, 100.0, DIVERGED, learned=False)]
    return Sweep(rows, trials, Diagnostics(*[1.0] * len(Diagnostics._fields)), Settings(), 3, (60, 20, 20))


@pytest.mark.parametrize(
    ("accuracies", "validation", "best", "gain", "verdict"),
    [
        (
            [[0.9, 0.8, 0.85], [0.85, 0.74, 0.79]],
            (0.9, 0.8),
            0.1,
            (0.056667, 0.003333),
            "+5.67 +- 0.33 points against 1",
        ),
        ([[0.9, 0.8, 0.85], [0.85, 0.9, 0.8]], (0.9, 0.8), 0.1, (0.0, 0.05), "(3 seeds): a tie."),
        ([[0.9, 0.8], [0.1, 0.1]], (0.8, 0.9), 1.0, (0.0, 0.0), "chooses beta = 1."),
        ([[0.9, 0.8], [0.1, 0.1]], (0.9, 0.9), 1.0, (0.0, 0.0), "chooses beta = 1."),
    ],
)
def test_the_gain_is_told_with_its_error(accuracies, validation, best, gain, verdict):
    found = made_up(accuracies, validation)
    assert found.best_.beta == best
    assert found.gain() == pytest.approx(gain, abs=1e-5)
    assert verdict in found.table()
    assert ("a tie" in found.table()) == ("a tie" in verdict)


def test_json_holds_everything_and_is_plain(tmp_path):
    found = made_up([[0.9, 0.0], [0.8, 0.7]], (0.9, 0.8))
    found.rows[0] = found.rows[0]._replace(tests=(found.rows[0].tests[0], FAILED))
    path = found.to_json(tmp_path / "new" / "sweep.json")
    content = json.loads(path.read_text(), parse_constant=pytest.fail)
    assert content["best"] == {
        "beta": 0.1, "rate": 0.5, "factor": 1.0, "accuracy": 0.9, "loss": 0.2, "learned": True,
    }  # fmt: skip
    assert [test["loss"] for test in content["rows"][0]["tests"]] == [0.3, None]
    assert [test["accuracy"] for test in content["rows"][1]["tests"]] == [0.8, 0.7]
    assert content["rows"][0]["usable_rates"] == [0.5, 0.5]
    assert content["trials"][-1] == {
        "beta": 0.1, "rate": 50.0, "factor": 100.0, "accuracy": None, "loss": None, "learned": False,
    }  # fmt: skip
    assert content["settings"]["momentum"] == 0.9


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"betas": [0.0]}, r"betas are \[0\.0\]"),
        ({"seeds": 0}, "seeds, final_seeds and at_once are 0, 5 and 16"),
        ({"held_out": 1.0}, "held_out is 1"),
        ({"scaling": "log"}, "scaling is 'log'; give one of auto, features, whole, none"),
        ({"X": np.zeros(20)}, r"X has the shape \(20,\); give finite numbers \[20, ...\]"),
        ({"X": np.full((20, 2), np.nan)}, "give finite numbers"),
        ({"y": np.arange(20)}, "20 examples of 20 classes cannot be divided"),
        ({"y": np.zeros(20)}, "20 examples of 1 classes cannot be divided"),
        ({"test": (np.zeros((2, 2)), [0, 7])}, r"classes \[7\], which are not among \[0, 1\]"),
        ({"rates": [1e30], "settings": SETTINGS}, "at beta = 1 nothing is learned at any of the rates"),
    ],
)
def test_refusals(changes, message):
    given = {"X": np.random.RandomState(0).normal(size=(20, 2)), "y": np.arange(20) % 2, "model": MODEL, **changes}
    with pytest.raises(ValueError, match=message):
        sweep_beta(**given)
