"""Adaptive common neighbour analysis, atom by atom. Layer 4, NumPy only.

Honeycutt & Andersen, J. Phys. Chem. 91, 4950 (1987) gave the bond signatures (421 fcc, 422 hcp, 555 fivefold),
Stukowski, Modelling Simul. Mater. Sci. Eng. 20, 045021 (2012) the cutoff that adapts to every atom.
"""

import numpy as np

_LOCAL = (1.0 + np.sqrt(2.0)) / 2.0  # between first and second shell of fcc, in first-shell distances


def close_packed(vectors: np.ndarray) -> dict[str, np.ndarray]:
    """Tells which shells are fcc, hcp, icosahedral, or that of an atom on a fivefold axis.

    Args:
      vectors: `[n_atoms, 12, 3]` to the twelve nearest neighbours; infinite where there are fewer.

    Returns:
      `[n_atoms]` bool for each of `fcc`, `hcp`, `icosahedral`, `fivefold`.
    """
    there = np.isfinite(vectors).all(axis=(1, 2))
    whole = np.where(there[:, None, None], vectors, 0.0)
    common, bonds, most = _signatures(whole, _LOCAL * np.linalg.norm(whole, axis=2).mean(axis=1))
    s421 = ((common == 4) & (bonds == 2) & (most == 1)).sum(axis=1)
    s422 = ((common == 4) & (bonds == 2) & (most == 2)).sum(axis=1)
    s555 = ((common == 5) & (bonds == 5) & (most == 2)).sum(axis=1)
    return {
        "fcc": there & (s421 == 12),
        "hcp": there & (s421 == 6) & (s422 == 6),
        "icosahedral": there & (s555 == 12),
        "fivefold": there & (s422 == 10) & (s555 == 2),
    }


def body_centred(vectors: np.ndarray) -> np.ndarray:
    """Tells which shells are bcc, `[n_atoms]` bool.

    Args:
      vectors: `[n_atoms, 14, 3]` to the fourteen nearest neighbours; infinite where there are fewer.
    """
    there = np.isfinite(vectors).all(axis=(1, 2))
    whole = np.where(there[:, None, None], vectors, 0.0)
    length = np.linalg.norm(whole, axis=2)
    constant = (2.0 / np.sqrt(3.0) * length[:, :8].mean(axis=1) + length[:, 8:].mean(axis=1)) / 2.0
    common, bonds, most = _signatures(whole, _LOCAL * constant)
    s666 = ((common == 6) & (bonds == 6) & (most == 2)).sum(axis=1)
    s444 = ((common == 4) & (bonds == 4) & (most == 2)).sum(axis=1)
    return there & (s666 == 8) & (s444 == 6)


def _signatures(vectors: np.ndarray, cutoff: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns, each `[n, k]`, the common neighbours of every bond, the bonds among them and the most bonds of one."""
    apart = np.linalg.norm(vectors[:, :, None] - vectors[:, None], axis=3)
    bonded = (apart < cutoff[:, None, None]) & ~np.eye(vectors.shape[1], dtype=bool)
    common = bonded.sum(axis=2)
    shared = bonded[:, :, :, None] & bonded[:, :, None, :] & bonded[:, None]  # [n, bond, common a, common b]
    degree = shared.sum(axis=3)
    return common, degree.sum(axis=2) // 2, degree.max(axis=2)
