# SPDX-License-Identifier: Apache-2.0
"""Products with the sigmoid or the slope of another tensor, one pass each: GLU, PReLU, soft margin.

Sources: Dauphin 2017 (gated linear units), He 2015 (PReLU).
"""

from __future__ import annotations

from typing import Any

from gradsmith.autograd import OUTPUT, Node, record
from gradsmith.backend import EXTENSIONS
from gradsmith.ops.elementwise import add, gt, mul, neg, sub, where
from gradsmith.ops.elementwise_math import run_ternary, sigmoid, square
from gradsmith.ops.elementwise_operands import floating_operands
from gradsmith.ops.elementwise_round import clamp, zeros_as
from gradsmith.ops.reduce import sum_to
from gradsmith.tensor import Tensor, array_of


def _gated_backward(node: Node, dy: Tensor) -> Any:
    b, y, sign = node.saved
    da = gated(dy, b, sign) if node.needs(0) else None
    if not node.needs(1):
        return da, None
    db = gated(mul(dy, y), b, -sign)
    return da, db if sign > 0 else neg(db)


def gated(a: Tensor, b: Tensor, sign: float = 1.0) -> Tensor:
    """Return ``a * sigmoid(sign * b)`` of floating tensors of one shape; the sign is -1 or 1."""
    array = EXTENSIONS[type(a._array)].gate(a._array, b._array, sign)
    return record(_gated_backward, array, (a, b), (b, OUTPUT, sign))


# ---- gated linear unit ---------------------------------------------------------------------------


def _glu_slope_backward(node: Node, ddx: Tensor) -> Any:
    """The gradient is (dy s, dy v s (1 - s)) with s = sigmoid(gates)."""
    from gradsmith.ops.joining import cat
    from gradsmith.ops.shape_pieces import chunk

    dy, x, axis = node.saved
    values, gates = chunk(x, 2, axis)
    of_values, of_gates = chunk(ddx, 2, axis)
    weighted = mul(of_gates, values)
    ddy = gated(add(of_values, gated(weighted, gates, -1.0)), gates)
    both = gated(gated(dy, gates), gates, -1.0)
    bend = add(of_values, mul(weighted, sub(1, mul(sigmoid(gates), 2))))
    return ddy, cat((mul(both, of_gates), mul(both, bend)), axis)


def _glu_slope(dy: Tensor, x: Tensor, y: Tensor, axis: int) -> Tensor:
    extension = EXTENSIONS[type(dy._array)]
    dx = extension.empty(x._array.shape, x._array.dtype, x._array)
    dvalues, dgates = _halves(dx, axis)
    gates = _halves(x._array, axis)[1]
    extension.gate(dy._array, gates, 1.0, 0.0, dvalues)
    extension.mul(dy._array, y._array, 0.0, 0.0, dgates)
    extension.gate(dgates, gates, -1.0, 0.0, dgates)
    return record(_glu_slope_backward, dx, (dy, x), (dy, x, axis))


def _glu_backward(node: Node, dy: Tensor) -> Any:
    x, y, axis = node.saved
    return (_glu_slope(dy, x, y, axis),)


def _halves(array: Any, axis: int) -> tuple[Any, Any]:
    lead, half = (slice(None),) * axis, array.shape[axis] // 2
    return array[(*lead, slice(0, half))], array[(*lead, slice(half, None))]


def glu(input: Tensor, dim: int = -1) -> Tensor:
    """Return the first half of ``dim`` times the sigmoid of the second.

    Raises:
        ValueError: the size of ``dim`` is odd.
        IndexError: there is no such dimension.
    """
    from gradsmith.ops.shape import axis_of

    array = array_of("glu", input)
    axis = axis_of("glu", dim, array.ndim)
    if array.ndim == 0 or array.shape[axis] % 2:
        raise ValueError(
            f"glu: dim {dim} of shape {array.shape} cannot be halved, expected an even size"
        )
    result = EXTENSIONS[type(array)].gate(*_halves(array, axis), 1.0)
    return record(_glu_backward, result, (input,), (input, OUTPUT, axis))


# ---- rectifier with a slope that is learnt -------------------------------------------------------


def _prelu_slope_backward(node: Node, ddx: Tensor) -> Any:
    dy, x, weight = node.saved
    dweight = where(gt(x, 0), 0.0, mul(ddx, dy)) if node.needs(2) else None
    return (
        _prelu_slope(ddx, x, weight),
        zeros_as(x),
        None if dweight is None else sum_to(dweight, weight.shape),
    )


def _prelu_slope(dy: Tensor, x: Tensor, weight: Tensor) -> Tensor:
    array = run_ternary("prelu_backward", dy, x, weight)
    return record(_prelu_slope_backward, array, (dy, x, weight), (dy, x, weight))


def _prelu_backward(node: Node, dy: Tensor) -> Any:
    x, weight = node.saved
    dx = _prelu_slope(dy, x, weight) if node.needs(0) else None
    if not node.needs(1):
        return dx, None
    return dx, sum_to(mul(dy, clamp(x, max=0.0)), weight.shape)


def prelu(input: Tensor, weight: Tensor) -> Tensor:
    """Return the input where positive, else ``weight * input``.

    Args:
        input: (N, C, ...) or a shape without channels.
        weight: slopes, one for all or one for each of the C channels (dimension 1).

    Raises:
        ValueError: the number of slopes is neither 1 nor C.
    """
    array, slopes = array_of("prelu", input), array_of("prelu", weight, "weight")
    channels = array.shape[1] if array.ndim > 1 else 1
    if slopes.ndim > 1 or slopes.size not in (1, channels):
        raise ValueError(
            f"prelu: weight has shape {slopes.shape}, expected (1,) or ({channels},) for an input "
            f"of shape {array.shape}"
        )
    if array.ndim != 1:
        from gradsmith.ops.shape import reshape

        weight = reshape(weight, (slopes.size, *(1,) * (array.ndim - 2))[: array.ndim])
    x, slope = floating_operands("prelu", input, weight)
    result = EXTENSIONS[type(x._array)].prelu(x._array, slope._array)
    return record(_prelu_backward, result, (x, slope), (x, slope))


# ---- the logistic loss of signs ------------------------------------------------------------------


def _soft_margin_slope_backward(node: Node, ddx: Tensor) -> Any:
    """Of -dy t s(-z) with z = x t and s the sigmoid, whose slope is s(z) s(-z)."""
    dy, x, signs = node.saved
    z = mul(x, signs)
    both = gated(gated(mul(ddx, dy), z), z, -1.0)
    dsigns = sub(mul(both, z), gated(mul(ddx, dy), z, -1.0)) if node.needs(2) else None
    return _soft_margin_slope(ddx, x, signs), mul(both, square(signs)), dsigns


def _soft_margin_slope(dy: Tensor, x: Tensor, signs: Tensor) -> Tensor:
    array = run_ternary("soft_margin_backward", dy, x, signs)
    return record(_soft_margin_slope_backward, array, (dy, x, signs), (dy, x, signs))


def _soft_margin_backward(node: Node, dy: Tensor) -> Any:
    x, signs = node.saved
    dx = _soft_margin_slope(dy, x, signs) if node.needs(0) else None
    return dx, _soft_margin_slope(dy, signs, x) if node.needs(1) else None


def soft_margin(x: Tensor, signs: Tensor) -> Tensor:
    """Return ``-log(sigmoid(signs * x))`` of floating tensors of one shape."""
    array = EXTENSIONS[type(x._array)].soft_margin(x._array, signs._array)
    return record(_soft_margin_backward, array, (x, signs), (x, signs))
