"""The table of optimizers: each maps energies and forces to the next geometry, one evaluation at a time. Layer 1.

`OPTIMIZERS` maps a name to its builder; called without arguments, every builder returns a ready `Optimizer`.
"""

from .adam import adam
from .basin_hopping import basin_hopping
from .fire import fire
from .gradient_descent import gradient_descent
from .lbfgs import lbfgs
from .learn2hop import learn2hop
from .learned_hop import learned_hop
from .learned_relax import learned_relax
from .momentum import momentum
from .random_restart import random_restart
from .two_phase import two_phase

OPTIMIZERS = {
    builder.__name__: builder
    for builder in (
        gradient_descent,
        momentum,
        adam,
        fire,
        lbfgs,
        two_phase,
        random_restart,
        basin_hopping,
        learn2hop,
        learned_hop,
        learned_relax,
    )
}

__all__ = ["OPTIMIZERS", *OPTIMIZERS]  # noqa: PLE0604
