import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from ase_learnedopt import released_weights, weights_io
from ase_learnedopt.released_weights import versioned_name
from ase_learnedopt.weights_io import AUTOMATIC, list_weights, load_weights, read_card, save_weights, shapes

CARD = {
    "architecture": "toy",
    "features": {"step": ["log rms gradient", "budget used"]},
    "config": {"kT": 0.4, "memory": 6},
    "tasks": ["LJ13"],
    "seeds": [0, 1],
    "budget": "1 minute",
    "command": "python train.py",
    "result": {"LJ13": "97 % within 250 evaluations"},
}


def toy_params():
    return {
        "step": {"weights": np.arange(6, dtype=np.float32).reshape(2, 3), "bias": np.array(0.5)},
        "file": {"deep": {"er": np.array([True, False])}},  # "file" is a name that numpy.savez would refuse
        "count": np.array([3], dtype=np.int32),
    }


@pytest.fixture
def saved(tmp_path):
    return save_weights(tmp_path / "toy.v1", toy_params(), CARD)


def test_round_trip_keeps_structure_dtype_and_card(saved):
    params, card = load_weights(saved)
    assert saved.name == "toy.v1.npz"
    assert list(params) == ["step", "file", "count"]
    np.testing.assert_array_equal(params["step"]["weights"], toy_params()["step"]["weights"])
    assert params["step"]["weights"].dtype == np.float32
    assert params["step"]["bias"].shape == ()
    assert params["file"]["deep"]["er"].dtype == bool
    assert {key: card[key] for key in CARD} == CARD
    assert set(card) == {*CARD, *AUTOMATIC}
    assert card["name"] == "toy.v1"
    assert card["shapes"]["step/weights"] == [2, 3]


def test_same_arrays_give_the_same_file(saved, tmp_path):
    again = save_weights(tmp_path / "again", toy_params(), CARD)
    assert again.read_bytes() == saved.read_bytes()


def test_saving_leaves_two_files_and_replaces_them(saved):
    save_weights(saved, {"other": np.ones(2)}, CARD)
    assert sorted(p.name for p in saved.parent.iterdir()) == ["toy.v1.json", "toy.v1.npz"]
    assert list(load_weights(saved)[0]) == ["other"]


@pytest.mark.parametrize("suffix", ["", ".npz"])
@pytest.mark.parametrize("kind", [str, lambda p: p])
def test_path_with_or_without_suffix(saved, suffix, kind):
    params, _ = load_weights(kind(saved.with_name("toy.v1" + suffix)))
    assert shapes(params) == shapes(toy_params())


def test_float64_of_another_file_is_kept(tmp_path):
    path = save_weights(tmp_path / "double", {"x": np.ones(2)}, CARD)
    assert load_weights(path)[0]["x"].dtype == np.float64


@pytest.mark.parametrize(
    "expect",
    [
        {"architecture": "toy"},
        {"features": {"step": ("log rms gradient", "budget used")}},
        {"config": {"memory": 6, "kT": 0.4}},
        {"shapes": shapes(toy_params())},
    ],
)
def test_contract_that_holds(saved, expect):
    load_weights(saved, expect=expect)


@pytest.mark.parametrize(
    ("expect", "both"),
    [
        ({"architecture": "learned_hop"}, ["architecture", "'toy'", "'learned_hop'"]),
        ({"features": {"step": ["log rms gradient"]}}, ["features, step", "also 'budget used'", "nothing more"]),
        ({"features": {"step": ["budget used", "log rms gradient"]}}, ["['log rms gradient', 'budget used']"]),
        ({"features": {"hop": []}}, ["features", "'step'", "'hop'"]),
        ({"config": {"kT": 0.8, "memory": 6}}, ["config, kT", "0.4", "0.8"]),
        ({"shapes": {"x": [1]}}, ["shapes", "step/weights", "'x'"]),
        ({"unheard_of": 1}, ["unheard_of", "None", "1"]),
    ],
)
def test_contract_that_is_broken_names_both_values(saved, expect, both):
    with pytest.raises(ValueError, match="this optimizer needs") as error:
        load_weights(saved, expect=expect)
    assert all(text in str(error.value) for text in both)


def test_damaged_arrays_name_both_digests(saved):
    data = bytearray(saved.read_bytes())
    data[len(data) // 2] ^= 1
    saved.write_bytes(data)
    with pytest.raises(ValueError, match="sha256") as error:
        load_weights(saved)
    assert hashlib.sha256(data).hexdigest() in str(error.value)
    assert read_card(saved)["sha256"] in str(error.value)


def _cut(card):
    return card[: len(card) // 2]


def _edited(**changes):
    return lambda card: json.dumps({**json.loads(card), **changes})


def _without(field):
    return lambda card: json.dumps({key: value for key, value in json.loads(card).items() if key != field})


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_cut, "not JSON"),
        (lambda card: "[]", "format is 'list'"),
        (_edited(format="ase-learnedopt weights 0"), "weights 0.*weights 1"),
        (_without("tasks"), "lacks tasks"),
        (_without("sha256"), "lacks sha256"),
        (_edited(shapes={"x": [1]}), "shapes"),
    ],
)
def test_damaged_card(saved, damage, message):
    card = saved.with_suffix(".json")
    card.write_text(damage(card.read_text()))
    with pytest.raises(ValueError, match=message):
        load_weights(saved)


@pytest.mark.parametrize("lost", [".npz", ".json"])
def test_half_a_pair(saved, lost):
    saved.with_suffix(lost).unlink()
    with pytest.raises(ValueError, match=rf"no file .*toy\.v1\{lost}"):
        load_weights(saved)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"x": np.array([1.0, np.nan])}, "x has 1 values that are not finite"),
        ({"x": np.array([None])}, "dtype object"),
        ({"x": "text"}, "dtype <U4"),
        ({"a/b": np.ones(1)}, "without '/'"),
        ({"a": {"": np.ones(1)}}, "without '/'"),
        ({3: np.ones(1)}, "without '/'"),
    ],
)
def test_parameters_that_cannot_be_saved(tmp_path, params, message):
    with pytest.raises(ValueError, match=message):
        save_weights(tmp_path / "bad", params, CARD)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("card", "message"),
    [
        ({"architecture": "toy"}, "lacks features, config"),
        ({**CARD, "result": float("nan")}, "JSON types"),
        ({**CARD, "config": {1, 2}}, "JSON types"),
    ],
)
def test_card_that_cannot_be_saved(tmp_path, card, message):
    with pytest.raises(ValueError, match=message):
        save_weights(tmp_path / "bad", toy_params(), card)
    assert not list(tmp_path.iterdir())


def test_pickle_is_refused(tmp_path):
    path = save_weights(tmp_path / "evil", {"x": np.ones(1)}, CARD)
    np.savez(path, x=np.array([{"a": 1}], dtype=object))
    card = json.loads(path.with_suffix(".json").read_text())
    card["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    path.with_suffix(".json").write_text(json.dumps(card))
    with pytest.raises(ValueError, match="allow_pickle=False"):
        load_weights(path)


@pytest.fixture
def ship(monkeypatch):
    """Makes a folder that of the shipped weights."""

    def shipped(folder):
        for module in (weights_io, released_weights):
            monkeypatch.setattr(module, "shipped_folder", lambda: folder)

    return shipped


def test_unknown_name_lists_what_there_is(ship, saved):
    ship(saved.parent)
    assert list_weights() == ["toy.v1"]
    assert read_card("toy.v1")["architecture"] == "toy"
    with pytest.raises(ValueError, match=r"no weights 'toy_v1'.*did you mean toy\.v1\? shipped are toy\.v1"):
        load_weights("toy_v1")


def test_unknown_name_unlike_any(ship, tmp_path):
    ship(tmp_path)
    with pytest.raises(ValueError, match="shipped are none"):
        load_weights("zzz")


@pytest.mark.parametrize(
    ("aliases", "message"),
    [
        ('{"plain": "toy.v2"}', "'plain' stands for the weights 'toy.v2', which are not shipped.*toy.v1"),
        ('{"plain": 1}', "object of names"),
        ("[]", "object of names"),
        ("{", "not JSON"),
    ],
)
def test_plain_name_that_points_nowhere(ship, saved, aliases, message):
    ship(saved.parent)
    (saved.parent / "aliases.json").write_text(aliases)
    for read in (load_weights, read_card, versioned_name):
        with pytest.raises(ValueError, match=message):
            read("plain")
    assert list_weights() == ["toy.v1"]


def test_plain_name(ship, saved):
    ship(saved.parent)
    (saved.parent / "aliases.json").write_text('{"plain": "toy.v1"}')
    assert load_weights("plain")[1] == load_weights("toy.v1")[1] == read_card("plain")
    assert (versioned_name("plain"), versioned_name("toy.v1"), versioned_name("a/b")) == ("toy.v1", "toy.v1", "a/b")
    with pytest.raises(ValueError, match="did you mean plain"):
        read_card("plane")


def test_failed_write_leaves_the_old_pair(monkeypatch, saved):
    before = saved.read_bytes()

    def full_disk(*_):
        raise OSError("no space left on device")

    monkeypatch.setattr(Path, "write_bytes", full_disk)
    with pytest.raises(OSError, match="no space"):
        save_weights(saved, {"x": np.ones(3)}, CARD)
    monkeypatch.undo()
    assert saved.read_bytes() == before
    assert len(list(saved.parent.iterdir())) == 2
    load_weights(saved)
