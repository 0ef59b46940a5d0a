# SPDX-License-Identifier: Apache-2.0
"""Softmax, log-softmax, softmin, logsumexp."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from gradsmith.autograd import grad
from gradsmith.ops.softmax import log_softmax, logsumexp, softmax, softmin
from gradsmith.tensor import Tensor
from tests.cases import (
    ISAS,
    REDUCED,
    Case,
    CaseTests,
    isa_cap,
    run_on_threads,
    run_with_gradients,
)
from tests.reference import softmax as ref
from tests.tolerance import assert_close


def _normal(*shape: int) -> Any:
    return lambda rng: (2 * rng.standard_normal(shape),)


def _along(op: str, shape: tuple[int, ...], dim: int) -> Case:
    call = {"softmax": softmax, "log_softmax": log_softmax}[op]
    backward = getattr(ref, f"{op}_backward")
    return Case(
        f"{op}-{'x'.join(map(str, shape))}-dim{dim}",
        lambda x: call(x, dim),
        partial(getattr(ref, op), axis=dim),
        _normal(*shape),
        backward=partial(backward, axis=dim),
        tolerance="softmax",
    )


SHAPES = [((7,), 0), ((3, 5), 1), ((3, 5), 0), ((2, 4, 3), -2), ((2, 1, 3), 1), ((2, 3, 70), 1)]

CASES = [
    *(_along(op, shape, dim) for op in ("softmax", "log_softmax") for shape, dim in SHAPES),
    Case(
        "softmin",
        lambda x: softmin(x, 1),
        lambda x: ref.softmax(-x, 1),
        _normal(3, 5),
        backward=lambda dy, x: -ref.softmax_backward(dy, -x, 1),
        tolerance="softmax",
    ),
    Case(
        "logsumexp",
        lambda x: logsumexp(x, 1),
        lambda x: ref.logsumexp(x, 1),
        _normal(3, 5, 2),
        backward=lambda dy, x: ref.logsumexp_backward(dy, x, 1),
        tolerance="softmax",
    ),
    Case(
        "logsumexp-keepdim",
        lambda x: logsumexp(x, (0, 2), keepdim=True),
        lambda x: ref.logsumexp(x, (0, 2), keepdims=True),
        _normal(3, 5, 2),
        tolerance="softmax",
    ),
]


class TestCases(CaseTests):
    pass


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("length", [2, 37, 101])
def test_large_and_infinite_inputs(length: int, isa: str) -> None:
    """A row's neighbours, which are read with it if it is short, leave it alone."""
    rows = np.full((5, length), -math.inf, np.float32)
    rows[:4, :2] = [[1e4, 1e4 + 1], [-1e4, -math.inf], [0, math.nan], [3, 3]]
    with isa_cap(isa):
        y = softmax(Tensor(rows), 1).numpy()
        log_y = log_softmax(Tensor(rows), 1).numpy()
    np.testing.assert_allclose(y[0, :2], [1 / (1 + math.e), math.e / (1 + math.e)], rtol=1e-6)
    np.testing.assert_array_equal(y[1, :2], [1, 0])
    np.testing.assert_array_equal(y[3, :2], [0.5, 0.5])
    assert not y[[0, 1, 3], 2:].any()
    assert np.isnan(y[[2, 4]]).all()
    np.testing.assert_allclose(log_y[0, :2], np.log(y[0, :2]), rtol=1e-5)
    np.testing.assert_array_equal(log_y[1, :2], [0, -math.inf])
    assert np.isnan(log_y[[2, 4]]).all()


def test_logsumexp_of_infinities() -> None:
    rows = [[-math.inf, -math.inf], [math.inf, 0], [0, -math.inf], [1e5, 1e5]]
    x = Tensor(np.array(rows, np.float64), requires_grad=True)
    y = logsumexp(x, 1)
    expected = [-math.inf, math.inf, 0, 1e5 + math.log(2)]
    np.testing.assert_allclose(y.detach().numpy(), expected)
    (dx,) = grad(y, x, Tensor(np.ones(4)))
    np.testing.assert_allclose(dx.numpy()[[0, 2, 3]], [[0, 0], [1, 0], [0.5, 0.5]])


def test_empty() -> None:
    assert softmax(Tensor(np.zeros((3, 0), np.float32)), 1).shape == (3, 0)
    assert log_softmax(Tensor(np.zeros((0, 3), np.float32)), 1).shape == (0, 3)
    empty = logsumexp(Tensor(np.zeros((3, 0), np.float32)), 1)
    np.testing.assert_array_equal(empty.numpy(), np.full(3, -math.inf))


def test_scalar() -> None:
    x = Tensor(np.array(3.0, np.float32), requires_grad=True)
    assert softmax(x, 0).item() == 1
    assert softmax(x, -1).shape == ()


def test_dtype_argument() -> None:
    x = Tensor(np.array([0.1, 0.7]).astype(ml_dtypes.bfloat16), requires_grad=True)
    y = softmax(x, 0, dtype=np.float32)
    assert y.dtype == np.float32
    y.backward(Tensor(np.array([1.0, 0.0], np.float32)))
    assert x.grad is not None
    assert x.grad.dtype == ml_dtypes.bfloat16
    assert softmax(Tensor(np.arange(3)), 0, dtype="float64").dtype == np.float64


@pytest.mark.parametrize("op", [softmax, log_softmax, softmin])
def test_errors(op: Any) -> None:
    x = Tensor(np.zeros((2, 3), np.float32))
    with pytest.raises(IndexError, match=r"dim 2 is out of range .*expected -2 to 1"):
        op(x, 2)
    with pytest.raises(TypeError, match="input is int64, expected a floating dtype"):
        op(Tensor(np.zeros(3, np.int64)), 0)
    with pytest.raises(TypeError, match="input is a list, expected a tensor"):
        op([1.0], 0)
    with pytest.raises(TypeError, match="dim is a NoneType, expected an int"):
        op(x, None)
    with pytest.raises(ValueError, match="expected an int of 64 bits"):
        op(x, 2**70)
    with pytest.raises(IndexError, match="dim 5"):
        logsumexp(x, 5)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16", "float16"])
@pytest.mark.parametrize("op", ["softmax", "log_softmax"])
@pytest.mark.parametrize(
    ("shape", "dim"),
    [
        *[((67, 1003), 1), ((67, 1003), 0), ((3, 101, 150), 1), ((3, 20, 77), 1), ((2, 700, 5), 1)],
        *[((3307, 10), 1), ((701, 48), 1), ((5, 9, 3), 2)],
    ],
)
def test_long(shape: tuple[int, ...], dim: int, op: str, dtype: str, isa: str) -> None:
    """Several vectors with a rest, on several threads: the definition and the same bits."""
    case = _along(op, shape, dim)
    arrays = case.inputs(dtype)
    (y,), (dy,), (dx,) = run_on_threads(case, arrays, isa)
    assert_close(y, case.expected(arrays)[0], dtype, "softmax", label=op)
    if dtype not in REDUCED:
        x = arrays[0].astype(np.float64)
        expected = getattr(ref, f"{op}_backward")(dy.astype(np.float64), x, axis=dim)
        assert_close(dx, expected, dtype, "softmax", depth=4, label=f"{op} gradient")


@pytest.mark.parametrize("isa", ISAS[1:])
@pytest.mark.parametrize("op", ["softmax", "log_softmax"])
def test_larger_than_the_caches(op: str, isa: str) -> None:
    """Results of that size are stored past the cache."""
    case = _along(op, (4200, 1024), 1)
    arrays = case.inputs("float32")
    with isa_cap(isa):
        results = run_with_gradients(case, arrays)
    with isa_cap("reference"):
        expected = run_with_gradients(case, arrays)
    assert_close(results[0][0], expected[0][0], "float32", "softmax")
    assert_close(results[2][0], expected[2][0], "float32", "softmax", depth=4)


@pytest.mark.parametrize("isa", ISAS[1:])
@pytest.mark.parametrize("op", [softmax, log_softmax])
@pytest.mark.parametrize(
    "shape", [(2, 43, 50064), (1, 4099, 1008), (3, 7, 200007), (1, 17000, 259)]
)
def test_columns_do_not_depend_on_their_neighbours(
    shape: tuple[int, ...], op: Any, isa: str
) -> None:
    """Blocks of columns, gathered and stored past the cache, against a few columns at a time."""
    x = np.random.default_rng(0).standard_normal(shape, np.float32)
    dy = np.random.default_rng(1).standard_normal(shape, np.float32)

    def both(first: int, last: int) -> list[np.ndarray]:
        part, slope = (np.ascontiguousarray(a[..., first:last]) for a in (x, dy))
        leaf = Tensor(part, requires_grad=True)
        y = op(leaf, 1)
        y.backward(Tensor(slope))
        return [y.detach().numpy(), leaf.grad.numpy()]

    with isa_cap(isa):
        whole = both(0, shape[2])
        for first, count in ((0, 16), (500, 5), (shape[2] - 90, 90)):
            for all_columns, some in zip(whole, both(first, first + count), strict=True):
                np.testing.assert_array_equal(all_columns[..., first : first + count], some)
