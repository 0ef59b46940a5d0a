# SPDX-License-Identifier: Apache-2.0
"""The tensor to Python and NumPy: in, format, copy, arrays."""

from __future__ import annotations

import copy

import numpy as np
import pytest

import gradsmith as gs


def test_in() -> None:
    n = gs.tensor([[1, 2], [3, 4]])
    assert 3 in n
    assert gs.tensor(5) not in n
    assert gs.tensor([3, 9]) in n
    assert 1.5 not in gs.zeros(0)
    with pytest.raises(TypeError, match="in: element is a str"):
        assert "a" in n


def test_format() -> None:
    assert f"{gs.tensor(1.23456):.2f}" == "1.23"
    assert f"{gs.tensor(7):03d}" == "007"
    assert f"{gs.tensor([1, 2])}" == "tensor([1, 2])"
    assert f"{gs.tensor(2)}" == "2"
    with pytest.raises(TypeError, match="format: the tensor has shape"):
        f"{gs.tensor([1.0]):.2f}"


def test_copy() -> None:
    x = gs.ones(2, requires_grad=True)
    (x * 3).sum().backward()
    shallow, deep = copy.copy(x), copy.deepcopy(x)
    assert shallow.data_ptr() == x.data_ptr() != deep.data_ptr()
    assert shallow.requires_grad
    assert deep.requires_grad
    assert shallow.grad is x.grad
    assert deep.grad is not None
    assert deep.grad is not x.grad
    assert deep.grad.tolist() == [3.0, 3.0]
    shared = [x, x]
    first, second = copy.deepcopy(shared)
    assert first is second
    assert copy.copy(x * 2).requires_grad
    with gs.no_grad():
        shallow.fill_(5.0)
    assert x.tolist() == [5.0, 5.0]
    product = x * x
    with gs.no_grad():
        copy.copy(x).zero_()
    with pytest.raises(RuntimeError, match="changed in place"):
        product.sum().backward()


def test_copy_of_a_parameter() -> None:
    weight = gs.nn.Parameter(gs.ones(2))
    assert type(copy.copy(weight)) is type(copy.deepcopy(weight)) is gs.nn.Parameter


def test_arrays() -> None:
    x = gs.arange(3)
    assert np.asarray(x) is not None
    assert np.shares_memory(np.asarray(x), x.numpy())
    assert not np.shares_memory(np.array(x), x.numpy())
    assert np.array(x, dtype=np.float32).dtype == np.float32
    assert gs.Tensor.__array__(x, np.float64).tolist() == [0.0, 1.0, 2.0]
    with pytest.raises(ValueError, match="copy"):
        np.array(x, dtype=np.float32, copy=False)
    leaf = gs.ones(2, requires_grad=True)
    with pytest.raises(RuntimeError, match="requires a gradient"):
        np.asarray(leaf)
    assert np.shares_memory(leaf.numpy(force=True), leaf.detach().numpy())


def test_membership_and_format_of_numbers() -> None:
    x = gs.tensor([1.5, 2.0])
    assert gs.Tensor.__contains__(x, 2)
    assert 3 not in x
    assert gs.Tensor.__format__(x[0], ".3f") == f"{x[0]:.3f}" == "1.500"


def test_dlpack_options() -> None:
    array = np.arange(3.0)
    assert np.shares_memory(gs.from_dlpack(array, copy=False).numpy(), array)
    assert not np.shares_memory(gs.from_dlpack(array, copy=True).numpy(), array)
    assert gs.from_dlpack(array, device="cpu").tolist() == [0.0, 1.0, 2.0]


def test_dlpack_to_another_device() -> None:
    pytest.importorskip("gradsmith._cudasim")
    assert gs.from_dlpack(np.arange(2.0), device="cudasim").device == "cudasim"
    with pytest.raises(ValueError, match="from_dlpack: copy is False"):
        gs.from_dlpack(np.arange(2.0), device="cudasim", copy=False)
