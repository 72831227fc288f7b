"""Training of classifiers with an inverse temperature in the softmax: its loss, and what theory says of it. Layer 2."""

from importlib import import_module

from .calibration import calibrate_temperature
from .calibration_error import calibration_error
from .init_scale import offset_start, two_copies
from .losses import softmax_xent
from .models import MODELS, Model, in_training, mlp
from .sweep import sweep_beta
from .sweep_result import Sweep
from .theory import Diagnostics, diagnose

_LATER = {  # they need scikit-learn and flax
    "TemperatureClassifier": ".estimator",
    "cnn": ".models.convolutional",
    "gru": ".models.recurrent",
    "resnet50": ".models.residual",
    "wide_resnet": ".models.wide_residual",
}

__all__ = [
    "MODELS",
    "Diagnostics",
    "Model",
    "Sweep",
    "TemperatureClassifier",
    "calibrate_temperature",
    "calibration_error",
    "cnn",
    "diagnose",
    "gru",
    "in_training",
    "mlp",
    "offset_start",
    "resnet50",
    "softmax_xent",
    "sweep_beta",
    "two_copies",
    "wide_resnet",
]


def __getattr__(name: str):
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_LATER[name], __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
