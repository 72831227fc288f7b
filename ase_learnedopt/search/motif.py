"""Names the structural motif of a cluster or crystal in a word, by adaptive common neighbour analysis.

Layer 4. Honeycutt & Andersen, J. Phys. Chem. 91, 4950 (1987) gave the bond signatures (421 fcc, 422 hcp, 555
fivefold), Stukowski, Modelling Simul. Mater. Sci. Eng. 20, 045021 (2012) the cutoff that adapts to every atom, Maras
et al., Comput. Phys. Commun. 205, 13 (2016) the way to see diamond: its second neighbours form close-packed shells.
"""

import numpy as np
from ase import Atoms

from .fingerprint import neighbors, typical_bond

MIN_ORDER = 0.2
"""Share of the inner atoms that must have a known surrounding; below it a structure is called disordered."""

_LOCAL = (1.0 + np.sqrt(2.0)) / 2.0  # between first and second shell of fcc, in first-shell distances


def motif(atoms: Atoms) -> str:
    """Returns a word for the motif, '' for clusters too small to have inner atoms.

    One of `icosahedral`, `polyicosahedral` (several icosahedral centres), `decahedral` (a fivefold axis, no centre),
    `fcc`, `fcc twinned` (with hcp planes), `hcp`, `bcc`, `diamond`, `hexagonal diamond`, `disordered`.
    """
    vectors, index = _nearest_vectors(atoms, 14)
    length = np.linalg.norm(vectors, axis=2)
    if _is_tetrahedral(length):
        counts = _close_packed(_second_shell(vectors, index))
        words = {"diamond": counts["fcc"], "hexagonal diamond": counts["hcp"]}
        return _most(words, MIN_ORDER * len(atoms))
    inner = np.isfinite(length[:, 11]) & (length[:, 11] < 1.25 * length[:, :6].mean(axis=1))
    if not inner.any():
        return "disordered" if atoms.pbc.any() else ""
    counts = _close_packed(vectors[inner, :12])
    needed = MIN_ORDER * int(inner.sum())
    ordered = sum(counts.values())
    if ordered >= needed and counts["icosahedral"] > 0:
        return "icosahedral" if counts["icosahedral"] == 1 else "polyicosahedral"
    if ordered >= needed and counts["axis"] > 0:
        return "decahedral"
    twinned = counts["hcp"] > 0 and counts["fcc"] > 0
    words = {"fcc twinned" if twinned else "fcc": counts["fcc"], "hcp": counts["hcp"]}
    words["bcc"] = _body_centred(vectors[np.isfinite(length[:, 13])])
    return _most(words, needed)


def _most(words: dict[str, int], needed: float) -> str:
    """Returns the word with the highest count, `disordered` if that is less than needed."""
    word = max(words, key=lambda w: words[w])
    return word if words[word] >= max(needed, 1) else "disordered"


def _nearest_vectors(atoms: Atoms, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns vectors `[n_atoms, k, 3]` to the nearest neighbours, infinite beyond the last, and their indices."""
    n, reach = len(atoms), 1.6 * typical_bond(atoms)
    for _ in range(4):
        first, second, vector = neighbors(atoms, reach)
        enough = k if atoms.pbc.any() else min(k, n - 1)
        if np.median(np.bincount(first, minlength=n)) >= enough:
            break
        reach *= 1.5
    order = np.lexsort((np.linalg.norm(vector, axis=1), first))
    first, second, vector = first[order], second[order], vector[order]
    counts = np.bincount(first, minlength=n)
    column = np.arange(len(first)) - np.repeat(np.cumsum(counts) - counts, counts)
    near = column < k
    vectors, index = np.full((n, k, 3), np.inf), np.zeros((n, k), int)
    vectors[first[near], column[near]] = vector[near]
    index[first[near], column[near]] = second[near]
    return vectors, index


def _is_tetrahedral(length: np.ndarray) -> bool:
    """Tells whether most atoms have four near neighbours and a gap behind them."""
    return len(length) > 8 and bool(np.mean(length[:, 4] > 1.25 * length[:, 3]) > 0.5)


def _second_shell(vectors: np.ndarray, index: np.ndarray) -> np.ndarray:
    """Returns the vectors `[n_atoms, 12, 3]` to the neighbours of the four nearest neighbours."""
    with np.errstate(invalid="ignore"):  # atoms with fewer neighbours have some at infinity
        paths = (vectors[:, :4, None] + vectors[index[:, :4], :4]).reshape(len(vectors), 16, 3)
    order = np.argsort(np.linalg.norm(paths, axis=2), axis=1)  # four of the paths lead back
    return np.take_along_axis(paths, order[:, 4:, None], axis=1)


def _signatures(vectors: np.ndarray, cutoff: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns, each `[n, k]`, the common neighbours of every bond, the bonds among them and the most bonds of one."""
    apart = np.linalg.norm(vectors[:, :, None] - vectors[:, None], axis=3)
    bonded = (apart < cutoff[:, None, None]) & ~np.eye(vectors.shape[1], dtype=bool)
    common = bonded.sum(axis=2)
    shared = bonded[:, :, :, None] & bonded[:, :, None, :] & bonded[:, None]  # [n, bond, common a, common b]
    degree = shared.sum(axis=3)
    return common, degree.sum(axis=2) // 2, degree.max(axis=2)


def _close_packed(vectors: np.ndarray) -> dict[str, int]:
    """Counts the atoms whose twelve neighbours `[n, 12, 3]` form an fcc, hcp, icosahedral or fivefold-axis shell."""
    vectors = vectors[np.isfinite(vectors).all(axis=(1, 2))]
    cutoff = _LOCAL * np.linalg.norm(vectors, axis=2).mean(axis=1)
    common, bonds, most = _signatures(vectors, cutoff)
    s421 = ((common == 4) & (bonds == 2) & (most == 1)).sum(axis=1)
    s422 = ((common == 4) & (bonds == 2) & (most == 2)).sum(axis=1)
    s555 = ((common == 5) & (bonds == 5) & (most == 2)).sum(axis=1)
    return {
        "fcc": int(np.sum(s421 == 12)),
        "hcp": int(np.sum((s421 == 6) & (s422 == 6))),
        "icosahedral": int(np.sum(s555 == 12)),
        "axis": int(np.sum((s422 == 10) & (s555 == 2))),
    }


def _body_centred(vectors: np.ndarray) -> int:
    """Counts the atoms whose fourteen neighbours `[n, 14, 3]` form a bcc shell."""
    length = np.linalg.norm(vectors, axis=2)
    constant = (2.0 / np.sqrt(3.0) * length[:, :8].mean(axis=1) + length[:, 8:].mean(axis=1)) / 2.0
    common, bonds, most = _signatures(vectors, _LOCAL * constant)
    s666 = ((common == 6) & (bonds == 6) & (most == 2)).sum(axis=1)
    s444 = ((common == 4) & (bonds == 4) & (most == 2)).sum(axis=1)
    return int(np.sum((s666 == 8) & (s444 == 6)))
