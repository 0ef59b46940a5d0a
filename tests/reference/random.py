# SPDX-License-Identifier: Apache-2.0
"""Counter-based random numbers: Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as
easy as 1, 2, 3"), uniform, normal (Box & Muller 1958) and dropout.

Element i of a stream is word (offset + i) % 4 of the block with counter (offset + i) // 4, so it
depends on seed, offset and i alone. Known answers, counter | key -> words:
  00000000 x4 | 00000000 x2 -> 6627e8d5 e169c58d bc57ac4c 9b00dbd8
  ffffffff x4 | ffffffff x2 -> 408f276d 41c83b0e a20bc7c6 6d5451fd
  243f6a88 85a308d3 13198a2e 03707344 | a4093822 299f31d0 -> d16cfe09 94fdcceb 5001e420 24126ea1
"""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from . import Array

Words: TypeAlias = NDArray[np.uint64]  # 32-bit words, kept in 64 bits for the products

MULTIPLIERS = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
KEY_INCREMENTS = (np.uint64(0x9E3779B9), np.uint64(0xBB67AE85))
LOW_32 = np.uint64(0xFFFFFFFF)


def philox4x32(counter: Words, key: Words) -> NDArray[np.uint32]:
    """counter (..., 4), key (2) of 32-bit words -> (..., 4); ten rounds."""
    c0, c1, c2, c3 = np.moveaxis(np.asarray(counter, np.uint64), -1, 0)
    k0, k1 = np.uint64(key[0]), np.uint64(key[1])
    for _ in range(10):
        product0, product1 = MULTIPLIERS[0] * c0, MULTIPLIERS[1] * c2
        high0, low0 = product0 >> np.uint64(32), product0 & LOW_32
        high1, low1 = product1 >> np.uint64(32), product1 & LOW_32
        c0, c1, c2, c3 = high1 ^ c1 ^ k0, low1, high0 ^ c3 ^ k1, low0
        k0, k1 = (k0 + KEY_INCREMENTS[0]) & LOW_32, (k1 + KEY_INCREMENTS[1]) & LOW_32
    return np.stack([c0, c1, c2, c3], axis=-1).astype(np.uint32)


def _blocks(seed: int, offset: int, n: int) -> NDArray[np.uint32]:
    """(blocks, 4): all blocks that hold elements offset ... offset + n - 1."""
    first, last = offset // 4, (offset + n + 3) // 4
    block = np.uint64(first) + np.arange(last - first, dtype=np.uint64)
    zero = np.zeros_like(block)
    counter = np.stack([block & LOW_32, block >> np.uint64(32), zero, zero], axis=-1)
    return philox4x32(counter, np.array([seed & 0xFFFFFFFF, seed >> 32], np.uint64))


def uniform(seed: int, offset: int, n: int) -> Array:
    """n numbers in [0, 1), multiples of 2^-24."""
    words = _blocks(seed, offset, n).ravel()[offset % 4 : offset % 4 + n]
    return (words >> np.uint32(8)).astype(np.float64) * 2.0**-24


def normal(seed: int, offset: int, n: int) -> Array:
    """n standard normals; words (0, 1) and (2, 3) of a block make two each."""
    pairs = (_blocks(seed, offset, n) >> np.uint32(8)).astype(np.float64).reshape(-1, 2)
    radius = np.sqrt(-2 * np.log((pairs[:, 0] + 1) * 2.0**-24))
    angle = 2 * np.pi * pairs[:, 1] * 2.0**-24
    both = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=-1)
    return both.ravel()[offset % 4 : offset % 4 + n]


def _dropout_scale(shape: tuple[int, ...], p: float, seed: int, offset: int) -> Array:
    """1 / (1 - p) where an element (in C order) is kept, 0 where it is dropped."""
    kept = uniform(seed, offset, int(np.prod(shape))).reshape(shape) >= p
    return np.where(kept, 1 / (1 - p), 0) if p < 1 else np.zeros(shape)


def dropout(x: Array, p: float, seed: int, offset: int) -> Array:
    """Drops with probability p, scales what stays by 1 / (1 - p) (Srivastava 2014)."""
    return x * _dropout_scale(x.shape, p, seed, offset)


def dropout_backward(dy: Array, p: float, seed: int, offset: int) -> Array:
    return dy * _dropout_scale(dy.shape, p, seed, offset)
