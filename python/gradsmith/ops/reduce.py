# SPDX-License-Identifier: Apache-2.0
"""Reductions over dimensions, running sums and products, and the reverse of broadcasting.

Moments are in `reduce_moments`, what needs an order of the elements in `sorting`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from gradsmith.autograd import OUTPUT, Node, cast_up, record
from gradsmith.backend import EXTENSIONS, FLOATING, as_dtype, uint8
from gradsmith.ops.options import check_flag, names_errors
from gradsmith.tensor import Tensor, array_of, wrap

Dim = int | Sequence[int] | None


def axes_of(dim: Dim, ndim: int) -> tuple[int, ...]:
    """Return the reduced axes, each in [0, ndim); the kernel has checked them."""
    if dim is None:
        return tuple(range(ndim))
    dims = (dim,) if isinstance(dim, int) else tuple(dim)
    return tuple(axis % ndim if ndim else 0 for axis in dims)


def _spread_backward(node: Node, dy: Tensor) -> Any:
    axes, keepdim = node.saved
    return (sum(dy, axes, keepdim),)


def spread(grad: Tensor, shape: tuple[int, ...], dim: Dim) -> Tensor:
    """Return the gradient of a reduction's result as a view repeated over what was reduced."""
    axes = axes_of(dim, len(shape))
    array = EXTENSIONS[type(grad._array)].spread(grad._array, shape, axes)
    return record(_spread_backward, array, (grad,), (axes, grad.ndim == len(shape)))


def _reduce(name: str, x: Tensor, dim: Dim, keepdim: bool) -> Any:
    array = array_of(name, x)
    return getattr(EXTENSIONS[type(array)], name)(array, dim, check_flag(name, "keepdim", keepdim))


def _sum_backward(node: Node, dy: Tensor) -> Any:
    shape, dim = node.saved
    return (spread(dy, shape, dim),)


def sum(input: Tensor, dim: Dim = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """Return the sum over ``dim`` (all by default). Integers and bool add up in int64.

    Raises:
        IndexError: there is no such dimension.
    """
    x = _typed(input, dtype)
    array = _as_asked(_reduce("sum", x, dim, keepdim), dtype)
    return record(_sum_backward, array, (x,), (x._array.shape, dim))


def _typed(x: Tensor, dtype: Any) -> Tensor:
    """Return what to add up or multiply: in the dtype asked for, or as autocast wants it."""
    if dtype is None:
        return cast_up(x)  # type: ignore[no-any-return]
    from gradsmith.ops.elementwise import to

    return to(x, as_dtype(dtype))


def _as_asked(array: Any, dtype: Any) -> Any:
    """Return sums or products in the dtype asked for: small integers come as int64."""
    if dtype is None or array.dtype == as_dtype(dtype):
        return array
    return EXTENSIONS[type(array)].cast(array, as_dtype(dtype))


def sum_to(grad: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Return ``grad`` summed to ``shape``, which broadcasts to it: the gradient of broadcasting."""
    given = grad._array.shape
    if given == shape:
        return grad
    from gradsmith.ops.shape import reshape

    extra = len(given) - len(shape)
    axes = [d for d in range(len(given)) if d < extra or (shape[d - extra] == 1 != given[d])]
    return reshape(sum(grad, tuple(axes), keepdim=True), shape)


def _mean_backward(node: Node, dy: Tensor) -> Any:
    shape, dim = node.saved
    count = 1
    for axis in axes_of(dim, len(shape)):
        count *= shape[axis] if shape else 1
    return (spread(dy / count if count else dy, shape, dim),)


def mean(input: Tensor, dim: Dim = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """Return the mean over ``dim`` (all by default); NaN over nothing.

    Raises:
        TypeError: the dtype is not floating.
        IndexError: there is no such dimension.
    """
    x = _typed(input, dtype)
    array = _reduce("mean", x, dim, keepdim)
    return record(_mean_backward, array, (x,), (x._array.shape, dim))


def _amax_backward(node: Node, dy: Tensor) -> Any:
    from gradsmith.ops.elementwise import eq, where

    x, y, dim = node.saved
    hit = eq(x, spread(y.detach(), x.shape, dim))
    count = sum(hit, dim, keepdim=True)
    return (where(hit, spread(dy, x.shape, dim) / count, 0.0),)


def shared_by_equals(input: Tensor, value: Tensor) -> Tensor:
    """Return one of all elements, off the tape so far: its equals share the gradient evenly."""
    return record(_amax_backward, value._array, (input,), (input, OUTPUT, None))


def amax(input: Tensor, dim: Dim = None, keepdim: bool = False) -> Tensor:
    """Return the maximum over ``dim``; NaN if there is one. Ties share the gradient evenly.

    Raises:
        ValueError: there is nothing to take the maximum of.
    """
    array = _reduce("amax", input, dim, keepdim)
    return record(_amax_backward, array, (input,), (input, OUTPUT, dim))


def amin(input: Tensor, dim: Dim = None, keepdim: bool = False) -> Tensor:
    """Return the minimum over ``dim``; NaN if there is one. Ties share the gradient evenly.

    Raises:
        ValueError: there is nothing to take the minimum of.
    """
    array = _reduce("amin", input, dim, keepdim)
    return record(_amax_backward, array, (input,), (input, OUTPUT, dim))


def argmax(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """Return the index (int64) of the first maximum along ``dim``, or in the flattened tensor."""
    return wrap(_reduce("argmax", input, dim, keepdim))


def argmin(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """Return the index (int64) of the first minimum along ``dim``, or in the flattened tensor."""
    return wrap(_reduce("argmin", input, dim, keepdim))


def any(input: Tensor, dim: Dim = None, keepdim: bool = False) -> Tensor:
    """Return whether any element along ``dim`` is nonzero."""
    return _truth("any", input, dim, keepdim)


def all(input: Tensor, dim: Dim = None, keepdim: bool = False) -> Tensor:
    """Return whether all elements along ``dim`` are nonzero."""
    return _truth("all", input, dim, keepdim)


def _truth(name: str, input: Tensor, dim: Dim, keepdim: bool) -> Tensor:
    """Return the result as bool, for uint8 as uint8, which served as bool before it."""
    array = _reduce(name, input, dim, keepdim)
    return wrap(_as_asked(array, uint8 if input.dtype == uint8 else None))


def _cumsum_backward(node: Node, dy: Tensor) -> Any:
    from gradsmith.ops.shape_copy import flip

    (dim,) = node.saved
    return (flip(cumsum(flip(dy, (dim,)), dim), (dim,)),)


def cumsum(input: Tensor, dim: int, *, dtype: Any = None) -> Tensor:
    """Return the running sum along ``dim``; integers add up in int64.

    Raises:
        IndexError: there is no such dimension.
    """
    x, array = _typed_scan("cumsum", input, dim, dtype)
    return record(_cumsum_backward, array, (x,), (dim,))


def _typed_scan(name: str, input: Tensor, dim: int, dtype: Any) -> tuple[Tensor, Any]:
    from gradsmith.ops.shape import axis_of

    axis_of(name, dim, array_of(name, input).ndim)
    x = _typed(input, dtype)
    array = getattr(EXTENSIONS[type(x._array)], name)(x._array, dim)
    return x, _as_asked(array, dtype)


# Products that left the range of the dtype, divided by no smaller factor, are below 1e-25.
_SMALLEST_DIVISOR = 1e-19


def _may_divide(x: Tensor) -> bool:
    """Return whether a product over its factors stands for the product of the others."""
    from gradsmith.ops.elementwise_round import abs

    return x.numel() > 0 and not amin(abs(x.detach())).item() < _SMALLEST_DIVISOR


def _prod_backward(node: Node, dy: Tensor) -> Any:
    """dx_k = dy times the product of the others: y / x_k where no element is 0, or nearly."""
    from gradsmith.ops.elementwise import eq, mul

    x, y, dim = node.saved
    shape = x._array.shape
    if not shape:
        return (dy,)
    dy = spread(dy, shape, dim)
    if not any(eq(y, 0)).item() or _may_divide(x):
        return (mul(dy, spread(y, shape, dim) / x),)
    return (mul(dy, product_of_others(x, axes_of(dim, len(shape)))),)


def product_of_others(x: Tensor, axes: tuple[int, ...]) -> Tensor:
    """Return for each element the product of all others along ``axes``, without division."""
    from gradsmith.ops.joining import cat
    from gradsmith.ops.shape import permute, reshape
    from gradsmith.ops.shape_copy import flip
    from gradsmith.ops.shape_pieces import narrow

    kept = tuple(d for d in range(x.ndim) if d not in axes)
    order = (*kept, *axes)
    moved = permute(x, order)
    rows = reshape(moved, (*(x.shape[d] for d in kept), -1))
    last = rows.ndim - 1
    length = rows.shape[last]
    one = wrap(EXTENSIONS[type(x._array)].full((*rows.shape[:-1], 1), 1.0, x.dtype))

    def products_before(values: Tensor) -> Tensor:
        return cumprod(cat((one, narrow(values, last, 0, length - 1)), last), last)

    others = products_before(rows) * flip(products_before(flip(rows, last)), last)
    inverse = tuple(sorted(range(x.ndim), key=order.__getitem__))
    return permute(reshape(others, moved.shape), inverse)


def prod(input: Tensor, dim: Dim = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """Return the product over ``dim`` (all by default). Integers and bool multiply in int64.

    Raises:
        IndexError: there is no such dimension.
    """
    x = _typed(input, dtype)
    array = _as_asked(_reduce("prod", x, dim, keepdim), dtype)
    return record(_prod_backward, array, (x,), (x, OUTPUT, dim))


def _cumprod_backward(node: Node, dy: Tensor) -> Any:
    from gradsmith.ops.elementwise import mul
    from gradsmith.ops.shape_copy import flip

    x, y, dim = node.saved
    if _may_divide(x):
        return (flip(cumsum(flip(mul(dy, y), dim), dim), dim) / x,)
    return (_cumprod_slope(dy, x, dim),)


def _cumprod_slope(dy: Tensor, x: Tensor, dim: int) -> Tensor:
    """Without division: dx_k = (x_0 ... x_(k-1)) s_k with s_k = dy_k + x_(k+1) s_(k+1)."""
    from gradsmith.ops.joining import stack
    from gradsmith.ops.shape_pieces import unbind

    if x.ndim == 0:
        return dy
    values, slopes = unbind(x, dim), list(unbind(dy, dim))
    for k in range(len(values) - 2, -1, -1):
        slopes[k] = slopes[k] + values[k + 1] * slopes[k + 1]
    product = values[0]
    for k in range(1, len(values)):
        slopes[k] = product * slopes[k]
        product = product * values[k]
    return stack(slopes, dim)


def cumprod(input: Tensor, dim: int, *, dtype: Any = None) -> Tensor:
    """Return the running product along ``dim``; integers multiply in int64.

    Raises:
        IndexError: there is no such dimension.
    """
    x, array = _typed_scan("cumprod", input, dim, dtype)
    return record(_cumprod_backward, array, (x,), (x, OUTPUT, dim))


@names_errors
def count_nonzero(input: Tensor, dim: Dim = None) -> Tensor:
    """Return how many elements along ``dim`` are not 0 (int64)."""
    from gradsmith.ops.elementwise import ne

    array_of("count_nonzero", input)
    return sum(ne(input, 0), dim)


class ValuesAndIndices(NamedTuple):
    """Elements that were chosen along a dimension, and where they were (int64)."""

    values: Tensor
    indices: Tensor


def _chosen(input: Tensor, indices: Tensor, dim: int, keepdim: bool) -> ValuesAndIndices:
    """Return the elements at ``indices``, which kept the dimension."""
    from gradsmith.ops.indexing import gather
    from gradsmith.ops.shape import squeeze

    if input.ndim == 0:
        return ValuesAndIndices(input, indices)
    values = gather(input, dim, indices)
    if keepdim:
        return ValuesAndIndices(values, indices)
    return ValuesAndIndices(squeeze(values, dim), squeeze(indices, dim))


@names_errors
def max(input: Tensor, dim: Any = None, keepdim: bool = False) -> Any:
    """Return the maximum of all elements, or along ``dim``, or of each pair.

    Args:
        input: any tensor.
        dim: None for the maximum of all; an int for the maxima along it and their indices, as a
            named tuple (of equal ones the first; the gradient goes to the chosen element); a
            tensor for the larger of each pair (see `maximum`).
        keepdim: keep the dimension with size 1.

    Raises:
        ValueError: there is nothing to take the maximum of.
        IndexError: there is no such dimension.
    """
    if isinstance(dim, Tensor):
        from gradsmith.ops.elementwise import maximum

        return maximum(input, dim)
    if dim is None:
        return amax(input)
    return _chosen(input, argmax(input, dim, keepdim=True), dim, keepdim)


@names_errors
def min(input: Tensor, dim: Any = None, keepdim: bool = False) -> Any:
    """Return the minimum of all elements, or along ``dim``, or of each pair (see `max`).

    Raises:
        ValueError: there is nothing to take the minimum of.
        IndexError: there is no such dimension.
    """
    if isinstance(dim, Tensor):
        from gradsmith.ops.elementwise import minimum

        return minimum(input, dim)
    if dim is None:
        return amin(input)
    return _chosen(input, argmin(input, dim, keepdim=True), dim, keepdim)


class MinAndMax(NamedTuple):
    """The smallest and the largest elements."""

    min: Tensor
    max: Tensor


@names_errors
def aminmax(input: Tensor, *, dim: int | None = None, keepdim: bool = False) -> MinAndMax:
    """Return minimum and maximum of all elements, or along ``dim`` (see `amax`).

    Raises:
        ValueError: there is no element.
        IndexError: there is no such dimension.
    """
    return MinAndMax(amin(input, dim, keepdim), amax(input, dim, keepdim))


@names_errors
def nansum(input: Tensor, dim: Dim = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """Return the sum over ``dim`` with NaN as 0 (see `sum`)."""
    from gradsmith.ops.elementwise import isnan, where

    return sum(where(isnan(input), 0, input), dim, keepdim, dtype=dtype)


@names_errors
def nanmean(input: Tensor, dim: Dim = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """Return the mean over ``dim`` of what is no NaN; NaN where nothing is.

    Raises:
        TypeError: the dtype is not floating.
    """
    from gradsmith.ops.elementwise import eq

    kept = array_of("nanmean", input).dtype if dtype is None else as_dtype(dtype)
    if kept not in FLOATING:
        raise TypeError(f"nanmean: got {kept}, expected a floating dtype")
    count = sum(eq(input, input), dim, keepdim)
    return nansum(input, dim, keepdim, dtype=dtype) / count
