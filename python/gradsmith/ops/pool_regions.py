# SPDX-License-Identifier: Apache-2.0
"""Pooling of regions of maps to one size, as detectors need it: RoI pooling and RoI align.

Both work on rows and columns apart, so an aligned region is ``W_y X W_x^T`` with weights made on
the host. Boxes get no gradient, as in torchvision.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gradsmith.backend import Array, compute_dtype, like, on_host
from gradsmith.ops.elementwise import to, where
from gradsmith.ops.gemm import matmul
from gradsmith.ops.indexing import gather, index_select
from gradsmith.ops.loss_checks import check_floating
from gradsmith.ops.options import check_flag, check_int, check_number, check_sizes, names_errors
from gradsmith.ops.reduce import max
from gradsmith.ops.shape import expand, reshape
from gradsmith.tensor import Tensor, as_array, wrap


def _host(value: Any) -> Array:
    array = on_host(value._array if isinstance(value, Tensor) else as_array(value))
    return array.astype(np.float64)


def _checked_boxes(op: str, input: Tensor, boxes: Any) -> tuple[Array, Array]:
    """Return the image of each box (K), and its corners (K, 4)."""
    if isinstance(boxes, (tuple, list)):
        each = [_host(part) for part in boxes]
        each = [part.reshape(0, 4) if part.size == 0 else part for part in each]
        if len(each) != input.shape[0] or any(p.ndim != 2 or p.shape[1] != 4 for p in each):
            raise ValueError(
                f"{op}: boxes are {len(each)} of shapes {[p.shape for p in each]}, expected (L, 4) "
                f"for each of {input.shape[0]} images"
            )
        images = np.repeat(np.arange(len(each)), [len(part) for part in each])
        return images, np.concatenate(each) if each else np.zeros((0, 4))
    table = _host(boxes)
    if table.ndim != 2 or table.shape[1] != 5:
        raise ValueError(f"{op}: boxes have shape {table.shape}, expected (K, 5)")
    if not np.isin(table[:, 0], np.arange(input.shape[0])).all():
        raise IndexError(f"{op}: boxes name images out of range for {input.shape[0]}")
    return table[:, 0].astype(np.int64), table[:, 1:]


def _checked(
    op: str, input: Tensor, boxes: Any, output_size: Any, spatial_scale: float
) -> tuple[Array, Array, tuple[int, int]]:
    """Return the image of each box, its corners on the maps, and the rows and columns to make."""
    if check_floating(op, "input", input).ndim != 4 or 0 in input.shape[2:]:
        raise ValueError(f"{op}: input has shape {input.shape}, expected (N, C, H, W)")
    scale = check_number(op, "spatial_scale", spatial_scale)
    images, corners = _checked_boxes(op, input, boxes)
    if not np.isfinite(corners).all():
        raise ValueError(f"{op}: boxes hold numbers that are not finite")
    size = output_size if isinstance(output_size, Sequence) else (output_size, output_size)
    rows, columns = check_sizes(op, "output_size", tuple(size), 2)
    return images, corners * scale, (rows, columns)


def _maps_of(input: Tensor, images: Array) -> Tensor:
    """Return the maps (K, C, H, W) that the boxes lie on."""
    return index_select(input, 0, wrap(like(images, input._array)))


# ---- align ---------------------------------------------------------------------------------------


def _weights(low: Array, high: Array, bins: int, samples: int, size: int, whole: bool) -> Array:
    """Return by what weights (K, bins, size) the pixels of a line are averaged.

    A bin has ``samples`` evenly spaced points, for 0 as many as pixels; each lies between two
    pixels, one beyond the ends by up to a pixel counts as the end, one farther as 0.
    """
    extent = np.maximum(high - low, 1.0) if whole else high - low
    weights = np.zeros((len(low), bins, size))
    pixels = np.arange(size)
    for box, (start, length) in enumerate(zip(low, extent, strict=True)):
        count = samples or int(np.maximum(np.ceil(length / bins), 1))
        points = start + (np.arange(bins * count) + 0.5) * (length / (bins * count))
        seen = (points >= -1) & (points <= size)
        distances = abs(np.clip(points, 0, size - 1)[:, None] - pixels)
        hats = np.maximum(0.0, 1.0 - distances) * seen[:, None]
        weights[box] = hats.reshape(bins, count, size).mean(1)
    return weights


@names_errors
def roi_align(
    input: Tensor,
    boxes: Any,
    output_size: int | Sequence[int],
    spatial_scale: float = 1.0,
    sampling_ratio: int = -1,
    aligned: bool = False,
) -> Tensor:
    """Return regions of maps at one size by linear interpolation (He et al., Mask R-CNN, 2017).

    Each region is cut into bins, and each bin is the mean of evenly spaced points in it: nothing is
    rounded to whole pixels.

    Args:
        input: (N, C, H, W).
        boxes: (K, 5), the image and corners x1, y1, x2, y2; or for each image corners (L, 4).
        output_size: rows and columns of bins, or one number for both.
        spatial_scale: pixels of the maps per unit of the boxes, as 1/16.
        sampling_ratio: points per bin and direction; 0 or less: as many as it has pixels.
        aligned: whether pixel centres are at half-integers; without it, as in the first version,
            at integers, and regions are at least a pixel wide.

    Returns:
        (K, C, rows, columns).

    Raises:
        ValueError: shapes do not fit, or a number is out of range.
        TypeError: the input is not floating.
        IndexError: a box names an image that is not there.
    """
    op = "roi_align"
    images, corners, (rows, columns) = _checked(op, input, boxes, output_size, spatial_scale)
    samples = np.maximum(check_int(op, "sampling_ratio", sampling_ratio), 0)
    shift = 0.5 if check_flag(op, "aligned", aligned) else 0.0
    left, top, right, bottom = (corners - shift).T
    down = _weights(top, bottom, rows, samples, input.shape[2], not aligned)
    across = _weights(left, right, columns, samples, input.shape[3], not aligned)
    dtype = compute_dtype(input.dtype)
    by_rows, by_columns = (
        to(wrap(like(each, input._array)), dtype)
        for each in (down[:, None], across[:, None].swapaxes(2, 3))
    )
    return to(matmul(matmul(by_rows, to(_maps_of(input, images), dtype)), by_columns), input.dtype)


# ---- pooling -------------------------------------------------------------------------------------


def _rounded(values: Array) -> Array:
    """Return the nearest integers, halves away from 0."""
    return np.asarray(np.trunc(values + np.copysign(0.5, values)), np.int64)


def _bins(low: Array, high: Array, bins: int, size: int) -> tuple[Array, Array]:
    """Return the pixels (K, bins, M) of each bin, the last one again to fill up, and if it has any.

    Bins overlap where a region does not divide.
    """
    first = _rounded(low)
    length = np.maximum(_rounded(high) - first + 1, 1)[:, None]
    numbers = np.arange(bins)
    begin = np.clip(first[:, None] + numbers * length // bins, 0, size)
    end = np.clip(first[:, None] - (-(numbers + 1) * length // bins), 0, size)
    widest = int((end - begin).max(initial=1))
    pixels = np.minimum(begin[..., None] + np.arange(widest), np.maximum(end - 1, 0)[..., None])
    return np.minimum(pixels, size - 1), end > begin


def _largest(maps: Tensor, pixels: Array, dim: int) -> Tensor:
    """Return the largest value of each bin along rows (2) or columns (3)."""
    boxes, bins, widest = pixels.shape
    count = bins * widest
    flat = pixels.reshape((boxes, 1, count, 1) if dim == 2 else (boxes, 1, 1, count))
    shape = [*maps.shape]
    shape[dim] = count
    index = expand(wrap(like(np.ascontiguousarray(flat, np.int64), maps._array)), shape)
    split = [*shape[:dim], bins, widest, *shape[dim + 1 :]]
    largest: Tensor = max(reshape(gather(maps, dim, index), split), dim + 1)[0]
    return largest


@names_errors
def roi_pool(
    input: Tensor, boxes: Any, output_size: int | Sequence[int], spatial_scale: float = 1.0
) -> Tensor:
    """Return the largest values in the bins of regions of maps (Girshick, Fast R-CNN, 2015).

    Corners are rounded to whole pixels, which belong to the region; a bin outside of the maps is 0.

    Args:
        input: (N, C, H, W).
        boxes: (K, 5), the image and corners x1, y1, x2, y2; or for each image corners (L, 4).
        output_size: rows and columns of bins, or one number for both.
        spatial_scale: pixels of the maps per unit of the boxes, as 1/16.

    Returns:
        (K, C, rows, columns).

    Raises:
        ValueError: shapes do not fit, or a number is out of range.
        TypeError: the input is not floating.
        IndexError: a box names an image that is not there.
    """
    images, corners, size = _checked("roi_pool", input, boxes, output_size, spatial_scale)
    maps = _maps_of(input, images)
    filled = None
    for dim, (low, high) in enumerate((corners[:, 1::2].T, corners[:, 0::2].T), start=2):
        pixels, seen = _bins(low, high, size[dim - 2], input.shape[dim])
        maps = _largest(maps, pixels, dim)
        filled = seen[:, :, None] if filled is None else filled & seen[:, None]
    assert filled is not None
    return where(wrap(like(filled[:, None], input._array)), maps, 0.0)
