# SPDX-License-Identifier: Apache-2.0
"""Images sampled at the points of a grid, and the grids of affine maps (Jaderberg 2015).

Both the image and the grid have derivatives, first ones by a kernel. Higher ones go through a
composition of gathers and products, which makes the same of the same points.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

import numpy as np

from gradsmith.autograd import Node, cast_up, is_grad_enabled, record
from gradsmith.autograd.gradients import inner_gradients
from gradsmith.autograd.tape import next_sequence
from gradsmith.backend import EXTENSIONS, FLOATING, compute_dtype, int64, like
from gradsmith.ops.elementwise import add, eq, fmod, ge, le, logical_and, mul, sub, to, where
from gradsmith.ops.elementwise_activation import hardtanh
from gradsmith.ops.elementwise_round import abs, clamp, floor, round
from gradsmith.ops.gemm import matmul
from gradsmith.ops.indexing import index_select
from gradsmith.ops.joining import cat
from gradsmith.ops.options import check_flag, check_sizes, names_errors
from gradsmith.ops.resampling_taps import cubic_weights
from gradsmith.ops.shape import reshape, transpose
from gradsmith.ops.shape_pieces import unbind
from gradsmith.tensor import Tensor, array_of, wrap, wrap_each

# ---- coordinates ---------------------------------------------------------------------------------


def _in_pixels(points: Tensor, size: int, align_corners: bool) -> Tensor:
    """Return coordinates in [-1, 1] as positions: the ends are pixel centres, or outer borders."""
    if align_corners:
        return mul(add(points, 1.0), (size - 1) / 2)
    return mul(sub(mul(add(points, 1.0), size), 1.0), 0.5)


def _reflected(positions: Tensor, size: int, align_corners: bool) -> Tensor:
    """Return positions mirrored at the ends as often as it takes to come inside."""
    low, span = (0.0, size - 1.0) if align_corners else (-0.5, float(size))
    if span <= 0:
        return mul(positions, 0.0)
    distance = abs(sub(positions, low))
    rest = fmod(distance, span)
    odd = eq(fmod(floor(mul(distance.detach(), 1 / span)), 2.0), 1.0)
    return add(where(odd, sub(span, rest), rest), low)


def _placed(positions: Tensor, size: int, padding_mode: str, align_corners: bool) -> Tensor:
    """Return positions moved into the plane as the padding mode says."""
    if padding_mode == "zeros":
        return positions
    if padding_mode == "reflection":
        positions = _reflected(positions, size, align_corners)
    return hardtanh(positions, 0.0, float(max(size - 1, 0)))


# ---- reading -------------------------------------------------------------------------------------


def _rows_of_points(planes: Tensor) -> Tensor:
    """Return the channels of each pixel as a row, (N P + 1, C) for (N, C, P), and one of zeros."""
    batch, channels, pixels = planes.shape
    rows = reshape(transpose(planes, 1, 2), (batch * pixels, channels))
    return cat([rows, planes.new_zeros(1, channels)])


def _located(positions: Tensor, size: int, stride: int) -> tuple[Tensor, Tensor]:
    """Return whether whole positions are inside, and how many pixels they are away from 0."""
    inside = logical_and(ge(positions, 0.0), le(positions, size - 1.0))
    return inside, mul(to(clamp(positions.detach(), 0.0, size - 1.0), int64), stride)


def _blended(
    planes: Tensor,
    sizes: Sequence[int],
    taps: Sequence[Sequence[tuple[Tensor, Tensor]]],
) -> Tensor:
    """Return (N, C, P): over all combinations of taps, value times the product of the weights.

    Whole rows of channels are read, so that an index serves all channels of a point.
    """
    batch, channels, pixels = planes.shape
    rows = _rows_of_points(planes)
    first = wrap(like(np.arange(batch)[:, None] * pixels, planes._array))
    axes = [
        [
            (*_located(positions, size, math.prod(sizes[axis + 1 :])), weight)
            for positions, weight in of
        ]
        for axis, (size, of) in enumerate(zip(sizes, taps, strict=True))
    ]
    total: Tensor | None = None
    for corner in product(*axes):
        inside, place, weight = corner[0]
        for also, away, factor in corner[1:]:
            inside, place = logical_and(inside, also), add(place, away)
            weight = mul(weight, factor)
        numbers = where(inside, add(place, first), batch * pixels)
        part = mul(index_select(rows, 0, reshape(numbers, (-1,))), reshape(weight, (-1, 1)))
        total = part if total is None else add(total, part)
    assert total is not None
    return transpose(reshape(total, (batch, -1, channels)), 1, 2)


def _linear_taps(positions: Tensor) -> list[tuple[Tensor, Tensor]]:
    first = floor(positions).detach()
    t = sub(positions, first)
    return [(first, sub(1.0, t)), (add(first, 1.0), t)]


def _cubic_taps(
    positions: Tensor, place: Callable[[Tensor], Tensor]
) -> list[tuple[Tensor, Tensor]]:
    first = floor(positions).detach()
    weights = cubic_weights(sub(positions, first))
    return [(place(add(first, k - 1.0)), weight) for k, weight in enumerate(weights)]


def _composed(
    input: Tensor, grid: Tensor, mode: str, padding_mode: str, align_corners: bool
) -> Tensor:
    """Return what the kernel returns, in functions that can be differentiated again."""
    dtype = compute_dtype(input.dtype)
    sizes, lead, out = input.shape[2:], input.shape[:2], grid.shape[1:-1]
    planes = reshape(to(input, dtype), (*lead, math.prod(sizes)))
    points = reshape(to(grid, dtype), (lead[0], math.prod(out), len(sizes)))
    taps = []
    # The last coordinate of a point belongs to the first spatial dimension.
    for size, coordinate in zip(sizes, reversed(unbind(points, -1)), strict=True):
        positions = _in_pixels(coordinate, size, align_corners)

        def place(x: Tensor, size: int = size) -> Tensor:
            return _placed(x, size, padding_mode, align_corners)

        if mode == "bicubic":
            taps.append(_cubic_taps(positions, place))
        elif mode == "bilinear":
            taps.append(_linear_taps(place(positions)))
        else:
            whole = round(place(positions))
            taps.append([(whole, add(mul(whole, 0.0), 1.0))])
    return to(reshape(_blended(planes, sizes, taps), (*lead, *out)), input.dtype)


# ---- sampling ------------------------------------------------------------------------------------


def _grid_sample_backward(node: Node, dy: Tensor) -> Any:
    input, grid, options = node.saved
    needs = (node.needs(0), node.needs(1))
    if not is_grad_enabled():
        kernel = EXTENSIONS[type(dy._array)].grid_sample_backward
        return wrap_each(kernel(dy._array, input._array, grid._array, *options, *needs))
    first = next_sequence()
    ends = [x for x, need in zip((input, grid), needs, strict=True) if need]
    found = iter(inner_gradients([(_composed(input, grid, *options), dy)], ends, first, True))
    return tuple(next(found) if need else None for need in needs)


@names_errors
def grid_sample(
    input: Tensor,
    grid: Tensor,
    mode: str = "bilinear",
    padding_mode: str = "zeros",
    align_corners: bool | None = None,
) -> Tensor:
    """Return the images' values at the points of a grid.

    Args:
        input: (N, C, H, W) or (N, C, D, H, W).
        grid: (N, H_out, W_out, 2) or (N, D_out, H_out, W_out, 3); points (x, y) or (x, y, z) with
            -1 and 1 at the ends of width, height and depth.
        mode: ``"bilinear"`` (trilinear for 5-d), ``"nearest"`` or ``"bicubic"`` (4-d).
        padding_mode: ``"zeros"`` outside the image, its ``"border"``, or its ``"reflection"``.
        align_corners: whether -1 and 1 are the centres of the corner pixels, not their outer
            borders (default False).

    Returns:
        (N, C, H_out, W_out) or (N, C, D_out, H_out, W_out).

    Raises:
        ValueError: shapes do not match, or an option is unknown.
        TypeError: the dtypes differ or are not floating.
    """
    op = "grid_sample"
    input, grid = cast_up(input), cast_up(grid)
    aligned = False if align_corners is None else check_flag(op, "align_corners", align_corners)
    options = (mode, padding_mode, aligned)
    x, points = array_of(op, input), array_of(op, grid, "grid")
    y = EXTENSIONS[type(x)].grid_sample_forward(x, points, *options)
    return record(_grid_sample_backward, y, (input, grid), (input, grid, options))


@names_errors
def affine_grid(theta: Tensor, size: Sequence[int], align_corners: bool | None = None) -> Tensor:
    """Return the grid of an affine map for `grid_sample`.

    Args:
        theta: (N, 2, 3) or (N, 3, 4), the maps from output to input points.
        size: (N, C, H, W) or (N, C, D, H, W) of the images to make.
        align_corners: as in `grid_sample`.

    Returns:
        (N, H, W, 2) or (N, D, H, W, 3).

    Raises:
        ValueError: the shapes do not match.
        TypeError: theta is not floating.
    """
    op = "affine_grid"
    array = array_of(op, theta)
    aligned = False if align_corners is None else check_flag(op, "align_corners", align_corners)
    given = tuple(size)
    whole = check_sizes(op, "size", given, len(given))
    n = len(whole) - 2
    if n not in (2, 3) or array.shape != (whole[0], n, n + 1):
        raise ValueError(
            f"{op}: theta has shape {array.shape} and size is {whole}, expected (N, 2, 3) for "
            "(N, C, H, W) or (N, 3, 4) for (N, C, D, H, W)"
        )
    if array.dtype not in FLOATING:
        raise TypeError(f"{op}: theta is {array.dtype}, expected a floating dtype")
    axes = []
    for count in whole[2:]:
        ends = np.linspace(-1.0, 1.0, count) if count > 1 else np.zeros(1)
        axes.append(ends if aligned else ends * (count - 1) / count)
    mesh = np.meshgrid(*axes, indexing="ij")
    points = np.stack([*reversed(mesh), np.ones(whole[2:])], axis=-1).reshape(-1, n + 1)
    base = wrap(EXTENSIONS[type(array)].cast(like(points, array), array.dtype))
    return reshape(matmul(base, transpose(theta, 1, 2)), (whole[0], *whole[2:], n))
