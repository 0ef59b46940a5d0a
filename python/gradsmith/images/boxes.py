# SPDX-License-Identifier: Apache-2.0
"""Boxes and masks. A box is (x1, y1, x2, y2) in pixels: left, top, right, bottom."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gradsmith.backend import Array, on_host
from gradsmith.images.colour import to_rgb
from gradsmith.images.pixels import as_floats, check_image, in_dtype_of
from gradsmith.ops.options import check_int, check_number
from gradsmith.tensor import Tensor, as_array, wrap

# Colours that are told apart well, also by those who are colour-blind: Okabe and Ito, 2008.
_PALETTE = np.array(
    [
        *((230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66)),
        *((0, 114, 178), (213, 94, 0), (204, 121, 167), (255, 255, 255)),
    ]
)


def _host(values: Any) -> Array:
    return on_host(as_array(values)).astype(np.float64)


def _checked_boxes(op: str, boxes: Any) -> Array:
    table = _host(boxes)
    if table.size == 0:
        table = table.reshape(0, 4)
    if table.ndim != 2 or table.shape[1] != 4:
        raise ValueError(f"{op}: boxes have shape {table.shape}, expected (N, 4)")
    if (table[:, 2:] < table[:, :2]).any() or not np.isfinite(table).all():
        raise ValueError(f"{op}: a box is not (x1, y1, x2, y2) with x1 <= x2 and y1 <= y2")
    return table


def nms(boxes: Any, scores: Any, iou_threshold: float = 0.5, *, labels: Any = None) -> Any:
    """Return the indices of the boxes that remain when worse ones over them are taken out.

    Greedy: the best box stays, those whose intersection over union with it is larger than the
    threshold go, and so on; as torchvision's ``nms``.

    Args:
        boxes: array or tensor of shape (N, 4).
        scores: of shape (N,).
        iou_threshold: from 0 to 1.
        labels: integers of shape (N,); boxes of different labels do not take each other out.

    Returns:
        int64, best scores first: a tensor if ``boxes`` is one, else an array.

    Raises:
        ValueError: shapes do not fit, or the threshold is out of range.
    """
    op = "nms"
    table, points = _checked_boxes(op, boxes), _host(scores)
    if points.shape != (len(table),):
        raise ValueError(f"{op}: scores have shape {points.shape} for {len(table)} boxes")
    if not 0 <= check_number(op, "iou_threshold", iou_threshold) <= 1:
        raise ValueError(f"{op}: iou_threshold is {iou_threshold}, expected 0 <= it <= 1")
    kinds = np.zeros(len(table)) if labels is None else _host(labels)
    if kinds.shape != points.shape:
        raise ValueError(f"{op}: labels have shape {kinds.shape} for {len(table)} boxes")
    area = (table[:, 2] - table[:, 0]) * (table[:, 3] - table[:, 1])
    rest = np.argsort(-points, kind="stable")
    kept = []
    while len(rest):
        best, rest = rest[0], rest[1:]
        kept.append(best)
        corner = np.minimum(table[best, 2:], table[rest, 2:])
        sides = (corner - np.maximum(table[best, :2], table[rest, :2])).clip(0)
        shared = sides[:, 0] * sides[:, 1]
        # In products, so that boxes without area divide nothing by nothing.
        overlaps = shared > iou_threshold * (area[best] + area[rest] - shared)
        rest = rest[~(overlaps & (kinds[rest] == kinds[best]))]
    indices = np.array(kept, dtype=np.int64)
    return wrap(indices) if isinstance(boxes, Tensor) else indices


def _colours(op: str, colors: Any, count: int, image: Array) -> Array:
    """Return a colour for each of ``count`` things, floats with white at 1, (count, 3)."""
    if colors is None:
        return _PALETTE[np.arange(count) % len(_PALETTE)] / 255
    table = np.atleast_2d(np.asarray(colors, dtype=np.float64))
    if table.shape not in ((1, 3), (count, 3)):
        raise ValueError(f"{op}: colors have shape {table.shape}, expected (3,) or ({count}, 3)")
    scale = 255 if image.dtype == np.uint8 else 1
    return np.broadcast_to(table / scale, (count, 3))


def draw_boxes(
    image: Array,
    boxes: Any,
    *,
    colors: Any = None,
    width: int = 2,
    labels: Sequence[str] | None = None,
) -> Array:
    """Return an RGB copy of the image with the outlines of boxes; later ones lie on top.

    Args:
        image: of shape (H, W) or (H, W, C).
        boxes: array or tensor of shape (N, 4); what lies beyond the image is left out.
        colors: one (3,) or one for each box (N, 3); None: different ones.
        width: of the lines, in pixels, inwards.
        labels: a text for each box, above its left corner; needs Pillow.

    Returns:
        Array of shape (H, W, 3) and the image's dtype.

    Raises:
        ValueError: shapes do not fit, or the width is below 1.
        ImportError: there are labels, and Pillow is missing.
    """
    op = "draw_boxes"
    result = as_floats(to_rgb(check_image(op, image))).copy()
    table = _checked_boxes(op, boxes)
    if check_int(op, "width", width) < 1:
        raise ValueError(f"{op}: width is {width}, expected at least 1")
    if labels is not None and len(labels) != len(table):
        raise ValueError(f"{op}: {len(labels)} labels for {len(table)} boxes")
    for which, colour in enumerate(_colours(op, colors, len(table), image)):
        left, top = np.floor(table[which, :2]).astype(np.int64)
        right, bottom = np.ceil(table[which, 2:]).astype(np.int64)
        rows, columns = np.ogrid[: image.shape[0], : image.shape[1]]
        inside = (rows >= top) & (rows < bottom) & (columns >= left) & (columns < right)
        core = (rows >= top + width) & (rows < bottom - width)
        core = core & (columns >= left + width) & (columns < right - width)
        result[inside & ~core] = colour
        if labels is not None:
            _write(result, labels[which], int(left), int(top), colour)
    return in_dtype_of(result, image)


def _write(image: Array, label: str, left: int, top: int, colour: Array) -> None:
    """Write a text on a field of a colour, above a point where there is room."""
    try:
        from PIL import Image, ImageDraw
    except ImportError:
        raise ImportError("draw_boxes: labels need Pillow: pip install 'gradsmith[data]'") from None
    draw = ImageDraw.Draw(Image.new("L", (1, 1)))
    _, _, width, height = (int(side) for side in draw.textbbox((0, 0), label))
    field = Image.new("L", (width + 2, height + 2))
    ImageDraw.Draw(field).text((1, 1), label, fill=255)
    ink = (np.asarray(field) / 255)[..., None]
    top = max(top - ink.shape[0], 0)
    left = max(left, 0)
    part = image[top : top + ink.shape[0], left : left + ink.shape[1]]
    ink = ink[: part.shape[0], : part.shape[1]]
    contrast = 0.0 if colour.mean() > 0.5 else 1.0
    part[:] = ink * contrast + (1 - ink) * colour


def overlay_mask(image: Array, mask: Any, *, color: Any = None, alpha: float = 0.5) -> Array:
    """Return an RGB copy of the image, tinted where the mask is.

    Args:
        image: of shape (H, W) or (H, W, C).
        mask: bool or integers of shape (H, W); number k > 0 gets colour k, 0 stays as it is.
        color: one (3,) for all numbers or one for each from 1 on (K, 3); None: different ones.
        alpha: how much the colour covers, from 0 to 1.

    Returns:
        Array of shape (H, W, 3) and the image's dtype.

    Raises:
        ValueError: shapes do not fit, a number is negative, or alpha is out of range.
    """
    op = "overlay_mask"
    result = as_floats(to_rgb(check_image(op, image))).copy()
    numbers = on_host(as_array(mask))
    if numbers.shape != image.shape[:2] or numbers.dtype.kind not in "biu":
        raise ValueError(
            f"{op}: mask is {numbers.dtype} {numbers.shape}, expected bool or integers "
            f"{image.shape[:2]}"
        )
    if numbers.min() < 0:
        raise ValueError(f"{op}: mask has the number {numbers.min()}, expected none below 0")
    if not 0 <= check_number(op, "alpha", alpha) <= 1:
        raise ValueError(f"{op}: alpha is {alpha}, expected 0 <= it <= 1")
    places = numbers.astype(np.int64)
    covered = places > 0
    palette = _colours(op, color, max(int(places.max()), 1), image)
    result[covered] = (1 - alpha) * result[covered] + alpha * palette[places[covered] - 1]
    return in_dtype_of(result, image)
