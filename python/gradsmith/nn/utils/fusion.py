# SPDX-License-Identifier: Apache-2.0
"""Batch norms in evaluation mode as part of the layer before them."""

from __future__ import annotations

import copy
from typing import Any, TypeVar

from gradsmith.autograd import no_grad
from gradsmith.nn.conv import _Convolution
from gradsmith.nn.linear import Linear
from gradsmith.nn.module_tree import check_module
from gradsmith.nn.norm_running import _BatchNorm
from gradsmith.nn.parameter import Parameter
from gradsmith.ops.elementwise import add, mul, sub
from gradsmith.ops.elementwise_math import rsqrt
from gradsmith.ops.options import check_number
from gradsmith.ops.shape import reshape
from gradsmith.tensor import Tensor, array_of

_M = TypeVar("_M", _Convolution, Linear)


def _check_channels(op: str, weight: Any, vectors: dict[str, Any], axis: int) -> None:
    array_of(op, weight, "weight")
    if weight.ndim < 2:
        raise ValueError(f"{op}: weight has shape {weight.shape}, expected at least 2 dimensions")
    channels = (weight.shape[axis],)
    for argument, vector in vectors.items():
        optional = argument not in ("bn_rm", "bn_rv")
        if vector is None and optional:
            continue
        if array_of(op, vector, argument).shape != channels:
            raise ValueError(f"{op}: {argument} has shape {vector.shape}, expected {channels}")


@no_grad()
def _fused_weights(
    op: str,
    weight: Any,
    bias: Any,
    statistics: tuple[Any, Any, Any],
    affine: tuple[Any, Any],
    axis: int,
) -> tuple[Parameter, Parameter]:
    mean, variance, eps = statistics
    gain, shift = affine
    vectors = {"bias": bias, "bn_rm": mean, "bn_rv": variance, "bn_w": gain, "bn_b": shift}
    _check_channels(op, weight, vectors, axis)
    check_number(op, "bn_eps", eps)
    scale = rsqrt(add(variance, eps))
    scale = scale if gain is None else mul(scale, gain)
    shift = mul(scale, 0.0) if shift is None else shift
    offset = mul(mean, -1.0) if bias is None else sub(bias, mean)
    shape = [1] * weight.ndim
    shape[axis] = -1
    fused = mul(weight, reshape(scale, shape)), add(mul(offset, scale), shift)
    return Parameter(fused[0], weight.requires_grad), Parameter(fused[1], weight.requires_grad)


def fuse_conv_bn_weights(
    conv_w: Tensor,
    conv_b: Tensor | None,
    bn_rm: Tensor,
    bn_rv: Tensor,
    bn_eps: float,
    bn_w: Tensor | None,
    bn_b: Tensor | None,
    transpose: bool = False,
) -> tuple[Parameter, Parameter]:
    """Return weight and bias of the convolution that does what it and the batch norm after it do.

    Args:
        conv_w: the convolution's weight.
        conv_b: its bias.
        bn_rm: the running mean of the batch norm.
        bn_rv: its running variance.
        bn_eps: what is added to it.
        bn_w: the batch norm's weight.
        bn_b: its bias.
        transpose: whether the convolution is a transposed one, whose weight has the channels of the
            output second.

    Raises:
        TypeError: an argument is no tensor, or ``bn_eps`` no number.
        ValueError: the weight has fewer than two dimensions, or a vector another length than it has
            channels.
    """
    return _fused_weights(
        "fuse_conv_bn_weights",
        conv_w,
        conv_b,
        (bn_rm, bn_rv, bn_eps),
        (bn_w, bn_b),
        1 if transpose else 0,
    )


def fuse_linear_bn_weights(
    linear_w: Tensor,
    linear_b: Tensor | None,
    bn_rm: Tensor,
    bn_rv: Tensor,
    bn_eps: float,
    bn_w: Tensor | None,
    bn_b: Tensor | None,
) -> tuple[Parameter, Parameter]:
    """Return weight and bias of the linear layer that does what it and the batch norm do.

    Arguments and errors are those of `fuse_conv_bn_weights`.
    """
    return _fused_weights(
        "fuse_linear_bn_weights", linear_w, linear_b, (bn_rm, bn_rv, bn_eps), (bn_w, bn_b), 0
    )


def _fused(op: str, layer: _M, norm: Any, transpose: bool) -> _M:
    if layer.training or norm.training:
        raise ValueError(f"{op}: a module is in training mode, expected both in evaluation mode")
    if norm.running_mean is None or norm.running_var is None:
        raise ValueError(f"{op}: the batch norm has no running statistics")
    result = copy.deepcopy(layer)
    statistics = norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias
    fused = fuse_conv_bn_weights(layer.weight, layer.bias, *statistics, transpose)
    result.weight, result.bias = fused
    return result


def _check(op: str, argument: str, module: Any, kind: type) -> None:
    check_module(op, argument, module)
    if not isinstance(module, kind):
        name = kind.__name__.strip("_")
        raise TypeError(f"{op}: {argument} is a {type(module).__name__}, expected a {name}")


def fuse_conv_bn_eval(conv: Any, bn: Any, transpose: bool = False) -> Any:
    """Return a copy of a convolution that does what it and the batch norm after it do.

    Both have to be in evaluation mode: the running statistics become part of the weights.

    Args:
        conv: a convolution.
        bn: the batch norm of its outputs.
        transpose: whether the convolution is a transposed one.

    Raises:
        TypeError: a module is of another kind.
        ValueError: one is in training mode, or there are no running statistics.

    >>> import gradsmith as gs
    >>> conv, norm = gs.nn.Conv2d(1, 2, 3).eval(), gs.nn.BatchNorm2d(2).eval()
    >>> x = gs.ones(1, 1, 4, 4)
    >>> gs.allclose(gs.nn.utils.fuse_conv_bn_eval(conv, norm)(x), norm(conv(x)))
    True
    """
    _check("fuse_conv_bn_eval", "conv", conv, _Convolution)
    _check("fuse_conv_bn_eval", "bn", bn, _BatchNorm)
    return _fused("fuse_conv_bn_eval", conv, bn, transpose)


def fuse_linear_bn_eval(linear: Any, bn: Any) -> Any:
    """Return a copy of a linear layer that does what it and the batch norm after it do.

    Raises:
        TypeError: a module is of another kind.
        ValueError: one is in training mode, or there are no running statistics.
    """
    _check("fuse_linear_bn_eval", "linear", linear, Linear)
    _check("fuse_linear_bn_eval", "bn", bn, _BatchNorm)
    return _fused("fuse_linear_bn_eval", linear, bn, transpose=False)
