"""A constraint of every class of ASE, for the tables of tests, which say what they expect of each by its name.

The atoms are eight or more, of which the first three are in a row where `FixLinearTriatomic` shall be kept to.
"""

import numpy as np
from ase.constraints import (
    ExternalForce,
    FixAtoms,
    FixBondLength,
    FixBondLengths,
    FixCartesian,
    FixCartesianParametricRelations,
    FixCom,
    FixedLine,
    FixedMode,
    FixedPlane,
    FixInternals,
    FixLinearTriatomic,
    FixScaled,
    FixScaledParametricRelations,
    FixSubsetCom,
    FixSymmetry,
    Hookean,
    MirrorForce,
    MirrorTorque,
)

MODE = np.arange(48.0).reshape(16, 3) - 3.0


def first_atom_stays(cls, atoms, place):
    """Returns a parametric constraint that lets all atoms but the first go where they like."""
    names = [f"x{i}" for i in range(3 * len(atoms) - 3)]
    return cls.from_expressions(list(range(len(atoms))), names, [*(str(value) for value in place[0]), *names])


def bond(atoms):
    """Returns what `FixInternals` takes for the bond of two atoms that is to stay as it is."""
    return [atoms.get_distance(0, 5), [0, 5]]


HOLDING = {
    "FixAtoms": lambda a: FixAtoms([0, -1]),
    "FixCartesian": lambda a: FixCartesian([0, -1]),
    "FixScaled": lambda a: FixScaled([0, -1], (True, False, True)),
    "FixedPlane": lambda a: FixedPlane([0, -1], (1, 1, 0)),
    "FixedLine": lambda a: FixedLine([0, -1], (1, 1, 0)),
    "FixedMode": lambda a: FixedMode(MODE[: len(a)]),
    "FixBondLength": lambda a: FixBondLength(0, 5),
    "FixBondLengths": lambda a: FixBondLengths([(0, 5), (5, 6)]),
    "FixInternals": lambda a: FixInternals(bonds=[bond(a)], epsilon=1e-9),
    "FixLinearTriatomic": lambda a: FixLinearTriatomic([(0, 1, 2)]),
    "FixCom": lambda a: FixCom(),
    "FixSubsetCom": lambda a: FixSubsetCom([0, 1, 4]),
    "FixScaledParametricRelations": lambda a: first_atom_stays(
        FixScaledParametricRelations, a, a.get_scaled_positions(wrap=False)
    ),
    "FixCartesianParametricRelations": lambda a: first_atom_stays(FixCartesianParametricRelations, a, a.positions),
}
"""Those that hold something, by the names of their classes."""
PUSHING = {
    "FixSymmetry": FixSymmetry,  # of crystals only, and it needs spglib
    "Hookean": lambda a: Hookean(0, 1, k=2.0, rt=3.0),
    "ExternalForce": lambda a: ExternalForce(0, 3, -0.05),
    "MirrorForce": lambda a: MirrorForce(0, 1, max_dist=2.0),
    "MirrorTorque": lambda a: MirrorTorque(0, 1, 3, 4, max_angle=1.0),
}
"""Those that add to forces or change them."""
EVERY = {**HOLDING, **PUSHING}
