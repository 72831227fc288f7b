"""Weights on disk: arrays in `<name>.npz`, what they are in the card `<name>.json`; no pickle anywhere. Layer 1.

The card carries the sha256 of the arrays' file, which is checked at every load, and the contract (architecture,
features, config) that whoever uses the weights compares with its own. `weights/README.md` describes its fields,
`released_weights` what names there are.
"""

import difflib
import hashlib
import io
import json
import zipfile
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from .released_weights import list_aliases, list_weights, shipped_folder, versioned_name
from .whole_file import whole_file

FORMAT = "ase-learnedopt weights 1"
REQUIRED = ("architecture", "features", "config", "tasks", "seeds", "budget", "command", "result")
"""What a card must say. `save_weights` adds `AUTOMATIC`."""
AUTOMATIC = ("format", "name", "package_version", "shapes", "sha256")


def save_weights(path: str | Path, params: Mapping, card: Mapping[str, Any]) -> Path:
    """Writes `<path>.npz` and the card `<path>.json`, each in one move, so that neither is ever half-written.

    Args:
      path: with or without `.npz`; its stem is the name of the weights.
      params: nested dict of arrays; keys are strings without `/`.
      card: the fields `REQUIRED` and any further ones, in JSON types. Automatic fields are replaced.

    Returns:
      The path of the `.npz` file.

    Raises:
      ValueError: the card lacks a field or is not JSON; a leaf is not a finite array of numbers; a key contains `/`.
    """
    path = with_npz(Path(path))
    missing = [field for field in REQUIRED if field not in card]
    if missing:
        raise ValueError(f"the card lacks {', '.join(missing)}: it must have {', '.join(REQUIRED)}")
    data = pack(flatten(params))
    whole = {**card, "format": FORMAT, "name": path.stem, "package_version": package_version()}
    whole |= {"shapes": shapes(params), "sha256": hashlib.sha256(data).hexdigest()}
    try:
        text = json.dumps(whole, indent=2, allow_nan=False) + "\n"
    except (TypeError, ValueError) as error:
        raise ValueError(f"the card must be made of JSON types: {error}") from error
    write_whole(path, data)
    write_whole(path.with_suffix(".json"), text.encode())
    return path


def load_weights(name_or_path: str | Path, expect: Mapping[str, Any] | None = None) -> tuple[dict, dict[str, Any]]:
    """Reads shipped weights by name, or any others by path, and checks them.

    Args:
      name_or_path: a name from `list_weights()`, a plain one that stands for it, or a path with or without `.npz`.
      expect: fields that the card must have with exactly these values, such as `architecture`, `features`, `shapes`.

    Returns:
      `(params, card)`: the nested dict of NumPy arrays, and the card.

    Raises:
      ValueError: there are no such weights; the file is not the one the card describes; the card is not as expected.
    """
    card = read_card(name_or_path)
    data = _read(name_or_path, ".npz")
    digest = hashlib.sha256(data).hexdigest()
    if digest != card["sha256"]:
        raise ValueError(
            f"weights {name_or_path}: the sha256 of the arrays is {digest}, the card says {card['sha256']}: "
            "one of the two files is damaged or of another version, install or copy both anew"
        )
    for field, value in (expect or {}).items():
        _require_equal(f"weights {name_or_path}: {field}", card.get(field), _as_json(value))
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        params = unflatten({key: arrays[key] for key in arrays.files})
    _require_equal(f"weights {name_or_path}: shapes", card["shapes"], shapes(params))
    return params, card


def read_card(name_or_path: str | Path) -> dict[str, Any]:
    """Returns the card of weights, without reading their arrays.

    Raises:
      ValueError: there are no such weights, or the card is damaged.
    """
    text = _read(name_or_path, ".json")
    try:
        card = json.loads(text)
    except ValueError as error:
        raise ValueError(f"weights {name_or_path}: the card is not JSON ({error})") from error
    if not isinstance(card, dict) or card.get("format") != FORMAT:
        found = card.get("format") if isinstance(card, dict) else type(card).__name__
        raise ValueError(f"weights {name_or_path}: the card's format is {found!r}, this version reads {FORMAT!r}")
    missing = [field for field in (*REQUIRED, *AUTOMATIC) if field not in card]
    if missing:
        raise ValueError(f"weights {name_or_path}: the card lacks {', '.join(missing)}")
    return card


def shapes(params: Mapping) -> dict[str, list[int]]:
    """Returns the shape of every array of nested parameters by its key, levels joined by `/`."""
    return {key: list(np.shape(value)) for key, value in _leaves(params)}


def _read(name_or_path: str | Path, suffix: str) -> bytes:
    """Returns the content of the `.npz` or the `.json` file of weights."""
    folder, stem = _locate(name_or_path)
    file = folder / (stem + suffix)
    if not file.is_file():
        raise ValueError(f"there is no file {file}: weights are a pair of {stem}.npz and {stem}.json")
    return file.read_bytes()


def _locate(name_or_path: str | Path) -> tuple[Any, str]:
    """Returns the folder that holds the pair of files, and the stem of their names."""
    names = list_weights()
    if isinstance(name_or_path, str) and versioned_name(name_or_path) in names:
        return shipped_folder(), versioned_name(name_or_path)
    path = with_npz(Path(name_or_path)) if str(name_or_path) else Path(".npz")
    if path.is_file() or path.with_suffix(".json").is_file():
        return path.parent, path.stem
    near = difflib.get_close_matches(str(name_or_path), [*names, *list_aliases()])
    hint = f"did you mean {' or '.join(near)}? " if near else ""
    raise ValueError(
        f"there are no weights {str(name_or_path)!r}, neither shipped nor as the file {path}: {hint}"
        f"shipped are {', '.join(names) or 'none'}"
    )


def _leaves(params: Mapping, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in params.items():
        if not isinstance(key, str) or "/" in key or not key:
            raise ValueError(f"the key {key!r} of the parameters must be a non-empty string without '/'")
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{key}/")
        else:
            yield f"{prefix}{key}", value


def flatten(params: Mapping) -> dict[str, np.ndarray]:
    """Returns nested parameters as one level of arrays, keys joined by `/`.

    Raises:
      ValueError: a leaf is not a finite array of numbers, or a key contains `/`.
    """
    arrays = {key: np.asarray(value) for key, value in _leaves(params)}
    for key, array in arrays.items():
        if array.dtype.kind not in "fiub":
            raise ValueError(f"{key} has dtype {array.dtype}, weights are floats, integers or booleans of NumPy")
        if not np.all(np.isfinite(array)):
            raise ValueError(f"{key} has {np.sum(~np.isfinite(array))} values that are not finite")
    return arrays


def pack(arrays: Mapping[str, np.ndarray]) -> bytes:
    """Returns the bytes of an `.npz` file: the same for the same arrays, and for any key, unlike `numpy.savez`."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for key, array in arrays.items():
            with archive.open(zipfile.ZipInfo(f"{key}.npy"), "w") as entry:
                np.lib.format.write_array(entry, array, allow_pickle=False)
    return file.getvalue()


def unflatten(arrays: Mapping[str, np.ndarray]) -> dict:
    """Returns the nested parameters that `flatten` was given."""
    params: dict = {}
    for key, array in arrays.items():
        *levels, last = key.split("/")
        node = params
        for level in levels:
            node = node.setdefault(level, {})
        node[last] = array
    return params


def _as_json(value: Any) -> Any:
    """Returns a value as it looks after a trip through JSON: tuples are lists."""
    return json.loads(json.dumps(value))


def _require_equal(where: str, found: Any, wanted: Any) -> None:
    """Raises a ValueError that names what differs, not all that is compared."""
    if isinstance(found, dict) and isinstance(wanted, dict) and found.keys() == wanted.keys():
        for key in wanted:
            _require_equal(f"{where}, {key}", found[key], wanted[key])
    elif found != wanted:
        have, need = _differing(found, wanted)
        raise ValueError(
            f"{where}: the weights have {have}, this optimizer needs {need}: "
            "use weights made for this version, see `ase-learnedopt weights list`"
        )


def _differing(found: Any, wanted: Any) -> tuple[str, str]:
    """Returns both values in words; of two collections of names only the names that the other one lacks."""
    named = isinstance(found, list | dict) and type(found) is type(wanted)
    if not (named and all(isinstance(name, str) for name in (*found, *wanted))):
        return repr(found), repr(wanted)
    rows = [[name for name in mine if name not in other] for mine, other in ((found, wanted), (wanted, found))]
    if not any(rows):  # the same names, in another order
        return repr(found), repr(wanted)
    have, need = (f"also {', '.join(map(repr, names))}" if names else "nothing more" for names in rows)
    return have, need


def with_npz(path: Path) -> Path:
    """Returns the path with `.npz` added unless it is there; other dots in the name are left alone."""
    return path if path.suffix == ".npz" else path.with_name(path.name + ".npz")


def write_whole(path: Path, data: bytes) -> None:
    """Writes a file in one move, so that it is never there in part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as temporary:
        temporary.write_bytes(data)


def package_version() -> str:
    """Returns the version of the installed package."""
    try:
        return version("ase-learnedopt")
    except PackageNotFoundError:
        return "unknown"
