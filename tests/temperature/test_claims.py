"""The claims: what is said of figures that are known, and that each runs to its page and goes on where it was."""

import json
import re
from types import SimpleNamespace

import jax
import numpy as np
import pytest

from ase_learnedopt.temperature import mlp, parallel
from ase_learnedopt.temperature.claims import (
    CLAIMS,
    PAIRS,
    collapse,
    generalisation,
    reproduce,
    stability,
    sweeps,
    tuned,
)
from ase_learnedopt.temperature.claims.pairs import Pair
from ase_learnedopt.temperature.parallel import Job
from ase_learnedopt.temperature.theory import centred, rms

TINY = Pair(lambda: mlp((6,)), "iris")


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    """A pair that takes seconds, and fewer betas, starts and steps."""
    monkeypatch.setitem(PAIRS, "iris-tiny", TINY)
    monkeypatch.setattr(generalisation, "BETAS", (0.1, 10.0))
    monkeypatch.setattr(generalisation, "STARTS", (0.0, 1.0, 10.0))
    monkeypatch.setattr(generalisation, "WEAK", 2)
    monkeypatch.setattr(stability, "BETAS", (0.01, 1.0))
    monkeypatch.setattr(stability, "STEPS", (1e-2, 1e-1, 1e3))


@pytest.mark.parametrize("name", CLAIMS)
def test_every_claim_runs_and_is_written(tmp_path, name):
    docs = tmp_path / "docs"
    n = 1 if name == "collapse" else 2
    found, page = reproduce(name, tmp_path / "out", pairs=["iris-tiny"], short=True, docs=docs, splits=n)
    text = page.read_text()
    assert f"### {CLAIMS[name].title}" in text
    assert "iris-tiny: " in text
    assert "nan" not in text
    command = f"reproduce {name} --first-split 7200 --splits {n} --pairs iris-tiny --short --out temperature"
    assert command in text
    assert [verdict.pair for verdict in found.verdicts] == ["iris-tiny"]
    assert json.loads((tmp_path / "out" / f"{name}.json").read_text())["claim"] == name
    for plot in found.plots:
        assert (docs / "_static" / "temperature" / f"{plot}.svg").read_text().startswith("<svg")
    assert f"(_static/temperature/{name}.svg)" in (docs / "claims" / f"{name}.md").read_text()


def test_what_is_done_is_not_done_again(tmp_path, monkeypatch):
    given = {"pairs": ["iris-tiny"], "short": True}
    first, _ = reproduce("stability", tmp_path, **given)
    monkeypatch.setattr(parallel.Parallel, "_together", lambda *_: pytest.fail("trained again"))
    again, _ = reproduce("stability", tmp_path, **given)
    assert first.numbers == again.numbers


def test_curves_that_are_known_are_not_followed_again(tmp_path, monkeypatch):
    given = {"pairs": ["iris-tiny"], "short": True, "splits": 1}
    first, _ = reproduce("collapse", tmp_path, **given)
    monkeypatch.setattr(collapse, "measure", lambda *_: pytest.fail("followed again"))
    again, _ = reproduce("collapse", tmp_path, **given)
    assert first.numbers == again.numbers
    assert first.verdicts == again.verdicts


def test_collapse_is_seen_where_it_must_be():
    """A linear network has no kernel that changes: curves of all betas are one for all times."""
    run = collapse.measure(Pair(lambda: mlp((8,)), "iris"), 1, 40)
    assert run["first"].max() / run["first"].min() < 1.01
    np.testing.assert_allclose(run["tau_nl"] / run["tau_nl"][0], run["beta"] / run["beta"][0], rtol=1e-6)
    np.testing.assert_allclose(run["size"][:, 0], run["linear"][:, 0], rtol=0.02)


def made_up(left, first=(1.0, 1.001)):
    n = len(collapse.BETAS)
    return {
        "beta": np.array(collapse.BETAS), "tau_nl": np.array(collapse.BETAS), "left": np.array(left),
        "first": np.resize(first, n), "beta_one": 0.1,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("run", "confirmed"),
    [
        (made_up([0.1, 0.1, 0.1, 0.11, 0.12, 0.9, np.nan, np.nan, np.nan]), True),
        (made_up([0.1, 0.1, 0.1, 0.11, 0.3, 0.3, np.nan, np.nan, np.nan]), False),
        (made_up([0.1, 0.1, 0.1, np.nan, 0.1, 0.3, np.nan, np.nan, np.nan]), False),
        (made_up([0.1] * 9, first=(1.0, 1.02)), False),
    ],
)
def test_verdict_of_collapse(run, confirmed):
    assert collapse._verdict("made up", [run]).confirmed == confirmed


def test_starts_are_of_the_size_asked_for_and_change_nothing_else():
    parts, model = TINY.parts(0), TINY.model()
    start, network = generalisation.starts(model, parts), generalisation.anchored(model)
    for beta, size in ((0.1, 0.0), (0.1, 1.0), (10.0, 10.0)):
        params = start(Job(beta, 1.0, 3, size))
        found = float(rms(centred(beta * network.apply(params, parts.learn.x))))
        assert found == pytest.approx(size, rel=0.1, abs=1e-6)
    gradient = jax.grad(lambda p: network.apply(p, parts.learn.x).sum())(params)
    plain = jax.grad(lambda p: model.apply(p, parts.learn.x).sum())(params["now"])
    np.testing.assert_allclose(gradient["now"]["layer_0"]["weights"], plain["layer_0"]["weights"], rtol=1e-5)
    assert not any(np.any(leaf) for leaf in jax.tree.leaves((gradient["start"], gradient["taken"])))


def test_ranges_and_intervals():
    cells = np.array([[[0.9, 0.92], [0.9, 0.94]], [[0.8, 0.8], [0.8, 0.8]]])
    over_beta, over_start, _ = generalisation.ranges(cells)
    assert (over_beta, over_start) == pytest.approx((0.115, 0.005))
    assert sweeps.interval(np.array([1.0, 2.0, 3.0])) == pytest.approx((2.0, 2.4841), abs=1e-3)
    assert sweeps.between((0.01, 0.002), 100.0) == "+1.00 ± 0.20"
    assert sweeps.between(sweeps.interval(np.array([0.01])), 100.0) == "+1.00 (no interval from one split)"


@pytest.mark.parametrize(
    ("gains", "confirmed", "why"),
    [
        ([[0.02, 0.04], [0.02, 0.02], [0.03, 0.02]], True, r"\+2.50 ± 1.24 .* over 3 splits\): better"),
        ([[0.02, 0.04], [-0.02, -0.02]], False, r"over 2 splits\): a tie"),
        ([[0.02, 0.03, 0.02, 0.03]], True, r"\+2.50 ± 0.92 .* over 4 seeds of one split, which share a test\): better"),
        ([[-0.02, -0.03, -0.02]], False, r"over 3 seeds of one split, which share a test\): worse"),
        ([[0.02, -0.03, 0.02]], False, r"over 3 seeds of one split, which share a test\): a tie"),
    ],
)
def test_verdict_of_a_tuned_beta(gains, confirmed, why):
    runs = [SimpleNamespace(gains=lambda one=one: np.array(one)) for one in gains]
    found = tuned._verdict("made up", runs)
    assert found.confirmed == confirmed
    assert re.search(why, found.why)


@pytest.mark.parametrize(
    ("name", "pairs", "message"),
    [
        ("collaps", None, "no claim 'collaps'; give one of collapse, generalisation"),
        ("tuned", ["digits-mlp", "x"], "no pair x; give some of digits-mlp"),
    ],
)
def test_refusals(tmp_path, name, pairs, message):
    with pytest.raises(ValueError, match=message):
        reproduce(name, tmp_path, pairs=pairs)
    assert not list(tmp_path.iterdir())
