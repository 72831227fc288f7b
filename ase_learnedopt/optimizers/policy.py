"""The heads that steer LearnedHop: what each reads, what each writes, and all untrained parameters. Layer 1.

Every head's last layer starts at zero, so the untrained policy is the classical one it corrects.
"""

import jax
import jax.numpy as jnp

from .energy_features import FEATURE_NAMES
from .energy_model import morse_priors
from .environment import ATOM_FEATURES
from .exchange import N_PAIR_FEATURES
from .networks import head_shapes, init_head
from .portfolio import ARMS, STEERED

STEP_FEATURES = (
    "log rms gradient",
    "energy above run best",
    "deforming",
    "log steps taken",
    "log inverse curvature",
    "rejections",
    "log n_atoms",
    "budget used",
)
GIVE_UP_FEATURES = (
    "energy above acceptance",
    "energy less predicted decrease above acceptance",
    "energy less half the predicted decrease above acceptance",
    "energy less half the predicted decrease above the last minimum",
    "log predicted decrease",
    "log rms displacement from the last minimum",
    "log rms gradient",
    "log steps taken",
    "rejections",
    "log n_atoms",
    *(f"move was {name}" for name in STEERED),
)
HOP_FEATURES = (
    "energy change",
    "energy above run best",
    "energy above best",
    "stall",
    "log hops",
    "log restarts",
    "log n_atoms",
    "mixed",
    "periodic",
    "budget used",
    "arm deforms",
    "last move was exchange",
)
STEP_OUTPUTS = ("log step", "log cap")
HOP_OUTPUTS = (
    *("accept", "log patience", "log amplitude", "log strength", "log odds of a wall"),
    *("log atom temperature", "log site temperature"),
    *(f"move {name}" for name in STEERED),
)
RESTART_OUTPUTS = (*(f"arm {name}" for name in ARMS), "log strength", "log exponent", "log spread")

HEADS = {
    "step": (len(STEP_FEATURES), len(STEP_OUTPUTS)),
    "give up": (len(GIVE_UP_FEATURES), 1),
    "hop": (len(HOP_FEATURES), len(HOP_OUTPUTS)),
    "restart": (len(HOP_FEATURES), len(RESTART_OUTPUTS)),
    "shake": (len(ATOM_FEATURES), 1),
    "relocate": (len(ATOM_FEATURES), 1),
    "exchange": (N_PAIR_FEATURES, 1),
}
"""Name of each head: how many features it reads and how many outputs it writes."""
PRIOR = "prior"
"""Name of what is no head: what the model of the energy knows before a run."""

FEATURES = {
    "step": STEP_FEATURES,
    "give up": GIVE_UP_FEATURES,
    "hop": HOP_FEATURES,
    "restart": HOP_FEATURES,
    "shake": ATOM_FEATURES,
    "relocate": ATOM_FEATURES,
    "exchange": tuple(f"pair {k}" for k in range(N_PAIR_FEATURES)),
    PRIOR: FEATURE_NAMES,
}
"""The feature contract that a weights file is checked against."""


def warm_start(seed: int = 0) -> dict:
    """Returns heads whose every output is zero, the classical policy, and the prior of a Morse potential."""
    keys = jax.random.split(jax.random.PRNGKey(seed), len(HEADS))
    heads = {name: init_head(key, *HEADS[name]) for key, name in zip(keys, HEADS, strict=True)}
    return {**heads, PRIOR: {name: jnp.asarray(root) for name, root in morse_priors().items()}}


def param_shapes() -> dict[str, dict[str, tuple[int, ...]]]:
    """Returns the shape of every array of the parameters."""
    shapes: dict[str, dict[str, tuple[int, ...]]] = {name: head_shapes(*sizes) for name, sizes in HEADS.items()}
    return {**shapes, PRIOR: {name: root.shape for name, root in morse_priors().items()}}


def count(system):
    """Returns the log number of atoms over 5, `[]`."""
    dtype = system.positions.dtype
    return jnp.log(jnp.maximum(jnp.sum((system.species >= 0).astype(dtype)), 1.0)) / 5.0


def squash(x):
    """Returns `x` for small values and its signed logarithm for large ones."""
    return jnp.sign(x) * jnp.log1p(jnp.abs(x))
