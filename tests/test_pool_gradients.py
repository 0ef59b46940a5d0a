# SPDX-License-Identifier: Apache-2.0
"""Gradients of pooling over all kinds of rows, and what is written past the caches."""

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


def _gradients(x: np.ndarray, isa: str, call: Callable[[Tensor], Tensor]) -> tuple[Any, ...]:
    """y and, for a dy of small whole numbers, dx; the same bits on 1, 2 and 7 threads."""
    bits = set()
    for count in (1, 2, 7):
        with threads(count), isa_cap(isa):
            leaf = Tensor(x, requires_grad=True)
            y = call(leaf)
            dy = np.random.default_rng(1).integers(-4, 5, y.shape).astype(x.dtype)
            dx = grad(y, leaf, Tensor(dy))[0].numpy()
        bits.add(y.detach().numpy().tobytes() + dx.tobytes())
    assert len(bits) == 1
    return y.detach().numpy(), dx


WINDOWS = [
    *[((5, 13, 4, width), "max_pool2d", 2, 2, 0) for width in (2, 6, 14, 30)],
    ((3, 7, 2, 6, 10), "max_pool3d", (1, 3, 2), (1, 3, 2), 0),
    ((40, 2, 18), "max_pool1d", 2, 2, 0),
    ((5, 3, 9, 7), "max_pool2d", 3, 2, 1),
    ((5, 3, 9, 37), "max_pool2d", 3, 1, 1),
    ((2, 3, 8, 67), "max_pool2d", (2, 5), (1, 2), (1, 2)),
    ((2, 3, 8, 33), "max_pool2d", 1, 2, 0),
    ((2, 3, 5, 6, 21), "max_pool3d", 3, (1, 2, 1), 1),
    ((2, 3, 4, 40), "max_pool2d", (2, 3), (2, 3), 0),
]


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64, ml_dtypes.bfloat16, np.float16])
@pytest.mark.parametrize(("shape", "name", "kernel", "stride", "padding"), WINDOWS)
def test_gradients_of_maxima(
    shape: tuple[int, ...], name: str, kernel: Any, stride: Any, padding: Any, dtype: Any, isa: str
) -> None:
    """Overlapping windows, narrow rows and rows with a rest, NaN and equal maxima."""
    x = np.random.default_rng(0).integers(-9, 9, shape).astype(dtype)
    x[0, 0, ..., 1] = np.nan
    x[1, 1] = -np.inf

    def call(leaf: Tensor) -> Any:
        return getattr(pool, name)(leaf, kernel, stride, padding)

    results = _gradients(x, isa, call)
    for got, expected in zip(results, _gradients(x, "reference", call), strict=True):
        np.testing.assert_array_equal(got.astype(np.float64), expected.astype(np.float64))


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64, ml_dtypes.bfloat16, np.float16])
@pytest.mark.parametrize("shape", [(5, 13, 4, 2), (9, 40, 14, 14), (3, 7, 2, 26)])
def test_averages_of_narrow_pairs(shape: tuple[int, ...], dtype: Any, isa: str) -> None:
    x = np.random.default_rng(0).standard_normal(shape).astype(dtype)
    results = _gradients(x, isa, lambda leaf: pool.avg_pool2d(leaf, 2))
    plain = _gradients(x, "reference", lambda leaf: pool.avg_pool2d(leaf, 2))
    divided = _gradients(x, isa, lambda leaf: pool.avg_pool2d(leaf, 2, divisor_override=3))
    for got, third, expected in zip(results, divided, plain, strict=True):
        assert_close(got, expected, np.dtype(dtype).name, "pointwise")
        assert_close(third.astype(np.float64) * 0.75, expected, np.dtype(dtype).name, "pointwise")


@pytest.mark.parametrize("isa", ISAS[1:])
@pytest.mark.parametrize("axes", [(0, 1, 2, 3), (0, 3, 1, 2)])
@pytest.mark.parametrize("window", [2, (2, 3)])
@pytest.mark.parametrize("name", ["max_pool2d", "avg_pool2d"])
def test_gradients_larger_than_the_caches(
    name: str, window: Any, axes: tuple[int, ...], isa: str
) -> None:
    """C order and channels-last; results of that size are stored past the cache."""
    memory = np.random.default_rng(0).standard_normal((1, 336, 336, 64), np.float32)
    x = memory.reshape(1, 64, 336, 336) if axes == (0, 1, 2, 3) else memory.transpose(axes)
    found = []
    for cap in (isa, "reference"):
        with isa_cap(cap):
            leaf = Tensor(x, requires_grad=True)
            y = getattr(pool, name)(leaf, window)
            found.append(grad(y, leaf, y.detach())[0].numpy())
    got, expected = found
    assert_close(got, expected, "float32", "pointwise")


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize(
    ("window", "image", "made", "index"),
    [
        (window, image, made, index)
        for window, image, made in [(2, (5, 6), (2, 3)), (3, (6, 6), (2, 2))]
        for index in (-2, image[0] * image[1], 2**31 - 1)
    ],
)
def test_gradients_refuse_indices_outside(
    window: int, image: tuple[int, int], made: tuple[int, int], index: int, isa: str
) -> None:
    """Also where the windows are known."""
    windows = pool.Windows("max_pool2d", 2, window, window, 0, 1, False)
    indices = np.zeros((1, 1, *made), np.int32)
    indices[0, 0, 1, -1] = index
    with isa_cap(isa), pytest.raises(IndexError, match=f"index {index} is out of range"):
        pool.scatter_to_maxima(
            Tensor(np.ones((1, 1, *made), np.float32)),
            Tensor(indices),
            (1, 1, *image),
            pool._Maxima(2, False, windows),
        )
