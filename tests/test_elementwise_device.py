# SPDX-License-Identifier: Apache-2.0
"""CUDA's elementwise kernels: packs and single elements, every dtype, operands of any layout, sizes
that end inside a block and go round the grid again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import gradsmith as gs
from gradsmith.backend import Device
from tests.cases import backend, to_array

NUMBERS = [np.uint8, np.int32, np.int64, ml_dtypes.bfloat16, np.float16, np.float32, np.float64]
DTYPES = [np.bool_, *NUMBERS]


def matrix(shape: Any, dtype: Any, seed: int = 0) -> np.ndarray:
    """Small integers, which every dtype holds and adds exactly."""
    values = np.random.default_rng(seed).integers(0, 100, shape)
    return np.asarray(values % 2 == 0 if dtype is np.bool_ else values, dtype)


def on(device: Device, x: np.ndarray) -> gs.Tensor:
    return gs.from_numpy(np.ascontiguousarray(x)).to(device)


@pytest.mark.parametrize("dtype", NUMBERS)
@pytest.mark.parametrize("size", [1, 15, 256, 8195, 400_003])
def test_contiguous(size: int, dtype: Any, device_isa: str) -> None:
    a, b = matrix(size, dtype), matrix(size, dtype, 1)
    mask = matrix(size, np.bool_, 2)
    with backend(device_isa) as device:
        x, y, m = on(device, a), on(device, b), on(device, mask)
        np.testing.assert_array_equal(to_array(x + y), a + b)
        np.testing.assert_array_equal(to_array(x < y), a < b)
        np.testing.assert_array_equal(to_array(gs.where(m, x, y)), np.where(mask, a, b))
        np.testing.assert_array_equal(to_array(gs.square(x[:100])), a[:100] * a[:100])
        np.testing.assert_array_equal(to_array(x + 3), a + np.asarray(3, dtype))
        np.testing.assert_array_equal(to_array(5 - y), np.asarray(5, dtype) - b)
        np.testing.assert_array_equal(
            to_array(gs.where(m, x, 2)), np.where(mask, a, np.asarray(2, dtype))
        )


# Views that begin between two packs, step, turn round, repeat a row, a column or an element.
VIEWS: dict[str, Callable[[Any], Any]] = {
    "whole": lambda x: x,
    "late": lambda x: x[1:, 3:],
    "tail": lambda x: x[1:, 4:],
    "stepped": lambda x: x[::2, ::3],
    "turned": lambda x: x.T,
    "row": lambda x: x[2],
    "column": lambda x: x[:, 1:2],
    "element": lambda x: x[1:2, 2:3],
}


@pytest.mark.parametrize(
    "dtype", [ml_dtypes.bfloat16, np.float16, np.float32, np.float64, np.uint8]
)
@pytest.mark.parametrize("columns", [40, 37])
@pytest.mark.parametrize("view", VIEWS)
def test_views(view: str, columns: int, dtype: Any, device_isa: str) -> None:
    a, b = matrix((70, columns), dtype), matrix((70, columns), dtype, 1)
    left = VIEWS[view](a)
    like = {"row": b, "column": b, "element": b}.get(view, VIEWS[view](b))
    with backend(device_isa) as device:
        x, y = on(device, a), on(device, b)
        right = {"row": y, "column": y, "element": y}.get(view, VIEWS[view](y))
        for got, expected in (
            (VIEWS[view](x) + right, left + like),
            (right - VIEWS[view](x), like - left),
            (right >= VIEWS[view](x), like >= left),
            (gs.maximum(VIEWS[view](x), right), np.maximum(left, like)),
            (VIEWS[view](x).to("float32"), left.astype(np.float32)),
            (VIEWS[view](x).contiguous(), left),
        ):
            np.testing.assert_array_equal(to_array(got), expected)


@pytest.mark.parametrize(
    "dtype", [np.uint8, ml_dtypes.bfloat16, np.float16, np.float32, np.float64]
)
@pytest.mark.parametrize("order", [(0, 2, 1), (2, 1, 0), (1, 0, 2), (2, 0, 1), (1, 2, 0)])
@pytest.mark.parametrize("shape", [(3, 70, 35), (2, 64, 64), (33, 1, 130), (5, 9, 7)])
def test_turned_copies(shape: Any, order: Any, dtype: Any, device_isa: str) -> None:
    x = matrix(shape, dtype)
    other = matrix(x.transpose(order).shape, dtype, 1)
    with backend(device_isa) as device:
        turned = on(device, x).permute(order)
        np.testing.assert_array_equal(to_array(turned.contiguous()), x.transpose(order))
        got = on(device, other) + turned
        np.testing.assert_array_equal(to_array(got), other + x.transpose(order))
        target = gs.zeros(x.shape, dtype=turned.dtype, device=device)
        target.permute(order).copy_(on(device, other))
        np.testing.assert_array_equal(to_array(target).transpose(order), other)


@pytest.mark.parametrize("target", DTYPES)
@pytest.mark.parametrize("source", DTYPES)
def test_conversions(source: Any, target: Any, device_isa: str) -> None:
    x = matrix((3, 1003), source)
    with backend(device_isa) as device:
        name = np.dtype(target).name
        got = to_array(on(device, x).to(getattr(gs, name)))
        turned = to_array(on(device, x).T.to(getattr(gs, name)))
    np.testing.assert_array_equal(got, x.astype(target))
    np.testing.assert_array_equal(turned, x.T.astype(target))


@pytest.mark.parametrize(
    "dtype", [np.uint8, ml_dtypes.bfloat16, np.float16, np.float32, np.float64]
)
def test_large_operands_that_are_turned(dtype: Any, device_isa: str) -> None:
    a, b = matrix((300, 260), dtype), matrix((260, 300), dtype, 1)
    with backend(device_isa) as device:
        x, y = on(device, a), on(device, b)
        np.testing.assert_array_equal(to_array(x.T + y), a.T + b)
        np.testing.assert_array_equal(to_array(gs.where(y > x.T, y, x.T)), np.maximum(a.T, b))
        np.testing.assert_array_equal(to_array(x.T.to("int64")), a.T.astype(np.int64))
        np.testing.assert_array_equal(to_array(gs.square(x.T) - y), a.T * a.T - b)


def test_dimensions_that_do_not_merge(device_isa: str) -> None:
    a = matrix((3, 4, 5, 6, 8), np.float32)
    with backend(device_isa) as device:
        x = on(device, a)
        steps = (slice(None, None, 2), slice(1, 3), slice(None, None, 2), slice(None), slice(4))
        np.testing.assert_array_equal(to_array(x[steps] * 2), a[steps] * 2)
        row = on(device, a[0, 0, 0, 0])
        np.testing.assert_array_equal(to_array(x[:, 1:3] + row), a[:, 1:3] + a[0, 0, 0, 0])


@pytest.mark.parametrize("shape", [(0,), (3, 0, 2)])
def test_nothing(shape: Any, device_isa: str) -> None:
    with backend(device_isa) as device:
        x = gs.zeros(shape, device=device)
        assert to_array(x + 1).shape == shape
        assert to_array(x.to("int64")).shape == shape


def test_integers_that_are_refused(device_isa: str) -> None:
    with backend(device_isa) as device:
        x = on(device, np.arange(1000))
        with pytest.raises(ValueError, match="integer division by zero"):
            _ = x // x
        assert to_array(x // (x + 1)).tolist() == [0] * 1000
        with pytest.raises(ValueError, match="negative integer powers"):
            _ = x ** (x - 1)
