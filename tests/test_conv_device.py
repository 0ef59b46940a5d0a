# SPDX-License-Identifier: Apache-2.0
"""CUDA's convolutions: every kernel in both layouts, phases of strides, tails, splits, groups."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gradsmith import cudasim
from gradsmith.autograd import grad
from gradsmith.backend import CUDASIM, Device, moved
from gradsmith.ops import conv
from gradsmith.tensor import Tensor, wrap
from tests.cases import HAS_SIMULATOR, NUMPY_DTYPES, SCHEDULES, backend, to_array
from tests.reference import conv as definition
from tests.tolerance import assert_close

# x, weight, stride, padding, dilation, groups; the pixels fill more than a tile and end within one.
PROBLEMS: dict[str, tuple[Any, ...]] = {
    "small": ((2, 3, 7, 9), (5, 3, 3, 2), (1, 1), (1, 0), (1, 1), 1),
    "medium": ((3, 6, 14, 13), (40, 6, 3, 3), (1, 1), (1, 1), (1, 1), 1),
    "wide": ((4, 16, 20, 21), (136, 16, 3, 3), (1, 1), (1, 1), (1, 1), 1),
    "narrow": ((3, 24, 15, 14), (40, 24, 3, 3), (1, 1), (1, 1), (1, 1), 1),
    "pointwise": ((2, 72, 9, 10), (136, 72, 1, 1), (1, 1), (0, 0), (1, 1), 1),
    "grouped": ((2, 32, 9, 10), (48, 16, 3, 3), (1, 1), (1, 1), (1, 1), 2),
    "odd_results": ((2, 16, 9, 10), (21, 16, 3, 3), (1, 1), (1, 1), (1, 1), 1),
    "phases": ((2, 16, 19, 21), (24, 16, 3, 3), (2, 2), (1, 1), (1, 1), 1),
    "phases_of_dilated": ((2, 8, 23, 19), (16, 8, 4, 3), (6, 3), (3, 2), (4, 2), 1),
    "phases_without_taps": ((2, 8, 17, 9), (8, 8, 2, 1), (4, 3), (1, 0), (2, 1), 1),
    "few_channels": ((2, 3, 19, 21), (16, 3, 5, 5), (2, 2), (2, 2), (1, 1), 1),
    "odd_channels": ((2, 13, 9, 10), (21, 13, 3, 3), (1, 1), (1, 1), (1, 1), 1),
    "volume": ((1, 8, 5, 6, 7), (16, 8, 3, 2, 3), (2, 1, 1), (1, 0, 1), (1, 2, 1), 1),
    "line": ((3, 16, 70), (24, 16, 5), (1,), (2,), (3,), 1),
    "many_pixels": ((5, 8, 24, 23), (8, 8, 3, 3), (1, 1), (1, 1), (1, 1), 1),
    "depthwise": ((2, 40, 19, 21), (40, 1, 3, 3), (1, 1), (1, 1), (1, 1), 40),
    "depthwise_odd": ((2, 13, 9, 10), (13, 1, 3, 3), (1, 1), (1, 1), (1, 1), 13),
    "depthwise_phases": ((2, 16, 19, 22), (16, 1, 5, 4), (2, 3), (2, 1), (1, 2), 16),
    "depthwise_multiplied": ((2, 8, 9, 11), (16, 1, 3, 3), (2, 2), (1, 1), (1, 1), 8),
}


def _placed(x: np.ndarray, device: Device, is_last: bool) -> Tensor:
    if not is_last:
        return wrap(moved(np.ascontiguousarray(x), device))
    return (
        wrap(np.moveaxis(x, 1, -1).copy()).to(device).permute(0, x.ndim - 1, *range(1, x.ndim - 1))
    )


def _run(problem: tuple[Any, ...], arrays: list[np.ndarray], is_last: bool, device: Device) -> Any:
    """Return y, dx and dweight."""
    *options, groups = problem[2:]
    x, weight, bias, dy = (
        _placed(a, device, is_last and a.ndim > 1 and i != 1) for i, a in enumerate(arrays)
    )
    x.requires_grad_()
    weight.requires_grad_()
    function = getattr(conv, f"conv{arrays[0].ndim - 2}d")
    y = function(x, weight, bias, *options, groups)
    return [to_array(each) for each in (y, *grad(y, (x, weight), dy))]


def _arrays(problem: tuple[Any, ...], dtype: str) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return x, weight, bias and dy, and y, dx and dweight by the definition."""
    rng = np.random.default_rng(0)
    shapes = (problem[0], problem[1], problem[1][:1])
    given = [rng.standard_normal(s).astype(NUMPY_DTYPES[dtype]) for s in shapes]
    wide = [each.astype(np.float64) for each in given]
    y = definition.conv_forward(*wide, *problem[2:])
    given.append(rng.standard_normal(y.shape).astype(NUMPY_DTYPES[dtype]))
    dx, dweight, _ = definition.conv_backward(given[-1].astype(np.float64), *wide[:2], *problem[2:])
    return given, [y, dx, dweight]


@pytest.mark.parametrize("is_last", [False, True], ids=["channels_first", "channels_last"])
@pytest.mark.parametrize("dtype", NUMPY_DTYPES)
@pytest.mark.parametrize("name", PROBLEMS)
def test_problems(name: str, dtype: str, is_last: bool, device_isa: str) -> None:
    problem = PROBLEMS[name]
    arrays, expected = _arrays(problem, dtype)
    taps = int(np.prod(problem[1][1:]))
    depths = (taps, taps * problem[1][0], expected[0].size // problem[1][0])
    with backend(device_isa) as device:
        results = _run(problem, arrays, is_last, device)
    for got, want, depth in zip(results, expected, depths, strict=True):
        assert_close(got, want, dtype, "matmul", 4 * depth, name)


@pytest.mark.skipif(not HAS_SIMULATOR, reason="no simulator in this build")
@pytest.mark.parametrize(
    ("name", "dtype", "kernels"),
    [
        ("wide", "float32", ("SimtTile<float, 8, 8", "weight_tiles", "add_splits")),
        ("medium", "float64", ("gather_tiles<", "weight_tiles<")),
        ("wide", "bfloat16", ("gather_mma<", "bfloat16, 128", "bfloat16, 64", "weight_mma<")),
        ("wide", "float16", ("gather_mma<", "float16, 128", "float16, 64", "weight_mma<")),
        ("many_pixels", "bfloat16", ("weight_mma", "add_splits")),
        ("few_channels", "bfloat16", ("pad_rows", "gather_mma<", "weight_mma<", "cut_rows")),
        ("odd_channels", "float16", ("pad_rows", "gather_mma<", "weight_mma<", "cut_rows")),
        ("depthwise", "bfloat16", ("gather_depthwise", "weight_depthwise")),
    ],
)
def test_the_kernels_meant_for_a_problem_run_in_any_order(
    name: str, dtype: str, kernels: tuple[str, ...]
) -> None:
    arrays, _ = _arrays(PROBLEMS[name], dtype)
    runs = []
    cudasim.reset()
    for order in SCHEDULES:
        with backend("cudasim:sm80"), cudasim.schedule(order, seed=1):
            runs.append(_run(PROBLEMS[name], arrays, True, CUDASIM))
    ran = " ".join(cudasim.report())
    for kernel in kernels:
        assert kernel in ran, f"{kernel} is not among {ran}"
    for other in runs[1:]:
        for first, second in zip(runs[0], other, strict=True):
            assert first.tobytes() == second.tobytes(), f"{name}: bits differ by schedules"


def test_positions_beyond_32_bits(device_isa: str) -> None:
    x, weight, bias = (np.ones(s, np.float32) for s in ((1, 1, 2), (1, 1, 2), (1,)))
    with backend(device_isa) as device:
        tensors = [wrap(moved(each, device)) for each in (x, weight, bias)]
        y = conv.conv1d(*tensors, padding=2**30, dilation=2**31 - 1)
        np.testing.assert_array_equal(to_array(y), np.ones((1, 1, 3)))


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_nan_reaches_what_sees_it_and_nothing_else(dtype: str, device_isa: str) -> None:
    x = np.ones((1, 8, 6, 6), NUMPY_DTYPES[dtype])
    x[0, 3, 0, 0] = np.nan
    weight = np.ones((8, 8, 3, 3), NUMPY_DTYPES[dtype])
    seen = np.zeros((8, 4, 4), dtype=bool)
    seen[:, 0, 0] = True
    with backend(device_isa) as device:
        y = conv.conv2d(wrap(moved(x, device)), wrap(moved(weight, device)))
        np.testing.assert_array_equal(np.isnan(to_array(y)[0].astype(np.float64)), seen)
