"""Parameters of the effective medium theory, those of ASE's calculator. Layer 1.

Jacobsen, Stoltze & Norskov, Surf. Sci. 366, 394 (1996).
"""

from typing import NamedTuple

import numpy as np

BOHR = 0.5291772105638411
"""Angstrom, as in `ase.units` (CODATA 2014)."""
PARAMETERS = {
    #      E0     s0    V0     eta2   kappa  lambda n0
    #      eV     bohr  eV     1/bohr 1/bohr 1/bohr bohr^-3
    "Al": (-3.28, 3.00, 1.493, 1.240, 2.000, 1.169, 0.00700),
    "Cu": (-3.51, 2.67, 2.476, 1.652, 2.740, 1.906, 0.00910),
    "Ag": (-2.96, 3.01, 2.132, 1.652, 2.790, 1.892, 0.00547),
    "Au": (-3.80, 3.00, 2.321, 1.674, 2.873, 2.182, 0.00703),
    "Ni": (-4.44, 2.60, 3.673, 1.669, 2.757, 1.948, 0.01030),
    "Pd": (-3.90, 2.87, 2.773, 1.818, 3.107, 2.155, 0.00688),
    "Pt": (-5.85, 2.90, 4.067, 1.812, 3.145, 2.192, 0.00802),
}
"""The seven metals that ASE's calculator is meant for."""


class EMTTable(NamedTuple):
    """Holds the parameters of some elements, `[n_elements]` each, lengths in Angstrom."""

    E0: np.ndarray
    s0: np.ndarray
    V0: np.ndarray
    eta2: np.ndarray
    kappa: np.ndarray
    lambda_: np.ndarray
    n0: np.ndarray


def emt_table(elements) -> EMTTable:
    """Looks up the parameters of elements.

    Raises:
      ValueError: if there are none, an element comes twice or is not one of the seven.
    """
    elements = tuple(elements)
    strangers = [symbol for symbol in elements if symbol not in PARAMETERS]
    if strangers:
        raise ValueError(f"EMT has no {', '.join(strangers)}, only {', '.join(PARAMETERS)}")
    if not elements or len(set(elements)) != len(elements):
        raise ValueError(f"elements must be one or more different symbols, not {elements!r}")
    columns = np.array([PARAMETERS[symbol] for symbol in elements]).T
    units = np.array([1.0, BOHR, 1.0, 1.0 / BOHR, 1.0 / BOHR, 1.0 / BOHR, BOHR**-3])
    return EMTTable(*(columns * units[:, None]))
