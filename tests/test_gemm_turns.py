# SPDX-License-Identifier: Apache-2.0
"""Products on Hopper's warpgroup instructions whose groups take turns at tiles: orders of the
operands, depths longer and shorter than the ring of stages, rounds that end on either group, what
is done to the result, and that the order of the threads does not matter."""

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

# Rounds of the six multiprocessors: two, three, and two with a third for some; one step of the
# depth, as many as there are stages, and more.
SIZES = [(384, 512, 64), (768, 384, 384), (392, 520, 584)]


def takes_turns(kernels: list[str]) -> bool:
    return any("wgmma::gemm" in kernel and "128, true" in kernel for kernel in kernels)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("by_columns", ORDERS)
def test_orders_and_sizes(
    size: tuple[int, int, int], by_columns: tuple[bool, bool], dtype: str
) -> None:
    check_orders(size, by_columns, dtype, takes_turns)


@pytest.mark.parametrize("dtype", DTYPES)
def test_batches(dtype: str) -> None:
    rng = np.random.default_rng(1)
    a, b = matrix(rng, (5, 200, 136), dtype), matrix(rng, (5, 136, 264), dtype)
    check_product(a, b, dtype, takes_turns)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("columns", [512, 515])
@pytest.mark.parametrize("activation", ["none", "relu", "gelu", "gelu_tanh"])
def test_bias_and_activation(activation: str, columns: int, dtype: str) -> None:
    """Rows of the result that start at multiples of 16 bytes, and rows that do not."""
    rng = np.random.default_rng(2)
    a = (matrix(rng, (392, 264), dtype).astype(np.float32) / 16).astype(NUMPY_DTYPES[dtype])
    b = matrix(rng, (264, columns), dtype, True)
    bias = rng.standard_normal(columns).astype(NUMPY_DTYPES[dtype])
    want = gemm("cpu", a, np.ascontiguousarray(b), bias, activation)
    with backend(ISA) as device:
        arrays = [gs.from_numpy(x).to(device)._array for x in (a, bias)]
        turned = gs.from_numpy(np.ascontiguousarray(b.T)).to(device).T._array
        gs.cudasim.reset()
        got = gs.backend.extension_of(device).gemm(arrays[0], turned, arrays[1], activation)
        kernels = list(gs.cudasim.report())
        got = np.asarray(got).astype(np.float64)
    assert takes_turns(kernels), kernels
    tolerance = 0.01 if dtype == "bfloat16" else 0.00125
    np.testing.assert_allclose(got, want, rtol=tolerance, atol=2 * tolerance)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_gradient_is_added(dtype: str) -> None:
    check_added_gradient(128, 512, 392, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_schedule_gives_the_same_bits(dtype: str) -> None:
    rng = np.random.default_rng(4)
    a, b = matrix(rng, (392, 456), dtype), matrix(rng, (456, 520), dtype)
    results = []
    for schedule in SCHEDULES:
        for seed in (1, 2, 3):
            with cudasim.schedule(schedule, seed=seed):
                y, kernels = product(a, b)
                assert takes_turns(kernels), kernels
                results.append(y.view(np.uint16))
    for other in results[1:]:
        np.testing.assert_array_equal(results[0], other)
