# SPDX-License-Identifier: Apache-2.0
"""Generators: a seed, and how far its stream of random words is used up.

The numbers themselves are a function of seed and position (Philox), so a generator only counts
positions: the same seed gives the same numbers on every device and for any number of threads.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from gradsmith.backend import Device, as_device, on_host
from gradsmith.tensor import Tensor, wrap

_BLOCK = 4  # words of a Philox block; draws start at a block of their own
_LIMIT = 2**64


class Generator:
    """A stream of random numbers of its own: ``Generator().manual_seed(7)``."""

    def __init__(self, device: Device | str | None = None) -> None:
        """Start the stream of seed 0 at its beginning."""
        self.device = as_device(device)
        self._lock = threading.Lock()
        self._seed = 0
        self._offset = 0

    def manual_seed(self, seed: int) -> Generator:
        """Start the stream of ``seed`` at its beginning, and return the generator.

        Raises:
            TypeError: the seed is no int.
            ValueError: it lies outside -2**63 ... 2**64 - 1 (negative ones count from 2**64).
        """
        if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)):
            raise TypeError(f"manual_seed: seed is a {type(seed).__name__}, expected an int")
        if not -(2**63) <= seed < _LIMIT:
            raise ValueError(f"manual_seed: seed is {seed}, expected -2**63 <= seed < 2**64")
        with self._lock:
            self._seed = int(seed) % _LIMIT
            self._offset = 0
        return self

    def seed(self) -> int:
        """Start a stream with a seed from the operating system, and return that seed."""
        seed = int.from_bytes(os.urandom(8), "little")
        self.manual_seed(seed)
        return seed

    def initial_seed(self) -> int:
        """Return the seed of the stream."""
        return self._seed

    def get_state(self) -> Tensor:
        """Return seed and position as a uint8 tensor of shape (16,)."""
        with self._lock:
            words = np.array([self._seed, self._offset], dtype="<u8")
        return wrap(words.view(np.uint8).copy())

    def set_state(self, state: Tensor) -> Generator:
        """Go to where `get_state` was called, and return the generator.

        Raises:
            TypeError, ValueError: the state is no uint8 tensor of shape (16,).
        """
        if not isinstance(state, Tensor) or state.dtype != np.uint8:
            raise TypeError("set_state: expected a uint8 tensor, as get_state returns it")
        if state.shape != (16,):
            raise ValueError(f"set_state: the state has shape {state.shape}, expected (16,)")
        seed, offset = np.ascontiguousarray(on_host(state._array)).view("<u8")
        with self._lock:
            self._seed, self._offset = int(seed), int(offset)
        return self

    def take(self, words: int) -> tuple[int, int]:
        """Use up ``words`` random words; return the seed and the position of the first."""
        with self._lock:
            offset = self._offset
            self._offset = (offset + -(-words // _BLOCK) * _BLOCK) % _LIMIT
            return self._seed, offset

    def take_integers(self, count: int) -> tuple[int, int]:
        """Use up ``count`` draws of two words; return the seed and the position of the first."""
        seed, offset = self.take(2 * count)
        return seed, offset // 2


default_generator = Generator()


def manual_seed(seed: int) -> Generator:
    """Seed the default generator, from which everything without a ``generator`` draws.

    Raises:
        TypeError, ValueError: as `Generator.manual_seed`.
    """
    return default_generator.manual_seed(seed)


def seed() -> int:
    """Seed the default generator from the operating system, and return the seed."""
    return default_generator.seed()


def initial_seed() -> int:
    """Return the seed of the default generator."""
    return default_generator.initial_seed()


def get_rng_state() -> Tensor:
    """Return the state of the default generator, for `set_rng_state`."""
    return default_generator.get_state()


def set_rng_state(new_state: Tensor) -> None:
    """Put the default generator back where `get_rng_state` was called.

    Raises:
        TypeError, ValueError: as `Generator.set_state`.
    """
    default_generator.set_state(new_state)


@contextmanager
def fork_rng(enabled: bool = True) -> Iterator[None]:
    """Put the default generator back at the end of a ``with`` block where it was before.

    Args:
        enabled: False lets the block's draws count.

    >>> import gradsmith as gs
    >>> _ = gs.manual_seed(0)
    >>> with gs.random.fork_rng():
    ...     first = gs.rand(2)
    >>> gs.equal(gs.rand(2), first)
    True
    """
    state = get_rng_state()
    try:
        yield
    finally:
        if enabled:
            set_rng_state(state)
