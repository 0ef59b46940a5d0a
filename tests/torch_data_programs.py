# SPDX-License-Identifier: Apache-2.0
"""Programs with data sets and files, to be run with either library.

They are written as those of `tests.torch_programs`.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from tests.torch_programs import network, numbers


def loading(t: Any, data: Any) -> Any:
    class Rows(data.Dataset):  # type: ignore[misc]
        def __len__(self) -> int:
            return 7

        def __getitem__(self, place: int) -> Any:
            return {"x": t.ones(2) * place, "y": place, "z": (float(place), str(place))}

    class Stream(data.IterableDataset):  # type: ignore[misc]
        def __iter__(self) -> Any:
            yield from range(5)

    rows = Rows()
    both = data.ConcatDataset([rows, data.Subset(rows, [1, 3])])
    batches = list(data.DataLoader(both, batch_size=4, drop_last=True))
    order = list(data.BatchSampler(data.SequentialSampler(rows), 3, drop_last=False))
    sampled = list(data.DataLoader(rows, sampler=data.SubsetRandomSampler([2, 2, 2]), batch_size=2))
    weighted = list(data.WeightedRandomSampler([0.0, 1.0, 0.0], 4))
    parts = data.random_split(rows, [3, 4], generator=t.Generator().manual_seed(0))
    shares = [len(each) for each in data.random_split(rows, [0.5, 0.5])]
    mine = list(data.DataLoader(rows, 2, collate_fn=lambda each: len(each)))
    stream = [each.tolist() for each in data.DataLoader(Stream(), batch_size=2)]
    converted = data.default_convert([np.ones(2), {"a": np.zeros(2)}])
    joined = data.default_collate([(1, [2.0, "a"]), (3, [4.0, "b"])])
    return [
        *(len(both), [each["x"] for each in batches], batches[0]["y"], batches[1]["z"][1]),
        *(
            order,
            [each["y"] for each in sampled],
            weighted,
            sorted([*parts[0].indices, *parts[1].indices]),
        ),
        *(shares, mine, stream, converted, joined[0], joined[1][1], data.get_worker_info()),
        *(sorted(data.RandomSampler(rows)), len(list(data.RandomSampler(rows, True, 9)))),
        isinstance(data.RandomSampler(rows), data.Sampler),
        data.TensorDataset(t.arange(5), t.ones(5))[1:3],
    ]


def saved_and_loaded(t: Any, data: Any) -> Any:
    net = network(t)
    optimizer = t.optim.Adam(net.parameters())
    net(numbers(t, 2, 3)).sum().backward()
    optimizer.step()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "state"
        t.save({"net": net.state_dict(), "optimizer": optimizer.state_dict(), "epoch": 3}, path)
        state = t.load(path)
    other = network(t)
    other.load_state_dict(state["net"])
    again = t.optim.Adam(other.parameters())
    again.load_state_dict(state["optimizer"])
    for one, opt in ((net, optimizer), (other, again)):
        opt.zero_grad(set_to_none=True)
        one(numbers(t, 2, 3, seed=1)).pow(2).sum().backward()
        opt.step()
    return [
        list(other.state_dict().values()),
        t.equal(net[0].weight, other[0].weight),
        state["epoch"],
    ]


def datasets_of_datasets(t: Any, data: Any) -> Any:
    class Stream(data.IterableDataset):  # type: ignore[misc]
        def __iter__(self) -> Any:
            yield from range(3)

        def __len__(self) -> int:
            return 3

    chain = data.ChainDataset([Stream(), Stream()])
    pairs = data.StackDataset([10, 20, 30], data.TensorDataset(t.arange(3)))
    named = data.StackDataset(x=[1, 2], y=["a", "b"])
    return [
        *(list(chain), len(chain), [each.tolist() for each in data.DataLoader(chain, 4)]),
        *(len(pairs), pairs[1], named[1], next(iter(data.DataLoader(named, 2)))),
    ]
