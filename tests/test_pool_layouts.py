# SPDX-License-Identifier: Apache-2.0
"""Pooling in both layouts: values, gradients, indices and the layout of the results."""

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


def _channels_last(x: np.ndarray) -> np.ndarray:
    return np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, -1)), -1, 1)


def _fixed(name: str, *options: Any) -> Callable[[Tensor], Any]:
    return lambda x: getattr(pool, name)(x, *options)


LAYOUTS = [
    ("max2", (2, 5, 9, 11), _fixed("max_pool2d", 2)),
    ("max3_padded", (2, 19, 9, 11), _fixed("max_pool2d", 3, 2, 1)),
    ("max3_stride1", (1, 70, 7, 6), _fixed("max_pool2d", 3, 1, 1)),
    ("max_dilated", (2, 6, 9, 11), _fixed("max_pool2d", 3, 2, 1, 2)),
    ("max_ceil", (2, 6, 8, 8), _fixed("max_pool2d", 3, 2, 1, 1, True)),
    ("max_stride3", (2, 6, 11, 10), _fixed("max_pool2d", (2, 4), 3)),
    ("max_1d", (3, 6, 40), _fixed("max_pool1d", 3, 2, 1)),
    ("max_3d", (2, 6, 5, 6, 7), _fixed("max_pool3d", 3, 2, 1)),
    ("max_adaptive", (2, 6, 9, 7), _fixed("adaptive_max_pool2d", (4, 3))),
    ("average2", (2, 5, 9, 11), _fixed("avg_pool2d", 2)),
    ("average3_padded", (2, 70, 9, 11), _fixed("avg_pool2d", 3, 2, 1)),
    ("average3_real_only", (2, 6, 9, 11), _fixed("avg_pool2d", 3, 1, 1, True, False)),
    ("average_divisor", (2, 6, 9, 11), _fixed("avg_pool2d", 3, 2, 0, False, True, 5)),
    ("average_long", (2, 21, 24, 26), _fixed("avg_pool2d", 10, 7)),
    ("average_stride3", (2, 6, 11, 10), _fixed("avg_pool2d", (2, 4), 3)),
    ("average_1d", (3, 6, 40), _fixed("avg_pool1d", 4, 2, 1)),
    ("average_3d", (2, 6, 5, 6, 7), _fixed("avg_pool3d", 3, 2, 1)),
    ("average_whole", (3, 21, 7, 9), _fixed("adaptive_avg_pool2d", 1)),
    ("average_even", (2, 6, 8, 12), _fixed("adaptive_avg_pool2d", (4, 3))),
    ("average_uneven", (2, 6, 9, 7), _fixed("adaptive_avg_pool2d", (4, 3))),
]


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64, ml_dtypes.bfloat16, np.float16])
@pytest.mark.parametrize(("shape", "call"), [c[1:] for c in LAYOUTS], ids=[c[0] for c in LAYOUTS])
def test_channels_last(shape: Any, call: Callable[[Tensor], Any], dtype: Any, isa: str) -> None:
    """Both layouts on every ISA against the reference in C order; the same bits on any threads."""
    rng = np.random.default_rng(0)
    x = rng.integers(-9, 9, shape).astype(np.float32)
    x = x.astype(dtype)
    with isa_cap("reference"):
        plain = Tensor(x, requires_grad=True)
        expected = call(plain)
        dy = rng.integers(-9, 9, expected.shape).astype(dtype)
        expected_dx = grad(expected, plain, Tensor(dy))[0].numpy()
    name = np.dtype(dtype).name
    for put in (np.ascontiguousarray, _channels_last):
        bits = set()
        for count in (1, 2, 7):
            with threads(count), isa_cap(isa):
                given = Tensor(put(x), requires_grad=True)
                y = call(given)
                dx = grad(y, given, Tensor(put(dy)))[0].numpy()
            bits.add(y.detach().numpy().tobytes() + dx.tobytes())
        assert len(bits) == 1
        assert put is np.ascontiguousarray or np.moveaxis(dx, 1, -1).flags.c_contiguous
        got = np.moveaxis(y.detach().numpy(), 1, -1)
        assert put is np.ascontiguousarray or got.flags.c_contiguous
        assert_close(y.detach().numpy(), expected.detach().numpy(), name, "pointwise")
        assert_close(dx, expected_dx, name, "pointwise")


@pytest.mark.parametrize("isa", ISAS)
def test_indices_are_those_of_the_logical_order(isa: str) -> None:
    """In either layout: NaN, ties and minus infinity, in whole vectors and in a rest."""
    rng = np.random.default_rng(0)
    x = rng.integers(-3, 3, (2, 37, 9, 40)).astype(np.float32)
    x[0, ::3, 2:5, 3:9] = np.nan
    x[1, ::5] = -np.inf
    with isa_cap("reference"):
        y, places = pool.max_pool2d(Tensor(x), 3, 2, 1, return_indices=True)
    for kept in (x, _channels_last(x)):
        with isa_cap(isa):
            got, indices = pool.max_pool2d(Tensor(kept), 3, 2, 1, return_indices=True)
        assert indices.numpy().dtype == np.int64
        np.testing.assert_array_equal(got.numpy(), y.numpy())
        np.testing.assert_array_equal(indices.numpy(), places.numpy())


@pytest.mark.parametrize("layout", [np.ascontiguousarray, _channels_last])
def test_second_order_in_both_layouts(layout: Callable[[np.ndarray], np.ndarray]) -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, 5, 6, 6))
    v = rng.standard_normal(x.shape)
    for call in (lambda t: pool.max_pool2d(t, 3, 2, 1), lambda t: pool.avg_pool2d(t, 3, 2, 1)):
        given = Tensor(layout(x), requires_grad=True)
        (dx,) = grad((call(given) ** 2).sum(), given, create_graph=True)
        (got,) = grad(dx, given, Tensor(layout(v)))
        step = 1e-5
        moved = [
            grad((call(t) ** 2).sum(), t)[0].numpy()
            for t in (Tensor(x + sign * step * v, requires_grad=True) for sign in (1, -1))
        ]
        np.testing.assert_allclose(got.numpy(), (moved[0] - moved[1]) / (2 * step), atol=1e-6)
