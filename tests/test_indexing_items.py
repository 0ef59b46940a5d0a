# SPDX-License-Identifier: Apache-2.0
"""Brackets against NumPy, over random index expressions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gradsmith as gs
from gradsmith.autograd import grad
from gradsmith.ops.indexing_items import getitem, setitem
from gradsmith.tensor import Tensor
from tests.cases import ISAS, isa_cap, threads


class RandomIndex:
    """Draws index expressions of every kind NumPy has."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)

    def chance(self, p: float) -> bool:
        return bool(self.rng.random() < p)

    def one_of(self, choices: list[Any]) -> Any:
        return choices[int(self.rng.integers(len(choices)))]

    def shape(self) -> tuple[int, ...]:
        rank = int(self.rng.integers(0, 5))
        return tuple(int(size) for size in self.rng.integers(1, 5, rank))

    def item(self, size: int) -> Any:
        kind = self.rng.random()
        if kind < 0.35:
            ends = [None, *range(-size - 2, size + 3)]
            step = self.one_of([None, 1, 2, -1, -2, 3])
            return slice(self.one_of(ends), self.one_of(ends), step)
        if kind < 0.5:
            return int(self.rng.integers(-size, size))
        if kind < 0.85:
            shape = self.one_of([(2,), (3,), (1,), (2, 3), (1, 3), (2, 1), ()])
            return self.rng.integers(-size, size, shape)
        return self.rng.random(size) < 0.5

    def index(self, shape: tuple[int, ...]) -> Any:
        items: list[Any] = []
        dim = 0
        while dim < len(shape) and not self.chance(0.2):
            if dim + 2 <= len(shape) and self.chance(0.1):
                items.append(self.rng.random(shape[dim : dim + 2]) < 0.5)
                dim += 2
                continue
            items.append(self.item(shape[dim]))
            dim += 1
        for _ in range(int(self.one_of([0, 0, 1, 2]))):
            items.insert(int(self.rng.integers(len(items) + 1)), None)
        if self.chance(0.1):
            items.insert(int(self.rng.integers(len(items) + 1)), self.chance(0.7))
        if self.chance(0.3):
            # In front of the last items only where those count from the end.
            place = int(self.rng.integers(len(items) + 1)) if dim == len(shape) else len(items)
            items.insert(place, Ellipsis)
        return items[0] if len(items) == 1 and self.chance(0.5) else tuple(items)


def as_tensors(index: Any) -> Any:
    if isinstance(index, tuple):
        return tuple(as_tensors(item) for item in index)
    return Tensor(index) if isinstance(index, np.ndarray) else index


@pytest.mark.parametrize("seed", range(400))
def test_brackets_agree_with_numpy(seed: int) -> None:
    draw = RandomIndex(seed)
    shape = draw.shape()
    index = draw.index(shape)
    tensor_index = as_tensors(index) if seed % 2 else index
    array = draw.rng.standard_normal(shape)
    x = Tensor(array.copy(), requires_grad=True)
    try:
        want = np.asarray(array[index])
    except IndexError:
        with pytest.raises(IndexError, match="getitem"):
            getitem(x, tensor_index)
        return
    y = getitem(x, tensor_index)
    np.testing.assert_array_equal(y.detach().numpy(), want)
    assert isinstance(y._array, np.ndarray)
    dy = draw.rng.standard_normal(want.shape)
    (dx,) = grad(y, x, Tensor(dy))
    expected = np.zeros_like(array)
    np.add.at(expected, index, dy)
    np.testing.assert_allclose(dx.numpy(), expected, atol=1e-14)
    target = Tensor(array.copy())
    setitem(target, tensor_index, Tensor(dy))
    array[index] = dy
    np.testing.assert_array_equal(target.numpy(), array)


def test_basic_indexing_is_a_view_and_advanced_a_copy() -> None:
    x = Tensor(np.arange(12.0).reshape(3, 4))
    view = getitem(x, (1, slice(None, None, -1)))
    copy = getitem(x, [1])
    element = getitem(x, (0, 0))
    setitem(x, 1, 7)
    setitem(x, (0, 0), 5)
    np.testing.assert_array_equal(view.numpy(), [7] * 4)
    np.testing.assert_array_equal(copy.numpy(), [[4, 5, 6, 7]])
    assert element.shape == ()
    assert element.item() == 5


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("shape", [(1,), (4097,), (70000,), (90, 91), (9000, 1), (7, 3, 5, 99)])
def test_where_a_mask_is_true(shape: tuple[int, ...], isa: str) -> None:
    """Blocks that end in a row, rows of many blocks, few and all elements, other bytes than 1."""
    drawn = np.random.default_rng(0).random(shape)
    for share in (0.0, 0.01, 0.5, 1.0):
        mask = drawn < share
        for given in (mask, np.where(mask, np.uint8(2), np.uint8(0)).view(np.bool_)):
            for count in (1, 2, 7):
                with isa_cap(isa), threads(count):
                    places = gs.nonzero(gs.from_numpy(given))
                    chosen = gs.from_numpy(drawn)[gs.from_numpy(given)]
                np.testing.assert_array_equal(places.numpy(), np.argwhere(mask))
                np.testing.assert_array_equal(chosen.numpy(), drawn[mask])
