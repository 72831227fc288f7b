"""Rivals of the classifier, by OVITO: common neighbour analysis and polyhedral template matching. Layer 4.

Needs the extra `[motif]`. Stukowski, Modelling Simul. Mater. Sci. Eng. 18, 015012 (2010) and 20, 045021 (2012);
Larsen, Schmidt & Schiotz, Modelling Simul. Mater. Sci. Eng. 24, 055007 (2016).
"""

from typing import Any

import numpy as np

WORDS = np.array(["other", "fcc", "hcp", "bcc", "icosahedral"])
"""What OVITO's structure types 0 to 4 are called."""
GIVEN = (1.207, 1.3)
"""Given cutoffs, in distances of nearest neighbours: halfway between the first two shells of fcc, and a wider one."""
RMSD = (0.1, 0.15, 0.2, 0.25, 0.3, np.inf)
"""Cutoffs of template matching; 0.1 is OVITO's default."""


def ovito_labels(atoms: Any, nearest: float) -> dict[str, np.ndarray]:
    """Names the atoms by every rival and every setting of it.

    Args:
      atoms: an `ase.Atoms`.
      nearest: distance of nearest neighbours without noise, Angstrom, for what needs a given cutoff. Atoms that are
        nothing with it are tried with that of bcc, which is longer. The other methods do not know this distance.

    Returns:
      `[n_atoms]` of `WORDS` by the name of method and setting.

    Raises:
      ImportError: OVITO is missing.
    """
    try:
        from ovito.modifiers import CommonNeighborAnalysisModifier as Cna
        from ovito.modifiers import PolyhedralTemplateMatchingModifier as Ptm
    except ImportError as error:
        raise ImportError(f"the comparison needs OVITO ({error}): pip install 'ase-learnedopt[motif]'") from error

    modes = {"CNA adaptive": Cna.Mode.AdaptiveCutoff, "CNA interval": Cna.Mode.IntervalCutoff}
    found = {name: WORDS[_types(atoms, Cna(mode=mode))[0]] for name, mode in modes.items()}
    for factor in GIVEN:
        close, wide = (
            WORDS[_types(atoms, Cna(mode=Cna.Mode.FixedCutoff, cutoff=factor * unit))[0]]
            for unit in (nearest, nearest * 2.0 / 3.0**0.5)
        )
        found[f"CNA cutoff {factor:g}"] = np.where((close == "other") & (wide == "bcc"), wide, close)
    matching = Ptm(rmsd_cutoff=0.0, output_rmsd=True)
    for kind in (Ptm.Type.FCC, Ptm.Type.HCP, Ptm.Type.BCC, Ptm.Type.ICO):
        matching.structures[kind].enabled = True
    types, rmsd = _types(atoms, matching, "RMSD")
    for cutoff in RMSD:
        found[f"PTM rmsd {cutoff:g}"] = WORDS[np.where(rmsd <= cutoff, types, 0)]
    return found


def _types(atoms: Any, modifier: Any, other: str | None = None) -> tuple[np.ndarray, Any]:
    from ovito.io.ase import ase_to_ovito
    from ovito.pipeline import Pipeline, StaticSource

    boxed = atoms.copy()
    if not boxed.pbc.any():
        boxed.center(vacuum=10.0)
    pipeline = Pipeline(source=StaticSource(data=ase_to_ovito(boxed)))
    pipeline.modifiers.append(modifier)
    particles = pipeline.compute().particles
    return np.array(particles["Structure Type"]), None if other is None else np.array(particles[other])
