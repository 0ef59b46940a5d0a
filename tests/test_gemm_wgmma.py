# SPDX-License-Identifier: Apache-2.0
"""Products of bfloat16 and float16 on Hopper's warpgroup instructions: orders of the operands,
tiles that stick out, batches, what is done to the result, and that the order of the threads does
not matter."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import gradsmith as gs
from gradsmith.backend import Device, extension_of
from tests.cases import NUMPY_DTYPES, SCHEDULES, backend
from tests.tolerance import assert_close

try:
    extension_of("cudasim")
except RuntimeError as error:
    pytest.skip(str(error), allow_module_level=True)

ISA = "cudasim:sm90"
DTYPES = ["bfloat16", "float16"]

# Less than a tile, several tiles and stages, parts of tiles, both widths of tiles.
SIZES = [(64, 64, 64), (256, 512, 256), (130, 264, 72), (200, 136, 136), (129, 776, 320)]


def matrix(
    rng: np.random.Generator, shape: tuple[int, ...], dtype: str, is_transposed: bool = False
) -> np.ndarray:
    """Return a random array, its last two dimensions by columns if asked for."""
    if not is_transposed:
        return rng.standard_normal(shape).astype(NUMPY_DTYPES[dtype])
    return np.swapaxes(matrix(rng, (*shape[:-2], shape[-1], shape[-2]), dtype), -1, -2)


def product(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Return the product of the arrays as they lie in memory, and the kernels that ran."""

    def on_device(x: np.ndarray, device: Device) -> gs.Tensor:
        if x.flags.c_contiguous:
            return gs.from_numpy(x).to(device)
        return gs.from_numpy(np.swapaxes(x, -1, -2)).to(device).mT

    with backend(ISA) as device:
        gs.cudasim.reset()
        y = on_device(a, device) @ on_device(b, device)
        return y.cpu().numpy(), list(gs.cudasim.report())


Ran = Callable[[list[str]], bool]  # whether the kernels meant are among those that ran


def is_wgmma(kernels: list[str]) -> bool:
    return any("wgmma" in kernel for kernel in kernels)


def check_product(a: np.ndarray, b: np.ndarray, dtype: str, ran: Ran = is_wgmma) -> np.ndarray:
    """Compare the product with NumPy's, and return it."""
    y, kernels = product(a, b)
    assert ran(kernels), kernels
    expected = a.astype(np.float64) @ b.astype(np.float64)
    assert_close(y, expected, dtype, "matmul", depth=a.shape[-1])
    return y


def check_orders(
    size: tuple[int, int, int], by_columns: tuple[bool, bool], dtype: str, ran: Ran = is_wgmma
) -> None:
    """Check a product of two matrices that lie by rows or by columns."""
    m, n, k = size
    rng = np.random.default_rng(0)
    a, b = matrix(rng, (m, k), dtype, by_columns[0]), matrix(rng, (k, n), dtype, by_columns[1])
    check_product(a, b, dtype, ran)


def check_added_gradient(rows: int, features: int, outputs: int, dtype: str) -> None:
    """Check a gradient of weights that is added to one that is there."""
    rng = np.random.default_rng(1)
    x, dy = matrix(rng, (rows, features), dtype), matrix(rng, (rows, outputs), dtype)
    with backend(ISA) as device:
        layer = gs.nn.Linear(features, outputs, bias=False, dtype=dtype).to(device)
        for _ in range(2):
            layer(gs.from_numpy(x).to(device)).backward(gs.from_numpy(dy).to(device))
        got = layer.weight.grad.cpu().numpy()
    expected = 2 * dy.astype(np.float64).T @ x.astype(np.float64)
    assert_close(got, expected, dtype, "matmul", depth=rows)


ORDERS = [(False, False), (False, True), (True, False), (True, True)]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("by_columns", ORDERS)
def test_orders_and_sizes(
    size: tuple[int, int, int], by_columns: tuple[bool, bool], dtype: str
) -> None:
    m, n, k = size
    if by_columns[0]:
        m = (m + 7) // 8 * 8  # rows of 16 bytes
    check_orders((m, n, k), by_columns, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("size", "tile"), [((640, 120, 264), 128), ((760, 256, 1032), 256)])
@pytest.mark.parametrize("by_columns", ORDERS)
def test_tiles_that_the_groups_share(
    size: tuple[int, int, int], tile: int, by_columns: tuple[bool, bool], dtype: str
) -> None:
    kernel = f"wgmma::gemm<{dtype}, {tile}, false"
    check_orders(size, by_columns, dtype, lambda kernels: any(kernel in each for each in kernels))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "shapes",
    [
        ((3, 72, 64), (3, 64, 136)),
        ((3, 72, 64), (64, 136)),
        ((3, 131, 203), (3, 203, 167)),  # that the copy engine cannot read
        ((3, 131, 203), (203, 167)),
    ],
)
def test_batches(shapes: tuple[tuple[int, ...], tuple[int, ...]], dtype: str) -> None:
    rng = np.random.default_rng(1)
    a, b = (matrix(rng, shape, dtype) for shape in shapes)
    check_product(a, b, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [(257, 301, 203), (200, 650, 101)])
@pytest.mark.parametrize("by_columns", ORDERS)
def test_operands_that_the_copy_engine_cannot_read(
    size: tuple[int, int, int], by_columns: tuple[bool, bool], dtype: str
) -> None:
    check_orders(size, by_columns, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("step", [1, 2])
def test_slices_that_the_copy_engine_cannot_read(step: int, dtype: str) -> None:
    rng = np.random.default_rng(7)
    a, b = matrix(rng, (257, 411), dtype), matrix(rng, (205, 259), dtype)
    expected = a[:, 1 : 1 + 205 * step : step].astype(np.float64) @ b.astype(np.float64)
    with backend(ISA) as device:
        x = gs.from_numpy(a).to(device)[:, 1 : 1 + 205 * step : step]
        y = (x @ gs.from_numpy(b).to(device)).cpu().numpy()
    assert_close(y, expected, dtype, "matmul", depth=205)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_gradient_is_added_to_rows_that_start_anywhere(dtype: str) -> None:
    check_added_gradient(128, 72, 203, dtype)


def gemm(device: str, a: np.ndarray, b: np.ndarray, bias: np.ndarray, name: str) -> np.ndarray:
    arrays = [gs.from_numpy(x).to(device)._array for x in (a, b, bias)]
    return np.asarray(extension_of(device).gemm(*arrays, name)).astype(np.float64)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("activation", ["none", "relu", "gelu", "gelu_tanh", "sigmoid", "tanh"])
def test_bias_and_activation(activation: str, dtype: str) -> None:
    rng = np.random.default_rng(2)
    a, b = matrix(rng, (136, 64), dtype), matrix(rng, (64, 200), dtype)
    bias = rng.standard_normal(200).astype(NUMPY_DTYPES[dtype])
    expected = gemm("cpu", a, b, bias, activation)
    with backend(ISA):
        got = gemm("cudasim", a, b, bias, activation)
    tolerance = 0.01 if dtype == "bfloat16" else 0.00125
    np.testing.assert_allclose(got, expected, rtol=tolerance, atol=2 * tolerance)


@pytest.mark.parametrize("dtype", DTYPES)
def test_nan_stays_in_its_row(dtype: str) -> None:
    rng = np.random.default_rng(3)
    a, b = matrix(rng, (70, 64), dtype), matrix(rng, (64, 72), dtype)
    a[69, 5] = np.nan
    y, _ = product(a, b)
    assert np.isnan(y[69].astype(float)).all()
    assert np.isfinite(y[:69].astype(float)).all()


def test_the_range_of_float16() -> None:
    """Sums may leave it on the way, results become infinite, and no denormal number is lost."""
    a, b = np.zeros((64, 64), np.float16), np.zeros((64, 64), np.float16)
    a[0, :3], b[:3, 0] = [60000, 60000, 1], [2, -2, 3]
    a[1, 0], b[0, 1] = -60000, 4
    a[2, 5], b[5, 2] = 2**-24, 1024
    y, kernels = product(a, b)
    assert any("wgmma" in kernel for kernel in kernels), kernels
    assert y[0, 0] == 3
    assert y[1, 1] == -np.inf
    assert y[2, 2] == 2**-14


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_schedule_gives_the_same_bits(dtype: str) -> None:
    rng = np.random.default_rng(4)
    a, b = matrix(rng, (200, 328), dtype), matrix(rng, (328, 264), dtype)
    results = []
    for schedule in SCHEDULES:
        with gs.cudasim.schedule(schedule, seed=1):
            results.append(product(a, b)[0].view(np.uint16))
    for other in results[1:]:
        np.testing.assert_array_equal(results[0], other)
