# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gradsmith as gs
from gradsmith.autograd import grad, gradcheck, gradgradcheck, no_grad
from gradsmith.tensor import Tensor

RNG = np.random.default_rng(0)
A = RNG.uniform(0.5, 1.5, (3, 4))
B = RNG.uniform(0.5, 1.5, (3, 4))
MASK = Tensor(A > 1)
IDS = Tensor(np.array([0, 2, 0]))
PLACES = Tensor(np.array([[1, 0, 2, 1], [0, 2, 1, 0]]))

# (name, in-place call, the same out of place), each of two tensors
OPS: list[tuple[str, Any, Any]] = [
    ("add_", lambda x, y: x.add_(y, alpha=2), lambda x, y: x + 2 * y),
    ("sub_", lambda x, y: x.sub_(y, alpha=2), lambda x, y: x - 2 * y),
    ("mul_", lambda x, y: x.mul_(y), lambda x, y: x * y),
    ("div_", lambda x, y: x.div_(y), lambda x, y: x / y),
    ("pow_", lambda x, y: x.pow_(y), lambda x, y: x**y),
    ("pow_number", lambda x, y: x.pow_(3) + y, lambda x, y: x**3 + y),
    ("neg_", lambda x, y: x.neg_() + y, lambda x, y: y - x),
    ("exp_", lambda x, y: x.exp_() + y, lambda x, y: x.exp() + y),
    ("sqrt_", lambda x, y: x.sqrt_() + y, lambda x, y: x.sqrt() + y),
    ("sigmoid_", lambda x, y: x.sigmoid_() + y, lambda x, y: x.sigmoid() + y),
    ("tanh_", lambda x, y: x.tanh_() + y, lambda x, y: x.tanh() + y),
    ("relu_", lambda x, y: (x - 1).relu_() + y, lambda x, y: (x - 1).relu() + y),
    ("clamp_", lambda x, y: x.clamp_(0.7, 1.2) + y, lambda x, y: x.clamp(0.7, 1.2) + y),
    ("copy_", lambda x, y: x.copy_(y[0]), lambda x, y: x * 0 + y[0]),
    ("fill_", lambda x, y: x.fill_(y.sum()), lambda x, y: x * 0 + y.sum()),
    ("zero_", lambda x, y: x.zero_() + y, lambda x, y: x * 0 + y),
    (
        "masked_fill_",
        lambda x, y: x.masked_fill_(MASK, y[0, 0]),
        lambda x, y: x.masked_fill(MASK, y[0, 0]),
    ),
    (
        "index_add_",
        lambda x, y: x.index_add_(0, IDS, y, alpha=2),
        lambda x, y: x.index_add(0, IDS, y, alpha=2),
    ),
    (
        "scatter_",
        lambda x, y: x.scatter_(0, PLACES, y[:2]),
        lambda x, y: x.scatter(0, PLACES, y[:2]),
    ),
    (
        "scatter_add_",
        lambda x, y: x.scatter_add_(0, PLACES, y[:2]),
        lambda x, y: x.scatter_add(0, PLACES, y[:2]),
    ),
    ("div_floor", lambda x, y: x.div_(y, rounding_mode="floor"), lambda x, y: x // y),
]


@pytest.mark.parametrize(("name", "change", "plain"), OPS, ids=[op[0] for op in OPS])
def test_off_the_tape(name: str, change: Any, plain: Any) -> None:
    for layout in (np.ascontiguousarray, np.asfortranarray):
        x, y = Tensor(layout(A.copy())), Tensor(B)
        want = plain(x, y).numpy().copy()
        memory = x._array
        got = change(x, y)
        np.testing.assert_allclose(got.numpy(), want, rtol=1e-12)
        assert x._array is memory


@pytest.mark.parametrize(("name", "change", "plain"), OPS, ids=[op[0] for op in OPS])
def test_on_the_tape(name: str, change: Any, plain: Any) -> None:
    seed = Tensor(RNG.standard_normal((3, 4)))
    gradients = []
    for function in (change, plain):
        x, y = Tensor(A.copy(), requires_grad=True), Tensor(B.copy(), requires_grad=True)
        out = function(x * 1, y)
        gradients.append([g.numpy() for g in grad(out, (x, y), seed)])
        assert x.is_leaf
    for got, want in zip(*gradients, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", ["mul_", "masked_fill_", "index_add_", "copy_"])
def test_gradients_of_any_order(name: str) -> None:
    change = next(op[1] for op in OPS if op[0] == name)
    inputs = [Tensor(A[:3].copy(), requires_grad=True), Tensor(B.copy(), requires_grad=True)]
    assert gradcheck(lambda x, y: change(x * 1, y) * x, inputs)
    assert gradgradcheck(lambda x, y: change(x * 1, y) * x, inputs)


def test_writing_by_index_is_recorded() -> None:
    x = Tensor(A.copy(), requires_grad=True)
    v = Tensor(np.array(2.0), requires_grad=True)
    y = x * x
    y[1:, ::2] = v * 3
    y[[0, 0], [1, 1]] = 5.0
    loss = (y * Tensor(B)).sum()
    loss.backward()
    expected = 2 * A * B
    expected[1:, ::2] = 0
    expected[0, 1] = 0
    np.testing.assert_allclose(x.grad.numpy(), expected)
    np.testing.assert_allclose(v.grad.item(), 3 * B[1:, ::2].sum())


def test_a_constant_becomes_recorded_by_what_is_written() -> None:
    w = Tensor(np.array([1.0, 2.0]), requires_grad=True)
    table = gs.zeros(3, 2, dtype=gs.float64)
    for row in range(3):
        table[row] = w * (row + 1)
    assert table.requires_grad
    (dw,) = grad(table.sum(), w)
    np.testing.assert_array_equal(dw.numpy(), [6, 6])


def test_operators_change_in_place() -> None:
    x = Tensor(A.copy())
    memory = x._array
    x += 1
    x -= 0.5
    x *= 2
    x /= Tensor(B)
    np.testing.assert_allclose(x.numpy(), (A + 0.5) * 2 / B)
    assert x._array is memory
    x[0] += 1
    np.testing.assert_allclose(x.numpy()[0], (A[0] + 0.5) * 2 / B[0] + 1)


def test_overlapping_memory_is_read_before_it_is_written() -> None:
    x = Tensor(np.arange(9.0).reshape(3, 3))
    x += x.T
    np.testing.assert_array_equal(
        x.numpy(), np.arange(9).reshape(3, 3) + np.arange(9).reshape(3, 3).T
    )
    y = Tensor(np.arange(5.0))
    y[1:] = y[:-1]
    np.testing.assert_array_equal(y.numpy(), [0, 0, 1, 2, 3])
    y[[4, 3, 2]] = y[:3]
    np.testing.assert_array_equal(y.numpy(), [0, 0, 1, 0, 0])
    y.mul_(y)
    np.testing.assert_array_equal(y.numpy(), [0, 0, 1, 0, 0])


def test_leaves_and_views_on_the_tape_are_refused() -> None:
    leaf = Tensor(A.copy(), requires_grad=True)
    for change in (
        lambda: leaf.add_(1),
        lambda: leaf.zero_(),
        lambda: leaf.__setitem__(0, 1.0),
        lambda: leaf.normal_(),
        lambda: leaf.masked_fill_(MASK, 0.0),
    ):
        with pytest.raises(RuntimeError, match=r"leaf|on the tape"):
            change()
    view = (leaf * 1)[0]
    with pytest.raises(RuntimeError, match="view"):
        view.add_(1)
    np.testing.assert_array_equal(leaf.detach().numpy(), A)
    with no_grad():
        leaf.add_(1)
        leaf[0] = 0.0
        leaf.uniform_()
    assert leaf.is_leaf
    assert leaf.requires_grad


def test_changes_of_saved_tensors_are_noticed() -> None:
    x = Tensor(A.copy(), requires_grad=True)
    y = x * 1
    z = y * y
    y.add_(1)
    with pytest.raises(RuntimeError, match="changed in place"):
        z.sum().backward()
    for change in (
        lambda t: t.__setitem__(0, 0.0),
        lambda t: t[0].fill_(1.0),
        lambda t: t.detach().normal_(),
        lambda t: t.scatter_(0, PLACES, 1.0),
    ):
        w = Tensor(A.copy())
        product = x * w
        change(w)
        with pytest.raises(RuntimeError, match="changed in place"):
            product.sum().backward()


def test_views_of_a_rebased_tensor_are_refused() -> None:
    x = Tensor(A.copy(), requires_grad=True)
    y = x * 1
    row = y[0]
    y.mul_(2)
    with pytest.raises(RuntimeError, match="take the view again"):
        row.sum()
    np.testing.assert_allclose(grad(y[0].sum(), x)[0].numpy()[0], 2)


def test_dtype_and_shape_stay() -> None:
    integers = Tensor(np.arange(3))
    with pytest.raises(TypeError, match="add"):
        integers.add_(0.5)
    with pytest.raises(TypeError, match="div"):
        integers.div_(2)
    row = Tensor(np.zeros(4, np.float32))
    with pytest.raises(ValueError, match="shape"):
        row.add_(Tensor(np.zeros((3, 4), np.float32)))
    with pytest.raises(ValueError, match="masked_fill_: the result has shape"):
        row.masked_fill_(MASK, 1.0)
    with pytest.raises(ValueError, match="copy_"):
        row.copy_(Tensor(np.zeros(3)))
    with pytest.raises(ValueError, match="fill_: value has shape"):
        row.fill_(Tensor(np.zeros(4)))
    with pytest.raises(ValueError, match="read-only"):
        row.expand(2, 4).add_(1)
    on_tape = Tensor(np.zeros(4), requires_grad=True) * 1
    with pytest.raises(ValueError, match="add_: the result has shape"):
        on_tape.add_(Tensor(np.zeros((3, 4))))
    assert on_tape.add_(Tensor(np.zeros(4, np.float32))).dtype == np.float64
    integers.copy_(Tensor(np.array([1.7, -1.7, 2.0])))
    np.testing.assert_array_equal(integers.numpy(), [1, -1, 2])


@pytest.mark.parametrize("recorded", [False, True])
def test_results_of_the_same_or_a_lower_kind_are_converted(recorded: bool) -> None:
    narrow = Tensor(np.array([1.0, 2.0], np.float32), requires_grad=recorded)
    wide = Tensor(np.array([0.5, 4.0]), requires_grad=recorded)
    x = narrow * 1
    x.add_(wide).mul_(wide.to(gs.bfloat16)).atan2_(wide)
    assert x.dtype == np.float32
    np.testing.assert_allclose(x.detach().numpy(), np.arctan2([0.75, 24], [0.5, 4]), rtol=1e-6)
    if recorded:
        x.sum().backward()
        assert narrow.grad is not None
        assert wide.grad is not None
        assert (narrow.grad.dtype, wide.grad.dtype) == (np.float32, np.float64)
        np.testing.assert_allclose(narrow.grad.numpy(), [4 / 13, 4 / 148], rtol=1e-6)
    counts = gs.tensor([1, 2], dtype=gs.int32)
    assert counts.add_(gs.tensor([3, 4])).logical_and_(gs.tensor([0, 7])).tolist() == [0, 1]
    assert counts.dtype == np.int32


def test_random_filling_keeps_strides_and_follows_the_seed() -> None:
    for method in ("normal_", "uniform_", "bernoulli_"):
        gs.manual_seed(3)
        straight = getattr(gs.zeros(4, 6), method)()
        gs.manual_seed(3)
        x = Tensor(np.zeros((6, 4), np.float32))
        across = getattr(x.T, method)()
        np.testing.assert_array_equal(straight.numpy(), across.numpy())
        np.testing.assert_array_equal(x.numpy().T, straight.numpy())
