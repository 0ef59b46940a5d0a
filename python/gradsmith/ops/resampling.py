# SPDX-License-Identifier: Apache-2.0
"""Images of another size: nearest, linear, cubic and area interpolation.

Coordinates are PyTorch's. The interpolation is separable: per dimension a gather of two or four
neighbours (taps), weighted and added; nearest neighbours of all dimensions take one gather.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from gradsmith.autograd.mode import in_float32
from gradsmith.backend import EXTENSIONS, FLOATING, Array, bfloat16, float32, like
from gradsmith.ops.elementwise import add, mul, to
from gradsmith.ops.indexing import index_select
from gradsmith.ops.options import check_flag, check_number, check_sizes, names_errors
from gradsmith.ops.pool import adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d
from gradsmith.ops.shape import reshape
from gradsmith.tensor import Tensor, array_of, wrap

Size = int | Sequence[int]

# The free coefficient of the cubic kernel (Keys 1981): PyTorch's, and its other for antialias.
CUBIC, SMOOTH_CUBIC = -0.75, -0.5

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


# ---- from the options to positions and weights ---------------------------------------------------


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


def _nearest(mode: str, size: int, out: int, factor: float | None) -> Array:
    """Return the neighbours' positions, rounded in float32 as PyTorch does."""
    half = np.float32(0.0 if mode == "nearest" else 0.5)
    scale = np.float64(np.float32(size / out if factor is None else 1 / factor))
    # Rounded once, as a fused multiply-add.
    centres = ((np.arange(out) + half) * scale - half).astype(np.float32)
    source = np.floor(centres.clip(0, None) + half)
    nearest: Array = np.minimum(source.astype(np.int64), size - 1)
    return nearest


def _coordinates(size: int, out: int, factor: float | None, align_corners: bool) -> Array:
    """Return where in the input the elements of the output lie."""
    positions = np.arange(out)
    if align_corners:
        return positions * ((size - 1) / (out - 1) if out > 1 else 0.0)
    return (positions + 0.5) * (size / out if factor is None else 1 / factor) - 0.5


def _near(x: Any, a: float) -> Any:
    """Return the cubic kernel within 1 of its centre."""
    return ((a + 2) * x - (a + 3)) * x * x + 1


def _far(x: Any, a: float) -> Any:
    """Return the cubic kernel between 1 and 2 from its centre."""
    return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a


def cubic_weights(t: Any) -> list[Any]:
    """Return the weights of the neighbours at -1, 0, 1, 2 for the point t in [0, 1]."""
    inner = [_near(each, CUBIC) for each in (t, 1 - t)]
    return [_far(t + 1, CUBIC), *inner, _far(2 - t, CUBIC)]


def _taps(coordinates: Array, size: int, cubic: bool) -> list[tuple[Array, Array]]:
    """Return pairs of positions and weights, the sum of which is the interpolation."""
    if not cubic:
        coordinates = coordinates.clip(0, None)
    first = np.floor(coordinates).astype(np.int64)
    t = coordinates - first
    if cubic:
        weights = cubic_weights(t)
        return [((first + k - 1).clip(0, size - 1), w) for k, w in enumerate(weights)]
    t = np.where(first >= size - 1, 0.0, t)
    first = np.minimum(first, size - 1)
    return [(first, 1 - t), (np.minimum(first + 1, size - 1), t)]


def _smooth_taps(
    size: int, out: int, factor: float | None, align_corners: bool, cubic: bool
) -> list[tuple[Array, Array]]:
    """Return the taps of a kernel that is as wide as a pixel of the output: no aliases."""
    if align_corners:
        scale = (size - 1) / (out - 1) if out > 1 else 0.0
    else:
        scale = size / out if factor is None else 1 / factor
    width = max(scale, 1.0)
    support = width * (2 if cubic else 1)
    centres = scale * (np.arange(out) + 0.5)
    first = np.floor(centres - support + 0.5).clip(0, None).astype(np.int64)
    behind = np.floor(centres + support + 0.5).clip(None, size).astype(np.int64)
    positions = first[:, None] + np.arange((behind - first).max())
    distance = np.abs(positions + 0.5 - centres[:, None]) / width
    if cubic:
        inner, outer = _near(distance, SMOOTH_CUBIC), _far(distance, SMOOTH_CUBIC)
        weights = np.where(distance < 1, inner, np.where(distance < 2, outer, 0.0))
    else:
        weights = (1 - distance).clip(0, None)
    weights = np.where(positions < behind[:, None], weights, 0.0)
    weights /= weights.sum(1, keepdims=True)
    return list(zip(positions.clip(0, size - 1).T, weights.T, strict=True))


# ---- applying them -------------------------------------------------------------------------------


def _gathered(input: Tensor, positions: Sequence[Array]) -> Tensor:
    """Return the elements at the grid of positions, one list per spatial dimension."""
    count = len(positions)
    lead, plane = input.shape[:-count], input.shape[-count:]
    flat = np.ravel_multi_index(np.ix_(*positions), plane)
    picked = index_select(
        reshape(input, (*lead, math.prod(plane))), -1, wrap(like(flat.reshape(-1), input._array))
    )
    return reshape(picked, (*lead, *flat.shape))


def _weighted(x: Tensor, dim: int, taps: list[tuple[Array, Array]]) -> Tensor:
    """Return the sum over the taps of a dimension."""
    total: Tensor | None = None
    extension = EXTENSIONS[type(x._array)]
    for positions, weights in taps:
        column = like(weights.reshape(-1, *(1,) * (x.ndim - 1 - dim)), x._array)
        part = index_select(x, dim, wrap(like(positions, x._array)))
        part = mul(part, wrap(extension.cast(column, x._array.dtype)))
        total = part if total is None else add(total, part)
    assert total is not None
    return total


def _interpolated(
    input: Tensor,
    sizes: Sequence[int],
    scales: Sequence[Any],
    align_corners: bool,
    cubic: bool,
    antialias: bool,
) -> Tensor:
    # Weights of bfloat16 would shift the picture.
    x = to(input, float32) if input.dtype == bfloat16 else input
    # The last dimension first: the largest gather then copies whole rows.
    for dim in range(input.ndim - 1, 1, -1):
        size, out = x.shape[dim], sizes[dim - 2]
        coordinates = _coordinates(size, out, scales[dim - 2], align_corners)
        if out == size and (coordinates == np.arange(size)).all():
            continue
        if antialias:
            taps = _smooth_taps(size, out, scales[dim - 2], align_corners, cubic)
        else:
            taps = _taps(coordinates, size, cubic)
        x = _weighted(x, dim, taps)
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
    if mode.startswith("nearest"):
        triples = zip(array.shape[2:], sizes, scales, strict=True)
        return _gathered(input, [_nearest(mode, *each) for each in triples])
    if mode == "area":
        return _AREA[array.ndim - 3](input, sizes)
    if array.dtype not in FLOATING:
        raise TypeError(f"{op}: input is {array.dtype}, expected a floating dtype for {mode!r}")
    return _interpolated(input, sizes, scales, bool(align_corners), mode == "bicubic", antialias)


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
