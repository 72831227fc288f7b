"""Natural lengths and energies of the elements, from tables. Layer 3.

They need to be right within a factor of two: hops, tolerances and acceptance are measured in them.
"""

import numpy as np
from ase.data import covalent_radii

# eV per atom, C. Kittel, Introduction to Solid State Physics, 8th ed., chapter 3, table 1.
COHESIVE_ENERGY = {
    3: 1.63, 4: 3.32, 5: 5.81, 6: 7.37, 7: 4.92, 8: 2.60, 9: 0.84, 10: 0.020, 11: 1.113, 12: 1.51, 13: 3.39, 14: 4.63,
    15: 3.43, 16: 2.85, 17: 1.40, 18: 0.080, 19: 0.934, 20: 1.84, 21: 3.90, 22: 4.85, 23: 5.31, 24: 4.10, 25: 2.92,
    26: 4.28, 27: 4.39, 28: 4.44, 29: 3.49, 30: 1.35, 31: 2.81, 32: 3.85, 33: 2.96, 34: 2.46, 35: 1.22, 36: 0.116,
    37: 0.852, 38: 1.72, 39: 4.37, 40: 6.25, 41: 7.57, 42: 6.82, 43: 6.85, 44: 6.74, 45: 5.75, 46: 3.89, 47: 2.95,
    48: 1.16, 49: 2.52, 50: 3.14, 51: 2.75, 52: 2.19, 53: 1.11, 54: 0.16, 55: 0.804, 56: 1.90, 57: 4.47, 72: 6.44,
    73: 8.10, 74: 8.90, 75: 8.03, 76: 8.17, 77: 6.94, 78: 5.84, 79: 3.81, 80: 0.67, 81: 1.88, 82: 2.03, 83: 2.18,
}  # fmt: skip
UNKNOWN_COHESIVE_ENERGY = 3.0
# Of Pauling, as revised by A. L. Allred, J. Inorg. Nucl. Chem. 17, 215 (1961), and in the CRC Handbook.
ELECTRONEGATIVITY = {
    1: 2.20, 3: 0.98, 4: 1.57, 5: 2.04, 6: 2.55, 7: 3.04, 8: 3.44, 9: 3.98, 11: 0.93, 12: 1.31, 13: 1.61, 14: 1.90,
    15: 2.19, 16: 2.58, 17: 3.16, 19: 0.82, 20: 1.00, 21: 1.36, 22: 1.54, 23: 1.63, 24: 1.66, 25: 1.55, 26: 1.83,
    27: 1.88, 28: 1.91, 29: 1.90, 30: 1.65, 31: 1.81, 32: 2.01, 33: 2.18, 34: 2.55, 35: 2.96, 37: 0.82, 38: 0.95,
    39: 1.22, 40: 1.33, 41: 1.60, 42: 2.16, 44: 2.20, 45: 2.28, 46: 2.20, 47: 1.93, 48: 1.69, 49: 1.78, 50: 1.96,
    51: 2.05, 52: 2.10, 53: 2.66, 55: 0.79, 56: 0.89, 57: 1.10, 58: 1.12, 72: 1.30, 73: 1.50, 74: 2.36, 75: 1.90,
    76: 2.20, 77: 2.20, 78: 2.28, 79: 2.54, 80: 2.00, 81: 1.62, 82: 2.33, 83: 2.02,
}  # fmt: skip
IONIC = 1.0
"""Difference of electronegativities from which a bond counts as one of ions; those of alloys are below."""
UNKNOWN_RADIUS = 1.3


def contact_radii(numbers: np.ndarray, length_scale: float | None) -> np.ndarray:
    """Returns radii `[n_atoms]` in Angstrom: covalent ones, scaled so that twice their mean is a given length scale.

    Covalent radii are those of Cordero et al., Dalton Trans. 2832 (2008), as tabulated in ASE.
    """
    radii = np.where(numbers > 0, covalent_radii[np.clip(numbers, 0, len(covalent_radii) - 1)], UNKNOWN_RADIUS)
    return radii if length_scale is None else radii * (length_scale / (2.0 * radii.mean()))


def typical_bond_energy(numbers: np.ndarray) -> float:
    """Returns the typical energy of a bond in eV.

    A sixth of the mean cohesive energy, since in a close-packed metal an atom has half of twelve bonds; and for anions
    with cations, by their share among all pairs, the square of the difference of their electronegativities in eV
    (Pauling, J. Am. Chem. Soc. 54, 3570, 1932).
    """
    elements, counts = np.unique(numbers, return_counts=True)
    share = counts / counts.sum()
    bonds = share @ [COHESIVE_ENERGY.get(int(z), UNKNOWN_COHESIVE_ENERGY) for z in elements] / 6.0
    known = np.array([ELECTRONEGATIVITY.get(int(z), np.nan) for z in elements])
    difference = np.abs(known[:, None] - known[None, :])
    return float(bonds + share @ np.where(difference > IONIC, difference**2, 0.0) @ share)
