# SPDX-License-Identifier: Apache-2.0
"""Convolutions and transposed convolutions over one, two and three dimensions.

Three recorded functions: the convolution and its gradients with respect to input and weight. Each
is linear in both operands, and the derivatives of each are the other two, so the rules serve any
order. A transposed convolution is the second of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from gradsmith.autograd import Node, cast_down, is_grad_enabled, mode, record
from gradsmith.backend import EXTENSIONS, Array
from gradsmith.ops.options import names_errors
from gradsmith.ops.reduce import sum
from gradsmith.tensor import Tensor, array_of, wrap_each

Size = int | Sequence[int]


class Options(NamedTuple):
    """What the caller asked for; the kernel's contract checks it."""

    op: str
    ndim: int
    stride: Size
    padding: Size | str
    output_padding: Size
    dilation: Size
    groups: int


def _arrays(options: Options, *operands: tuple[str, Any]) -> tuple[Array, ...]:
    return tuple(array_of(options.op, x, name) for name, x in operands)


def _bias_array(options: Options, bias: Tensor | None) -> Array | None:
    return None if bias is None else array_of(options.op, bias, "bias")


def _spatial(x: Tensor, options: Options) -> tuple[int, ...]:
    return tuple(x._array.shape[-options.ndim :])


def _dbias(dy: Tensor, options: Options) -> Tensor:
    """Return the gradient (C) of a bias that was added to dy's channels."""
    channel = dy.ndim - options.ndim - 1
    return sum(dy, tuple(d for d in range(dy.ndim) if d != channel))


def convolution_backward(node: Node, dy: Tensor) -> Any:
    """Rule of a convolution: the gradients of input, weight and bias."""
    x, weight, options, x_as_read = node.saved
    if not is_grad_enabled():
        needs = (node.needs(0), node.needs(1), node.needs(2))
        operands = (x_as_read, weight._array, dy._array)
        return wrap_each(EXTENSIONS[type(dy._array)].conv_backward(*operands, options, *needs))
    dx = dweight = None
    if node.needs(0):
        dx = convolution_input(dy, weight, None, _spatial(x, options), options)
    if node.needs(1):
        dweight = convolution_weight(x, dy, _spatial(weight, options), options)
    return dx, dweight, _dbias(dy, options) if node.needs(2) else None


def convolution(x: Tensor, weight: Tensor, bias: Tensor | None, options: Options) -> Tensor:
    """Return the convolution of x (N, C, *in) with weight (O, C / groups, *kernel)."""
    if mode.autocast is not None:
        x, weight, bias = mode.autocast.down(x, weight, bias)
    x_array, weight_array = _arrays(options, ("input", x), ("weight", weight))
    bias_array = _bias_array(options, bias)
    extension = EXTENSIONS[type(x_array)]
    y, x_as_read = extension.conv_forward(x_array, weight_array, bias_array, options)
    kept = x_as_read if weight.requires_grad else x_array  # of the latter only the shape is used
    return record(convolution_backward, y, (x, weight, bias), (x, weight, options, kept))


def _convolution_input_backward(node: Node, ddx: Tensor) -> Any:
    dy, weight, options = node.saved
    ddy = dweight = None
    if node.needs(0):
        ddy = convolution(ddx, weight, None, options)
    if node.needs(1):
        dweight = convolution_weight(ddx, dy, _spatial(weight, options), options)
    return ddy, dweight, _dbias(ddx, options) if node.needs(2) else None


def convolution_input(
    dy: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    size: tuple[int, ...] | None,
    options: Options,
) -> Tensor:
    """Return the gradient (N, C, *size) of a convolution's input, plus the bias (C).

    Without a size it is the one that a transposed convolution has.
    """
    dy_array, weight_array = _arrays(options, ("input", dy), ("weight", weight))
    bias_array = _bias_array(options, bias)
    extension = EXTENSIONS[type(dy_array)]
    dx = extension.conv_backward_input(dy_array, weight_array, bias_array, size, options)
    return record(_convolution_input_backward, dx, (dy, weight, bias), (dy, weight, options))


def _convolution_weight_backward(node: Node, ddweight: Tensor) -> Any:
    x, dy, options = node.saved
    dx = ddy = None
    if node.needs(0):
        dx = convolution_input(dy, ddweight, None, _spatial(x, options), options)
    if node.needs(1):
        ddy = convolution(x, ddweight, None, options)
    return dx, ddy


def convolution_weight(x: Tensor, dy: Tensor, kernel: tuple[int, ...], options: Options) -> Tensor:
    """Return the gradient (O, C / groups, *kernel) of a convolution's weight."""
    x_array, dy_array = _arrays(options, ("input", x), ("gradient", dy))
    dweight = EXTENSIONS[type(x_array)].conv_backward_weight(x_array, dy_array, kernel, options)
    return record(_convolution_weight_backward, dweight, (x, dy), (x, dy, options))


@names_errors
def conv1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Size = 1,
    padding: Size | str = 0,
    dilation: Size = 1,
    groups: int = 1,
) -> Tensor:
    """Convolve (N, C, L) or (C, L) with weight (O, C / groups, k); see `conv2d`."""
    options = Options("conv1d", 1, stride, padding, 0, dilation, groups)
    return convolution(input, weight, bias, options)


@names_errors
def conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Size = 1,
    padding: Size | str = 0,
    dilation: Size = 1,
    groups: int = 1,
) -> Tensor:
    """Convolve (cross-correlate) each image with each filter.

    Args:
        input: (N, C, H, W) or (C, H, W).
        weight: (O, C / groups, kh, kw).
        bias: (O), added to every position.
        stride: step of the filter, one int or one per dimension.
        padding: zeros on both sides, or ``"valid"`` for none, or ``"same"`` for an output as large
            as the input (stride 1; an odd zero goes behind).
        dilation: distance between the elements that the filter meets.
        groups: blocks of channels that are convolved separately.

    Returns:
        (N, O, H_out, W_out) or (O, H_out, W_out), with
        H_out = floor((H + 2 padding - dilation (kh - 1) - 1) / stride) + 1.

    Raises:
        ValueError: shapes do not match, the filter is larger than the padded input, or an option is
            out of its range.
        TypeError: the dtypes differ or are not floating, or an option is no int.
    """
    options = Options("conv2d", 2, stride, padding, 0, dilation, groups)
    return convolution(input, weight, bias, options)


@names_errors
def conv3d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Size = 1,
    padding: Size | str = 0,
    dilation: Size = 1,
    groups: int = 1,
) -> Tensor:
    """Convolve (N, C, D, H, W) or (C, D, H, W) with (O, C / groups, kd, kh, kw); see `conv2d`."""
    options = Options("conv3d", 3, stride, padding, 0, dilation, groups)
    return convolution(input, weight, bias, options)


def _transposed(input: Tensor, weight: Tensor, bias: Tensor | None, options: Options) -> Tensor:
    if isinstance(options.padding, str):
        raise ValueError(f"{options.op}: padding is {options.padding!r}, expected ints")
    input, weight, bias = cast_down(input, weight, bias)
    return convolution_input(input, weight, bias, None, options)


@names_errors
def conv_transpose1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Size = 1,
    padding: Size = 0,
    output_padding: Size = 0,
    groups: int = 1,
    dilation: Size = 1,
) -> Tensor:
    """Convolve (N, C, L) or (C, L) transposed with (C, O / groups, k); see `conv_transpose2d`."""
    options = Options("conv_transpose1d", 1, stride, padding, output_padding, dilation, groups)
    return _transposed(input, weight, bias, options)


@names_errors
def conv_transpose2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Size = 1,
    padding: Size = 0,
    output_padding: Size = 0,
    groups: int = 1,
    dilation: Size = 1,
) -> Tensor:
    """Apply the transpose of the linear map that `conv2d` is: each element spreads a filter.

    Args:
        input: (N, C, H, W) or (C, H, W).
        weight: (C, O / groups, kh, kw).
        bias: (O), added to every position.
        stride: distance of the spread filters, one int or one per dimension.
        padding: elements cut off on both sides of the result.
        output_padding: elements added behind the result, less than stride or dilation.
        groups: blocks of channels that are convolved separately.
        dilation: distance between the elements of a spread filter.

    Returns:
        (N, O, H_out, W_out) or (O, H_out, W_out), with
        H_out = (H - 1) stride - 2 padding + dilation (kh - 1) + output_padding + 1.

    Raises:
        ValueError: shapes do not match, nothing is left of the result, or an option is out of its
            range.
        TypeError: the dtypes differ or are not floating, or an option is no int.
    """
    options = Options("conv_transpose2d", 2, stride, padding, output_padding, dilation, groups)
    return _transposed(input, weight, bias, options)


@names_errors
def conv_transpose3d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Size = 1,
    padding: Size = 0,
    output_padding: Size = 0,
    groups: int = 1,
    dilation: Size = 1,
) -> Tensor:
    """Convolve (N, C, D, H, W) transposed with (C, O / groups, *kernel); see `conv_transpose2d`."""
    options = Options("conv_transpose3d", 3, stride, padding, output_padding, dilation, groups)
    return _transposed(input, weight, bias, options)
