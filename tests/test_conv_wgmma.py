# SPDX-License-Identifier: Apache-2.0
"""Convolutions of bfloat16 and float16 on Hopper's warpgroup products and its copy engine: tiles
that stick out, strides, phases, dilation, groups, every tile, and any order of the threads."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gradsmith import cudasim
from gradsmith.backend import CUDASIM
from tests.cases import HAS_SIMULATOR, SCHEDULES, backend
from tests.test_conv_device import _arrays, _run

ISA = "cudasim:sm90"
DTYPES = ["bfloat16", "float16"]
ROUNDING = {"bfloat16": 2**-8, "float16": 2**-11}

# x, weight, stride, padding, dilation, groups.
PROBLEMS: dict[str, tuple[Any, ...]] = {
    "tile": ((2, 64, 8, 8), (64, 64, 3, 3), (1, 1), (1, 1), (1, 1), 1),
    "parts_of_tiles": ((3, 56, 13, 9), (136, 56, 3, 2), (1, 1), (1, 0), (1, 1), 1),
    "many_tiles": ((4, 48, 20, 21), (200, 48, 2, 2), (1, 1), (0, 1), (1, 1), 1),
    "deep": ((1, 200, 14, 10), (48, 200, 3, 3), (1, 1), (2, 2), (1, 1), 1),
    "strided": ((2, 64, 19, 22), (72, 64, 3, 3), (2, 2), (1, 1), (1, 1), 1),
    "pointwise_strided": ((3, 64, 17, 16), (72, 64, 1, 1), (2, 2), (0, 0), (1, 1), 1),
    "phases_of_dilated": ((2, 48, 23, 19), (56, 48, 4, 3), (4, 1), (3, 2), (2, 2), 1),
    "phases_without_taps": ((2, 48, 401), (56, 48, 2), (3,), (1,), (1,), 1),
    "line": ((2, 64, 150), (64, 64, 5), (1,), (4,), (2,), 1),
    "wide_padding": ((2, 48, 9, 9), (48, 48, 3, 3), (1, 1), (5, 4), (3, 2), 1),
    "half_a_step": ((2, 32, 11, 12), (40, 32, 3, 3), (1, 1), (1, 1), (1, 1), 1),
    "grouped": ((2, 144, 9, 10), (96, 72, 3, 3), (1, 1), (1, 1), (1, 1), 2),
}


def kernels_of(
    problem: tuple[Any, ...], arrays: list[np.ndarray], isa: str = ISA
) -> tuple[Any, list[str]]:
    """Return y, dx and dweight, and the kernels that ran if it was in the simulator."""
    with backend(isa) as device:
        if device != CUDASIM:
            return _run(problem, arrays, True, device), []
        cudasim.reset()
        results = _run(problem, arrays, True, device)
        return results, list(cudasim.report())


def check(results: Any, expected: Any, dtype: str) -> None:
    """Compare with float64: sums in float32 leave little more than the result's own rounding."""
    for got, want in zip(results, expected, strict=True):
        scale = np.sqrt(np.mean(want**2))
        np.testing.assert_allclose(
            got.astype(np.float64), want, rtol=ROUNDING[dtype], atol=1e-4 * scale
        )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", PROBLEMS)
def test_problems(name: str, dtype: str, device_isa: str) -> None:
    problem = PROBLEMS[name]
    arrays, expected = _arrays(problem, dtype)
    results, kernels = kernels_of(problem, arrays, device_isa)
    if device_isa == ISA:
        names = " ".join(kernels)
        assert "gather_wgmma" in names
        assert "weight_wgmma" in names
        assert "MmaTile" not in names
    check(results, expected, dtype)


@pytest.mark.parametrize("stride", [1, 2])
def test_few_filters(stride: int, device_isa: str) -> None:
    """The forward pass and the weight's gradient have columns of zeros, the input's gradient too
    little depth."""
    problem = ((3, 40, 21, 20), (8, 40, 3, 3), (stride, stride), (1, 1), (1, 1), 1)
    arrays, expected = _arrays(problem, "bfloat16")
    results, kernels = kernels_of(problem, arrays, device_isa)
    if device_isa == ISA:
        names = " ".join(kernels)
        assert "gather_wgmma" in names
        assert "weight_wgmma" in names
        assert "gather_mma" in names
    check(results, expected, "bfloat16")


PRODUCTS: dict[str, tuple[Any, ...]] = {
    "pixels": ((2, 72, 9, 10), (136, 72, 1, 1), (1, 1), (0, 0), (1, 1), 1),
    "line": ((3, 64, 50), (64, 64, 1), (1,), (0,), (3,), 1),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", PRODUCTS)
def test_kernels_of_one_pixel_are_products(name: str, dtype: str, device_isa: str) -> None:
    problem = PRODUCTS[name]
    arrays, expected = _arrays(problem, dtype)
    results, kernels = kernels_of(problem, arrays, device_isa)
    if device_isa == ISA:
        assert any("wgmma" in each and "conv_wgmma" not in each for each in kernels), kernels
        assert not any("gather" in each for each in kernels), kernels
    check(results, expected, dtype)


# The tile that the forward pass and the weight's gradient have on six multiprocessors.
UNIT, NONE = (1, 1), (0, 0)
TILES: dict[str, tuple[tuple[Any, ...], str, str]] = {
    "128x256": (((3, 64, 16, 16), (256, 64, 1, 2), UNIT, NONE, UNIT, 1), "128, 256", "128, 256"),
    "256x128": (((6, 128, 16, 16), (128, 128, 1, 2), UNIT, NONE, UNIT, 1), "256, 128", "256, 128"),
    "192x128": (
        ((4, 128, 18, 16), (128, 128, 3, 1), UNIT, (1, 0), UNIT, 1),
        "192, 128",
        "192, 128",
    ),
    "128x128": (
        ((1, 128, 20, 16), (128, 128, 3, 1), UNIT, (1, 0), UNIT, 1),
        "128, 128",
        "192, 128",
    ),
    "256x64": (((6, 64, 16, 16), (64, 64, 2, 2), UNIT, NONE, UNIT, 1), "256, 64", "256, 64"),
    "192x64": (((4, 64, 18, 16), (64, 64, 3, 1), UNIT, (1, 0), UNIT, 1), "192, 64", "192, 64"),
    "two_taps": (((6, 64, 16, 16), (64, 64, 1, 2), UNIT, NONE, UNIT, 1), "256, 64", "128, 128"),
}


@pytest.mark.skipif(not HAS_SIMULATOR, reason="no simulator in this build")
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", TILES)
def test_every_tile_gives_the_same_bits_in_any_order(name: str, dtype: str) -> None:
    problem, *tiles = TILES[name]
    arrays, expected = _arrays(problem, dtype)
    runs = []
    for order in SCHEDULES:
        with cudasim.schedule(order, seed=1):
            runs.append(kernels_of(problem, arrays))
    results, kernels = runs[0]
    for kernel, tile in zip(("gather_wgmma", "weight_wgmma"), tiles, strict=True):
        assert any(kernel in each and f"Tile<{tile}>" in each for each in kernels), kernels
    check(results, expected, dtype)
    for others, _ in runs[1:]:
        for first, second in zip(results, others, strict=True):
            assert first.tobytes() == second.tobytes(), f"{name}: bits differ by schedules"


@pytest.mark.parametrize("dtype", DTYPES)
def test_nan_reaches_what_sees_it_and_nothing_else(dtype: str, device_isa: str) -> None:
    problem = PROBLEMS["grouped"]
    arrays, _ = _arrays(problem, dtype)
    arrays[0][1, 75, 4, 5] = np.nan
    (y, dx, dweight), _ = kernels_of(problem, arrays, device_isa)
    is_nan = np.isnan(y.astype(np.float64))
    assert is_nan[1, 48:, 3:6, 4:7].all()
    assert is_nan.sum() == 48 * 9
    assert not np.isnan(dx.astype(np.float64)).any()
    is_nan = np.isnan(dweight.astype(np.float64))
    assert is_nan[48:, 3].all()
    assert is_nan.sum() == 48 * 9
