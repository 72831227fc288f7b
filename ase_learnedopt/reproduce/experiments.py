"""Which methods are compared on which problems in the experiments of the paper on Learn2Hop. Layer 4.

After Merchant, Metz, Schoenholz & Cubuk, ICML 2021, arXiv:2107.09661: from the same starts, at equal evaluations, how
low is the best energy? Their baselines are gradient descent, momentum, Adam, FIRE and basin hopping; here each local
optimizer is tuned and restarted from fresh random structures, which makes it a stronger rival than alone.
"""

from dataclasses import dataclass

BASELINES = (
    "random_restart_gradient_descent_tuned",
    "random_restart_momentum_tuned",
    "random_restart_adam_tuned",
    "random_restart_fire_tuned",
    "random_restart_lbfgs_tuned",
    "basin_hopping",
)
FIRST_SEED = 70_000
"""Seeds from here on are used by no training, tuning or other benchmark."""


@dataclass(frozen=True)
class Experiment:
    """Describes a comparison at equal evaluations."""

    title: str
    weights: str  # of Learn2Hop
    problems: tuple[str, ...]
    trained: tuple[str, ...]  # those of the problems that the weights were trained on
    evaluations: int  # of each run
    seeds: int
    marks: tuple[int, ...]  # evaluations at which energies are reported
    methods: tuple[str, ...] = BASELINES


EXPERIMENTS = {
    "clusters": Experiment(
        "Lennard-Jones clusters",
        "learn2hop_lj13",
        ("lj13", "lj19", "lj26", "lj31", "lj38", "lj55", "lj75"),
        ("lj13",),
        5_000,
        150,
        (500, 1_500, 5_000),
    ),
}
