"""The weights that the package ships: the files never change, and pages name no others."""

import hashlib
import re
from importlib import resources
from pathlib import Path

import numpy as np
import pytest

from ase_learnedopt.metatrain.checkpoint import load_checkpoint, read_config
from ase_learnedopt.metatrain.config_file import parse_config
from ase_learnedopt.metatrain.trainer import Trainer
from ase_learnedopt.motifs.classifier import ARCHITECTURE
from ase_learnedopt.optimizers.learned import LEARNED, load_learned
from ase_learnedopt.released_weights import ALIASES, claims_release, list_aliases, released_label
from ase_learnedopt.search.report import describe_weights
from ase_learnedopt.weights_io import REQUIRED, flatten, list_weights, load_weights, pack, read_card

ROOT = Path(__file__).parents[1]


def _leaves(tree):
    for value in tree.values():
        yield from _leaves(value) if isinstance(value, dict) else (value,)


RELEASED = {
    "atom_motifs_v1": "0b64666e8653cd516661d4ca7695e1fefbdbfaccadb919e9a94802f33f99d7dd",
    "learn2hop_gupta_v1": "0992fe1df49a82c21bf7fe01023683894fc5cf4d07d8dab7b09e2c24c165d8b9",
    "learn2hop_lj_cartesian_ga_v1": "8bac0fd19eef0d7977452cbb9a00bdcdf53a2db937b5a63547d7f331387a2c5a",
    "learn2hop_lj_cartesian_v1": "6d39a08b7ed6046ec512958e1beabc220e38dc179ad3bdedb1831a67334508df",
    "learn2hop_lj_ga_v1": "c8605d3d74609fa679534a9df1f26fe1c6e4fcded81bf8aa610928356e55b25e",
    "learn2hop_lj_v1": "0a01e09efa68ad57c7237ec5f7fb594853ec581505dce41dd2767b1d35787c83",
    "learn2hop_si_v1": "6b911641f8bf3e5ae18e21f3da3e666caaf96ef7dfd3df4ebc1c48a9710185d6",
    "learn2hop_v1": "ca987f2f24a65c97fd819a875b32c704924f4245324e70165048ac81389ca443",
    "learned_hop_give_up_v1": "483e244acd1dfd39d65953e4d9437534c20fdd5ff2608724d92eb1024d4f0218",
    "learned_hop_v1": "9f25e331e8b2afdc7c4ae8de8b0afc7c8dc8932d96f1a68632e431c3ce3f65a7",
}
"""sha256 of every released `.npz` file. Lines are added, never changed: other arrays get another name."""


def test_released_files_never_change():
    digests = {file.stem: hashlib.sha256(file.read_bytes()).hexdigest() for file in (ROOT / "weights").glob("*.npz")}
    assert digests == RELEASED


def test_every_plain_name_stands_for_a_released_file():
    plain = {re.fullmatch(r"(\w+)_v[1-9]\d*", name).group(1) for name in list_weights()}
    assert list_aliases().keys() == plain
    assert all(versioned.startswith(f"{name}_v") for name, versioned in list_aliases().items())
    assert set(list_aliases().values()) <= set(RELEASED)


def test_labels_of_records():
    label = f"learned_hop@{RELEASED['learned_hop_v1'][:12]}"
    assert released_label(label) == released_label("learned_hop_v1") == "learned_hop_v1"
    assert released_label("learned_hop@b89c5965ba82") == "learned_hop@b89c5965ba82"
    assert claims_release("learned_hop@b89c5965ba82")
    assert not claims_release("weights/mine@b89c5965ba82")


def test_a_search_notes_the_file_that_it_used():
    assert describe_weights("learned_hop") == {"name": "learned_hop_v1", "sha256": RELEASED["learned_hop_v1"]}


def test_shipped_files_are_pairs():
    names = {item.name for item in resources.files("ase_learnedopt.weights").iterdir()} - {ALIASES}
    assert {n[:-5] for n in names if n.endswith(".json")} == {n[:-4] for n in names if n.endswith(".npz")}


OPTIMIZERS = [name for name in list_weights() if read_card(name)["architecture"] in LEARNED]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_shipped_weights_fit_their_optimizer(name):
    load_learned(read_card(name)["architecture"], name)  # checks shapes, too


@pytest.mark.parametrize("name", list_weights())
def test_shipped_weights(name):
    params, card = load_weights(name)  # checks digest, format and fields
    assert name in OPTIMIZERS or card["architecture"] == ARCHITECTURE
    assert card["name"] == name
    assert all(np.all(np.isfinite(leaf)) for leaf in _leaves(params))
    assert all(leaf.dtype == np.float32 for leaf in _leaves(params))
    assert all(card[field] is not None for field in REQUIRED)


NONE = "none makes this very file"


@pytest.mark.parametrize("name", list_weights())
def test_a_card_says_what_rebuilds_the_file(name):
    card = read_card(name)
    assert card["rebuilds"] is (not card["command"].startswith(NONE))
    assert card["rebuilds"] or all(part.keys() == {"arrays", "command", "remark"} for part in card["parts"])


@pytest.mark.parametrize("name", ["learn2hop_lj_ga", "learn2hop_lj_cartesian", "learn2hop_lj_cartesian_ga"])
def test_a_kept_checkpoint_is_the_released_file(name):
    checkpoint = ROOT / "benchmarks" / "learn2hop_variants" / name / "checkpoint.npz"
    trainer = Trainer(parse_config(read_config(checkpoint), name))
    _, best = load_checkpoint(checkpoint, trainer)
    arrays = pack(flatten(trainer.parameters.to_numpy(best.vector)))
    assert hashlib.sha256(arrays).hexdigest() == RELEASED[f"{name}_v1"]


# ---- what pages say


PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "weights").glob("*.*")]
PAGES = sorted(page.relative_to(ROOT).as_posix() for page in PAGES if page.suffix in (".md", ".json"))
FAMILIES = "|".join(sorted(list_aliases(), key=len, reverse=True))
DIGEST = re.compile(rf'(?:{FAMILIES})@([0-9a-f]+)|"weights": "([0-9a-f]+)"|`([0-9a-f]{{12}}|[0-9a-f]{{64}})`')
NAME = re.compile(rf"--weights ([a-z]\w*)(?![\w./])|\b((?:{FAMILIES})_v\d+)\b")


def test_pages_are_searched():
    assert {"README.md", "docs/training.md", "docs/learn2hop/gupta.md", "weights/README.md"} <= set(PAGES)
    found = DIGEST.findall('learned_hop@b89c `b89c5965ba82` "weights": "b89c5"')
    assert ["".join(groups) for groups in found] == ["b89c", "b89c5965ba82", "b89c5"]
    found = NAME.findall("--weights learned_hop --out x, learn2hop_lj_v3, --weights mine.npz, --weights weights/mine")
    assert ["".join(groups) for groups in found] == ["learned_hop", "learn2hop_lj_v3"]


@pytest.mark.parametrize("page", PAGES)
def test_pages_name_released_weights_only(page):
    text = (ROOT / page).read_text()
    digests = {"".join(groups) for groups in DIGEST.findall(text)}
    names = {"".join(groups) for groups in NAME.findall(text)}
    assert not {digest for digest in digests if not any(whole.startswith(digest) for whole in RELEASED.values())}
    assert names <= {*RELEASED, *list_aliases(), "none"}
