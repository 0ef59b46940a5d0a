# SPDX-License-Identifier: Apache-2.0
"""The sizes and layouts between which the kernels of resampling choose."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import gradsmith as gs
import gradsmith.nn.functional as F
from gradsmith import _cpu
from tests.cases import ISAS, Case, CaseTests, isa_cap
from tests.reference import resampling as definition
from tests.test_resampling import interpolated, normal, sampled
from tests.tolerance import assert_close


def wide(case: Case) -> Case:
    """Return the case without what takes long: its gradients have definitions."""
    return replace(case, second_order=False, name=f"wide-{case.name}")


def smooth(shape: tuple[int, ...], size: tuple[int, ...]) -> Case:
    return Case(
        f"antialias-{shape}-{size}",
        lambda x: F.interpolate(x, size, mode="bicubic", antialias=True),
        lambda x: definition.antialiased(x, size, True),
        normal(shape),
        tolerance="matmul",
        depth=128,
        second_order=False,
    )


def nearest(shape: tuple[int, ...], size: tuple[int, ...]) -> Case:
    return Case(
        f"nearest-{shape}-{size}",
        lambda x: F.interpolate(x, size),
        lambda x: definition.nearest(x, size),
        normal(shape),
        lambda dy, x: definition.nearest_backward(dy, x),
        tolerance="matmul",
        depth=8,
        second_order=False,
    )


CASES = [
    # Copies: rows with and without two vectors to pick from, taps too far apart, rows or columns
    # alone, a row that is several threads', and too few rows for vectors of taps.
    nearest((1, 2, 5, 36), (10, 72)),
    nearest((2, 2, 4, 5), (16, 20)),
    nearest((1, 1, 20, 90), (7, 23)),
    nearest((2, 1, 7, 18), (11, 18)),
    nearest((2, 2, 3, 18), (3, 31)),
    nearest((1, 1, 2, 40), (23, 300)),
    nearest((1, 3, 40), (71,)),
    nearest((1, 2, 3, 4, 5), (5, 8, 11)),
    # Vectors of columns: within two vectors of the line, and further apart.
    wide(interpolated("bilinear", (1, 1, 5, 19), (9, 37), False)),
    wide(interpolated("bilinear", (1, 1, 3, 90), (4, 37), False)),
    wide(interpolated("linear", (2, 2, 150), (20,), False)),
    # Rows in fours and the rest of them: shrunk without a line, its gradient and the growing image
    # within one vector of a line, also where a row is shorter than that.
    wide(interpolated("bilinear", (3, 2, 17, 56), (9, 30), False)),
    wide(interpolated("bilinear", (1, 3, 11, 35), (6, 17), True)),
    wide(interpolated("bilinear", (1, 3, 9, 20), (17, 41), False)),
    wide(interpolated("bilinear", (2, 2, 3, 6), (5, 29), False)),
    # Rows too few for vectors of taps.
    wide(interpolated("linear", (1, 3, 40), (71,), False)),
    # Only rows, only columns.
    wide(interpolated("bilinear", (2, 1, 7, 18), (4, 18), False)),
    wide(interpolated("bicubic", (1, 2, 3, 18), (3, 35), True)),
    wide(interpolated("trilinear", (1, 2, 3, 4, 5), (5, 4, 5), False)),
    smooth((1, 1, 20, 35), (6, 11)),
    # One and several groups of channels, the last one not full; more points than a block has.
    wide(sampled("bilinear", "zeros", False, (4, 5), (2, 19), (3, 4))),
    wide(sampled("bilinear", "border", True, (4, 5), (1, 21), (3, 3))),
    wide(sampled("bilinear", "reflection", False, (3, 5), (1, 5), (8, 9))),
    wide(sampled("bilinear", "zeros", True, (3, 2, 4), (1, 9), (3, 2))),
    wide(sampled("nearest", "border", False, (4, 5), (1, 18), (3, 2))),
    wide(sampled("nearest", "reflection", False, (3, 2, 4), (1, 6), (3, 2))),
    wide(sampled("bicubic", "zeros", False, (4, 5), (1, 17), (2, 3))),
    # Few points in a large image, few channels and many points.
    wide(sampled("bilinear", "zeros", False, (11, 9), (1, 6), (1, 2))),
    wide(sampled("bilinear", "zeros", False, (4, 5), (2, 3), (9, 8))),
]


class TestCases(CaseTests):
    pass


def channels_last(x: np.ndarray) -> Any:
    return gs.from_numpy(np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, -1)), -1, 1))


def with_gradients(call: Callable[..., Any], *inputs: Any) -> list[Any]:
    leaves = [x.detach().requires_grad_() for x in inputs]
    y = call(*leaves)
    dy = np.random.default_rng(3).standard_normal(y.shape).astype(np.float32)
    (y * gs.tensor(dy)).sum().backward()
    return [y.detach().numpy(), *(leaf.grad.numpy() for leaf in leaves)]


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("channels", [3, 16, 20, 32])
@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
def test_channels_last_gives_the_same(isa: str, channels: int, mode: str) -> None:
    rng = np.random.default_rng(1)
    x = rng.standard_normal((2, channels, 5, 6)).astype(np.float32)
    grid = gs.tensor(rng.uniform(-1.3, 1.3, (2, 4, 3, 2)).astype(np.float32))
    calls = (
        lambda x: F.interpolate(x, (9, 7), mode=mode),
        lambda x: F.interpolate(x, (5, 4), mode=mode),
        lambda x: F.grid_sample(x, grid, mode, "reflection"),
    )
    with isa_cap(isa):
        for call in calls:
            first = with_gradients(call, gs.tensor(x))
            last = with_gradients(call, channels_last(x))
            for got, want in zip(last, first, strict=True):
                assert_close(got, want, "float32", "matmul", 64, mode)
        assert not F.grid_sample(channels_last(x), grid).is_contiguous()


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("channels", [3, 16, 20])
@pytest.mark.parametrize("size", [(10, 12), (7, 4), (5, 9)])
def test_nearest_channels_last(isa: str, channels: int, size: tuple[int, int]) -> None:
    x = np.random.default_rng(1).standard_normal((2, channels, 5, 6)).astype(np.float32)
    with isa_cap(isa):
        last = with_gradients(lambda x: F.interpolate(x, size), channels_last(x))
        first = with_gradients(lambda x: F.interpolate(x, size), gs.tensor(x))
        assert not F.interpolate(channels_last(x), size).is_contiguous()
    np.testing.assert_array_equal(last[0], definition.nearest(x, size))
    assert_close(last[1], first[1], "float32", "matmul", 8, str(size))


@pytest.mark.parametrize("isa", ISAS)
def test_gradients_of_infinite_pixels_stay_with_theirs(isa: str) -> None:
    """A pixel with one tap takes nothing from where its neighbour has a second."""
    dy = np.ones((1, 1, 30, 30), np.float32)
    dy[0, 0, 10, 10] = np.inf
    x = gs.zeros(1, 1, 56, 56).requires_grad_()
    with isa_cap(isa):
        F.interpolate(x, (30, 30), mode="bilinear").backward(gs.tensor(dy))
    assert x.grad is not None
    got = x.grad.numpy()
    assert np.isinf(got).sum() == 4
    assert not np.isnan(got).any()


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("shape", [(1, 1, 3, 40), (1, 2, 3, 4)])
def test_nearest_copies_what_is_no_number(isa: str, shape: tuple[int, ...]) -> None:
    x = np.ones(shape, np.float32)
    x[0, 0, 1, 1:3] = np.inf, np.nan
    size = (5, 2 * shape[3])
    with isa_cap(isa):
        got = F.interpolate(gs.tensor(x), size).numpy()
        same = F.interpolate(gs.tensor(x), shape[2:])
    np.testing.assert_array_equal(got, definition.nearest(x, size))
    np.testing.assert_array_equal(same.numpy(), x)


def test_large_nearest_images_go_past_the_cache() -> None:
    x = np.random.default_rng(2).standard_normal((3, 16, 192, 192)).astype(np.float32)
    for given in (gs.tensor(x), channels_last(x)):
        y = F.interpolate(given, scale_factor=2).numpy()
        np.testing.assert_array_equal(y, x.repeat(2, 2).repeat(2, 3))


def test_nearest_of_integers() -> None:
    x = np.random.default_rng(3).integers(0, 2**60, (2, 3, 4, 5))
    y = F.interpolate(gs.tensor(x), (4, 7)).numpy()
    np.testing.assert_array_equal(y, definition.nearest(x, (4, 7)))


@pytest.mark.parametrize("mode", ["nearest", "bilinear"])
def test_images_of_the_same_size_are_copies(mode: str) -> None:
    x = gs.ones(1, 1, 2, 2)
    F.interpolate(x, (2, 2), mode=mode).zero_()
    assert x.all()


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("shape", [(1, 2, 30, 30), (1, 20, 4, 4)])
def test_bfloat16_samples_as_float32_does(isa: str, shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(2)
    x = gs.tensor(rng.standard_normal(shape).astype(np.float32)).bfloat16()
    grid = gs.tensor(rng.uniform(-1, 1, (1, 2, 3, 2)).astype(np.float32)).bfloat16()
    with isa_cap(isa):
        got = with_gradients(lambda x, g: F.grid_sample(x, g).float(), x, grid)
        want = with_gradients(F.grid_sample, x.float(), grid.float())
    for one, other in zip(got, want, strict=True):
        assert_close(one, other, "bfloat16", "pointwise", 1, str(shape))


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("channels", [2, 16])
def test_infinite_pixels_stay_where_they_are(isa: str, channels: int) -> None:
    """What lies outside a point's pixels, or outside the image, adds nothing."""
    x = gs.zeros(1, channels, 4, 4)
    x[0, :, 0, 0] = float("inf")
    inside, outside, none = [0.25, 0.25], [3.0, 3.0], [float("nan"), 0.0]
    grid = gs.tensor([[[inside, outside, none] * 4]])
    with isa_cap(isa):
        y = F.grid_sample(x, grid)
        dx = with_gradients(lambda x: F.grid_sample(x, grid)[..., :2], x)[1]
    assert y[0, :, 0, :2].abs().sum().item() == 0
    assert y[0, :, 0, 2].isnan().all()
    assert np.isfinite(dx).all()


def test_only_the_gradients_wanted_are_computed() -> None:
    for with_image, with_grid in ((True, False), (False, True)):
        x = gs.rand(1, 20, 4, 4).requires_grad_(with_image)
        grid = gs.rand(1, 5, 5, 2).requires_grad_(with_grid)
        F.grid_sample(x, grid).sum().backward()
        assert (x.grad is not None, grid.grad is not None) == (with_image, with_grid)


@pytest.mark.parametrize("isa", ISAS)
def test_empty_batches_channels_and_grids(isa: str) -> None:
    with isa_cap(isa):
        for shape, points in (((0, 2), (3, 3)), ((2, 0), (3, 3)), ((2, 20), (0, 3))):
            x = gs.ones(*shape, 4, 4).requires_grad_()
            grid = gs.zeros(shape[0], *points, 2).requires_grad_()
            y = F.grid_sample(x, grid)
            assert y.shape == (*shape, *points)
            y.sum().backward()
            assert x.grad is not None
            assert not x.grad.any()
        assert F.interpolate(gs.ones(0, 2, 4, 4), (3, 5), mode="bilinear").shape == (0, 2, 3, 5)


@pytest.mark.parametrize(
    ("table", "error", "message"),
    [
        (([0, 1, 2], [0, 4], [1.0, 1.0]), IndexError, "tap 4 is out of range for 4"),
        (([0, 1, 2], [0, -1], [1.0, 1.0]), IndexError, "tap -1 is out of range for 4"),
        (([0, 3, 2], [0, 1], [1.0, 1.0]), ValueError, "do not rise from 0 to 2"),
        (([0, 2], [0, 1], [1.0, 1.0]), ValueError, "the starts of 2 outputs"),
        (([0, 1, 2], [0, 1], [1, 1]), TypeError, "expected int64, int64 and float64"),
    ],
)
def test_tables_that_are_no_matrix_are_refused(
    table: tuple[Any, ...], error: type[Exception], message: str
) -> None:
    taps = (2, *(np.array(part) for part in table))
    for isa in ISAS:
        with isa_cap(isa), pytest.raises(error, match=message):
            _cpu.resize(np.ones((1, 1, 4)), 2, None, taps)
