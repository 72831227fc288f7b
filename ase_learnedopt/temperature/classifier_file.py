"""Trained classifiers on disk: parameters in `<name>.npz`, the rest in `<name>.json`; no pickle anywhere. Layer 2.

The second file carries the sha256 of the first, so that a pair of which only one was replaced is refused.
"""

import hashlib
import io
import json
from pathlib import Path
from typing import Any

import jax
import numpy as np

from ..weights_io import pack, package_version, with_npz, write_whole
from .theory import Diagnostics

FORMAT = "ase-learnedopt classifier 1"
NOT_KEPT = ("model", "random_state", "class_weight")
"""Settings that need not be of JSON types, and of which a trained classifier needs at most the model."""


def save_classifier(classifier: Any, path: str | Path) -> Path:
    """Writes a fitted classifier, each file in one move, and returns the path of the `.npz`.

    Raises:
      ValueError: classes that are no numbers, strings or booleans.
    """
    path = with_npz(Path(path))  # numbers that may be infinite, which JSON has not, are written as text
    leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(classifier._params)]
    data = pack({str(i): leaf for i, leaf in enumerate(leaves)})
    settings = {name: value for name, value in classifier.get_params().items() if name not in NOT_KEPT}
    card = {
        "format": FORMAT,
        "package_version": package_version(),
        "sha256": hashlib.sha256(data).hexdigest(),
        "perceptron": classifier.model is None,
        "settings": settings | {"hidden": np.atleast_1d(np.asarray(classifier.hidden, dtype=int)).tolist()},
        "classes": _classes(classifier.classes_),
        "input": classifier._input,
        "n_features": int(classifier.n_features_in_),
        "feature_names": getattr(classifier, "feature_names_in_", np.array([])).tolist(),
        "beta": classifier.beta_,
        "learning_rate": classifier.learning_rate_,
        "calibration": classifier.calibration_,
        "diagnostics": {name: repr(float(value)) for name, value in classifier.diagnostics_._asdict().items()},
        "history": {name: column.tolist() for name, column in classifier.history_.items()},
        "trials": [{name: repr(float(value)) for name, value in trial.items()} for trial in classifier.trials_],
    }
    write_whole(path, data)
    write_whole(path.with_suffix(".json"), (json.dumps(card, indent=1, default=_plain) + "\n").encode())
    return path


def load_classifier(kind: type, path: str | Path, model: Any = None) -> Any:
    """Reads a classifier of the class `kind`.

    Raises:
      ValueError: a file is missing, damaged or of another format, or the parameters are not those of the model.
    """
    path = with_npz(Path(path))
    card, data = _read(path)
    if card["perceptron"] != (model is None):
        raise ValueError(
            f"{path} has {'the perceptron: give no model' if model else 'another network: give its model'}"
        )
    classifier = kind(**{**card["settings"], "hidden": tuple(card["settings"]["hidden"]), "model": model})
    classifier.classes_ = np.array(card["classes"]["values"], dtype=card["classes"]["dtype"])
    classifier.n_features_in_, classifier._input = card["n_features"], card["input"]
    if card["feature_names"]:
        classifier.feature_names_in_ = np.array(card["feature_names"], dtype=object)
    classifier.beta_, classifier.learning_rate_ = card["beta"], card["learning_rate"]
    classifier.calibration_ = card["calibration"]
    classifier.trials_ = [{name: float(value) for name, value in trial.items()} for trial in card["trials"]]
    numbers: dict[str, Any] = {name: float(value) for name, value in card["diagnostics"].items()}
    classifier.diagnostics_ = Diagnostics(**{**numbers, "n_classes": int(numbers["n_classes"])})
    classifier.history_ = {name: np.array(column) for name, column in card["history"].items()}
    classifier._params, classifier._state = _params(classifier, data, path), None
    classifier._random = np.random.RandomState()
    return classifier


def _read(path: Path) -> tuple[dict[str, Any], bytes]:
    for file in (path, path.with_suffix(".json")):
        if not file.is_file():
            raise ValueError(f"there is no file {file}: a classifier is a pair of {path.stem}.npz and {path.stem}.json")
    data = path.read_bytes()
    try:
        card = json.loads(path.with_suffix(".json").read_text())
    except ValueError as error:
        raise ValueError(f"{path.with_suffix('.json')} is not JSON ({error})") from error
    if not isinstance(card, dict) or card.get("format") != FORMAT:
        raise ValueError(f"{path.with_suffix('.json')} is not of the format {FORMAT!r}")
    if hashlib.sha256(data).hexdigest() != card["sha256"]:
        raise ValueError(f"{path} is not the file that {path.stem}.json describes: copy or save both anew")
    return card, data


def _params(classifier: Any, data: bytes, path: Path) -> Any:
    """Returns the parameters in the shape that the network gives them."""
    x = np.zeros((1, *classifier._input["shape"]), classifier._input["dtype"])
    network = classifier._network()
    wanted = jax.eval_shape(lambda key: network.init(key, x, len(classifier.classes_)), jax.random.key(0))
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        leaves = [arrays[str(i)] for i in range(len(arrays.files))]
    shapes, found = [leaf.shape for leaf in jax.tree.leaves(wanted)], [leaf.shape for leaf in leaves]
    if shapes != found:
        raise ValueError(f"{path} has parameters of the shapes {found}, the model needs {shapes}")
    return jax.tree.unflatten(jax.tree.structure(wanted), leaves)


def _classes(classes: np.ndarray) -> dict[str, Any]:
    values = classes.tolist()
    if not all(isinstance(value, str | int | float | bool) for value in values):
        raise ValueError(f"classes are {values}; those of a classifier on disk are numbers, strings or booleans")
    return {"values": values, "dtype": classes.dtype.str}


def _plain(value: Any) -> Any:
    """Returns a number of NumPy as one of Python."""
    return value.item()
