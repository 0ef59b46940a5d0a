# SPDX-License-Identifier: Apache-2.0
"""Brackets over drawn index tuples: get, set and gradients against NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gradsmith as gs
from gradsmith.autograd import grad
from gradsmith.tensor import Tensor


@st.composite
def slices(draw: st.DrawFn, size: int) -> slice:
    ends = st.none() | st.integers(-size - 2, size + 2)
    steps = st.sampled_from([None, 1, 2, 3, -1, -2])
    return slice(draw(ends), draw(ends), draw(steps))


@st.composite
def integer_arrays(draw: st.DrawFn, size: int, batch: tuple[int, ...]) -> Any:
    """Integers of a shape that broadcasts to ``batch``, as an array, a tensor or a list."""
    kept = draw(st.integers(0, len(batch)))
    shape = tuple(n if draw(st.booleans()) else 1 for n in batch[len(batch) - kept :])
    count = int(np.prod(shape))
    values = draw(st.lists(st.integers(-size, size - 1), min_size=count, max_size=count))
    array = np.array(values, np.int64).reshape(shape)
    form = draw(st.sampled_from(["array", "tensor", "list"]))
    return array if form == "array" else Tensor(array) if form == "tensor" else array.tolist()


@st.composite
def masks(draw: st.DrawFn, shape: tuple[int, ...]) -> Any:
    """A mask with a single True element, which broadcasts with every batch of integers."""
    array = np.zeros(shape, np.bool_)
    if draw(st.integers(0, 3)):
        place = tuple(draw(st.integers(0, n - 1)) for n in shape)
        array[place] = True
    return Tensor(array) if draw(st.booleans()) else array


@st.composite
def indices(draw: st.DrawFn, shape: tuple[int, ...]) -> tuple[Any, ...]:
    batch = draw(st.sampled_from([(), (2,), (3,), (2, 3), (1, 2)]))
    items: list[Any] = []
    dim = 0
    while dim < len(shape):
        kind = draw(st.sampled_from(["slice", "slice", "int", "array", "array", "mask", "end"]))
        size = shape[dim]
        taken = 1
        if kind == "end":
            break
        if kind == "slice":
            items.append(draw(slices(size)))
        elif kind == "int":
            number = draw(st.integers(-size, size - 1))
            items.append(draw(st.sampled_from([number, np.int64(number), Tensor(number)])))
        elif kind == "array":
            items.append(draw(integer_arrays(size, batch)))
        else:
            taken = draw(st.integers(1, len(shape) - dim))
            items.append(draw(masks(shape[dim : dim + taken])))
        dim += taken
    for _ in range(draw(st.integers(0, 2))):
        items.insert(draw(st.integers(0, len(items))), draw(st.sampled_from([None, True])))
    if draw(st.booleans()):
        last = len(items) if dim < len(shape) else draw(st.integers(0, len(items)))
        items.insert(last, Ellipsis)
    return tuple(items)


@st.composite
def problems(draw: st.DrawFn) -> tuple[tuple[int, ...], tuple[Any, ...]]:
    shape = tuple(draw(st.lists(st.integers(1, 4), max_size=4)))
    return shape, draw(indices(shape))


def as_numpy(index: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(each.numpy() if isinstance(each, Tensor) else each for each in index)


@settings(derandomize=True, max_examples=400, deadline=None, database=None)
@given(problems())
def test_drawn_brackets(problem: tuple[tuple[int, ...], tuple[Any, ...]]) -> None:
    shape, index = problem
    array = np.arange(float(np.prod(shape))).reshape(shape)
    x = Tensor(array.copy(), requires_grad=True)
    try:
        want = np.asarray(array[as_numpy(index)])
    except IndexError:
        with pytest.raises(IndexError, match="getitem"):
            x[index]
        return
    got = x[index]
    np.testing.assert_array_equal(got.detach().numpy(), want)
    # The gradient of reading.
    dy = np.arange(1.0, want.size + 1).reshape(want.shape)
    (dx,) = grad(got, x, Tensor(dy))
    spread = np.zeros(shape)
    np.add.at(spread, as_numpy(index), dy)
    np.testing.assert_array_equal(dx.numpy(), spread)
    # Writing a tensor that broadcasts, and its gradients.
    value = Tensor(-dy[..., :1] if want.ndim else -dy, requires_grad=True)
    target = x * 1.0
    target[index] = value
    written = array.copy()
    written[as_numpy(index)] = value.detach().numpy()
    np.testing.assert_array_equal(target.detach().numpy(), written)
    seed = np.arange(2.0, array.size + 2).reshape(shape)
    dx, dvalue = grad(target, [x, value], Tensor(seed))
    kept = seed.copy()
    kept[as_numpy(index)] = 0
    np.testing.assert_array_equal(dx.numpy(), kept)
    rows = np.asarray(seed[as_numpy(index)])
    expected = rows.sum(-1, keepdims=True)[..., : value.shape[-1]] if want.ndim else rows
    np.testing.assert_array_equal(dvalue.numpy(), expected)


def test_a_number_and_numpy_values_are_written() -> None:
    x = gs.zeros(2, 3)
    x[:, [0, -1]] = 5
    x[1, ::-2] = np.array([7.0, 8.0])
    x[gs.tensor(True), 0, 1] = [9.0]
    assert x.tolist() == [[5, 9, 5], [8, 0, 7]]
