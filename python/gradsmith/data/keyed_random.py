# SPDX-License-Identifier: Apache-2.0
"""Random numbers of the data pipeline, keyed by (seed, epoch, sample).

Each draw starts a Philox stream at a place that only its key decides, so neither the number of
workers nor the order in which they finish changes an order or an augmentation. Orders are made from
the raw words of the bit generator, whose values NumPy promises to keep over its versions.
"""

from __future__ import annotations

import threading
from typing import Any

import numpy as np

from gradsmith.backend import Array
from gradsmith.random import Generator, default_generator

ORDER, SPLIT, SAMPLE, BATCH = 0, 1, 2, 3  # what a stream is for: its part of the counter


def _stream(seed: int, epoch: int, purpose: int, index: int = 0) -> np.random.Philox:
    key = np.array([seed, epoch], dtype=np.uint64)
    return np.random.Philox(key=key, counter=np.array([0, 0, index, purpose], dtype=np.uint64))


def permutation(size: int, seed: int, epoch: int, purpose: int = ORDER) -> Array:
    """Return the numbers 0 ... size - 1 in the order of (seed, epoch), int64 of shape (size,)."""
    words = _stream(seed, epoch, purpose).random_raw(size)
    return np.argsort(words, kind="stable")


def uniform(size: int, seed: int, epoch: int) -> Array:
    """Return float64 of shape (size,) in [0, 1)."""
    words = _stream(seed, epoch, ORDER).random_raw(size)
    return (words >> np.uint64(11)).astype(np.float64) * 2.0**-53


def as_seed(op: str, seed: Any) -> int:
    """Return a seed given as an int, a generator to draw it from, or None.

    None draws from the library's generator, so `gradsmith.manual_seed` fixes what follows.

    Raises:
        TypeError: it is none of these.
        ValueError: an int is outside 0 ... 2**64 - 1.
    """
    if isinstance(seed, np.random.Generator):
        return int(seed.integers(2**63))
    if isinstance(seed, (int, np.integer)) and not isinstance(seed, bool):
        if not 0 <= seed < 2**64:
            raise ValueError(f"{op}: seed is {seed}, expected 0 <= seed < 2**64")
        return int(seed)
    generator = default_generator if seed is None else seed
    if not isinstance(generator, Generator):
        raise TypeError(
            f"{op}: seed is a {type(seed).__name__}, expected an int, a Generator or None"
        )
    return int(np.random.Philox(key=np.array(generator.take(1), dtype=np.uint64)).random_raw())


def generator_of(op: str, seed: Any) -> np.random.Generator:
    """Return NumPy's generator for a seed; see `as_seed`."""
    return np.random.Generator(np.random.Philox(as_seed(op, seed)))


class LazySeed:
    """A seed that is drawn when it is first needed; a loader and its sampler share one."""

    def __init__(self, op: str, source: Any) -> None:
        """Remember the source; an int is checked at once (see `as_seed`)."""
        self._op = op
        self._source = source
        self._value = as_seed(op, source) if isinstance(source, int) else None

    @property
    def value(self) -> int:
        """The seed."""
        if self._value is None:
            self._value = as_seed(self._op, self._source)
        return self._value

    @property
    def drawn(self) -> int | None:
        """The seed, or None while nothing has needed it."""
        return self._value

    def restore(self, drawn: int | None) -> None:
        """Go back to what `drawn` was."""
        if drawn is not None:
            self._value = as_seed(self._op, drawn)


class _Current(threading.local):
    key: tuple[int, int, int, int] | None = None
    generator: np.random.Generator | None = None


_current = _Current()


class reading:
    """Says what this thread reads within the block: the sample at an index, or a batch."""

    __slots__ = ("_key",)

    def __init__(self, seed: int, epoch: int, purpose: int, index: int) -> None:
        self._key = (seed, epoch, purpose, index)

    def __enter__(self) -> None:
        _current.key = self._key
        _current.generator = None

    def __exit__(self, *exception: object) -> None:
        _current.key = _current.generator = None


def sample_generator() -> np.random.Generator:
    """Return the generator of the sample that a DataLoader is reading on this thread.

    Augmentations in ``__getitem__`` draw from it and so depend on (seed, epoch, index) alone; those
    in ``collate_fn`` on the index of the batch's first sample.
    Outside a DataLoader it is seeded by the library's generator (`gradsmith.manual_seed`).
    """
    if _current.key is None:
        return generator_of("sample_generator", None)
    if _current.generator is None:
        _current.generator = np.random.Generator(_stream(*_current.key))
    return _current.generator
