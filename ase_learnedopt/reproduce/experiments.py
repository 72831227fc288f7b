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
FIRST_SEED = 72_000
"""Seeds from here on are used by no training, tuning or other benchmark."""


@dataclass(frozen=True)
class Experiment:
    """Describes a comparison at equal evaluations."""

    title: str
    weights: tuple[str, ...]  # of Learn2Hop, each a row
    problems: tuple[str, ...]
    evaluations: int  # of each run
    seeds: int
    marks: tuple[int, ...]  # evaluations at which energies are reported
    methods: tuple[str, ...] = BASELINES
    per_atom: bool = False  # whether energies are reported per atom


EXPERIMENTS = {
    "clusters": Experiment(
        "Lennard-Jones clusters",
        ("learn2hop", "learn2hop_lj", "learn2hop_lj_ga", "learn2hop_lj_cartesian", "learn2hop_lj_cartesian_ga"),
        ("lj13", "lj19", "lj26", "lj31", "lj38", "lj55", "lj75"),
        5_000,
        150,
        (500, 1_500, 5_000),
    ),
    "gupta": Experiment(
        "Bimetallic Gupta clusters",
        ("learn2hop", "learn2hop_gupta"),
        ("gupta-Pd19Pt19", "gupta-Ag19Au19", "gupta-Pd30Pt8", "gupta-Ag8Au30", "gupta-Pd19Au19", "gupta-Ag32Cu6",
         "gupta-Co10Ni9", "gupta-Pd28Pt27"),
        5_000,
        150,
        (500, 1_500, 5_000),
        (*BASELINES, "basin_hopping_swap"),
    ),
    "silicon": Experiment(
        "Disordered silicon",
        ("learn2hop", "learn2hop_si"),
        ("sw-si64", "sw-si64-liquid", "sw-si216"),
        5_000,
        50,
        (500, 1_500, 5_000),
        (*BASELINES, "basin_hopping_local"),
        per_atom=True,
    ),
}  # fmt: skip
