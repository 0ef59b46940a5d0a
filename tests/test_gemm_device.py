# SPDX-License-Identifier: Apache-2.0
"""CUDA's matrix products: every implementation, tile, layout and tail; batches, splits, views."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gradsmith as gs
from gradsmith import cudasim
from gradsmith.backend import Device, extension_of
from tests.cases import NUMPY_DTYPES, SCHEDULES, backend, simulated_isas, to_array
from tests.test_gemm_paths import ACTIVATIONS
from tests.tolerance import assert_close

DTYPES = list(NUMPY_DTYPES)

# Rows (vectors), small, medium and large tiles, each with and without a tail and with a cut depth,
# on a device of six multiprocessors.
SIZES = [
    *((m, n, k) for m, n in ((1, 70), (70, 1), (4, 37), (40, 7)) for k in (1, 70, 2100)),
    *((1, 1, 5000), (1, 64, 2112), (8, 136, 264), (136, 4, 512), (9, 9, 1024)),
    *((13, 65, 9), (33, 70, 17), (32, 64, 777), (64, 64, 64), (65, 65, 1100), (100, 48, 512)),
    *((128, 128, 40), (136, 200, 104), (300, 300, 21), (280, 400, 8), (264, 256, 72)),
    *((136, 136, 520), (3, 4, 0), (40, 70, 0), (0, 4, 3)),
]
LAYOUTS = ["rows", "columns", "padded", "shifted", "stepped", "reversed"]


def matrix(
    rng: np.random.Generator, device: Device, m: int, n: int, layout: str, dtype: str
) -> Any:
    """Return a random matrix on the device, laid out as asked for, and its values."""
    values = rng.standard_normal((m, n)).astype(NUMPY_DTYPES[dtype])
    around = gs.full((m + 2, 2 * n + 8), float("nan"), dtype=dtype)
    places = {
        "padded": np.s_[:m, :n],
        "shifted": np.s_[1 : m + 1, 1 : n + 1],
        "stepped": np.s_[:m, 1 : 2 * n : 2],
    }
    if layout in places:
        around[places[layout]] = gs.from_numpy(values)
        return around.to(device)[places[layout]], values
    if layout == "columns":
        return gs.from_numpy(np.ascontiguousarray(values.T)).to(device).T, values
    tensor = gs.from_numpy(values).to(device)
    if layout == "reversed":
        return gs.Tensor(tensor._array[::-1, ::-1]), values[::-1, ::-1]
    return tensor, values


def product(device: Device, a: gs.Tensor, b: gs.Tensor, bias: Any, activation: str = "none") -> Any:
    given = None if bias is None else bias._array
    out = extension_of(device).gemm(a._array, b._array, given, activation)
    return to_array(gs.Tensor(out))


def exact(a: Any, b: Any) -> Any:
    return a.astype(np.float64) @ b.astype(np.float64)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_sizes_and_layouts(size: tuple[int, int, int], dtype: str, device_isa: str) -> None:
    m, n, k = size
    rng = np.random.default_rng(m * n + k)
    with backend(device_isa) as device:
        bias, bias_values = matrix(rng, device, 1, n, "rows", dtype)
        pairs = [(a, b) for a in LAYOUTS[:2] for b in LAYOUTS[:2]]
        for a_layout, b_layout in [*pairs, *zip(LAYOUTS[2:], LAYOUTS[2:], strict=True)]:
            a, a_values = matrix(rng, device, m, k, a_layout, dtype)
            b, b_values = matrix(rng, device, k, n, b_layout, dtype)
            got = product(device, a, b, bias[0])
            expected = exact(a_values, b_values) + bias_values[0].astype(np.float64)
            assert_close(got, expected, dtype, "matmul", max(k, 1), f"{a_layout} {b_layout}")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_activations(activation: str, dtype: str, device_isa: str) -> None:
    rng = np.random.default_rng(1)
    with backend(device_isa) as device:
        for m, n, k in ((33, 40, 70), (1, 40, 70), (40, 2, 70), (33, 37, 1100), (5, 3, 0)):
            a, a_values = matrix(rng, device, m, k, "rows", dtype)
            b, b_values = matrix(rng, device, k, n, "rows", dtype)
            expected = ACTIVATIONS[activation](exact(a_values, b_values))
            got = product(device, a, b, None, activation)
            assert_close(got, expected, dtype, "matmul", k + 1, f"{m}x{n}x{k}")


# The last three dimensions of a batch that folds into rows, one that does not, broadcast operands.
BATCHES: list[tuple[tuple[int, ...], tuple[int, ...]]] = [
    ((6, 7, 33), (33, 50)),
    ((24, 40, 33), (24, 33, 50)),
    ((3, 1, 40, 32), (1, 5, 32, 48)),
    ((2, 3, 1, 64), (64, 40)),
    ((2, 3, 2, 600), (2, 3, 600, 5)),
    ((2, 70, 600), (2, 600, 70)),
    ((0, 4, 3), (0, 3, 4)),
]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("a_shape", "b_shape"), BATCHES, ids=str)
def test_batches(a_shape: Any, b_shape: Any, dtype: str, device_isa: str) -> None:
    rng = np.random.default_rng(2)
    a = rng.standard_normal(a_shape).astype(NUMPY_DTYPES[dtype])
    b = rng.standard_normal(b_shape).astype(NUMPY_DTYPES[dtype])
    with backend(device_isa) as device:
        given = [gs.from_numpy(each).to(device) for each in (a, b)]
        label = f"{a_shape} {b_shape}"
        got = product(device, given[0], given[1], None)
        assert_close(got, exact(a, b), dtype, "matmul", a_shape[-1], label)
        # The batch innermost in memory.
        moved = [
            gs.from_numpy(np.ascontiguousarray(np.moveaxis(each, 0, -1))).to(device)
            for each in (a, b)
        ]
        turned = [x.permute(x.ndim - 1, *range(x.ndim - 1)) for x in moved]
        got = product(device, turned[0], turned[1], None)
        assert_close(got, exact(a, b), dtype, "matmul", a_shape[-1], label)


@pytest.mark.parametrize("dtype", DTYPES)
def test_repeated_operands(dtype: str, device_isa: str) -> None:
    """A stride of 0 within a matrix."""
    rng = np.random.default_rng(3)
    with backend(device_isa) as device:
        for m, n, k in ((40, 33, 20), (2, 33, 20)):
            row, row_values = matrix(rng, device, 1, k, "rows", dtype)
            column, column_values = matrix(rng, device, k, 1, "rows", dtype)
            got = product(device, row.expand(m, k), column.expand(k, n), None)
            expected = np.broadcast_to(exact(row_values, column_values), (m, n))
            assert_close(got, expected, dtype, "matmul", k)


@pytest.mark.parametrize("dtype", DTYPES)
def test_not_a_number_and_infinity(dtype: str, device_isa: str) -> None:
    a = np.ones((20, 35), NUMPY_DTYPES[dtype])
    a[3, 34], a[7, 0], a[8, 34] = np.nan, np.inf, -np.inf
    with backend(device_isa) as device:
        given = gs.from_numpy(a).to(device)
        for n in (40, 1):
            b = gs.ones(35, n, dtype=dtype, device=device)
            got = product(device, given, b, None).astype(np.float64)
            assert np.isnan(got[3]).all()
            assert (got[7] == np.inf).all()
            assert (got[8] == -np.inf).all()
            assert (np.delete(got, [3, 7, 8], axis=0) == 35).all()


@pytest.mark.parametrize("simulator_isa", simulated_isas(__name__))
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [(1, 300, 2100), (40, 50, 600), (300, 300, 24)], ids=str)
def test_schedules_agree(size: tuple[int, int, int], dtype: str, simulator_isa: str) -> None:
    m, n, k = size
    rng = np.random.default_rng(4)
    runs = []
    with backend(simulator_isa) as device:
        a, _ = matrix(rng, device, m, k, "rows", dtype)
        b, _ = matrix(rng, device, k, n, "rows", dtype)
        for name in SCHEDULES:
            with cudasim.schedule(name, seed=1):
                runs.append(product(device, a, b, None).tobytes())
    assert all(run == runs[0] for run in runs)
