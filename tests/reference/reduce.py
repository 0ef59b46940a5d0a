# SPDX-License-Identifier: Apache-2.0
"""Reductions and scans over one axis, several axes, or all (axis=None).

`max` and `min` take one axis, return (values, indices) and send the gradient to the chosen
element; `amax` and `amin` take any axes and share it evenly among ties. Cumulative ops take one
axis. Products are differentiated without division, so that zeros are exact.
"""

from typing import TypeAlias

import numpy as np

from . import Array, Ids, Mask

Axis: TypeAlias = int | tuple[int, ...] | None


def _expand(reduced: Array, x: Array, axis: Axis, keepdims: bool) -> Array:
    """Puts the reduced axes back with size 1, so that the result broadcasts against x."""
    if keepdims:
        return reduced
    return np.expand_dims(reduced, tuple(range(x.ndim)) if axis is None else axis)


def _count(x: Array, axis: Axis) -> int:
    """Number of elements behind each output."""
    axes = range(x.ndim) if axis is None else np.atleast_1d(axis)
    return int(np.prod([x.shape[i] for i in axes]))


def sum(x: Array, axis: Axis = None, keepdims: bool = False) -> Array:
    return np.sum(x, axis=axis, keepdims=keepdims)


def sum_backward(dy: Array, x: Array, axis: Axis = None, keepdims: bool = False) -> Array:
    return np.zeros_like(x) + _expand(dy, x, axis, keepdims)


def mean(x: Array, axis: Axis = None, keepdims: bool = False) -> Array:
    return np.mean(x, axis=axis, keepdims=keepdims)


def mean_backward(dy: Array, x: Array, axis: Axis = None, keepdims: bool = False) -> Array:
    return sum_backward(dy, x, axis, keepdims) / _count(x, axis)


def prod(x: Array, axis: Axis = None, keepdims: bool = False) -> Array:
    return np.prod(x, axis=axis, keepdims=keepdims)


def prod_backward(dy: Array, x: Array, axis: Axis = None, keepdims: bool = False) -> Array:
    """dx_k = dy * product of all x_j with j != k."""
    axes = tuple(range(x.ndim)) if axis is None else tuple(np.atleast_1d(axis))
    last = tuple(range(-len(axes), 0))
    moved = np.moveaxis(x, axes, last)
    rows = moved.reshape(*moved.shape[: x.ndim - len(axes)], -1)  # kept axes, reduced elements
    others = np.empty_like(rows)
    for k in range(rows.shape[-1]):
        others[..., k] = np.prod(np.delete(rows, k, axis=-1), axis=-1)
    others = np.moveaxis(others.reshape(moved.shape), last, axes)
    return _expand(dy, x, axis, keepdims) * others


def argmax(x: Array, axis: int | None = None, keepdims: bool = False) -> Ids:
    return np.argmax(x, axis=axis, keepdims=keepdims)


def argmin(x: Array, axis: int | None = None, keepdims: bool = False) -> Ids:
    return np.argmin(x, axis=axis, keepdims=keepdims)


def _pick(x: Array, index: Ids, axis: int, keepdims: bool) -> tuple[Array, Ids]:
    values = np.take_along_axis(x, index, axis)
    if keepdims:
        return values, index
    return np.squeeze(values, axis), np.squeeze(index, axis)


def _pick_backward(dy: Array, x: Array, index: Ids, axis: int, keepdims: bool) -> Array:
    dx = np.zeros_like(x)
    np.put_along_axis(dx, index, _expand(dy, x, axis, keepdims), axis)
    return dx


def max(x: Array, axis: int, keepdims: bool = False) -> tuple[Array, Ids]:
    """Values and indices along one axis; of equal values the first, NaN before all."""
    return _pick(x, np.argmax(x, axis=axis, keepdims=True), axis, keepdims)


def max_backward(dy: Array, x: Array, axis: int, keepdims: bool = False) -> Array:
    return _pick_backward(dy, x, np.argmax(x, axis=axis, keepdims=True), axis, keepdims)


def min(x: Array, axis: int, keepdims: bool = False) -> tuple[Array, Ids]:
    return _pick(x, np.argmin(x, axis=axis, keepdims=True), axis, keepdims)


def min_backward(dy: Array, x: Array, axis: int, keepdims: bool = False) -> Array:
    return _pick_backward(dy, x, np.argmin(x, axis=axis, keepdims=True), axis, keepdims)


def amax(x: Array, axis: Axis = None, keepdims: bool = False) -> Array:
    return np.max(x, axis=axis, keepdims=keepdims)


def amax_backward(dy: Array, x: Array, axis: Axis = None, keepdims: bool = False) -> Array:
    ties = x == np.max(x, axis=axis, keepdims=True)
    return ties * _expand(dy, x, axis, keepdims) / np.sum(ties, axis=axis, keepdims=True)


def amin(x: Array, axis: Axis = None, keepdims: bool = False) -> Array:
    return np.min(x, axis=axis, keepdims=keepdims)


def amin_backward(dy: Array, x: Array, axis: Axis = None, keepdims: bool = False) -> Array:
    ties = x == np.min(x, axis=axis, keepdims=True)
    return ties * _expand(dy, x, axis, keepdims) / np.sum(ties, axis=axis, keepdims=True)


def var(x: Array, axis: Axis = None, correction: float = 1, keepdims: bool = False) -> Array:
    """sum (x - mean)^2 / (n - correction); NaN or inf where n <= correction."""
    squares = np.square(x - np.mean(x, axis=axis, keepdims=True))
    divisor = np.maximum(_count(x, axis) - correction, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.sum(squares, axis=axis, keepdims=keepdims) / divisor


def var_backward(
    dy: Array, x: Array, axis: Axis = None, correction: float = 1, keepdims: bool = False
) -> Array:
    centred = x - np.mean(x, axis=axis, keepdims=True)
    divisor = np.maximum(_count(x, axis) - correction, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return _expand(dy, x, axis, keepdims) * (2 / divisor) * centred


def std(x: Array, axis: Axis = None, correction: float = 1, keepdims: bool = False) -> Array:
    return np.sqrt(var(x, axis, correction, keepdims))


def std_backward(
    dy: Array, x: Array, axis: Axis = None, correction: float = 1, keepdims: bool = False
) -> Array:
    """Through std = sqrt(var); 0 where std is 0."""
    y = std(x, axis, correction, keepdims)
    dvar = np.where(y == 0, 0, dy / (2 * np.where(y == 0, 1, y)))
    return var_backward(dvar, x, axis, correction, keepdims)


def norm(x: Array, p: float = 2.0, axis: Axis = None, keepdims: bool = False) -> Array:
    """(sum |x|^p)^(1/p); p = 0 counts nonzeros, p = +-inf is the largest or smallest |x|."""
    magnitude = np.abs(x)
    if p == 0:
        return np.sum(np.where(x != 0, 1.0, 0.0), axis=axis, keepdims=keepdims)
    if p == np.inf:
        return np.max(magnitude, axis=axis, keepdims=keepdims)
    if p == -np.inf:
        return np.min(magnitude, axis=axis, keepdims=keepdims)
    return np.power(np.sum(magnitude**p, axis=axis, keepdims=keepdims), 1 / p)


def norm_backward(
    dy: Array, x: Array, p: float = 2.0, axis: Axis = None, keepdims: bool = False
) -> Array:
    """dx = dy sign(x) (|x| / y)^(p-1), 0 where x = 0; p = +-inf shares evenly among ties."""
    dy = _expand(dy, x, axis, keepdims)
    y = norm(x, p, axis, keepdims=True)
    if p == 0:
        return np.zeros_like(x)
    if np.isinf(p):
        ties = np.abs(x) == y
        return dy * np.sign(x) * ties / np.sum(ties, axis=axis, keepdims=True)
    ratio = np.where(x == 0, 1, np.abs(x)) / np.where(y == 0, 1, y)
    return dy * np.sign(x) * ratio ** (p - 1)


def logsumexp(x: Array, axis: Axis = None, keepdims: bool = False) -> Array:
    """log sum exp(x), shifted by the largest x where that is finite."""
    shift = np.max(x, axis=axis, keepdims=True)
    shift = np.where(np.isinf(shift), 0, shift)
    with np.errstate(divide="ignore"):
        y = np.log(np.sum(np.exp(x - shift), axis=axis, keepdims=True)) + shift
    return y if keepdims else np.squeeze(y, tuple(range(x.ndim)) if axis is None else axis)


def logsumexp_backward(dy: Array, x: Array, axis: Axis = None, keepdims: bool = False) -> Array:
    y = logsumexp(x, axis, keepdims=True)
    return _expand(dy, x, axis, keepdims) * np.exp(x - y)


def cumsum(x: Array, axis: int) -> Array:
    return np.cumsum(x, axis=axis)


def cumsum_backward(dy: Array, x: Array, axis: int) -> Array:
    return np.flip(np.cumsum(np.flip(dy, axis), axis=axis), axis)


def cumprod(x: Array, axis: int) -> Array:
    return x.cumprod(axis=axis)


def cumprod_backward(dy: Array, x: Array, axis: int) -> Array:
    """dx_k = sum over i >= k of dy_i * product of x_j with j <= i, j != k."""
    x, dy = np.moveaxis(x, axis, 0), np.moveaxis(dy, axis, 0)
    dx = np.zeros_like(x)
    for i in range(len(x)):
        for k in range(i + 1):
            dx[k] += dy[i] * np.prod(np.delete(x[: i + 1], k, axis=0), axis=0)
    return np.moveaxis(dx, 0, axis)


def all(x: Array, axis: Axis = None, keepdims: bool = False) -> Mask:
    return np.asarray(np.all(x, axis=axis, keepdims=keepdims))


def any(x: Array, axis: Axis = None, keepdims: bool = False) -> Mask:
    return np.asarray(np.any(x, axis=axis, keepdims=keepdims))
