"""Bond order parameters from spherical harmonics. Layer 4, NumPy only.

Steinhardt, Nelson & Ronchetti, Phys. Rev. B 28, 784 (1983).
"""

from functools import lru_cache
from math import factorial

import numpy as np


def bond_harmonics(unit: np.ndarray, weight: np.ndarray, degrees: tuple[int, ...]) -> dict[int, np.ndarray]:
    """Returns weighted means of spherical harmonics of bonds, `q_lm` of every atom for orders 0 to l.

    Those of negative order follow from the others: `q_l-m = (-1)^m conj(q_lm)`.

    Args:
      unit: `[n_atoms, n_bonds, 3]` unit vectors.
      weight: `[n_atoms, n_bonds]`, zero where a row has ended.
      degrees: the l.

    Returns:
      `{l: [n_atoms, l + 1]}` complex.
    """
    total = np.maximum(weight.sum(axis=1), 1e-12)
    z, turn = unit[..., 2], unit[..., 0] + 1j * unit[..., 1]
    found = {degree: np.zeros((len(unit), degree + 1), complex) for degree in degrees}
    sector = np.full(z.shape, 1.0 / np.sqrt(4.0 * np.pi))  # P_mm / sin^m, the sine goes with the turn
    around = np.ones_like(turn)
    for m in range(max(degrees) + 1):
        before, now = np.zeros_like(z), sector
        for degree in range(m, max(degrees) + 1):
            if degree in found:
                found[degree][:, m] = np.sum(weight * now * around, axis=1) / total
            above = degree + 1
            a = np.sqrt((4.0 * above**2 - 1.0) / (above**2 - m**2))
            b = np.sqrt((degree**2 - m**2) / (4.0 * degree**2 - 1.0)) if degree else 0.0
            before, now = now, a * (z * now - b * before)
        sector = -sector * np.sqrt((2.0 * m + 3.0) / (2.0 * m + 2.0))
        around = around * turn
    return found


def second_order(q: np.ndarray) -> np.ndarray:
    """Returns `q_l = sqrt(4 pi / (2 l + 1) sum_m |q_lm|^2)` `[n]` of `q_lm` `[n, l + 1]` (equation 1.3)."""
    return np.sqrt(4.0 * np.pi / (2 * q.shape[1] - 1) * _power(q))


def third_order(q: np.ndarray) -> np.ndarray:
    """Returns the normalised `w_l` `[n]` of `q_lm` `[n, l + 1]` (equations 1.4 and 1.5)."""
    degree = q.shape[1] - 1
    first, second, third, symbol = _triples(degree)
    sign = (-1.0) ** np.arange(degree, 0, -1)
    whole = np.concatenate([sign * q[:, :0:-1].conj(), q], axis=1)
    cube = np.real(whole[:, first] * whole[:, second] * whole[:, third]) @ symbol
    return cube / np.maximum(_power(q), 1e-12) ** 1.5


def _power(q: np.ndarray) -> np.ndarray:
    square = np.abs(q) ** 2
    return square[:, 0] + 2.0 * square[:, 1:].sum(axis=1)


@lru_cache(maxsize=16)
def _triples(degree: int) -> tuple[np.ndarray, ...]:
    """Returns places of the orders that add up to zero among -l ... l, and their 3j symbols."""
    orders = range(-degree, degree + 1)
    triples = [(a, b, -a - b) for a in orders for b in orders if abs(a + b) <= degree]
    places = np.array(triples).T + degree
    return (*places, np.array([_three_j(degree, a, b) for a, b, _ in triples]))


def _three_j(degree: int, a: int, b: int) -> float:
    """Returns Wigner's symbol `(l l l; a b -a-b)` by Racah's formula."""
    c = -a - b
    f = factorial
    scale = f(degree) ** 3 / f(3 * degree + 1)
    for m in (a, b, c):
        scale *= f(degree + m) * f(degree - m)
    total = 0.0
    for t in range(max(0, a, -b), min(degree, degree + a, degree - b) + 1):
        below = f(t) * f(t - a) * f(t + b) * f(degree - t) * f(degree + a - t) * f(degree - b - t)
        total += (-1) ** t / below
    return (-1) ** c * scale**0.5 * total
