# SPDX-License-Identifier: Apache-2.0
"""Padding with a tensor's own elements."""

from __future__ import annotations

from typing import Any, NamedTuple

from gradsmith.autograd import Node, record
from gradsmith.backend import EXTENSIONS
from gradsmith.tensor import Tensor


class Borders(NamedTuple):
    """Where they come from, and how many elements to put before and after each axis."""

    mode: str
    before: tuple[int, ...]
    after: tuple[int, ...]


def _fold_backward(node: Node, ddx: Tensor) -> Any:
    (borders,) = node.saved
    return (bordered(ddx, borders),)


def _bordered_backward(node: Node, dy: Tensor) -> Any:
    shape, borders = node.saved
    extension = EXTENSIONS[type(dy._array)]
    array = extension.border_backward(dy._array, shape, *borders)
    return (record(_fold_backward, array, (dy,), (borders,)),)


def bordered(input: Tensor, borders: Borders) -> Tensor:
    """Return the tensor with borders by ``"reflect"``, ``"replicate"`` or ``"circular"``.

    They are no larger than the mode allows.
    """
    array = EXTENSIONS[type(input._array)].border_forward(input._array, *borders)
    return record(_bordered_backward, array, (input,), (input.shape, borders))
