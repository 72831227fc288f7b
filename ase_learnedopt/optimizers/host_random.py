"""The random stream of `jax.random` in NumPy, for the few numbers needed before anything is compiled. Layer 1.

Threefry-2x32 of Salmon et al., Proc. SC11, 16 (2011), with the counters that jax has used since its version 0.5.
"""

from statistics import NormalDist

import numpy as np

ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
PARITY = 0x1BD11BDA
MASK = 0xFFFFFFFF


def split(key: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns what `jax.random.split(key)` returns, for a key `[2]` uint32."""
    first, second = (np.array(_threefry(key, 0, count), np.uint32) for count in (0, 1))
    return first, second


def uniforms(key: np.ndarray, n: int) -> np.ndarray:
    """Returns what `noise.uniforms(key, float64, (n,))` draws, `[n]`."""
    return np.array([max(1e-7, _unit(*_threefry(key, 0, count)) * (1.0 - 1e-7) + 1e-7) for count in range(n)])


def to_normal(uniform: np.ndarray) -> np.ndarray:
    """Turns uniforms into standard normals, as `noise.to_normal` does."""
    quantile = NormalDist().inv_cdf
    return np.array([quantile(min(u, 1.0 - 1e-7)) for u in uniform.tolist()])


def _unit(high: int, low: int) -> float:
    """Returns a number in [0, 1) of 52 bits out of 64."""
    return ((high << 32 | low) >> 12) * 2.0**-52


def _threefry(key: np.ndarray, x: int, y: int) -> tuple[int, int]:
    """Returns the two words that the key makes of two words of a counter."""
    schedule = (int(key[0]), int(key[1]), int(key[0]) ^ int(key[1]) ^ PARITY)
    x, y = (x + schedule[0]) & MASK, (y + schedule[1]) & MASK
    for block in range(5):
        for rotation in ROTATIONS[block % 2]:
            x = (x + y) & MASK
            y = ((y << rotation | y >> (32 - rotation)) & MASK) ^ x
        x = (x + schedule[(block + 1) % 3]) & MASK
        y = (y + schedule[(block + 2) % 3] + block + 1) & MASK
    return x, y
