# SPDX-License-Identifier: Apache-2.0
"""Datasets, samplers and the DataLoader."""

from __future__ import annotations

import collections
import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from gradsmith import random
from gradsmith.data import (
    BatchSampler,
    ConcatDataset,
    DataLoader,
    Dataset,
    IterableDataset,
    RandomSampler,
    SequentialSampler,
    Subset,
    SubsetRandomSampler,
    TensorDataset,
    WeightedRandomSampler,
    default_collate,
    get_worker_info,
    random_split,
    sample_generator,
)
from gradsmith.tensor import wrap


class Squares(Dataset[Any]):
    """Sample i is (i, i**2), read slowly where told to."""

    def __init__(self, size: int, slow: int = -1, bad: int = -1) -> None:
        self.size, self.slow, self.bad = size, slow, bad

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: int) -> tuple[int, int]:
        if index == self.slow:
            time.sleep(0.05)
        if index == self.bad:
            raise KeyError(f"no sample {index}")
        return index, index**2


class Noisy(Dataset[Any]):
    """Sample i holds two draws of the generator of the sample."""

    def __len__(self) -> int:
        return 10

    def __getitem__(self, index: int) -> Any:
        first = sample_generator().integers(1 << 40)
        return np.array([index, first, sample_generator().integers(1 << 40)])


class Stream(IterableDataset[int]):
    def __iter__(self) -> Iterator[int]:
        return iter(range(7))


def worker_threads() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name.startswith("gradsmith-data")]


def lists(loader: DataLoader) -> list[Any]:
    return [batch[0].tolist() for batch in loader]


# ---- datasets ------------------------------------------------------------------------------------


def test_tensor_dataset() -> None:
    x, y = np.arange(12.0, dtype=np.float32).reshape(4, 3), np.arange(4)
    dataset = TensorDataset(x, wrap(y))
    assert len(dataset) == 4
    assert dataset[-1][0].tolist() == [9, 10, 11]
    assert dataset[-1][1].item() == 3
    batch = dataset.take(np.array([3, 0]))
    assert batch[0].tolist() == [[9, 10, 11], [0, 1, 2]]
    assert batch[1].tolist() == [3, 0]
    batch[0]._array[:] = 0
    assert x[3].tolist() == [9, 10, 11]


def test_tensor_dataset_refuses() -> None:
    with pytest.raises(ValueError, match="tensor 1 has 3 samples, tensor 0 has 4"):
        TensorDataset(np.zeros(4), np.zeros(3))
    with pytest.raises(ValueError, match="no tensors"):
        TensorDataset()
    with pytest.raises(ValueError, match="tensor 0 has no dimensions"):
        TensorDataset(np.float32(1))
    with pytest.raises(IndexError, match="index 4 is out of range for 4 samples"):
        TensorDataset(np.zeros(4))[4]


def test_concat_and_subset() -> None:
    both = Squares(3) + Squares(4)
    assert isinstance(both, ConcatDataset)
    assert [both[i][0] for i in range(7)] == [0, 1, 2, 0, 1, 2, 3]
    assert both[-1] == (3, 9)
    part = Subset(both, [6, 0])
    assert [part[i][0] for i in range(2)] == [3, 0]
    with pytest.raises(IndexError, match="index 7 is out of range for 7"):
        Subset(both, [7])
    with pytest.raises(TypeError, match="expected integers"):
        Subset(both, [0.5])
    with pytest.raises(IndexError, match="index 2 is out of range"):
        part[2]
    with pytest.raises(TypeError, match="IterableDataset"):
        ConcatDataset([Stream()])


def test_random_split() -> None:
    parts = random_split(Squares(10), [7, 3], generator=5)
    assert [len(part) for part in parts] == [7, 3]
    assert sorted(part[i][0] for part in parts for i in range(len(part))) == list(range(10))
    again = random_split(Squares(10), [0.7, 0.3], seed=5)
    assert again[0].indices.tolist() == parts[0].indices.tolist()
    assert [len(part) for part in random_split(Squares(10), [0.35, 0.35, 0.3])] == [4, 3, 3]
    random.manual_seed(3)
    first = random_split(Squares(100), [50, 50])[0].indices.tolist()
    assert random_split(Squares(100), [50, 50])[0].indices.tolist() != first
    random.manual_seed(3)
    assert random_split(Squares(100), [50, 50])[0].indices.tolist() == first


def test_random_split_refuses() -> None:
    with pytest.raises(ValueError, match="add up to 9, but the dataset has 10"):
        random_split(Squares(10), [5, 4])
    with pytest.raises(ValueError, match="do not add up to 1"):
        random_split(Squares(10), [0.5, 0.4])
    with pytest.raises(ValueError, match="none below 0"):
        random_split(Squares(10), [11, -1])
    with pytest.raises(TypeError, match="seed is a str"):
        random_split(Squares(10), [5, 5], "seven")
    assert [len(part) for part in random_split(Squares(1), [1])] == [1]


# ---- samplers ------------------------------------------------------------------------------------


def test_samplers() -> None:
    data = Squares(10)
    assert list(SequentialSampler(data)) == list(range(10))
    shuffle = RandomSampler(data, seed=1)
    first, second = list(shuffle), list(shuffle)
    assert sorted(first) == sorted(second) == list(range(10))
    assert first != second
    shuffle.set_epoch(0)
    assert list(shuffle) == first
    assert list(RandomSampler(data, generator=np.random.default_rng(0))) == list(
        RandomSampler(data, generator=np.random.default_rng(0))
    )
    own = random.Generator().manual_seed(9)
    assert list(RandomSampler(data, generator=own)) != list(RandomSampler(data, generator=own))


def test_random_sampler_counts() -> None:
    more = list(RandomSampler(Squares(4), num_samples=10, seed=0))
    assert len(more) == 10
    assert sorted(more[:4]) == sorted(more[4:8]) == [0, 1, 2, 3]
    assert len(set(RandomSampler(Squares(9), num_samples=4, seed=0))) == 4
    drawn = collections.Counter(RandomSampler(Squares(3), True, 3000, seed=0))
    assert all(900 < drawn[i] < 1100 for i in range(3))
    with pytest.raises(ValueError, match="num_samples is 0"):
        RandomSampler(Squares(3), num_samples=0)


def test_orders_are_fixed_for_good() -> None:
    """A change here would change every seeded training run."""
    assert list(RandomSampler(range(8), seed=1)) == [3, 5, 2, 7, 0, 6, 1, 4]


def test_weighted_sampler() -> None:
    counts = collections.Counter(WeightedRandomSampler([0, 1, 3], 4000, seed=2))
    assert counts[0] == 0
    assert abs(counts[2] / counts[1] - 3) < 0.4
    without = list(WeightedRandomSampler([1, 1, 0, 5], 3, replacement=False, seed=2))
    assert sorted(without) == [0, 1, 3]
    with pytest.raises(ValueError, match="1 weights are above 0, not enough for 2"):
        WeightedRandomSampler([0, 1], 2, replacement=False)
    with pytest.raises(ValueError, match="finite and not negative"):
        WeightedRandomSampler([1, -1], 2)
    with pytest.raises(ValueError, match="expected \\(N,\\)"):
        WeightedRandomSampler([[1.0]], 2)


def test_batch_and_subset_samplers() -> None:
    assert list(BatchSampler(SequentialSampler(range(5)), 2)) == [[0, 1], [2, 3], [4]]
    dropping = BatchSampler(range(5), 2, drop_last=True)
    assert list(dropping) == [[0, 1], [2, 3]]
    assert len(dropping) == 2
    assert sorted(SubsetRandomSampler([7, 3, 5], seed=0)) == [3, 5, 7]
    with pytest.raises(ValueError, match="batch_size is 0"):
        BatchSampler(range(5), 0)


# ---- the loader ----------------------------------------------------------------------------------


@pytest.mark.parametrize("num_workers", [0, 1, 3])
def test_order_does_not_depend_on_workers(num_workers: int) -> None:
    loader = DataLoader(Squares(23, slow=4), 4, shuffle=True, num_workers=num_workers, seed=8)
    plain = DataLoader(Squares(23), 4, shuffle=True, seed=8)
    first = lists(plain)
    assert lists(loader) == first
    second = lists(plain)
    assert lists(loader) == second
    assert first != second
    loader.set_epoch(0)
    assert lists(loader) == first
    assert sorted(index for batch in first for index in batch) == list(range(23))
    assert worker_threads() == []


@pytest.mark.parametrize("num_workers", [0, 2])
def test_augmentation_is_keyed_by_sample(num_workers: int) -> None:
    def draws(batch_size: int, epoch: int, shuffle: bool) -> dict[int, list[int]]:
        loader = DataLoader(Noisy(), batch_size, shuffle, num_workers=num_workers, seed=4)
        loader.set_epoch(epoch)
        rows = [row for batch in loader for row in batch.tolist()]
        return {row[0]: row[1:] for row in rows}

    first = draws(3, 0, False)
    assert draws(5, 0, True) == first
    assert draws(3, 1, False) != first
    assert len({tuple(row) for row in first.values()}) == 10
    assert all(row[0] != row[1] for row in first.values())


def test_sample_generator_outside_a_loader() -> None:
    random.manual_seed(0)
    first = sample_generator().integers(1 << 40)
    assert sample_generator().integers(1 << 40) != first
    random.manual_seed(0)
    assert sample_generator().integers(1 << 40) == first


def test_batches_at_once_equal_batches_by_sample() -> None:
    x = np.arange(30, dtype=np.float32).reshape(10, 3)
    dataset = TensorDataset(x, np.arange(10))
    part = Subset(Subset(dataset, range(9, -1, -1)), [1, 3, 5, 7])
    at_once = list(DataLoader(part, 3))
    by_sample = list(DataLoader(part, 3, collate_fn=lambda samples: default_collate(samples)))
    for one, other in zip(at_once, by_sample, strict=True):
        assert type(one) is type(other)
        assert [t.tolist() for t in one] == [t.tolist() for t in other]
    assert [t.tolist() for t in at_once[1]] == [[[6, 7, 8]], [2]]


def test_lengths() -> None:
    assert len(DataLoader(Squares(10), 4)) == 3
    assert len(DataLoader(Squares(10), 4, drop_last=True)) == 2
    assert len(lists(DataLoader(Squares(10), 4, drop_last=True))) == 2
    assert len(DataLoader(Squares(10), batch_size=None)) == 10
    assert len(DataLoader(Squares(10), batch_sampler=[[1, 2], [3]])) == 2
    assert lists(DataLoader(Squares(10), batch_sampler=[[1, 2], [3]])) == [[1, 2], [3]]
    assert lists(DataLoader(Squares(10), 2, sampler=[5, 6, 7])) == [[5, 6], [7]]
    assert [sample[0] for sample in DataLoader(Squares(3), batch_size=None)] == [0, 1, 2]
    assert list(DataLoader(Squares(0), 4)) == []


@pytest.mark.parametrize("num_workers", [0, 3])
def test_streams(num_workers: int) -> None:
    loader = DataLoader(Stream(), 3, num_workers=num_workers)
    assert [batch.tolist() for batch in loader] == [[0, 1, 2], [3, 4, 5], [6]]
    assert [b.tolist() for b in DataLoader(Stream(), 3, drop_last=True)] == [[0, 1, 2], [3, 4, 5]]
    assert list(DataLoader(Stream(), None)) == list(range(7))
    with pytest.raises(TypeError, match="Stream has no __len__"):
        len(loader)
    assert worker_threads() == []


@pytest.mark.parametrize("num_workers", [0, 2])
def test_errors_reach_the_caller(num_workers: int) -> None:
    loader = DataLoader(Squares(20, bad=9), 4, num_workers=num_workers)
    batches = iter(loader)
    assert [next(batches)[0].tolist() for _ in range(2)] == [[0, 1, 2, 3], [4, 5, 6, 7]]
    with pytest.raises(KeyError, match="no sample 9") as caught:
        next(batches)
    notes = " ".join(caught.value.__notes__)
    assert "sample 9" in notes
    assert ("worker" in notes) == (num_workers > 0)
    assert any(entry.name == "__getitem__" for entry in caught.traceback)
    assert worker_threads() == []


def test_early_break_leaves_no_workers() -> None:
    for batch in DataLoader(Squares(1000), 2, num_workers=4):
        assert batch[0].tolist() == [0, 1]
        break
    assert worker_threads() == []


def test_timeout() -> None:
    release = threading.Event()

    class Stuck(Squares):
        def __getitem__(self, index: int) -> Any:
            release.wait(10)
            return 0

    loader = DataLoader(Stuck(4), 1, num_workers=1, timeout=0.05)
    with pytest.raises(RuntimeError, match="no batch came within timeout="):
        next(iter(loader))
    release.set()
    for thread in threading.enumerate():
        if thread.name.startswith("gradsmith-data"):
            thread.join(5)
    assert worker_threads() == []


def test_worker_init_and_info() -> None:
    seen = []

    class Asking(Squares):
        def __getitem__(self, index: int) -> Any:
            info = get_worker_info()
            assert info is not None
            return info.num_workers

    loader = DataLoader(Asking(6), 1, num_workers=2, worker_init_fn=seen.append)
    assert [batch.tolist() for batch in loader] == [[2]] * 6
    assert sorted(seen) == [0, 1]
    assert get_worker_info() is None

    def fail(worker: int) -> None:
        raise OSError("no disk")

    with pytest.raises(OSError, match="no disk"):
        list(DataLoader(Squares(6), 1, num_workers=2, worker_init_fn=fail))
    assert worker_threads() == []


def test_seed_comes_from_the_library() -> None:
    random.manual_seed(11)
    first = lists(DataLoader(Squares(50), 50, shuffle=True))
    assert lists(DataLoader(Squares(50), 50, shuffle=True)) != first
    random.manual_seed(11)
    assert lists(DataLoader(Squares(50), 50, shuffle=True)) == first


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "batch_size is 0"),
        ({"batch_size": True}, "batch_size is True"),
        ({"batch_size": 1.5}, "batch_size is 1.5"),
        ({"num_workers": -1}, "num_workers is -1"),
        ({"timeout": -1}, "timeout is -1"),
        ({"prefetch_factor": 0}, "prefetch_factor is 0"),
        ({"shuffle": True, "sampler": [0]}, "exclude each other"),
        ({"batch_sampler": [[0]], "shuffle": True}, "batch_sampler excludes"),
        ({"batch_size": None, "drop_last": True}, "drop_last needs"),
        ({"multiprocessing_context": "fork"}, "workers are threads"),
        ({"seed": -1}, "seed is -1"),
    ],
)
def test_loader_refuses(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DataLoader(Squares(4), **options)


def test_loader_refuses_datasets() -> None:
    with pytest.raises(ValueError, match="decides its own order"):
        DataLoader(Stream(), shuffle=True)
    with pytest.raises(TypeError, match="int has no __len__"):
        DataLoader(3)
    with pytest.raises(TypeError, match="seed is a str"):
        lists(DataLoader(Squares(3), shuffle=True, generator="x"))
    with pytest.raises(ValueError, match="epoch is -1"):
        DataLoader(Squares(3)).set_epoch(-1)
    with pytest.raises(IndexError, match="out of range"):
        list(DataLoader(TensorDataset(np.zeros(3)), sampler=[5]))
