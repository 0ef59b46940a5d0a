# SPDX-License-Identifier: Apache-2.0
"""A DataLoader goes on where it stopped; memories of transitions."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gradsmith as gs
from gradsmith.data import (
    DataLoader,
    Dataset,
    IterableDataset,
    PrioritizedReplayBuffer,
    RandomSampler,
    ReplayBuffer,
    sample_generator,
)


class Noisy(Dataset[Any]):
    """Sample i is (i, a draw); remembers which samples were read."""

    def __init__(self) -> None:
        self.read: list[int] = []

    def __len__(self) -> int:
        return 11

    def __getitem__(self, index: int) -> Any:
        self.read.append(index)
        return index, int(sample_generator().integers(1 << 30))


class Stream(IterableDataset[int]):
    def __iter__(self) -> Iterator[int]:
        return iter(range(7))


def taken(loader: DataLoader, batches: int) -> list[Any]:
    """The next batches, over the ends of epochs, as nested lists."""
    passes = (batch for _ in itertools.count() for batch in loader)
    return [[field.tolist() for field in b] for b in itertools.islice(passes, batches)]


@pytest.mark.parametrize(("before", "after"), [(0, 0), (0, 3), (3, 0), (2, 3)])
@pytest.mark.parametrize("stop", [1, 2, 3, 5, 6, 7])
def test_a_loader_goes_on(stop: int, before: int, after: int, tmp_path: Path) -> None:
    """Three batches an epoch: the state is taken in the middle of epochs and at their ends."""
    whole = taken(DataLoader(Noisy(), 4, shuffle=True, seed=5), 12)
    first = DataLoader(Noisy(), 4, shuffle=True, seed=5, num_workers=before)
    passes = (batch for _ in itertools.count() for batch in first)
    assert [[f.tolist() for f in b] for b in itertools.islice(passes, stop)] == whole[:stop]
    gs.save(first.state_dict(), tmp_path / "state")
    passes.close()  # type: ignore[attr-defined]

    data = Noisy()
    second = DataLoader(data, 4, shuffle=True, seed=99, num_workers=after)
    second.load_state_dict(gs.load(tmp_path / "state"))
    assert second.epoch == stop // 3
    second.set_epoch(stop // 3)  # as a training loop does
    rest = [[f.tolist() for f in batch] for batch in second]
    assert rest == whole[stop : 3 * (stop // 3 + 1)]
    assert sorted(data.read) == sorted(i for batch in rest for i in batch[0])
    assert second.state_dict() == {**first.state_dict(), "epoch": stop // 3 + 1, "batches": 0}
    assert taken(second, 2) == whole[3 * (stop // 3 + 1) :][:2]


def test_state_before_anything_is_drawn() -> None:
    gs.manual_seed(3)
    plain = taken(DataLoader(Noisy(), 4, shuffle=True), 3)
    gs.manual_seed(3)
    loader = DataLoader(Noisy(), 4, shuffle=True)
    state = loader.state_dict()
    assert state == {"epoch": 0, "batches": 0, "seed": None, "sampler": {"seed": None}}
    loader.load_state_dict(state)
    assert taken(loader, 3) == plain


def test_state_with_a_sampler_of_its_own() -> None:
    def make(seed: int) -> DataLoader:
        return DataLoader(Noisy(), 3, sampler=RandomSampler(range(11), seed=seed), seed=1)

    whole = taken(make(8), 6)
    loader = make(8)
    for _ in zip(range(2), loader, strict=False):
        state = loader.state_dict()
    resumed = make(9)
    resumed.load_state_dict(state)
    assert taken(resumed, 4) == whole[2:6]
    unshuffled = DataLoader(Noisy(), 3)
    with pytest.raises(ValueError, match=r"keys .*'sampler'.*expected"):
        unshuffled.load_state_dict(state)
    unshuffled.load_state_dict({"epoch": 4, "batches": 2, "seed": 1})
    unshuffled.set_epoch(2)  # another epoch starts at its beginning
    assert next(iter(unshuffled))[0].tolist() == [0, 1, 2]


@pytest.mark.parametrize("num_workers", [0, 2])
def test_streams_go_on(num_workers: int) -> None:
    loader = DataLoader(Stream(), 2, num_workers=num_workers)
    batches = iter(loader)
    assert next(batches).tolist() == [0, 1]
    state = loader.state_dict()
    assert (state["epoch"], state["batches"]) == (0, 1)
    resumed = DataLoader(Stream(), 2, num_workers=num_workers)
    resumed.load_state_dict(state)
    assert [batch.tolist() for batch in resumed] == [[2, 3], [4, 5], [6]]
    assert next(iter(resumed)).tolist() == [0, 1]


# ---- replay --------------------------------------------------------------------------------------


def filled(memory: Any, count: int) -> Any:
    for i in range(count):
        memory.add(np.float32([i, -i]), i, float(i), i % 2 == 0)
    return memory


def test_replay_buffer(tmp_path: Path) -> None:
    memory = filled(ReplayBuffer(5, seed=1), 8)
    assert len(memory) == 5
    state, action, reward, done = memory.sample(4000)
    assert (state.shape, action.dtype, reward.dtype, done.dtype) == (
        *((4000, 2), np.int64, np.float32, np.bool_),
    )
    counts = Counter(action.tolist())
    assert set(counts) == {3, 4, 5, 6, 7}
    assert all(700 < count < 900 for count in counts.values())
    assert state.numpy()[:, 0].tolist() == action.tolist() == reward.tolist()
    gs.save(memory.state_dict(), tmp_path / "memory")
    again = ReplayBuffer(5)
    again.load_state_dict(gs.load(tmp_path / "memory"))
    assert memory.sample(6)[1].tolist() == again.sample(6)[1].tolist()
    filled(memory, 1), filled(again, 1)
    assert memory.sample(6)[1].tolist() == again.sample(6)[1].tolist()
    with pytest.raises(ValueError, match="a capacity of 9 does not give"):
        ReplayBuffer(9).load_state_dict(memory.state_dict())


def test_replay_buffer_refuses() -> None:
    memory = ReplayBuffer(3)
    with pytest.raises(ValueError, match="the memory is empty"):
        memory.sample(1)
    with pytest.raises(ValueError, match="no fields"):
        memory.add()
    memory.add([1.0, 2.0], 3)
    with pytest.raises(ValueError, match="1 fields, expected 2"):
        memory.add([1.0, 2.0])
    with pytest.raises(ValueError, match=r"field 0 is float32 \(3,\), expected float32 \(2,\)"):
        memory.add([1.0, 2.0, 3.0], 3)
    with pytest.raises(ValueError, match="batch_size is 0"):
        memory.sample(0)
    with pytest.raises(ValueError, match="capacity is 0"):
        ReplayBuffer(0)


def test_prioritized_replay(tmp_path: Path) -> None:
    memory = filled(PrioritizedReplayBuffer(5, alpha=0.5, beta=1.0, eps=0, seed=1), 7)
    fields, indices, weights = memory.sample(10)
    assert np.bincount(indices.numpy(), minlength=5).tolist() == [2] * 5  # equal parts of the sum
    assert weights.tolist() == [1] * 10
    memory.update_priorities(gs.tensor([0, 1, 2, 3, 4]), [0, 1.0, -4, 9, 16])
    fields, indices, weights = memory.sample(5000)
    shares = np.bincount(indices.numpy(), minlength=5) / 5000
    np.testing.assert_allclose(shares, np.array([0, 1, 2, 3, 4]) / 10, atol=1e-3)
    place = {0: 5, 1: 6, 2: 2, 3: 3, 4: 4}  # where the ring has put each transition
    assert [place[i] for i in indices.tolist()] == fields[1].tolist()
    # Weights are (N P)^-1 over their largest, which belongs to P = 0.1.
    np.testing.assert_allclose(weights.numpy(), 1 / indices.numpy(), rtol=1e-6)
    assert memory.sample(9, beta=0)[2].tolist() == [1] * 9
    memory.add(np.float32([9, 9]), 9, 9.0, True)  # takes place 2, with the largest priority: 16
    shares = np.bincount(memory.sample(6000)[1].numpy(), minlength=5) / 6000
    np.testing.assert_allclose(shares, np.array([0, 1, 4, 3, 4]) / 12, atol=1e-3)
    gs.save(memory.state_dict(), tmp_path / "memory")
    again = PrioritizedReplayBuffer(5, alpha=0.5, beta=1.0)
    again.load_state_dict(gs.load(tmp_path / "memory"))
    assert memory.sample(8)[1].tolist() == again.sample(8)[1].tolist()


def test_prioritized_replay_refuses() -> None:
    memory = filled(PrioritizedReplayBuffer(4), 2)
    with pytest.raises(IndexError, match="out of range"):
        memory.update_priorities([2], [1.0])
    with pytest.raises(ValueError, match="one finite number for each"):
        memory.update_priorities([0, 1], [1.0])
    with pytest.raises(ValueError, match="one finite number for each"):
        memory.update_priorities([0], [np.nan])
    with pytest.raises(ValueError, match="alpha is -1"):
        PrioritizedReplayBuffer(4, alpha=-1)
