# SPDX-License-Identifier: Apache-2.0
"""Maximum and average over windows, fixed or adaptive, over one, two and three dimensions.

Scattering a gradient to the maxima and gathering from them are each other's derivative, and so are
averaging and spreading, so the rules serve any order.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from gradsmith.autograd import Node, is_grad_enabled, record
from gradsmith.backend import EXTENSIONS
from gradsmith.ops.elementwise_activation import relu_backward
from gradsmith.ops.elementwise_math import run_unary
from gradsmith.ops.options import check_flag, names_errors
from gradsmith.tensor import Tensor, array_of, wrap

Size = int | Sequence[int]
OutputSize = int | None | Sequence[int | None]


class Windows(NamedTuple):
    """Fixed windows as the caller asked for them; the kernel's contract checks them."""

    op: str
    ndim: int
    kernel_size: Size
    stride: Size | None
    padding: Size
    dilation: Size
    ceil_mode: bool


class AdaptiveWindows(NamedTuple):
    """The size of the output that adaptive windows give; None keeps that of the input."""

    op: str
    ndim: int
    output_size: OutputSize


# ---- maximum -------------------------------------------------------------------------------------


class _Maxima(NamedTuple):
    """Where the windows lie that indices come from, as far as known, and the arrays' layout."""

    ndim: int
    channels_last: bool = False
    windows: Windows | AdaptiveWindows | None = None


def _max_pool_backward(node: Node, dy: Tensor) -> Any:
    indices, shape, maxima = node.saved
    return (scatter_to_maxima(dy, indices, shape, maxima),)


def _scatter_to_maxima_backward(node: Node, ddx: Tensor) -> Any:
    indices, maxima = node.saved
    return (gather_maxima(ddx, indices, maxima),)


def scatter_to_maxima(
    dy: Tensor, indices: Tensor, shape: tuple[int, ...], maxima: _Maxima
) -> Tensor:
    """Return zeros of ``shape`` with every dy added where its maximum came from."""
    extension = EXTENSIONS[type(dy._array)]
    options = maxima.windows or (maxima.ndim,)
    arrays = (dy._array, indices._array)
    dx = extension.max_pool_backward(*arrays, shape, maxima.channels_last, options)
    return record(_scatter_to_maxima_backward, dx, (dy,), (indices, maxima))


def _gather_maxima_backward(node: Node, dy: Tensor) -> Any:
    indices, shape, maxima = node.saved
    return (scatter_to_maxima(dy, indices, shape, maxima),)


def gather_maxima(x: Tensor, indices: Tensor, maxima: _Maxima) -> Tensor:
    """Return the elements of x at the places of the maxima."""
    extension = EXTENSIONS[type(x._array)]
    y = extension.max_pool_gather(x._array, indices._array, maxima.channels_last, maxima.ndim)
    return record(_gather_maxima_backward, y, (x,), (indices, x._array.shape, maxima))


def _max_pool(x: Tensor, windows: Windows | AdaptiveWindows, return_indices: bool) -> Any:
    array = array_of(windows.op, x)
    check_flag(windows.op, "return_indices", return_indices)
    with_indices = return_indices or (x.requires_grad and is_grad_enabled())
    y, index_array, channels_last = EXTENSIONS[type(array)].max_pool_forward(
        array, with_indices, return_indices, windows
    )
    if not with_indices:
        return wrap(y)
    indices = wrap(index_array)
    maxima = _Maxima(windows.ndim, channels_last, windows)
    out = record(_max_pool_backward, y, (x,), (indices, array.shape, maxima))
    return (out, indices) if return_indices else out


def _max_pool_nd(
    ndim: int,
    input: Tensor,
    kernel_size: Size,
    stride: Size | None,
    padding: Size,
    dilation: Size,
    ceil_mode: bool,
    return_indices: bool,
) -> Any:
    op = f"max_pool{ndim}d"
    check_flag(op, "ceil_mode", ceil_mode)
    windows = Windows(op, ndim, kernel_size, stride, padding, dilation, ceil_mode)
    return _max_pool(input, windows, return_indices)


@names_errors
def max_pool1d(
    input: Tensor,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    dilation: Size = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """Return the maxima over windows of (N, C, L) or (C, L); see `max_pool2d`."""
    options = (kernel_size, stride, padding, dilation, ceil_mode, return_indices)
    return _max_pool_nd(1, input, *options)


@names_errors
def max_pool2d(
    input: Tensor,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    dilation: Size = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """Return the maximum of each window; a NaN in the window wins.

    Args:
        input: (N, C, H, W) or (C, H, W).
        kernel_size: size of the window, one int or one per dimension.
        stride: step of the window (default: its size).
        padding: elements on both sides that never win, at most half the window.
        dilation: distance between the elements of a window.
        ceil_mode: also pool windows that stick out behind, if they start inside.
        return_indices: also return where the maxima lie.

    Returns:
        (N, C, H_out, W_out) or (C, H_out, W_out), with
        H_out = floor((H + 2 padding - dilation (kh - 1) - 1) / stride) + 1; with
        ``return_indices`` also the flat index (int64) in its H x W plane of each maximum, the first
        of equals, or -1 where a dilated window holds no element at all (the maximum then is -inf).

    Raises:
        ValueError: the window is larger than the padded input, or an option is out of its range.
        TypeError: the dtype is not floating, or an option is no int.
    """
    options = (kernel_size, stride, padding, dilation, ceil_mode, return_indices)
    return _max_pool_nd(2, input, *options)


@names_errors
def max_pool3d(
    input: Tensor,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    dilation: Size = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """Return the maxima over windows of (N, C, D, H, W) or (C, D, H, W); see `max_pool2d`."""
    options = (kernel_size, stride, padding, dilation, ceil_mode, return_indices)
    return _max_pool_nd(3, input, *options)


@names_errors
def adaptive_max_pool1d(
    input: Tensor, output_size: OutputSize, return_indices: bool = False
) -> Any:
    """Return ``output_size`` maxima per (N, C, L) or (C, L); see `adaptive_max_pool2d`."""
    windows = AdaptiveWindows("adaptive_max_pool1d", 1, output_size)
    return _max_pool(input, windows, return_indices)


@names_errors
def adaptive_max_pool2d(
    input: Tensor, output_size: OutputSize, return_indices: bool = False
) -> Any:
    """Return the maxima over as many windows as asked for (see `adaptive_avg_pool2d`).

    With ``return_indices`` also the flat index (int64) of each maximum in its plane.
    """
    windows = AdaptiveWindows("adaptive_max_pool2d", 2, output_size)
    return _max_pool(input, windows, return_indices)


@names_errors
def adaptive_max_pool3d(
    input: Tensor, output_size: OutputSize, return_indices: bool = False
) -> Any:
    """Return maxima per (N, C, D, H, W) or (C, D, H, W); see `adaptive_max_pool2d`."""
    windows = AdaptiveWindows("adaptive_max_pool3d", 3, output_size)
    return _max_pool(input, windows, return_indices)


# ---- average -------------------------------------------------------------------------------------


class _Average(NamedTuple):
    """The windows and what their sums are divided by."""

    count_include_pad: bool
    divisor_override: int | None
    windows: Windows | AdaptiveWindows


def _average_backward(node: Node, dy: Tensor) -> Any:
    shape, channels_last, average = node.saved
    return (spread(dy, shape, channels_last, average),)


def _average(x: Tensor, average: _Average) -> Tensor:
    array = array_of(average.windows.op, x)
    y, channels_last = EXTENSIONS[type(array)].avg_pool_forward(array, *average)
    return record(_average_backward, y, (x,), (array.shape, channels_last, average))


def _spread_backward(node: Node, ddx: Tensor) -> Any:
    (average,) = node.saved
    return (_average(ddx, average),)


def spread(dy: Tensor, shape: tuple[int, ...], channels_last: bool, average: _Average) -> Tensor:
    """Return what the averages' gradients give each element of an input of ``shape``."""
    extension = EXTENSIONS[type(dy._array)]
    dx = extension.avg_pool_backward(dy._array, shape, channels_last, *average)
    return record(_spread_backward, dx, (dy,), (average,))


def _avg_pool_nd(
    ndim: int,
    input: Tensor,
    kernel_size: Size,
    stride: Size | None,
    padding: Size,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: int | None,
) -> Tensor:
    op = f"avg_pool{ndim}d"
    check_flag(op, "ceil_mode", ceil_mode)
    check_flag(op, "count_include_pad", count_include_pad)
    windows = Windows(op, ndim, kernel_size, stride, padding, 1, ceil_mode)
    return _average(input, _Average(count_include_pad, divisor_override, windows))


@names_errors
def avg_pool1d(
    input: Tensor,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Tensor:
    """Return the averages over windows of (N, C, L) or (C, L); see `avg_pool2d`."""
    options = (kernel_size, stride, padding, ceil_mode, count_include_pad, None)
    return _avg_pool_nd(1, input, *options)


@names_errors
def avg_pool2d(
    input: Tensor,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """Return the average of each window.

    Args:
        input: (N, C, H, W) or (C, H, W).
        kernel_size: size of the window, one int or one per dimension.
        stride: step of the window (default: its size).
        padding: zeros on both sides, at most half the window.
        ceil_mode: also pool windows that stick out behind, if they start inside.
        count_include_pad: whether the zeros count as elements.
        divisor_override: divide the sums by this instead.

    Returns:
        (N, C, H_out, W_out) or (C, H_out, W_out), with
        H_out = floor((H + 2 padding - kh) / stride) + 1.

    Raises:
        ValueError: the window is larger than the padded input, or an option is out of its range.
        TypeError: the dtype is not floating, or an option is no int.
    """
    options = (kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)
    return _avg_pool_nd(2, input, *options)


@names_errors
def avg_pool3d(
    input: Tensor,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """Return the averages over windows of (N, C, D, H, W) or (C, D, H, W); see `avg_pool2d`."""
    options = (kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)
    return _avg_pool_nd(3, input, *options)


def _adaptive_average(ndim: int, input: Tensor, output_size: OutputSize) -> Tensor:
    windows = AdaptiveWindows(f"adaptive_avg_pool{ndim}d", ndim, output_size)
    return _average(input, _Average(False, None, windows))


@names_errors
def adaptive_avg_pool1d(input: Tensor, output_size: OutputSize) -> Tensor:
    """Return ``output_size`` averages per (N, C, L) or (C, L); see `adaptive_avg_pool2d`."""
    return _adaptive_average(1, input, output_size)


@names_errors
def adaptive_avg_pool2d(input: Tensor, output_size: OutputSize) -> Tensor:
    """Return the averages over as many windows as asked for.

    Output t covers floor(t H / H_out) up to, not including, ceil((t + 1) H / H_out).

    Args:
        input: (N, C, H, W) or (C, H, W).
        output_size: one int, or one per dimension; None keeps the size of the input.

    Returns:
        (N, C, *output_size) or (C, *output_size).

    Raises:
        ValueError: a size is negative, or the input has an empty spatial dimension.
        TypeError: the dtype is not floating, or a size is no int.
    """
    return _adaptive_average(2, input, output_size)


@names_errors
def adaptive_avg_pool3d(input: Tensor, output_size: OutputSize) -> Tensor:
    """Return averages per (N, C, D, H, W) or (C, D, H, W); see `adaptive_avg_pool2d`."""
    return _adaptive_average(3, input, output_size)


def rectified(pooled: Tensor) -> Tensor:
    """Return ``relu(pooled)`` of a maximum that nobody else holds.

    The maximum is saved, not the result, which may be changed in place as that of a pool may.
    """
    return record(relu_backward, run_unary("relu", pooled), (pooled,), (pooled,))
