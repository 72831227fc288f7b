"""Names the structural motif of a cluster or crystal in a word, by adaptive common neighbour analysis.

Layer 4. Maras et al., Comput. Phys. Commun. 205, 13 (2016) gave the way to see diamond: its second neighbours form
close-packed shells. Minima are relaxed: there `cluster_motif` of `ase_learnedopt.motifs`, made for hot structures, says
the same, but has fewer words (`docs/motifs.md`).
"""

import numpy as np
from ase import Atoms

from ..motifs.common_neighbors import body_centred, close_packed
from .fingerprint import neighbors, typical_bond

MIN_ORDER = 0.2
"""Share of the inner atoms that must have a known surrounding; below it a structure is called disordered."""


def motif(atoms: Atoms) -> str:
    """Returns a word for the motif, '' for clusters too small to have inner atoms.

    One of `icosahedral`, `polyicosahedral` (several icosahedral centres), `decahedral` (a fivefold axis, no centre),
    `fcc`, `fcc twinned` (with hcp planes), `hcp`, `bcc`, `diamond`, `hexagonal diamond`, `disordered`.
    """
    vectors, index = _nearest_vectors(atoms, 14)
    length = np.linalg.norm(vectors, axis=2)
    if _is_tetrahedral(length):
        counts = _counts(_second_shell(vectors, index))
        words = {"diamond": counts["fcc"], "hexagonal diamond": counts["hcp"]}
        return _most(words, MIN_ORDER * len(atoms))
    inner = np.isfinite(length[:, 11]) & (length[:, 11] < 1.25 * length[:, :6].mean(axis=1))
    if not inner.any():
        return "disordered" if atoms.pbc.any() else ""
    counts = _counts(vectors[inner, :12])
    needed = MIN_ORDER * int(inner.sum())
    ordered = sum(counts.values())
    if ordered >= needed and counts["icosahedral"] > 0:
        return "icosahedral" if counts["icosahedral"] == 1 else "polyicosahedral"
    if ordered >= needed and counts["fivefold"] > 0:
        return "decahedral"
    twinned = counts["hcp"] > 0 and counts["fcc"] > 0
    words = {"fcc twinned" if twinned else "fcc": counts["fcc"], "hcp": counts["hcp"]}
    words["bcc"] = int(np.sum(body_centred(vectors)))
    return _most(words, needed)


def _most(words: dict[str, int], needed: float) -> str:
    """Returns the word with the highest count, `disordered` if that is less than needed."""
    word = max(words, key=lambda w: words[w])
    return word if words[word] >= max(needed, 1) else "disordered"


def _counts(vectors: np.ndarray) -> dict[str, int]:
    return {word: int(np.sum(atoms)) for word, atoms in close_packed(vectors).items()}


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
