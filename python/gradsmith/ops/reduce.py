# SPDX-License-Identifier: Apache-2.0
"""Reductions over dimensions, running sums and products, and the reverse of broadcasting."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gradsmith.autograd import OUTPUT, Node, record
from gradsmith.backend import EXTENSIONS, as_dtype
from gradsmith.tensor import Tensor, wrap

Dim = int | Sequence[int] | None


def _axes(dim: Dim, ndim: int) -> tuple[int, ...]:
    """Return the reduced axes, each in [0, ndim); the kernel has checked them."""
    if dim is None:
        return tuple(range(ndim))
    dims = (dim,) if isinstance(dim, int) else tuple(dim)
    return tuple(axis % ndim if ndim else 0 for axis in dims)


def _kept_shape(shape: tuple[int, ...], dim: Dim) -> tuple[int, ...]:
    """Return the shape with 1 in place of each reduced dimension."""
    axes = _axes(dim, len(shape))
    return tuple(1 if d in axes else size for d, size in enumerate(shape))


def _spread(grad: Tensor, shape: tuple[int, ...], dim: Dim) -> Tensor:
    """Return the gradient of a reduction's result, broadcast over what was reduced."""
    from gradsmith.ops.shape import expand, reshape

    return expand(reshape(grad, _kept_shape(shape, dim)), shape)


def _reduce(name: str, x: Tensor, dim: Dim, keepdim: bool) -> Any:
    return getattr(EXTENSIONS[type(x._array)], name)(x._array, dim, keepdim)


def _sum_backward(node: Node, dy: Tensor) -> Any:
    shape, dim = node.saved
    return (_spread(dy, shape, dim),)


def sum(input: Tensor, dim: Dim = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """Return the sum over ``dim`` (all by default). Integers and bool add up in int64.

    Raises:
        IndexError: there is no such dimension.
    """
    x = _typed(input, dtype)
    array = _reduce("sum", x, dim, keepdim)
    return record(_sum_backward, array, (x,), (x._array.shape, dim))


def _typed(x: Tensor, dtype: Any) -> Tensor:
    if dtype is None:
        return x
    from gradsmith.ops.elementwise import to

    return to(x, as_dtype(dtype))


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
    for axis in _axes(dim, len(shape)):
        count *= shape[axis] if shape else 1
    return (_spread(dy / count if count else dy, shape, dim),)


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
    hit = eq(x, _spread(y.detach(), x.shape, dim))
    count = sum(hit, dim, keepdim=True)
    return (where(hit, _spread(dy, x.shape, dim) / count, 0.0),)


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
    return wrap(_reduce("any", input, dim, keepdim))


def all(input: Tensor, dim: Dim = None, keepdim: bool = False) -> Tensor:
    """Return whether all elements along ``dim`` are nonzero."""
    return wrap(_reduce("all", input, dim, keepdim))


def _cumsum_backward(node: Node, dy: Tensor) -> Any:
    from gradsmith.ops.shape import flip

    (dim,) = node.saved
    return (flip(cumsum(flip(dy, (dim,)), dim), (dim,)),)


def cumsum(input: Tensor, dim: int) -> Tensor:
    """Return the running sum along ``dim``; integers add up in int64."""
    array = EXTENSIONS[type(input._array)].cumsum(input._array, dim)
    return record(_cumsum_backward, array, (input,), (dim,))


def var(input: Tensor, dim: Dim = None, *, correction: int = 1, keepdim: bool = False) -> Tensor:
    """Return the variance over ``dim``: squared deviations over (count - correction)."""
    centred = input - mean(input, dim, keepdim=True)
    count = 1
    for axis in _axes(dim, input.ndim):
        count *= input.shape[axis] if input.ndim else 1
    total = sum(centred * centred, dim, keepdim)
    return total / (count - correction) if count > correction else total / 0.0


def std(input: Tensor, dim: Dim = None, *, correction: int = 1, keepdim: bool = False) -> Tensor:
    """Return the standard deviation over ``dim`` (see `var`)."""
    from gradsmith.ops.elementwise_math import sqrt

    return sqrt(var(input, dim, correction=correction, keepdim=keepdim))
