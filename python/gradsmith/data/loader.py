# SPDX-License-Identifier: Apache-2.0
"""The DataLoader: batches of a dataset, in an order that (seed, epoch) alone decides."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import Any

import numpy as np

from gradsmith.backend import Array
from gradsmith.data.collate import default_collate, default_convert
from gradsmith.data.dataset import (
    Dataset,
    IterableDataset,
    Subset,
    check_indices,
    dataset_length,
)
from gradsmith.data.keyed_random import BATCH, SAMPLE, LazySeed, reading
from gradsmith.data.sampler import (
    BatchSampler,
    RandomSampler,
    SequentialSampler,
    check_batch_size,
    set_epoch,
)
from gradsmith.data.workers import WorkerInfo, WorkerPool
from gradsmith.ops.options import check_flag, check_int, check_number

_END = object()
_MOST_WORKERS = 1024  # threads; systems refuse more sooner or later


class DataLoader:
    """Iterates over batches of a dataset; every pass is an epoch.

    The order of an epoch and the augmentations drawn with `sample_generator` depend on
    (seed, epoch, sample), never on ``num_workers``. Batches come in order. An exception in the
    dataset reaches the caller as it is, with a note of worker and sample.

    Args:
        dataset: a `Dataset`, anything with ``__getitem__`` and ``__len__``, or an
            `IterableDataset`.
        batch_size: samples per batch; None gives single samples.
        shuffle: a new random order each epoch.
        sampler: indices in the order to read them, in place of ``shuffle``.
        batch_sampler: lists of indices, in place of batch_size, shuffle, sampler and drop_last.
        num_workers: threads that read ahead; 0 reads in the caller.
        collate_fn: makes a batch of a list of samples (`default_collate`).
        pin_memory: accepted for compatibility; host memory is not pinned.
        drop_last: leave out a last batch that is not full.
        timeout: seconds to wait for a batch of a worker; 0 waits forever.
        worker_init_fn: called in each worker with its number.
        multiprocessing_context: must be None: workers are threads.
        generator: an int or Generator from which the seed comes; None: the library's generator.
        prefetch_factor: batches per worker that are read ahead (2).
        persistent_workers: accepted for compatibility; threads are started for each epoch.
        seed: an int that fixes the order, in place of ``generator``.

    Attributes:
        epoch: the number of the next pass; `set_epoch` changes it, as when a run is resumed.

    Raises:
        ValueError: options contradict each other or are out of range.
        TypeError: the dataset has no length.
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int | None = 1,
        shuffle: bool | None = None,
        sampler: Iterable[int] | None = None,
        batch_sampler: Iterable[list[int]] | None = None,
        num_workers: int = 0,
        collate_fn: Callable[[list[Any]], Any] | None = None,
        pin_memory: bool = False,
        drop_last: bool = False,
        timeout: float = 0,
        worker_init_fn: Callable[[int], Any] | None = None,
        multiprocessing_context: None = None,
        generator: Any = None,
        *,
        prefetch_factor: int | None = None,
        persistent_workers: bool = False,
        seed: Any = None,
    ) -> None:
        """Check the options and choose the samplers."""
        if not isinstance(num_workers, int) or not 0 <= num_workers <= _MOST_WORKERS:
            raise ValueError(
                f"DataLoader: num_workers is {num_workers!r}, expected an int from 0 to "
                f"{_MOST_WORKERS}"
            )
        if not check_number("DataLoader", "timeout", timeout) >= 0:
            raise ValueError(f"DataLoader: timeout is {timeout}, expected >= 0")
        if (
            prefetch_factor is not None
            and check_int("DataLoader", "prefetch_factor", prefetch_factor) < 1
        ):
            raise ValueError(f"DataLoader: prefetch_factor is {prefetch_factor}, expected >= 1")
        if multiprocessing_context is not None:
            raise ValueError("DataLoader: workers are threads, expected no multiprocessing_context")
        check_flag("DataLoader", "drop_last", drop_last)
        if shuffle is not None:
            check_flag("DataLoader", "shuffle", shuffle)
        for name, function in (("collate_fn", collate_fn), ("worker_init_fn", worker_init_fn)):
            if function is not None and not callable(function):
                kind = type(function).__name__
                raise TypeError(f"DataLoader: {name} is a {kind}, expected a function")
        for name, order in (("sampler", sampler), ("batch_sampler", batch_sampler)):
            if order is not None and not isinstance(order, Iterable):
                kind = type(order).__name__
                raise TypeError(f"DataLoader: {name} is a {kind}, expected an iterable")
        if batch_size is not None:
            check_batch_size("DataLoader", batch_size)
        elif drop_last:
            raise ValueError("DataLoader: drop_last needs a batch_size")
        self.dataset = dataset
        self.num_workers = num_workers
        self.prefetch_factor = prefetch_factor or 2
        self.timeout = timeout
        self.worker_init_fn = worker_init_fn
        self.pin_memory = pin_memory
        self.persistent_workers = persistent_workers
        self.collate_fn = collate_fn
        self.epoch = 0
        self._skip = 0  # batches at the beginning of the next pass that a resumed run has had
        self._place: tuple[int, int] | None = None  # (epoch, batches) of the pass under way
        self._seed = LazySeed("DataLoader", generator if seed is None else seed)
        self.batch_size = batch_size
        self.drop_last = drop_last
        self._streams = isinstance(dataset, IterableDataset)
        self._choose_samplers(shuffle, sampler, batch_sampler)

    def _choose_samplers(
        self,
        shuffle: bool | None,
        sampler: Iterable[int] | None,
        batch_sampler: Iterable[list[int]] | None,
    ) -> None:
        if self._streams and (shuffle or sampler is not None or batch_sampler is not None):
            raise ValueError(
                "DataLoader: an IterableDataset decides its own order; expected no shuffle, "
                "sampler or batch_sampler"
            )
        if sampler is not None and shuffle:
            raise ValueError("DataLoader: sampler and shuffle exclude each other")
        if batch_sampler is not None:
            if self.batch_size not in (1, None) or shuffle or sampler is not None or self.drop_last:
                raise ValueError(
                    "DataLoader: batch_sampler excludes batch_size, shuffle, sampler and drop_last"
                )
            self.batch_size = None
        self.batch_sampler = batch_sampler
        if sampler is None and batch_sampler is None and not self._streams:
            dataset_length("DataLoader", self.dataset)
            if shuffle:
                sampler = RandomSampler(self.dataset, seed=self._seed)
            else:
                sampler = SequentialSampler(self.dataset)
        if sampler is not None and self.batch_size is not None:
            self.batch_sampler = BatchSampler(sampler, self.batch_size, self.drop_last)
        self.sampler = sampler

    @property
    def seed(self) -> int:
        """The seed of orders and augmentations, drawn when it is first needed."""
        return self._seed.value

    def set_epoch(self, epoch: int) -> None:
        """Say that the next pass is epoch ``epoch``.

        After `load_state_dict` the epoch that was under way goes on where it stopped.
        """
        if not isinstance(epoch, int) or epoch < 0:
            raise ValueError(f"DataLoader: epoch is {epoch!r}, expected an int >= 0")
        if epoch != self.epoch:
            self._skip = 0
        self.epoch = epoch
        self._place = None

    def state_dict(self) -> dict[str, Any]:
        """Return the place in the data: seeds, epoch, and how many of its batches were handed out.

        In a loop over the loader the batch of that moment counts as handed out. The same state
        serves any number of workers.
        """
        epoch, batches = self._place or (self.epoch, self._skip)
        with suppress(TypeError):  # a stream need not know its length
            if batches and batches == len(self):
                epoch, batches = epoch + 1, 0
        state: dict[str, Any] = {"epoch": epoch, "batches": batches, "seed": self._seed.drawn}
        sampler = self._keyed_sampler()
        if sampler is not None:
            state["sampler"] = sampler.state_dict()
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go to where `state_dict` was called: the next pass begins with the batch after it.

        Samples of the batches before are not read, except from an `IterableDataset`, which has no
        other way.

        Raises:
            ValueError: the state is that of a loader with another kind of sampler, or no state.
        """
        sampler = self._keyed_sampler()
        expected = {"epoch", "batches", "seed"} | ({"sampler"} if sampler is not None else set())
        if set(state) != expected:
            raise ValueError(
                f"DataLoader: the state has the keys {sorted(state)}, expected {sorted(expected)}"
            )
        self.set_epoch(state["epoch"])
        self._skip = check_int("DataLoader", "batches", state["batches"])
        self._seed.restore(state["seed"])
        if sampler is not None:
            sampler.load_state_dict(state["sampler"])

    def _keyed_sampler(self) -> Any:
        """Return the sampler that has a state, or None."""
        for each in (
            self.sampler,
            self.batch_sampler,
            getattr(self.batch_sampler, "sampler", None),
        ):
            if hasattr(each, "load_state_dict"):
                return each
        return None

    def __len__(self) -> int:
        """Return the number of batches (TypeError where the dataset or sampler has no length)."""
        if not self._streams:
            return dataset_length(
                "DataLoader", self.sampler if self.batch_sampler is None else self.batch_sampler
            )
        length = dataset_length("DataLoader", self.dataset)
        if self.batch_size is None:
            return length
        return length // self.batch_size if self.drop_last else -(-length // self.batch_size)

    def __iter__(self) -> Iterator[Any]:
        """Return an iterator over the batches of the next epoch."""
        epoch, skip = self.epoch, self._skip
        self.epoch, self._skip, self._place = epoch + 1, 0, (epoch, skip)

        def handed_out(number: int, batch: Any) -> Any:
            self._place = (epoch, number)
            return batch

        # A map, unlike a generator, keeps no batch alive while the caller works on it.
        numbered = map(handed_out, itertools.count(skip + 1), self._batches(epoch, skip))
        return itertools.chain(numbered, self._end_of_pass())

    def _end_of_pass(self) -> Iterator[Any]:
        self._place = None
        yield from ()

    def _batches(self, epoch: int, skip: int) -> Iterator[Any]:
        """Return the batches of an epoch but the first ``skip``."""
        if self._streams:
            batches = itertools.islice(self._stream(epoch), skip, None)
            return batches if self.num_workers == 0 else self._read_ahead(batches)
        tasks = itertools.islice(self._tasks(epoch), skip, None)
        if self.num_workers == 0:
            return itertools.starmap(self._fetch, tasks)
        return self._spread(tasks)

    # ---- reading ---------------------------------------------------------------------------------

    def _tasks(self, epoch: int) -> Iterator[tuple[Any, int]]:
        """Return (indices of a batch or one index, epoch) for each batch."""
        chosen = self.sampler if self.batch_sampler is None else self.batch_sampler
        assert chosen is not None
        set_epoch(chosen, epoch)
        return ((indices, epoch) for indices in chosen)

    def _fetch(self, indices: Any, epoch: int) -> Any:
        if self.batch_sampler is None:
            sample = self._sample(indices, epoch)
            return default_convert(sample) if self.collate_fn is None else self.collate_fn(sample)
        if self.collate_fn is None:
            batch = _take(self.dataset, np.asarray(indices, dtype=np.int64))
            if batch is not None:
                return batch
        samples = [self._sample(index, epoch) for index in indices]
        return self._collated(samples, epoch, indices[0] if samples else None)

    def _collated(self, samples: list[Any], epoch: int, first: Any) -> Any:
        if self.collate_fn is None:
            return default_collate(samples)
        with self._reading(epoch, BATCH, first):
            return self.collate_fn(samples)

    def _reading(self, epoch: int, purpose: int, index: Any) -> AbstractContextManager[None]:
        if not isinstance(index, (int, np.integer)) or index < 0:
            return nullcontext()  # a sampler may hand out keys of any kind
        return reading(self.seed, epoch, purpose, int(index))

    def _sample(self, index: Any, epoch: int) -> Any:
        try:
            with self._reading(epoch, SAMPLE, index):
                return self.dataset[index]
        except Exception as error:
            error.add_note(f"raised when DataLoader read sample {index!r} of the dataset")
            raise

    def _stream(self, epoch: int) -> Iterator[Any]:
        samples = iter(self.dataset)
        if self.batch_size is None:
            yield from map(self.collate_fn or default_convert, samples)
            return
        first = 0
        while batch := list(itertools.islice(samples, self.batch_size)):
            if len(batch) == self.batch_size or not self.drop_last:
                yield self._collated(batch, epoch, first)
            first += len(batch)

    # ---- workers ---------------------------------------------------------------------------------

    def _pool(self, count: int) -> WorkerPool:
        infos = [WorkerInfo(worker, count, self.seed, self.dataset) for worker in range(count)]
        return WorkerPool(infos, self.worker_init_fn, self.timeout)

    def _spread(self, tasks: Iterator[tuple[Any, int]]) -> Iterator[Any]:
        """Yield the batches in order while workers read the next ones."""
        pool = self._pool(self.num_workers)
        ahead = self.num_workers * self.prefetch_factor
        pending: deque[Future[Any]] = deque()
        try:
            for task in tasks:
                pending.append(pool.submit(self._fetch, *task))
                if len(pending) > ahead:
                    yield pool.result(pending.popleft())
            while pending:
                yield pool.result(pending.popleft())
        finally:
            pool.close(pending)

    def _read_ahead(self, batches: Iterator[Any]) -> Iterator[Any]:
        """Yield the batches of a stream while one worker reads the next ones."""
        pool = self._pool(1)
        ahead = self.num_workers * self.prefetch_factor
        pending = deque(pool.submit(next, batches, _END) for _ in range(ahead))
        try:
            while (batch := pool.result(pending.popleft())) is not _END:
                pending.append(pool.submit(next, batches, _END))
                yield batch
        finally:
            pool.close(pending)


def _take(dataset: Any, indices: Array) -> Any:
    """Return the batch that the dataset reads at once, or None if it cannot."""
    while isinstance(dataset, Subset):
        check_indices("Subset", indices, len(dataset))
        indices = dataset.indices[indices]
        dataset = dataset.dataset
    take = getattr(dataset, "take", None) if isinstance(dataset, Dataset) else None
    return None if take is None else take(indices)
