# SPDX-License-Identifier: Apache-2.0
"""Activation functions of the textbooks: steps, saturating lines, scaled sigmoids, maxout.

Sources: McCulloch and Pitts 1943 (step), LeCun 1998 (scaled tanh), Goodfellow 2013 (maxout),
Hannun 2014 (clipped ReLU).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from gradsmith.ops.elementwise import add, as_floating, eq, ge, gt, lt, mul, sub, where
from gradsmith.ops.elementwise_activation import hardtanh
from gradsmith.ops.elementwise_math import sigmoid, tanh
from gradsmith.ops.options import check_int, check_number, names_errors
from gradsmith.ops.reduce import amax
from gradsmith.ops.shape import axis_of, unflatten
from gradsmith.tensor import Tensor, array_of

_STEPS = (0.0, 0.5, 1.0)


@names_errors
def step(input: Tensor, at_zero: float = 1.0) -> Tensor:
    """Return 1 where the input is positive, 0 where negative, ``at_zero`` at 0; NaN for NaN.

    Its gradient is zero everywhere: no slope of something else stands in for it.

    Args:
        input: any tensor.
        at_zero: 0, 0.5 or 1.

    Raises:
        ValueError: ``at_zero`` is another number.

    Example:
        >>> import gradsmith as gs
        >>> step(gs.tensor([-2.0, 0.0, 3.0])).tolist()
        [0.0, 1.0, 1.0]
    """
    if check_number("step", "at_zero", at_zero) not in _STEPS:
        raise ValueError(f"step: at_zero is {at_zero}, expected 0, 0.5 or 1")
    array_of("step", input)
    x = as_floating(input)
    rest = where(lt(x, 0), 0.0, where(eq(x, 0), float(at_zero), x))
    return where(gt(x, 0), 1.0, rest)


def _knots(op: str, argument: str, values: Sequence[float]) -> list[float]:
    if not isinstance(values, (tuple, list)):
        raise TypeError(f"{op}: {argument} is a {type(values).__name__}, expected numbers")
    return [check_number(op, argument, value) for value in values]


@names_errors
def piecewise_linear(
    input: Tensor, x: Sequence[float] = (-0.5, 0.5), y: Sequence[float] = (0.0, 1.0)
) -> Tensor:
    """Return the line through the knots (x_k, y_k), constant before the first and after the last.

    The default is the saturating line 0, v + 1/2, 1 (Haykin 1999). At a knot the slope is that on
    its right.

    Args:
        input: any tensor.
        x: where the knots are, ascending.
        y: the values there.

    Raises:
        ValueError: there are not as many x as y, none, or x does not ascend.
    """
    op = "piecewise_linear"
    xs, ys = _knots(op, "x", x), _knots(op, "y", y)
    if len(xs) != len(ys) or not xs:
        raise ValueError(f"{op}: x has {len(xs)} and y {len(ys)} numbers, expected as many, some")
    if any(not a < b for a, b in pairwise(xs)):
        raise ValueError(f"{op}: x is {tuple(x)}, expected ascending numbers")
    array_of(op, input)
    v = as_floating(input)
    result = where(ge(v, xs[-1]), ys[-1], v)
    for k in range(len(xs) - 2, -1, -1):
        slope = (ys[k + 1] - ys[k]) / (xs[k + 1] - xs[k])
        result = where(lt(v, xs[k + 1]), add(mul(sub(v, xs[k]), slope), ys[k]), result)
    return where(lt(v, xs[0]), ys[0], result)


@names_errors
def clipped_relu(input: Tensor, max_value: float = 20.0) -> Tensor:
    """Return ``min(max(input, 0), max_value)``; 20 is the limit of Hannun 2014 (Deep Speech).

    Raises:
        ValueError: ``max_value`` is negative.
    """
    if not check_number("clipped_relu", "max_value", max_value) >= 0:
        raise ValueError(f"clipped_relu: max_value is {max_value}, expected a number >= 0")
    return hardtanh(input, 0.0, max_value)


@names_errors
def scaled_sigmoid(input: Tensor, slope: float = 1.0) -> Tensor:
    """Return ``1 / (1 + exp(-slope * input))``."""
    return sigmoid(mul(input, check_number("scaled_sigmoid", "slope", slope)))


@names_errors
def bipolar_sigmoid(input: Tensor, slope: float = 1.0) -> Tensor:
    """Return ``2 / (1 + exp(-slope * input)) - 1``, which is ``tanh(slope * input / 2)``."""
    return tanh(mul(input, check_number("bipolar_sigmoid", "slope", slope) / 2))


@names_errors
def scaled_tanh(input: Tensor, amplitude: float = 1.7159, slope: float = 2 / 3) -> Tensor:
    """Return ``amplitude * tanh(slope * input)``, by default nearly 1 at 1 (LeCun 1998)."""
    check_number("scaled_tanh", "amplitude", amplitude)
    return mul(tanh(mul(input, check_number("scaled_tanh", "slope", slope))), amplitude)


@names_errors
def maxout(input: Tensor, pieces: int, dim: int = 1) -> Tensor:
    """Return the maximum of each ``pieces`` neighbours along ``dim`` (Goodfellow 2013).

    Args:
        input: (..., C, ...); of channels 0 to C - 1, output i takes ``pieces * i`` and the next.
        pieces: how many compete; divides C.
        dim: the dimension of the channels.

    Returns:
        The input's shape with C / pieces in ``dim``; ties share the gradient evenly.

    Raises:
        ValueError: ``pieces`` is not positive or does not divide the size.
        IndexError: there is no such dimension.
    """
    array = array_of("maxout", input)
    axis = axis_of("maxout", dim, array.ndim)
    if check_int("maxout", "pieces", pieces) < 1 or array.ndim == 0 or array.shape[axis] % pieces:
        raise ValueError(
            f"maxout: pieces is {pieces}, expected a divisor of dim {dim} of shape {array.shape}"
        )
    return amax(unflatten(input, axis, (array.shape[axis] // pieces, pieces)), axis + 1)
