# SPDX-License-Identifier: Apache-2.0
"""Images of another size: nearest, linear, cubic and area interpolation.

Coordinates are PyTorch's. The interpolation is separable: per dimension each element of the result
is a weighted sum of neighbours (taps), two dimensions in one pass over memory; of nearest
neighbours there is one. The gradient is the same with the transposed taps.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from gradsmith.autograd import Node, record
from gradsmith.autograd.mode import in_float32
from gradsmith.backend import EXTENSIONS, FLOATING, compute_dtype, like
from gradsmith.ops.elementwise import to
from gradsmith.ops.indexing import index_select
from gradsmith.ops.options import check_flag, check_number, check_sizes, names_errors
from gradsmith.ops.pool import adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d
from gradsmith.ops.resampling_taps import Taps, nearest_taps, resize_taps
from gradsmith.ops.shape import reshape
from gradsmith.ops.shape_copy import clone
from gradsmith.tensor import Tensor, array_of, wrap

Size = int | Sequence[int]

# mode: the numbers of dimensions it takes
_MODES = {
    "nearest": (3, 4, 5),
    "nearest-exact": (3, 4, 5),
    "area": (3, 4, 5),
    "linear": (3,),
    "bilinear": (4,),
    "bicubic": (4,),
    "trilinear": (5,),
}
_UNALIGNED = ("nearest", "nearest-exact", "area")
_AREA = (adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d)


# ---- from the options to sizes and positions -----------------------------------------------------


def _sizes_and_scales(
    op: str, plane: tuple[int, ...], size: Any, scale_factor: Any, recompute: Any
) -> tuple[tuple[int, ...], list[float | None]]:
    """Return the output's sizes, and per dimension the scale if that decides the coordinates."""
    count = len(plane)
    if (size is None) == (scale_factor is None):
        raise ValueError(f"{op}: expected either size or scale_factor")
    if size is not None:
        if recompute:
            raise ValueError(f"{op}: recompute_scale_factor needs scale_factor, got size {size}")
        return check_sizes(op, "size", size, count), [None] * count
    given = tuple(scale_factor) if isinstance(scale_factor, (tuple, list)) else (scale_factor,)
    factors = given * count if len(given) == 1 else given
    if len(factors) != count or any(
        not 0 < check_number(op, "scale_factor", each) < math.inf for each in factors
    ):
        raise ValueError(
            f"{op}: scale_factor is {scale_factor}, expected {count} finite numbers > 0"
        )
    sizes = tuple(math.floor(n * factor) for n, factor in zip(plane, factors, strict=True))
    if min(sizes) < 1:
        raise ValueError(f"{op}: scale_factor {scale_factor} leaves the sizes {sizes} of {plane}")
    return sizes, [None if recompute else float(factor) for factor in factors]


# ---- applying them -------------------------------------------------------------------------------


def _gathered(input: Tensor, tables: list[Taps | None]) -> Tensor:
    """Return the elements that single taps name, for dtypes that are not added up."""
    lead, plane = input.shape[:2], input.shape[2:]
    positions = [
        np.arange(n) if taps is None else taps.index for n, taps in zip(plane, tables, strict=True)
    ]
    flat = np.ravel_multi_index(np.ix_(*positions), plane)
    picked = index_select(
        reshape(input, (*lead, math.prod(plane))), -1, wrap(like(flat.reshape(-1), input._array))
    )
    return reshape(picked, (*lead, *flat.shape))


def _resize_backward(node: Node, dy: Tensor) -> Any:
    axis, rows, columns = node.saved
    back = (None if taps is None else taps.transposed for taps in (rows, columns))
    return (_resized(dy, axis, *back),)


def _resized(x: Tensor, axis: int, rows: Taps | None, columns: Taps | None) -> Tensor:
    """Return x with ``columns`` applied to a dimension and ``rows`` to the one before it."""
    array = x._array
    tables = (None if taps is None else taps.arrays(array) for taps in (rows, columns))
    y = EXTENSIONS[type(array)].resize(array, axis, *tables)
    return record(_resize_backward, y, (x,), (axis, rows, columns))


def _interpolated(input: Tensor, tables: list[Taps | None]) -> Tensor:
    """Return the images with each spatial dimension resized by its taps, the last two at once."""
    if all(taps is None for taps in tables):
        return clone(input)
    # A second pass would round numbers of 16 bits twice.
    x = to(input, compute_dtype(input.dtype)) if len(tables) == 3 else input
    columns = tables[-1]
    rows = tables[-2] if len(tables) > 1 else None
    if rows is not None or columns is not None:
        x = _resized(x, input.ndim - 1, rows, columns)
    if len(tables) == 3 and tables[0] is not None:
        x = _resized(x, 3, tables[0], None)
    return to(x, input.dtype)


@in_float32
@names_errors
def interpolate(
    input: Tensor,
    size: Size | None = None,
    scale_factor: float | Sequence[float] | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Tensor:
    """Return the images with other sizes.

    Args:
        input: (N, C, L), (N, C, H, W) or (N, C, D, H, W).
        size: the new sizes, one int or one per dimension; or
        scale_factor: by what to multiply the old ones (rounded down).
        mode: ``"nearest"`` (rounds coordinates down, as PyTorch), ``"nearest-exact"`` (the pixel
            whose area holds the point), ``"linear"`` (3-d), ``"bilinear"`` or ``"bicubic"`` (4-d),
            ``"trilinear"`` (5-d), or ``"area"``, the average of `adaptive_avg_pool2d`.
        align_corners: whether the centres of the corner pixels stay in place, instead of their
            outer corners; for the linear and cubic modes.
        recompute_scale_factor: take coordinates from the rounded sizes, as with ``size``.
        antialias: average over the area of a smaller output's pixels (bilinear and bicubic).

    Raises:
        ValueError: an option is unknown or does not suit the others or the shape.
        TypeError: the dtype is not floating and the mode is none of the nearest.

    Example:
        >>> import gradsmith as gs
        >>> interpolate(gs.tensor([[[0.0, 2.0]]]), scale_factor=2, mode="linear").tolist()
        [[[0.0, 0.5, 1.5, 2.0]]]
    """
    op = "interpolate"
    array = array_of(op, input)
    if mode not in _MODES:
        raise ValueError(f"{op}: mode is {mode!r}, expected one of {', '.join(_MODES)}")
    if array.ndim not in _MODES[mode] or 0 in array.shape[2:]:
        raise ValueError(
            f"{op}: input has shape {array.shape}, expected (N, C, ...) of "
            f"{' or '.join(map(str, _MODES[mode]))} dimensions for mode {mode!r}, none empty"
        )
    if check_flag(op, "antialias", antialias) and mode not in ("bilinear", "bicubic"):
        raise ValueError(f"{op}: antialias does not apply to mode {mode!r}, expected False")
    if align_corners is not None:
        check_flag(op, "align_corners", align_corners)
        if mode in _UNALIGNED:
            raise ValueError(f"{op}: align_corners does not apply to mode {mode!r}, expected None")
    sizes, scales = _sizes_and_scales(
        op, array.shape[2:], size, scale_factor, recompute_scale_factor
    )
    if mode == "area":
        return _AREA[array.ndim - 3](input, sizes)
    axes = zip(array.shape[2:], sizes, scales, strict=True)
    if mode.startswith("nearest"):
        nearest = [nearest_taps(*each, mode == "nearest-exact") for each in axes]
        return (_interpolated if array.dtype in FLOATING else _gathered)(input, nearest)
    if array.dtype not in FLOATING:
        raise TypeError(f"{op}: input is {array.dtype}, expected a floating dtype for {mode!r}")
    kernel = (bool(align_corners), mode == "bicubic", antialias)
    return _interpolated(input, [resize_taps(*each, *kernel) for each in axes])


@names_errors
def upsample(
    input: Tensor,
    size: Size | None = None,
    scale_factor: float | Sequence[float] | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
) -> Tensor:
    """Return the images with other sizes: `interpolate` under its older name."""
    return interpolate(input, size, scale_factor, mode, align_corners)
