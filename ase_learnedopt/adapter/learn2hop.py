"""Learn2Hop as an ASE optimizer: a network that learned to relax and to hop. Layer 3."""

from pathlib import Path

from ..optimizers.host_start import start_learn2hop
from ..optimizers.learn2hop_network import Learn2HopConfig
from .trained import TrainedOptimizer


class Learn2Hop(TrainedOptimizer):
    """Searches by what a small network says of every atom at every step, then relaxes the best structure to `fmax`.

    After Merchant, Metz, Schoenholz & Cubuk, ICML 2021, arXiv:2107.09661. A hop is what the log counts as one: the
    structure is kicked or sent back far, or has left a local minimum that it had entered. Give `steps`: the network
    paces itself by the budget.

    Args:
      atoms: Atoms, or a filter around them; with `max_hops=0` anything that ASE's optimizers take.
      weights: name of shipped weights, path of a weights file, or None for plain quasi-Newton steps.
      config: constants of the architecture; those of the weights if None.
      **kwargs: see `LearnedOptimizer`.

    Example:
      >>> opt = Learn2Hop(atoms, seed=0, trajectory="opt.traj")
      >>> opt.run(fmax=0.05, steps=2000)
      >>> opt.best_energy, opt.status, len(opt.minima)
    """

    architecture = "learn2hop"
    _start = staticmethod(start_learn2hop)
    _sees_neighbors = True

    def __init__(
        self,
        atoms,
        restart=None,
        logfile="-",
        trajectory=None,
        append_trajectory: bool = False,
        *,
        weights: str | Path | None = "learn2hop",
        config: Learn2HopConfig | None = None,
        **kwargs,
    ):
        super().__init__(
            atoms, restart, logfile, trajectory, append_trajectory, weights=weights, config=config, **kwargs
        )
