# SPDX-License-Identifier: Apache-2.0
"""Pooling in C order with strides of 3 and more: vectors of windows that lie a stride apart."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from gradsmith.autograd import grad
from gradsmith.ops import pool
from gradsmith.tensor import Tensor
from tests.cases import ISAS, isa_cap, threads
from tests.tolerance import assert_close

DTYPES = [np.float32, np.float64, ml_dtypes.bfloat16, np.float16]


def _results(x: np.ndarray, isa: str, call: Callable[[Tensor], Any]) -> list[Any]:
    """y, indices if there are any, and dx; the same bits on 1, 2 and 7 threads."""
    bits = set()
    for count in (1, 2, 7):
        with threads(count), isa_cap(isa):
            leaf = Tensor(x, requires_grad=True)
            out = call(leaf)
            y, *indices = out if isinstance(out, tuple) else (out,)
            dy = np.random.default_rng(1).integers(-4, 5, y.shape).astype(x.dtype)
            dx = grad(y, leaf, Tensor(dy))[0].numpy()
        found = [y.detach().numpy(), *(each.numpy() for each in indices), dx]
        bits.add(b"".join(each.tobytes() for each in found))
    assert len(bits) == 1
    return found


def _assert_equal(x: np.ndarray, isa: str, call: Callable[[Tensor], Any]) -> None:
    expected = _results(x, "reference", call)
    for got, plain in zip(_results(x, isa, call), expected, strict=True):
        np.testing.assert_array_equal(got.astype(np.float64), plain.astype(np.float64))


def _with_specials(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Few whole numbers, so that many are equal; NaN; infinities alone and side by side."""
    rng = np.random.default_rng(0)
    x = rng.integers(-3, 4, shape).astype(np.float32)
    flat = x.reshape(-1)
    flat[rng.integers(0, x.size, x.size // 40)] = np.inf
    flat[rng.integers(0, x.size, x.size // 10)] = -np.inf
    flat[rng.integers(0, x.size, x.size // 40)] = np.nan
    x[1, 1] = -np.inf
    return x.astype(dtype)


# kernel, stride, padding, dilation, ceil_mode of the last dimension
WINDOWS = [
    *[(stride, stride, 0, 1, False) for stride in range(3, 10)],
    *[(stride - 1, stride, 1, 1, True) for stride in range(3, 10)],
    *[(stride + 2, stride, 2, 1, stride % 2 == 0) for stride in range(3, 10)],
    (1, 3, 0, 1, False),
    (7, 3, 3, 1, True),
    (11, 3, 5, 1, False),
    (2, 4, 1, 3, False),  # dilated windows that stay apart
    (3, 5, 1, 2, True),
    (3, 4, 0, 2, False),  # and such that overlap
    (3, 3, 1, 3, False),
    (2, 4, 1, 9, True),  # may hold no element at all
    (10, 64, 0, 1, False),
    (10, 65, 0, 1, False),  # too wide for vectors
]


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("kernel", "stride", "padding", "dilation", "ceil_mode"), WINDOWS)
def test_maxima_of_rows(
    kernel: int, stride: int, padding: int, dilation: int, ceil_mode: bool, dtype: Any, isa: str
) -> None:
    """Rows that fill no vector, exactly one, and several with a rest."""
    span = (kernel - 1) * dilation + 1
    for windows in (1, 2, 9, 35):
        for rest in (0, 1, stride - 1):
            length = span - padding + (windows - 1) * stride + rest
            if length + 2 * padding < span:
                continue
            x = _with_specials((3, 5, length), dtype)
            options: Any = (kernel, stride, padding, dilation, ceil_mode)

            def call(leaf: Tensor, options: Any = options) -> Any:
                return pool.max_pool1d(leaf, *options, True)

            _assert_equal(x, isa, call)
            with isa_cap(isa):
                plain = pool.max_pool1d(Tensor(x), *options).numpy()
            with isa_cap("reference"):
                expected = pool.max_pool1d(Tensor(x), *options).numpy()
            np.testing.assert_array_equal(plain.astype(float), expected.astype(float))


PLANES = [
    ("max_pool2d", (2, 3, 7, 30), 3, 3, 0, 1, False),
    ("max_pool2d", (2, 3, 8, 31), 3, 3, 1, 1, True),
    ("max_pool2d", (2, 3, 9, 29), (2, 3), (2, 3), 0, 1, False),
    ("max_pool2d", (2, 3, 9, 29), (3, 4), (4, 5), (1, 2), 1, False),
    ("max_pool2d", (2, 3, 9, 29), (3, 5), (2, 3), 1, 1, True),
    ("max_pool2d", (2, 3, 9, 29), (3, 3), (1, 4), 1, (2, 1), False),
    ("max_pool2d", (2, 3, 9, 29), (2, 2), (4, 6), 1, (3, 5), False),
    ("max_pool2d", (2, 3, 4, 27), (2, 3), (3, 3), 1, (7, 1), True),
    ("max_pool2d", (2, 3, 70, 9), (65, 3), (65, 3), 0, 1, False),  # too many rows for vectors
    ("max_pool3d", (2, 3, 6, 7, 12), 3, 3, 0, 1, False),
    ("max_pool3d", (2, 3, 6, 7, 13), (2, 3, 4), (3, 3, 4), 1, 1, True),
    ("max_pool3d", (2, 3, 5, 5, 20), (3, 2, 5), (1, 2, 3), 1, 1, False),
]


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("name", "shape", "kernel", "stride", "padding", "dilation", "ceil_mode"), PLANES
)
def test_maxima_of_planes(
    name: str,
    shape: tuple[int, ...],
    kernel: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    ceil_mode: bool,
    dtype: Any,
    isa: str,
) -> None:
    options = (kernel, stride, padding, dilation, ceil_mode, True)
    x = _with_specials(shape, dtype)
    _assert_equal(x, isa, lambda leaf: getattr(pool, name)(leaf, *options))


AVERAGES = [
    *[("avg_pool1d", (3, 5, 77), stride, stride, 0, False) for stride in range(3, 10)],
    *[("avg_pool1d", (3, 5, 60), stride - 1, stride, 1, True) for stride in range(3, 10)],
    *[("avg_pool1d", (3, 5, 61), stride + 2, stride, 2, True) for stride in range(3, 10)],
    ("avg_pool1d", (3, 5, 40), 12, 4, 5, False),
    ("avg_pool1d", (3, 5, 40), 17, 5, 8, True),
    ("avg_pool1d", (3, 5, 4), 4, 3, 0, False),
    ("avg_pool1d", (3, 5, 400), 64, 64, 0, False),
    ("avg_pool1d", (3, 5, 400), 65, 65, 0, False),
    ("avg_pool2d", (2, 3, 28, 28), 7, 7, 0, False),
    ("avg_pool2d", (2, 3, 80, 11), (9, 3), (10, 4), 0, True),  # many rows of x that are equal
    ("avg_pool2d", (2, 3, 43, 21), (8, 3), (8, 1), 1, True),
    ("avg_pool2d", (2, 3, 43, 21), (6, 4), (8, 2), 1, True),
    ("avg_pool2d", (2, 3, 11, 29), (2, 3), (3, 4), 1, True),
    ("avg_pool2d", (2, 3, 11, 29), (3, 7), (2, 3), (1, 3), True),
    ("avg_pool2d", (2, 3, 40, 40), (9, 9), (3, 3), 4, False),
    ("avg_pool3d", (2, 3, 6, 7, 13), (2, 3, 4), (3, 3, 4), 1, True),
]


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("name", "shape", "kernel", "stride", "padding", "ceil_mode"), AVERAGES)
def test_averages(
    name: str,
    shape: tuple[int, ...],
    kernel: Any,
    stride: Any,
    padding: Any,
    ceil_mode: bool,
    dtype: Any,
    isa: str,
) -> None:
    x = np.random.default_rng(0).standard_normal(shape).astype(dtype)
    divisors = [(True,), (False,)] if name == "avg_pool1d" else [(True,), (False,), (False, 5)]
    for divisor in divisors:

        def call(leaf: Tensor, last: tuple[Any, ...] = divisor) -> Any:
            return getattr(pool, name)(leaf, kernel, stride, padding, ceil_mode, *last)

        expected = _results(x, "reference", call)
        for got, plain in zip(_results(x, isa, call), expected, strict=True):
            assert_close(got, plain, np.dtype(dtype).name, "reduce")


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("value", [np.inf, np.nan])
@pytest.mark.parametrize("kernel", [3, 5])
def test_averages_keep_what_is_not_finite_to_its_windows(
    kernel: int, value: float, isa: str
) -> None:
    x = np.ones((2, 40, 32), np.float32)
    x[1, 7, 13] = value
    with isa_cap(isa):
        leaf = Tensor(x, requires_grad=True)
        y = pool.avg_pool1d(leaf, kernel, 3)
        dy = np.ones(y.shape, np.float32)
        dy[1, 7, 4] = value
        dx = grad(y, leaf, Tensor(dy))[0].numpy()
    covering = [t for t in range(10) if 3 * t <= 13 < 3 * t + kernel]
    places = np.argwhere(~np.isfinite(y.detach().numpy())).tolist()
    assert places == [[1, 7, t] for t in covering]
    assert np.argwhere(~np.isfinite(dx)).tolist() == [[1, 7, 12 + k] for k in range(kernel)]


@pytest.mark.parametrize("isa", ISAS)
def test_windows_without_an_element(isa: str) -> None:
    """Dilated ones that begin and end in the padding, along either dimension."""
    x = np.random.default_rng(0).standard_normal((2, 2, 2, 13)).astype(np.float32)
    for padding, dilation in (((1, 0), (3, 1)), ((0, 1), (1, 14))):
        with isa_cap(isa):
            leaf = Tensor(x, requires_grad=True)
            y, indices = pool.max_pool2d(leaf, 2, (1, 3), padding, dilation, return_indices=True)
            dx = grad(y, leaf, Tensor(np.ones(y.shape, np.float32)))[0].numpy()
        if padding == (1, 0):
            assert (indices.numpy() == -1).all()
            assert (y.detach().numpy() == -np.inf).all()
            assert not dx.any()
        else:
            assert y.shape == (2, 2, 1, 1)
            assert (indices.numpy() == -1).all()
