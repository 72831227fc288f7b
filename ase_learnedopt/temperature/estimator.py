"""The classifier as an estimator of scikit-learn. Layer 2.

After Agarwala, Pennington, Dauphin & Schoenholz, arXiv:2010.07344. Needs scikit-learn: the extra `[temperature]`.
"""

from pathlib import Path

import jax
import numpy as np

try:
    from sklearn.base import BaseEstimator, ClassifierMixin
    from sklearn.utils import check_random_state
    from sklearn.utils.validation import check_is_fitted
except ImportError as error:
    raise ImportError(
        f"TemperatureClassifier needs scikit-learn ({error}): pip install 'ase-learnedopt[temperature]'"
    ) from error

from .calibration import calibrate_temperature
from .estimator_inputs import examples_of, input_of
from .examples import Examples, batches
from .fitting import fit_classifier, scales_of, started
from .models import Model, as_model, mlp
from .progress import progress_bar
from .settings import checked
from .solvers import SOLVERS
from .steps import advance, logits_of, on_device


class TemperatureClassifier(ClassifierMixin, BaseEstimator):
    """Classifies with a network trained on softmax cross-entropy with an inverse temperature beta.

    The network can represent the same whatever beta is; what it learns differs, since at the same progress its weights
    travel 1 / beta as far. `beta_` is not the temperature of calibration, which is `calibration_` and changes
    probabilities after training, never predictions.

    Args:
      hidden: widths of the hidden layers of a perceptron.
      beta: inverse temperature; "auto": the best on examples held out among 1 and three values that theory suggests, so
        never worse there than 1.
      learning_rate: at the first step, falling linearly to zero; "auto": from what theory suggests, raised until the
        classifier does worse on examples held out. A number together with `beta="auto"` is the rate at beta = 1, and
        `learning_rate * beta**2` ("adam": `learning_rate * beta`) is held.
      layer_norm: whether the perceptron has it.
      model: another network: a name of the table `MODELS`, what one of its builders returned, a pair `(init, apply)` or
        a module of `flax.linen`; None: the perceptron.
      solver: "sgd", gradient descent with momentum, or "adam".
      steps: of every training.
      batch_size: examples of a step.
      momentum: of gradients, in [0, 1).
      weight_decay: share of the weights, biases excepted, that goes per unit of the rate at beta = 1.
      early_stopping: whether to keep the best on examples held out, and end after ten looks without a better one.
      validation_fraction: of every class, held out where anything is judged by it: early stopping, "auto", calibration.
      class_weight: dict from classes to weights, "balanced", or None.
      calibrate: whether to find `calibration_` on the examples held out.
      progress: whether to show a bar.
      random_state: seed or generator.

    Attributes:
      classes_: `[n_classes]`.
      n_features_in_: number of features.
      beta_: inverse temperature.
      learning_rate_: at the first step.
      diagnostics_: scales of early training at `beta_`, see `Diagnostics`.
      calibration_: temperature by which `beta_ * logits` are divided; 1 without `calibrate`.
      history_: dict of arrays by look: step, train_loss, and accuracy and loss on the examples held out.
      trials_: list of dicts: beta, learning_rate, accuracy, loss of every training made.
    """

    def __init__(
        self,
        hidden=(128,),
        *,
        beta="auto",
        learning_rate="auto",
        layer_norm=False,
        model=None,
        solver="sgd",
        steps=1500,
        batch_size=64,
        momentum=0.9,
        weight_decay=0.0,
        early_stopping=True,
        validation_fraction=0.1,
        class_weight=None,
        calibrate=False,
        progress=False,
        random_state=None,
    ):
        self.hidden = hidden
        self.beta = beta
        self.learning_rate = learning_rate
        self.layer_norm = layer_norm
        self.model = model
        self.solver = solver
        self.steps = steps
        self.batch_size = batch_size
        self.momentum = momentum
        self.weight_decay = weight_decay
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.class_weight = class_weight
        self.calibrate = calibrate
        self.progress = progress
        self.random_state = random_state

    def fit(self, X, y, sample_weight=None):
        """Trains the classifier; a weight of two is the same as two copies, and the order of examples means nothing.

        An interruption from the keyboard ends it with a warning, and the best so far is kept.

        Args:
          X: `[n, n_features]`, or `[n, ...]` with a `model`.
          y: `[n]` classes.
          sample_weight: `[n]`; None: all alike.

        Returns:
          The classifier.

        Raises:
          ValueError: impossible settings or data, or a loss that does not stay finite.
        """
        settings = checked(self)
        examples = examples_of(self, X, y, sample_weight, reset=True)
        self._random = check_random_state(self.random_state)
        judged = self.early_stopping or self.calibrate or "auto" in (self.beta, self.learning_rate)
        with progress_bar(self.progress) as show:
            found = fit_classifier(
                self._network(),
                examples,
                len(self.classes_),
                self.beta,
                self.learning_rate,
                settings,
                self.validation_fraction if judged else 0.0,
                self._random,
                show,
            )
        best = found.best
        self._params, self._state = best.params, None
        self.beta_, self.learning_rate_ = best.beta, best.rate
        self.diagnostics_, self.history_ = found.diagnostics, best.history
        self.trials_ = [
            {"beta": t.beta, "learning_rate": t.rate, "accuracy": t.accuracy, "loss": t.loss} for t in found.trainings
        ]
        self.calibration_ = self._calibrated(found.judge) if self.calibrate else 1.0
        return self

    def partial_fit(self, X, y, classes=None, sample_weight=None):
        """Goes once through examples, at a constant rate, from where the classifier is.

        Nothing is held out: in a first call "auto" means a beta of 1 and the rate that theory suggests, and
        `calibration_` is 1.

        Args:
          X: `[n, n_features]`, or `[n, ...]` with a `model`.
          y: `[n]` classes.
          classes: all that will come; needed in a first call if `y` has not all.
          sample_weight: `[n]`; None: all alike.

        Returns:
          The classifier.

        Raises:
          ValueError: impossible settings or data, or a loss that does not stay finite.
        """
        settings, first = checked(self), not hasattr(self, "classes_")
        if self.class_weight == "balanced":
            raise ValueError("class_weight='balanced' needs all examples at once; give a dict, or weights of examples")
        examples = examples_of(self, X, y, sample_weight, reset=first, classes=classes)
        if first:
            self._begin(examples, settings)
        n_steps = -(-len(examples.y) // self.batch_size)
        rows = batches(examples.weight, n_steps, self.batch_size, self._random)
        state = SOLVERS[self.solver].init(self._params) if self._state is None else self._state
        rates = np.full(n_steps, self.learning_rate_)
        state, (loss, *_) = advance(
            self._network(), state, on_device(examples, examples), rows, rates, self.beta_, settings
        )
        if not np.isfinite(loss):
            advice = self.diagnostics_.suggest(self.momentum, self.solver)
            raise ValueError(f"the loss is not finite with learning rate {self.learning_rate_:g}: try {advice:.3g}")
        self._state = jax.tree.map(np.asarray, state)
        self._params = self._state.params
        return self

    def decision_function(self, X):
        """Returns `beta_ * logits / calibration_`, `[n, n_classes]`; of two classes the difference `[n]`."""
        scaled = self._scaled(X)
        return scaled[:, 1] - scaled[:, 0] if len(self.classes_) == 2 else scaled

    def predict_proba(self, X):
        """Returns the probabilities of the classes, `[n, n_classes]`."""
        scaled = self._scaled(X)
        share = np.exp(scaled - scaled.max(axis=1, keepdims=True))
        return share / share.sum(axis=1, keepdims=True)

    def predict(self, X):
        """Returns the most probable class of every example, `[n]`."""
        best = self._scaled(X).argmax(axis=1)
        return self.classes_[best]

    def save(self, path) -> Path:
        """Writes the trained classifier to `<path>.npz` and `<path>.json`, without pickle.

        Raises:
          ValueError: classes that are no numbers, strings or booleans.
        """
        from .classifier_file import save_classifier

        check_is_fitted(self)
        return save_classifier(self, path)

    @classmethod
    def load(cls, path, model=None):
        """Reads a classifier that `save` wrote.

        Args:
          path: with or without `.npz`.
          model: the network, if it was not the perceptron.

        Raises:
          ValueError: files that are missing, damaged or do not fit the model.
        """
        from .classifier_file import load_classifier

        return load_classifier(cls, path, model)

    def _network(self) -> Model:
        return mlp(self.hidden, self.layer_norm) if self.model is None else as_model(self.model)

    def _begin(self, examples: Examples, settings) -> None:
        self._random = check_random_state(self.random_state)
        seed = self._random.randint(2**31)
        self._params = started(self._network(), examples.x, len(self.classes_), seed)
        self._state, self.calibration_, self.history_, self.trials_ = None, 1.0, {}, []
        self.beta_ = 1.0 if self.beta == "auto" else float(self.beta)
        scales = scales_of(self._network(), self._params, examples, len(self.classes_), seed)
        self.diagnostics_ = scales(self.beta_)
        suggested = self.diagnostics_.suggest(settings.momentum, settings.solver)
        self.learning_rate_ = suggested if self.learning_rate == "auto" else float(self.learning_rate)

    def _calibrated(self, judge: Examples) -> float:
        logits = logits_of(self._network(), self._params, judge.x)
        return calibrate_temperature(self.beta_ * logits, judge.y, judge.weight)

    def _scaled(self, X) -> np.ndarray:
        check_is_fitted(self)
        return self.beta_ * logits_of(self._network(), self._params, input_of(self, X, reset=False)) / self.calibration_
