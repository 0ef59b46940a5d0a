# SPDX-License-Identifier: Apache-2.0
"""Running extremes and logarithms of sums, differences of neighbours, sums by trapezoids."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gradsmith.autograd import Node, record
from gradsmith.backend import EXTENSIONS, bool_
from gradsmith.ops.elementwise import add, as_floating, div, logical_xor, mul, neg, sub
from gradsmith.ops.elementwise_combine import logaddexp
from gradsmith.ops.indexing import scatter_add, zeros
from gradsmith.ops.joining import cat
from gradsmith.ops.options import check_int, check_number, names_errors
from gradsmith.ops.reduce import ValuesAndIndices, cumsum, sum
from gradsmith.ops.shape import axis_of, reshape
from gradsmith.ops.shape_pieces import narrow
from gradsmith.ops.sorting import first_index
from gradsmith.tensor import Tensor, array_of, wrap

# ---- running values ------------------------------------------------------------------------------


def _running_backward(node: Node, dy: Tensor) -> Any:
    shape, axis, places = node.saved
    return (scatter_add(zeros(shape, dy), axis, places, dy),)


def _running(op: str, input: Tensor, dim: int) -> ValuesAndIndices:
    array = array_of(op, input)
    axis = axis_of(op, dim, array.ndim)
    if array.ndim == 0:
        return ValuesAndIndices(input, first_index(input))
    best, at = getattr(EXTENSIONS[type(array)], op)(array, axis)
    places = wrap(at)
    values = record(_running_backward, best, (input,), (array.shape, axis, places))
    return ValuesAndIndices(values, places)


@names_errors
def cummax(input: Tensor, dim: int) -> ValuesAndIndices:
    """Return the maximum so far along ``dim`` and the last place that has it; NaN stays.

    Raises:
        IndexError: there is no such dimension.
    """
    return _running("cummax", input, dim)


@names_errors
def cummin(input: Tensor, dim: int) -> ValuesAndIndices:
    """Return the minimum so far along ``dim`` and the last place that has it; NaN stays.

    Raises:
        IndexError: there is no such dimension.
    """
    return _running("cummin", input, dim)


@names_errors
def logcumsumexp(input: Tensor, dim: int) -> Tensor:
    """Return the logarithm of the running sum of exponentials along ``dim``, without overflow.

    Doubles the distance that sums reach over in each step (Hillis and Steele 1986).

    Raises:
        IndexError: there is no such dimension.
    """
    array = array_of("logcumsumexp", input)
    axis = axis_of("logcumsumexp", dim, array.ndim)
    out = as_floating(input)
    size = array.shape[axis] if array.ndim else 1
    reach = 1
    while reach < size:
        rest = size - reach
        later = logaddexp(narrow(out, axis, reach, rest), narrow(out, axis, 0, rest))
        out = cat((narrow(out, axis, 0, reach), later), axis)
        reach *= 2
    return out


# ---- differences ---------------------------------------------------------------------------------


def _neighbours(input: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    """Return all but the first and all but the last element along an axis."""
    count = max(input.shape[axis] - 1, 0)
    return narrow(input, axis, input.shape[axis] - count, count), narrow(input, axis, 0, count)


@names_errors
def diff(
    input: Tensor,
    n: int = 1,
    dim: int = -1,
    prepend: Tensor | None = None,
    append: Tensor | None = None,
) -> Tensor:
    """Return the differences of neighbours along ``dim``, taken ``n`` times.

    Args:
        input: tensor of at least one dimension; bools give where they change.
        n: how often.
        dim: the dimension, which shrinks by ``n``.
        prepend: what to put before the input first.
        append: what to put behind it.

    Raises:
        ValueError: ``n`` is negative, or the tensor has no dimension.
        IndexError: there is no such dimension.
    """
    if check_int("diff", "n", n) < 0:
        raise ValueError(f"diff: n is {n}, expected a number >= 0")
    ndim = array_of("diff", input).ndim
    if n == 0:
        return input
    axis = axis_of("diff", dim, ndim)
    if ndim == 0:
        raise ValueError("diff: the tensor has no dimension")
    out = cat([each for each in (prepend, input, append) if each is not None], axis)
    subtract = logical_xor if out.dtype == bool_ else sub
    for _ in range(min(n, out.shape[axis])):
        out = subtract(*_neighbours(out, axis))
    return out


def _along(values: Tensor, axis: int, ndim: int) -> Tensor:
    """Return a 1-d tensor as one of ``ndim`` dimensions that varies along ``axis``."""
    return reshape(values, (-1,) + (1,) * (ndim - 1 - axis))


def _edge(values: Sequence[Tensor], steps: Sequence[Any]) -> Tensor:
    """Return the slope at the first of two or three values, which lie ``steps`` apart."""
    slopes = [div(sub(values[i + 1], values[i]), steps[i]) for i in range(len(steps))]
    if len(slopes) == 1:
        return slopes[0]
    share = steps[0] / (steps[0] + steps[1])
    return add(slopes[0], mul(sub(slopes[0], slopes[1]), share))


def _gradient(x: Tensor, axis: int, steps: Any, edge_order: int) -> Tensor:
    """Return the slope along an axis; ``steps`` is a number, or a tensor of one less element."""
    size = x.shape[axis]

    def values(first: int, count: int) -> Tensor:
        return narrow(x, axis, first, count)

    def step(first: int, count: int) -> Any:
        return narrow(steps, 0, first, count) if isinstance(steps, Tensor) else steps

    def edge(places: list[int], between: list[int]) -> Tensor:
        return _edge([values(place, 1) for place in places], [step(k, 1) for k in between])

    first = edge(list(range(edge_order + 1)), list(range(edge_order)))
    last = edge(
        [size - 1 - k for k in range(edge_order + 1)], [size - 2 - k for k in range(edge_order)]
    )
    if size == 2:
        return cat((first, neg(last)), axis)
    count = size - 2
    if isinstance(steps, Tensor):
        before, after = step(0, count), step(1, count)
        left = div(sub(values(1, count), values(0, count)), before)
        right = div(sub(values(2, count), values(1, count)), after)
        # The nearer neighbour counts more: second order for any spacing.
        middle = div(add(mul(left, after), mul(right, before)), add(before, after))
    else:
        middle = div(sub(values(2, count), values(0, count)), 2 * steps)
    return cat((first, middle, neg(last)), axis)


def _spacings(spacing: Any, axes: Sequence[int]) -> list[Any]:
    if isinstance(spacing, (list, tuple)):
        if len(spacing) != len(axes):
            raise ValueError(
                f"gradient: spacing has {len(spacing)} entries, expected one of {len(axes)} dims"
            )
        return list(spacing)
    return [1 if spacing is None else spacing] * len(axes)


@names_errors
def gradient(
    input: Tensor,
    *,
    spacing: Any = None,
    dim: int | Sequence[int] | None = None,
    edge_order: int = 1,
) -> tuple[Tensor, ...]:
    """Return the slopes along dimensions by differences, central ones but at the edges.

    Args:
        input: samples of a function on a grid.
        spacing: distance of the samples (default 1), a number for all dimensions or one for each;
            or for each a 1-d tensor of coordinates.
        dim: the dimensions (all by default).
        edge_order: 1 or 2, the order of the differences at the edges.

    Raises:
        ValueError: a dimension has too few samples, or the options do not fit.
        IndexError: there is no such dimension.
    """
    array = array_of("gradient", input)
    if edge_order not in (1, 2):
        raise ValueError(f"gradient: edge_order is {edge_order}, expected 1 or 2")
    if array.ndim == 0:
        raise ValueError("gradient: the tensor has no dimension")
    dims = range(array.ndim) if dim is None else (dim,) if isinstance(dim, int) else dim
    axes = [axis_of("gradient", each, array.ndim) for each in dims]
    if len(set(axes)) < len(axes):
        raise ValueError(f"gradient: dim is {dim}, expected distinct dimensions")
    x = as_floating(input)
    out = []
    for axis, given in zip(axes, _spacings(spacing, axes), strict=True):
        size = array.shape[axis]
        if size <= edge_order:
            raise ValueError(
                f"gradient: dim {axis} has {size} samples, expected more than edge_order "
                f"{edge_order}"
            )
        if isinstance(given, Tensor) and given.ndim == 1:
            if given.shape != (size,):
                raise ValueError(
                    f"gradient: spacing has {given.shape[0]} coordinates, expected {size}"
                )
            steps: Any = _along(sub(*_neighbours(as_floating(given), 0)), axis, array.ndim)
        else:
            number = given.item() if isinstance(given, Tensor) else given
            steps = check_number("gradient", "spacing", number)
            if steps == 0:
                raise ValueError("gradient: spacing is 0, expected another number")
        out.append(_gradient(x, axis, steps, edge_order))
    return tuple(out)


# ---- trapezoids ----------------------------------------------------------------------------------


def _trapezoids(op: str, y: Tensor, x: Tensor | None, dx: Any, dim: int) -> tuple[Tensor, int]:
    """Return the area between neighbours along a dimension, and that dimension."""
    array = array_of(op, y)
    axis = axis_of(op, dim, array.ndim)
    if array.ndim == 0:
        raise ValueError(f"{op}: the tensor has no dimension")
    if x is not None and dx is not None:
        raise ValueError(f"{op}: got both x and dx, expected one of them")
    after, before = _neighbours(as_floating(y), axis)
    height = mul(add(after, before), 0.5)
    if x is None:
        return mul(height, 1.0 if dx is None else check_number(op, "dx", dx)), axis
    places = array_of(op, x, "x")
    if places.ndim == 1:
        if places.shape[0] != array.shape[axis]:
            raise ValueError(
                f"{op}: x has {places.shape[0]} places, expected {array.shape[axis]} as dim {dim}"
            )
        return mul(height, _along(sub(*_neighbours(x, 0)), axis, array.ndim)), axis
    missing = (1,) * (array.ndim - places.ndim)
    return mul(height, sub(*_neighbours(reshape(x, (*missing, *places.shape)), axis))), axis


@names_errors
def trapezoid(
    y: Tensor, x: Tensor | None = None, *, dx: float | None = None, dim: int = -1
) -> Tensor:
    """Return the integral of samples along ``dim`` by the trapezoidal rule.

    Args:
        y: the samples.
        x: their places: one dimension, or as many as the samples.
        dx: their distance instead (default 1).
        dim: the dimension.

    Raises:
        ValueError: both x and dx are given, or x does not fit.
        IndexError: there is no such dimension.
    """
    return sum(*_trapezoids("trapezoid", y, x, dx, dim))


@names_errors
def cumulative_trapezoid(
    y: Tensor, x: Tensor | None = None, *, dx: float | None = None, dim: int = -1
) -> Tensor:
    """Return the running integral along ``dim``, one element fewer (see `trapezoid`)."""
    return cumsum(*_trapezoids("cumulative_trapezoid", y, x, dx, dim))


trapz = trapezoid
