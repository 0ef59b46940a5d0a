# SPDX-License-Identifier: Apache-2.0
"""Boxes given by their corners (x1, y1, x2, y2), as in torchvision."""

from __future__ import annotations

from gradsmith.ops.creation import as_tensor
from gradsmith.ops.elementwise import as_floating, maximum, minimum, where
from gradsmith.ops.options import names_errors
from gradsmith.ops.shape import unsqueeze
from gradsmith.tensor import Tensor


def _sides(corners: Tensor) -> Tensor:
    return (corners[..., 2:] - corners[..., :2]).clamp(min=0.0)


@names_errors
def box_iou(boxes1: Tensor, boxes2: Tensor) -> Tensor:
    """Return the areas that pairs of boxes share over the areas that they cover together.

    Args:
        boxes1: (..., M, 4), corners (x1, y1, x2, y2) with x1 <= x2 and y1 <= y2.
        boxes2: (..., N, 4).

    Returns:
        (..., M, N), from 0 to 1; 0 where both areas are 0.

    Raises:
        ValueError: a last dimension is not 4, or the leading ones do not broadcast.

    Example:
        >>> import gradsmith as gs
        >>> gs.metrics.box_iou([[0.0, 0.0, 2.0, 2.0]], [[1.0, 0.0, 3.0, 2.0]])
        tensor([[0.3333]])
    """
    both = []
    for name, boxes in (("boxes1", boxes1), ("boxes2", boxes2)):
        corners = as_floating(as_tensor(boxes))
        if corners.ndim < 2 or corners.shape[-1] != 4:
            raise ValueError(f"box_iou: {name} has shape {corners.shape}, expected (..., N, 4)")
        both.append(corners)
    one, other = unsqueeze(both[0], -2), unsqueeze(both[1], -3)
    upper, lower = maximum(one[..., :2], other[..., :2]), minimum(one[..., 2:], other[..., 2:])
    common = (lower - upper).clamp(min=0.0).prod(-1)
    union = _sides(one).prod(-1) + _sides(other).prod(-1) - common
    empty = union.eq(0)
    return where(empty, 0.0, common / where(empty, 1.0, union))
