# SPDX-License-Identifier: Apache-2.0
"""Making tensors: from data, filled, from ranges; sizes that do not fit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradsmith as gs


def test_tensor_copies_and_infers_the_dtype() -> None:
    data = np.arange(3.0)
    x = gs.tensor(data)
    data[0] = 9
    assert x.tolist() == [0.0, 1.0, 2.0]
    assert x.dtype == gs.float64
    assert gs.tensor([1.5, 2]).dtype == gs.float32
    assert gs.tensor([1, 2]).dtype == gs.int64
    assert gs.tensor([True]).dtype == gs.bool
    assert gs.tensor(2.5).shape == ()
    assert gs.tensor([]).shape == (0,)
    assert gs.tensor([[1, 2], [3, 4]], dtype=gs.bfloat16).dtype == gs.bfloat16
    assert gs.tensor(np.int16(3)).dtype == gs.int64
    assert gs.tensor([gs.tensor(1.0), gs.tensor(2.0)]).tolist() == [1.0, 2.0]
    assert gs.tensor([1.0], requires_grad=True).requires_grad


def test_sharing_memory() -> None:
    data = np.zeros(3, np.float32)
    shared, copied = gs.from_numpy(data), gs.as_tensor(data, dtype=gs.float64)
    data[1] = 5
    assert shared.tolist() == [0.0, 5.0, 0.0]
    assert copied.tolist() == [0.0, 0.0, 0.0]
    assert gs.as_tensor(shared) is shared
    strided = gs.from_numpy(np.arange(12.0).reshape(3, 4)[::-1, ::2])
    assert (strided + 1).tolist() == [[9.0, 11.0], [5.0, 7.0], [1.0, 3.0]]


def test_default_dtype() -> None:
    gs.set_default_dtype(gs.float64)
    try:
        assert gs.tensor(1.5).dtype == gs.zeros(2).dtype == gs.linspace(0, 1, 3).dtype == gs.float64
    finally:
        gs.set_default_dtype(gs.float32)
    assert gs.get_default_dtype() == gs.float32


@pytest.mark.parametrize(("name", "value"), [("zeros", 0), ("ones", 1)])
def test_filled(name: str, value: int) -> None:
    create = getattr(gs, name)
    for x in (create(2, 3), create((2, 3)), create([2, 3])):
        assert x.shape == (2, 3)
        assert x.tolist() == [[value] * 3] * 2
    assert create(()).item() == value
    assert create(0, 3).shape == (0, 3)
    assert create(2, dtype="int32").dtype == gs.int32
    like = getattr(gs, f"{name}_like")(gs.empty(3, dtype=gs.bfloat16))
    assert (like.dtype, like.shape, like.tolist()) == (gs.bfloat16, (3,), [value] * 3)


def test_full_takes_its_dtype_from_the_value() -> None:
    assert gs.full((2,), 7).dtype == gs.int64
    assert gs.full((2,), 7.5).dtype == gs.float32
    assert gs.full((2,), True).dtype == gs.bool
    assert gs.full(2, 7, dtype=gs.float64).tolist() == [7.0, 7.0]
    assert gs.full_like(gs.ones(2), 3).dtype == gs.float32
    assert gs.empty(3, 4).shape == gs.empty_like(gs.ones(3, 4)).shape == (3, 4)


@pytest.mark.parametrize(
    "arguments", [(5,), (2, 7), (7, 2, -2), (0.0, 1.0, 0.3), (1, 2.5, 0.5), (3, 3), (0, 1, 0.1)]
)
def test_arange(arguments: tuple[float, ...]) -> None:
    x = gs.arange(*arguments)
    expected = np.arange(*arguments)
    assert x.dtype == (gs.float32 if expected.dtype == np.float64 else gs.int64)
    np.testing.assert_allclose(x.numpy(), expected, rtol=1e-6)


def test_spaced_numbers_and_matrices() -> None:
    np.testing.assert_allclose(gs.linspace(-1, 1, 5).numpy(), np.linspace(-1, 1, 5))
    np.testing.assert_allclose(gs.logspace(0, 2, 3).numpy(), [1, 10, 100])
    assert gs.linspace(0, 1, 0).shape == (0,)
    assert gs.linspace(3, 9, 1).tolist() == [3.0]
    assert gs.eye(2, 3).tolist() == [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]
    assert gs.tril_indices(2, 3).tolist() == [[0, 1, 1], [0, 0, 1]]
    assert gs.triu_indices(2, 3, 1).tolist() == [[0, 0, 1], [1, 2, 2]]


def test_new_tensors_follow_a_tensor() -> None:
    x = gs.ones(2, dtype=gs.float64)
    assert x.new_zeros(3).dtype == x.new_ones((1, 2)).dtype == x.new_empty(1).dtype == gs.float64
    assert x.new_full((2,), 4).tolist() == [4.0, 4.0]
    assert x.new_tensor([1, 2]).dtype == gs.float64
    assert x.new_zeros(2, dtype=gs.int64).dtype == gs.int64


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: gs.zeros(2**40, 2**40), MemoryError, "zeros"),
        (lambda: gs.ones(2**62), MemoryError, "ones"),
        (lambda: gs.empty(2**70), MemoryError, "empty"),
        (lambda: gs.zeros(-1), ValueError, "zeros: got shape"),
        (lambda: gs.full((2, -3), 1.0), ValueError, "full: got shape"),
        (lambda: gs.zeros(2.5), TypeError, "zeros: "),
        (lambda: gs.zeros(2, dtype="complex64"), TypeError, "complex64"),
        (lambda: gs.tensor([[1], [1, 2]]), ValueError, "ragged"),
        (lambda: gs.tensor("text"), TypeError, "tensor: got str"),
        (lambda: gs.tensor(None), TypeError, "tensor: got NoneType"),
        (lambda: gs.tensor(1j), TypeError, "complex"),
        (lambda: gs.tensor([1], requires_grad=True), TypeError, "requires_grad: got int64"),
        (lambda: gs.from_numpy([1.0]), TypeError, "from_numpy: got a list"),
        (lambda: gs.from_numpy(np.zeros(2, np.complex64)), TypeError, "complex64"),
        (lambda: gs.from_numpy(np.zeros(2, ">f4")), TypeError, ">f4"),
        (lambda: gs.arange(0, 5, -1), ValueError, "arange: no range"),
        (lambda: gs.arange(0, 5, 0), ValueError, "arange: no range"),
        (lambda: gs.arange(0, float("inf")), ValueError, "arange: no range"),
        (lambda: gs.arange(2**60), MemoryError, "arange"),
        (lambda: gs.linspace(0, 1, -1), ValueError, "linspace: steps is -1"),
        (lambda: gs.eye(-1), ValueError, "zeros: got shape|eye"),
        (lambda: gs.zeros(2, device="cuda"), RuntimeError, "cupy-cuda13x"),
        (lambda: gs.zeros(2, device="tpu"), ValueError, "device 'tpu' is unknown"),
        (lambda: gs.zeros_like([1]), TypeError, "zeros_like: input is a list"),
    ],
)
def test_errors(call: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()
