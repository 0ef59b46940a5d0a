# SPDX-License-Identifier: Apache-2.0
"""Sizes and layouts that reach every path of the matrix product: packed, of one and several blocks
of rows, columns and depth, unpacked, matrix times vector; and the fused epilogue."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gradsmith import _cpu
from tests.cases import ISAS, NUMPY_DTYPES, isa_cap, threads
from tests.reference import elementwise as functions
from tests.tolerance import assert_close

SIZES = [
    (1, 1, 1),
    (5, 7, 3),
    (13, 65, 9),
    (14, 32, 2),
    (15, 33, 17),
    (29, 31, 385),
    (64, 64, 64),
    (1, 300, 70),
    (300, 1, 71),
    (3, 200, 900),
    (32, 260, 777),
    (100, 16, 800),
    (337, 40, 21),
    (340, 300, 801),
    (341, 3110, 5),
    (70, 40, 2100),
    (650, 20, 801),
    (20, 600, 8000),
    (1100, 100, 130),
    (1300, 300, 90),
    (900, 130, 700),
    (3, 4, 0),
]
DTYPES = list(NUMPY_DTYPES)
ACTIVATIONS: dict[str, Any] = {
    "none": lambda x: x,
    "relu": functions.relu,
    "gelu": functions.gelu,
    "gelu_tanh": lambda x: 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))),
    "sigmoid": functions.sigmoid,
    "tanh": np.tanh,
}


def matrix(rng: np.random.Generator, rows: int, columns: int, layout: str, dtype: str) -> Any:
    """Return a random matrix whose neighbours in memory are NaN."""
    values = rng.standard_normal((rows, columns)).astype(NUMPY_DTYPES[dtype])
    if layout == "columns":
        return np.asfortranarray(values)
    around = np.full((rows + 2, 2 * columns + 3), np.nan, dtype=NUMPY_DTYPES[dtype])
    place = (
        around[1:-1, 1 : 1 + columns] if layout == "rows" else around[1:-1, 1 : 1 + 2 * columns : 2]
    )
    place[...] = values
    return place


def exact(a: Any, b: Any) -> Any:
    return a.astype(np.float64) @ b.astype(np.float64)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_sizes_and_layouts(size: tuple[int, int, int], dtype: str, isa: str) -> None:
    m, n, k = size
    rng = np.random.default_rng(m * n + k)
    bias = rng.standard_normal(n).astype(NUMPY_DTYPES[dtype])
    for a_layout, b_layout in (
        ("rows", "rows"),
        ("rows", "columns"),
        ("columns", "rows"),
        ("columns", "columns"),
        ("steps", "steps"),
    ):
        a = matrix(rng, m, k, a_layout, dtype)
        b = matrix(rng, k, n, b_layout, dtype)
        results = []
        with isa_cap(isa):
            for count in (1, 2, 7):
                with threads(count):
                    results.append(_cpu.gemm(a, b, bias))
        expected = exact(a, b) + bias.astype(np.float64)
        assert_close(results[0], expected, dtype, "matmul", max(k, 1), f"{a_layout} {b_layout}")
        for other in results[1:]:
            assert results[0].tobytes() == other.tobytes(), f"{a_layout} {b_layout}: threads differ"


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_activation(activation: str, dtype: str, isa: str) -> None:
    rng = np.random.default_rng(1)
    for m, n, k in ((5, 7, 3), (29, 70, 33), (1, 40, 20), (40, 1, 20), (350, 50, 801), (2, 3, 0)):
        a = matrix(rng, m, k, "rows", dtype) * NUMPY_DTYPES[dtype](2 / np.sqrt(k + 1))
        b = matrix(rng, k, n, "rows", dtype)
        bias = rng.standard_normal(n).astype(NUMPY_DTYPES[dtype])
        with isa_cap(isa):
            got = _cpu.gemm(a, b, bias, activation=activation)
        expected = ACTIVATIONS[activation](exact(a, b) + bias.astype(np.float64))
        assert_close(got, expected, dtype, "matmul", k + 1, f"{m}x{n}x{k}")


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_batches(dtype: str, isa: str) -> None:
    rng = np.random.default_rng(2)
    for a_shape, b_shape in (
        ((24, 40, 33), (24, 33, 50)),
        ((3, 1, 40, 33), (1, 5, 33, 50)),
        ((6, 7, 33), (33, 50)),
        ((2, 200, 64), (2, 64, 300)),
    ):
        a = rng.standard_normal(a_shape).astype(NUMPY_DTYPES[dtype])
        b = rng.standard_normal(b_shape).astype(NUMPY_DTYPES[dtype])
        results = []
        with isa_cap(isa):
            for count in (1, 7):
                with threads(count):
                    results.append(_cpu.gemm(a, b))
        assert_close(results[0], exact(a, b), dtype, "matmul", a_shape[-1])
        assert results[0].tobytes() == results[1].tobytes()


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_not_a_number_and_infinity(dtype: str, isa: str) -> None:
    a = np.ones((20, 35), NUMPY_DTYPES[dtype])
    b = np.ones((35, 40), NUMPY_DTYPES[dtype])
    a[3, 34] = np.nan
    a[7, 0] = np.inf
    a[8, 34] = -np.inf
    with isa_cap(isa):
        got = _cpu.gemm(a, b).astype(np.float64)
    assert np.isnan(got[3]).all()
    assert (got[7] == np.inf).all()
    assert (got[8] == -np.inf).all()
    assert (np.delete(got, [3, 7, 8], axis=0) == 35).all()


def test_unknown_activation() -> None:
    x = np.ones((2, 2), np.float32)
    with pytest.raises(ValueError, match="matmul: unknown activation 'swish'"):
        _cpu.gemm(x, x, activation="swish")
