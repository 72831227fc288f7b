"""The natural lengths and energies of a potential. Layer 1."""

from typing import NamedTuple


class Scales(NamedTuple):
    """Holds what a `System` needs to know of its potential."""

    length_scale: float  # Angstrom, typical bond length
    energy_scale: (
        float  # eV, typical bond energy: a twelve-coordinated metal atom or a silicon atom owns half its bonds
    )
    radii: tuple[float, ...]  # Angstrom, one per species; atoms i and j touch at radii[i] + radii[j]
