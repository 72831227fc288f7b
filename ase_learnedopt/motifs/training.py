"""Trains the classifier of atoms and writes it as weights. Layer 4; needs the extra `[temperature]`."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ..temperature import calibrate_temperature, mlp, sweep_beta
from ..temperature.steps import Settings
from ..weights_io import save_weights
from .classifier import ARCHITECTURE
from .examples import MAX_NOISE, AtomExamples, atom_examples, balanced, joined
from .features import FEATURES
from .labels import LABELS
from .structures import FAMILIES, NO_SOLID

HIDDEN = (128,)
COMMAND = 'python -c "from ase_learnedopt.motifs import train_motif_classifier as t'
BETAS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0)


def train_motif_classifier(
    out: str | Path,
    seed: int = 1,
    *,
    n_structures: int = 45,
    most: int = 8000,
    steps: int = 8000,
    sweep_steps: int = 1500,
    show: Callable[[str], None] | None = None,
) -> Path:
    """Trains a classifier of atoms at the inverse temperature that a sweep finds best, and writes it.

    The sweep is written beside it, to `<out>_sweep.json` and `.md`. Its test, and what the probabilities are calibrated
    on, are structures of another seed.

    Args:
      out: path of the weights, with or without `.npz`.
      seed: of structures; `seed + 1` is that of the test.
      n_structures: of each family.
      most: atoms of each label.
      steps: of the training of what is written.
      sweep_steps: of each training of the sweep.
      show: called with a line now and then.

    Returns:
      The path of the `.npz` file.

    Raises:
      ImportError: scikit-learn is missing.
    """
    from ..temperature import TemperatureClassifier

    say = show or (lambda _: None)
    out = Path(out).with_suffix("")
    learn = _examples(seed, n_structures, 6, most)
    test = _examples(seed + 1, -(-n_structures // 4), 4, -(-most // 4))
    say(f"{len(learn.labels)} atoms to learn from, {len(test.labels)} to test on")
    mean, spread = learn.features.mean(axis=0), np.maximum(learn.features.std(axis=0), 1e-3)
    x, test_x = (learn.features - mean) / spread, (test.features - mean) / spread
    settings = Settings(n_steps=sweep_steps, early_stopping=False)
    sweep = sweep_beta(
        x,
        learn.labels,
        mlp(HIDDEN),
        BETAS,
        seeds=2,
        final_seeds=6,
        at_once=12,
        settings=settings,
        test=(test_x, test.labels),
        scaling="none",  # done above, and the training below has to see the same numbers
        show=lambda trial: say(str(trial)),
    )
    sweep.to_json(out.with_name(out.name + "_sweep.json"))
    out.with_name(out.name + "_sweep.md").write_text(sweep.table())
    best = sweep.best_
    classifier = TemperatureClassifier(
        HIDDEN,
        beta=best.beta,
        learning_rate=best.rate,
        steps=steps,
        early_stopping=False,
        random_state=seed,
    ).fit(x, learn.labels)
    temperature = calibrate_temperature(
        classifier.decision_function(test_x), np.searchsorted(classifier.classes_, test.labels)
    )
    accuracy = float(np.mean(classifier.predict(test_x) == test.labels))
    say(f"beta {best.beta:g}, accuracy {accuracy:.4f}, calibration {temperature:.3f}")
    return save_weights(out, _params(classifier, mean, spread, temperature), _card(seed, best, sweep, accuracy, test))


def _examples(seed: int, n_structures: int, copies: int, most: int) -> AtomExamples:
    main = balanced(atom_examples(seed, n_structures, copies), most, 0)
    return joined(main, balanced(atom_examples(seed, n_structures, copies, NO_SOLID), most // 4, 0))


def _params(classifier: Any, mean: np.ndarray, spread: np.ndarray, temperature: float) -> dict:
    """Returns layers that take features as they are, and give calibrated logits."""
    layers = {
        name: {key: np.asarray(value) for key, value in layer.items()} for name, layer in classifier._params.items()
    }
    first, last = layers["layer_0"], layers[f"layer_{len(HIDDEN)}"]
    first["bias"] = first["bias"] - (mean / spread) @ first["weights"]
    first["weights"] = first["weights"] / spread[:, None]
    for key in last:
        last[key] = last[key] * classifier.beta_ / temperature
    return {name: {k: np.asarray(v, np.float32) for k, v in layer.items()} for name, layer in layers.items()}


def _card(seed: int, best: Any, sweep: Any, accuracy: float, test: AtomExamples) -> dict[str, Any]:
    gain, error = sweep.gain()
    return {
        "architecture": ARCHITECTURE,
        "features": {"atom": list(FEATURES)},
        "config": {"labels": list(LABELS), "hidden": list(HIDDEN), "beta": best.beta, "learning_rate": best.rate},
        "tasks": [
            f"{name}, noise up to {MAX_NOISE:g} of a neighbour distance per component"
            for name in (*FAMILIES, *NO_SOLID)
        ],
        "seeds": [seed, seed + 1],
        "budget": f"{sweep.n_examples[0]} atoms to learn from; minutes on one core",
        "command": f"{COMMAND}; t('mine', seed={seed})\"",
        "result": {
            "accuracy on structures of another seed, seven labels in equal number": round(accuracy, 4),
            "atoms": len(test.labels),
            "gain of beta over 1 in the sweep, and its error": [round(gain, 4), round(error, 4)],
        },
    }
