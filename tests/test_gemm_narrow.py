# SPDX-License-Identifier: Apache-2.0
"""Products of few rows or columns, or of a small result and a long depth, on Hopper's warpgroup
instructions: both sides, orders of the operands, depths that are cut over clusters and over blocks,
results that start anywhere, batches, and what is done to the result."""

from __future__ import annotations

import numpy as np
import pytest

import gradsmith as gs
from gradsmith import cudasim
from tests.cases import NUMPY_DTYPES, SCHEDULES, backend
from tests.simulator import needs_simulator
from tests.test_gemm_wgmma import (
    ORDERS,
    check_added_gradient,
    check_orders,
    check_product,
    gemm,
    matrix,
    product,
)

pytestmark = needs_simulator

ISA = "cudasim:sm90"
DTYPES = ["bfloat16", "float16"]
SECOND_PASS = "add_splits"

# Few rows and few columns, of one and of several tiles; a depth of one block, of a cluster, and of
# several clusters; tiles that stick out.
SIZES = [
    (16, 136, 72),
    (136, 16, 72),
    (64, 392, 600),
    (264, 40, 1096),
    (24, 64, 2056),
    (64, 64, 4104),
    (128, 128, 4096),
    (200, 104, 3000),
]


def is_narrow(kernels: list[str]) -> bool:
    return any("narrow" in kernel for kernel in kernels)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("by_columns", ORDERS)
def test_orders_and_sizes(
    size: tuple[int, int, int], by_columns: tuple[bool, bool], dtype: str
) -> None:
    check_orders(size, by_columns, dtype, is_narrow)


def test_how_the_depth_is_cut() -> None:
    """Over a cluster where that occupies the device, else over clusters and in a second pass."""
    for size, has_second_pass in [((64, 392, 600), False), ((64, 64, 24576), True)]:
        m, n, k = size
        rng = np.random.default_rng(1)
        _, kernels = product(matrix(rng, (m, k), "float16"), matrix(rng, (k, n), "float16"))
        assert is_narrow(kernels)
        assert any(SECOND_PASS in kernel for kernel in kernels) is has_second_pass, kernels


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [(16, 131, 1000), (131, 30, 1000), (70, 65, 600), (65, 65, 20480)])
def test_rows_of_the_result_that_start_anywhere(size: tuple[int, int, int], dtype: str) -> None:
    m, n, k = size
    rng = np.random.default_rng(2)
    a, b = matrix(rng, (m, k), dtype), matrix(rng, (k, n), dtype, True)
    check_product(a, b, dtype, is_narrow)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "shapes",
    [
        ((3, 24, 264), (3, 264, 136)),
        ((3, 136, 264), (3, 264, 40)),
        ((3, 24, 264), (264, 136)),
        ((2, 64, 2048), (2, 2048, 64)),
    ],
)
def test_batches(shapes: tuple[tuple[int, ...], tuple[int, ...]], dtype: str) -> None:
    rng = np.random.default_rng(3)
    a, b = (matrix(rng, shape, dtype) for shape in shapes)
    check_product(a, b, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_batch_that_shares_its_larger_operand(dtype: str) -> None:
    rng = np.random.default_rng(4)
    a, b = matrix(rng, (136, 264), dtype), matrix(rng, (3, 264, 40), dtype)
    y, kernels = product(np.ascontiguousarray(np.broadcast_to(a, (3, 136, 264))), b)
    assert is_narrow(kernels), kernels
    with backend(ISA) as device:
        shared = gs.from_numpy(a).to(device).expand(3, 136, 264) @ gs.from_numpy(b).to(device)
        np.testing.assert_array_equal(shared.cpu().numpy().view(np.uint16), y.view(np.uint16))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [(16, 136, 600), (136, 37, 600), (64, 64, 20480)], ids=str)
@pytest.mark.parametrize("activation", ["none", "relu", "gelu", "gelu_tanh", "sigmoid", "tanh"])
def test_bias_and_activation(activation: str, size: tuple[int, int, int], dtype: str) -> None:
    m, n, k = size
    rng = np.random.default_rng(5)
    a, b = matrix(rng, (m, k), dtype), matrix(rng, (k, n), dtype, True)
    bias = rng.standard_normal(n).astype(NUMPY_DTYPES[dtype])
    a = (a.astype(np.float32) / np.sqrt(k)).astype(a.dtype)
    exact = a.astype(np.float64) @ b.astype(np.float64) + bias.astype(np.float64)
    with backend(ISA):
        got = gemm("cudasim", a, np.ascontiguousarray(b), bias, activation)
        plain = gemm("cudasim", a, np.ascontiguousarray(b), bias, "none")
    tolerance = 0.01 if dtype == "bfloat16" else 0.00125
    np.testing.assert_allclose(plain, exact, rtol=tolerance, atol=2 * tolerance)
    want = gemm("cpu", a, np.ascontiguousarray(b), bias, activation)
    np.testing.assert_allclose(got, want, rtol=tolerance, atol=2 * tolerance)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rows", [40, 20480])
def test_a_gradient_is_added(rows: int, dtype: str) -> None:
    check_added_gradient(rows, 72, 64, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [(24, 200, 1032), (72, 72, 24576)], ids=str)
def test_every_schedule_gives_the_same_bits(size: tuple[int, int, int], dtype: str) -> None:
    m, n, k = size
    rng = np.random.default_rng(7)
    a, b = matrix(rng, (m, k), dtype), matrix(rng, (k, n), dtype)
    results = []
    for schedule in SCHEDULES:
        with cudasim.schedule(schedule, seed=1):
            results.append(product(a, b)[0].view(np.uint16))
    for other in results[1:]:
        np.testing.assert_array_equal(results[0], other)
