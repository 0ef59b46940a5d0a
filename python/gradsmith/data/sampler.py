# SPDX-License-Identifier: Apache-2.0
"""Samplers: the order in which a DataLoader reads the indices of a dataset."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence, Sized
from typing import Any, Generic, TypeVar

import numpy as np

from gradsmith.backend import Array, on_host
from gradsmith.data.dataset import dataset_length, index_array
from gradsmith.data.keyed_random import LazySeed, permutation, uniform
from gradsmith.tensor import as_array

T_co = TypeVar("T_co", covariant=True)


class Sampler(Generic[T_co]):
    """An iterable of indices (or, for a batch sampler, of lists of them)."""

    def __iter__(self) -> Iterator[T_co]:
        """Return an iterator over the indices of an epoch."""
        raise NotImplementedError(f"{type(self).__name__} does not define __iter__")


class SequentialSampler(Sampler[int]):
    """The indices in order."""

    def __init__(self, data_source: Sized) -> None:
        """Read the length of ``data_source`` at each epoch."""
        self.data_source = data_source

    def __iter__(self) -> Iterator[int]:
        """Return 0, 1, ..., N - 1."""
        return iter(range(len(self)))

    def __len__(self) -> int:
        """Return N."""
        return dataset_length("SequentialSampler", self.data_source)


class KeyedSampler(Sampler[int]):
    """A sampler whose order is a function of (seed, epoch).

    The seed is fixed when it is first needed; each pass counts as an epoch, unless `set_epoch`
    says which one comes next.
    """

    def __init__(self, generator: Any, seed: Any) -> None:
        """Keep where the seed comes from: ``seed`` or, without it, ``generator``."""
        source = generator if seed is None else seed
        lazy = isinstance(source, LazySeed)
        self._seed = source if lazy else LazySeed(type(self).__name__, source)
        self.epoch = 0

    @property
    def seed(self) -> int:
        """The seed in use."""
        return self._seed.value

    def set_epoch(self, epoch: int) -> None:
        """Say that the next pass is epoch ``epoch``."""
        self.epoch = epoch

    def state_dict(self) -> dict[str, int | None]:
        """Return the seed; the loader keeps the epoch."""
        return {"seed": self._seed.drawn}

    def load_state_dict(self, state: dict[str, int | None]) -> None:
        """Take over what `state_dict` returned."""
        self._seed.restore(state["seed"])

    def order(self, seed: int, epoch: int) -> Array:
        """Return the indices of an epoch, int64."""
        raise NotImplementedError(f"{type(self).__name__} does not define order")

    def __iter__(self) -> Iterator[int]:
        """Return the indices of the epoch that comes next."""
        epoch = self.epoch
        self.epoch += 1
        return iter(self.order(self.seed, epoch).tolist())


def _count(op: str, number: int | None, default: int) -> int:
    if number is None:
        return default
    if not isinstance(number, int) or isinstance(number, bool) or number <= 0:
        raise ValueError(f"{op}: num_samples is {number!r}, expected a positive int")
    return number


class RandomSampler(KeyedSampler):
    """All indices in a random order, or ``num_samples`` random ones with ``replacement``.

    Without replacement, more samples than there are take further random orders.
    """

    def __init__(
        self,
        data_source: Sized,
        replacement: bool = False,
        num_samples: int | None = None,
        generator: Any = None,
        *,
        seed: Any = None,
    ) -> None:
        """Draw from the indices of ``data_source``; ValueError for a bad ``num_samples``."""
        super().__init__(generator, seed)
        self.data_source = data_source
        self.replacement = replacement
        self._num_samples = num_samples
        _count("RandomSampler", num_samples, 1)

    def __len__(self) -> int:
        """Return the number of indices of an epoch."""
        length = dataset_length("RandomSampler", self.data_source)
        return _count("RandomSampler", self._num_samples, length) if length else 0

    def order(self, seed: int, epoch: int) -> Array:
        """Return the indices of an epoch."""
        size, wanted = dataset_length("RandomSampler", self.data_source), len(self)
        if self.replacement:
            return (uniform(wanted, seed, epoch) * size).astype(np.int64)
        if wanted <= size:
            return permutation(size, seed, epoch)[:wanted]
        # One stream of keys, sorted within each round of `size`.
        keys = uniform(-(-wanted // size) * size, seed, epoch).reshape(-1, size)
        return np.argsort(keys, axis=1, kind="stable").reshape(-1)[:wanted]


class SubsetRandomSampler(KeyedSampler):
    """The given indices in a random order."""

    def __init__(
        self, indices: Sequence[int] | Array, generator: Any = None, *, seed: Any = None
    ) -> None:
        """Keep the indices."""
        super().__init__(generator, seed)
        self.indices = index_array("SubsetRandomSampler", indices)

    def __len__(self) -> int:
        """Return the number of indices."""
        return len(self.indices)

    def order(self, seed: int, epoch: int) -> Array:
        """Return the indices of an epoch."""
        shuffled: Array = self.indices[permutation(len(self.indices), seed, epoch)]
        return shuffled


class WeightedRandomSampler(KeyedSampler):
    """``num_samples`` indices, each with a probability in proportion to its weight.

    Raises:
        ValueError: weights are negative, not finite or all 0; or, without replacement, fewer than
            ``num_samples`` are above 0.
    """

    def __init__(
        self,
        weights: Any,
        num_samples: int,
        replacement: bool = True,
        generator: Any = None,
        *,
        seed: Any = None,
    ) -> None:
        """Keep the weights, of shape (N,)."""
        super().__init__(generator, seed)
        op = "WeightedRandomSampler"
        self.weights = on_host(as_array(weights)).astype(np.float64)
        self.num_samples = _count(op, num_samples, 1)
        self.replacement = replacement
        if self.weights.ndim != 1:
            raise ValueError(f"{op}: weights have shape {self.weights.shape}, expected (N,)")
        if not np.isfinite(self.weights).all() or (self.weights < 0).any():
            raise ValueError(f"{op}: weights must be finite and not negative")
        positive = int((self.weights > 0).sum())
        if positive == 0 or (not replacement and positive < num_samples):
            raise ValueError(
                f"{op}: {positive} weights are above 0, not enough for {num_samples} samples"
            )

    def __len__(self) -> int:
        """Return ``num_samples``."""
        return self.num_samples

    def order(self, seed: int, epoch: int) -> Array:
        """Return the indices of an epoch."""
        if self.replacement:
            cumulative = np.cumsum(self.weights)
            draws = uniform(self.num_samples, seed, epoch) * cumulative[-1]
            last = int(np.flatnonzero(self.weights)[-1])
            return np.asarray(np.minimum(np.searchsorted(cumulative, draws, side="right"), last))
        # The n largest of u^(1/w): Efraimidis and Spirakis, "Weighted random sampling with a
        # reservoir", 2006. Logarithms keep tiny weights apart.
        with np.errstate(divide="ignore"):
            keys = np.log(uniform(len(self.weights), seed, epoch)) / self.weights
        keys[self.weights == 0] = -np.inf
        return np.argsort(-keys, kind="stable")[: self.num_samples]


class BatchSampler(Sampler[list[int]]):
    """Lists of ``batch_size`` indices of a sampler; the last one may be shorter or dropped."""

    def __init__(self, sampler: Iterable[int], batch_size: int, drop_last: bool = False) -> None:
        """Group the indices of ``sampler``; ValueError for a batch size below 1."""
        check_batch_size("BatchSampler", batch_size)
        self.sampler = sampler
        self.batch_size = batch_size
        self.drop_last = drop_last

    def __iter__(self) -> Iterator[list[int]]:
        """Return the batches of an epoch."""
        batch: list[int] = []
        for index in self.sampler:
            batch.append(index)
            if len(batch) == self.batch_size:
                yield batch
                batch = []
        if batch and not self.drop_last:
            yield batch

    def __len__(self) -> int:
        """Return the number of batches."""
        length = dataset_length("BatchSampler", self.sampler)
        return length // self.batch_size if self.drop_last else -(-length // self.batch_size)

    def set_epoch(self, epoch: int) -> None:
        """Pass the epoch on to the sampler, if it has one."""
        set_epoch(self.sampler, epoch)


def set_epoch(sampler: Any, epoch: int) -> None:
    """Tell a sampler which epoch comes next, if it wants to know."""
    if hasattr(sampler, "set_epoch"):
        sampler.set_epoch(epoch)


def check_batch_size(op: str, batch_size: Any) -> None:
    """Raise ValueError unless ``batch_size`` is a positive int."""
    is_int = isinstance(batch_size, (int, np.integer)) and not isinstance(batch_size, bool)
    if not is_int or batch_size < 1:
        raise ValueError(f"{op}: batch_size is {batch_size!r}, expected a positive int")
