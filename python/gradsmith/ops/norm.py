# SPDX-License-Identifier: Apache-2.0
"""Normalisation over the batch, over features, over groups of channels.

Value and first derivative are one fused kernel each. With ``create_graph`` the derivative is
written in differentiable functions instead (`norm_gradient`), which gives the higher ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gradsmith.autograd import OUTPUT, Node, cast_up, is_grad_enabled, no_grad, record
from gradsmith.backend import EXTENSIONS, Array, DType, float32, float64
from gradsmith.ops.elementwise import add, gt, mul, to, where
from gradsmith.ops.norm_gradient import NormView, composed_gradient
from gradsmith.ops.options import check_flag, check_int, check_number, names_errors
from gradsmith.ops.reduce import mean
from gradsmith.ops.reduce_moments import var
from gradsmith.ops.shape import sizes
from gradsmith.tensor import Tensor, array_of, constant_array_of, wrap


def _optional_array(op: str, x: Tensor | None, argument: str) -> Array | None:
    return None if x is None else array_of(op, x, argument)


def _gradients(grads: Sequence[Array | None], parameters: Sequence[Tensor | None]) -> Any:
    """Return dx, dweight and dbias as tensors, those of the parameters in their dtypes."""
    dx, *rest = grads
    converted = [
        None if grad is None or x is None else to(wrap(grad), x.dtype)
        for grad, x in zip(rest, parameters, strict=True)
    ]
    return (None if dx is None else wrap(dx), *converted)


# ---- batch norm ----------------------------------------------------------------------------------


def _batch_norm_backward(node: Node, dy: Tensor) -> Any:
    op, x, weight, bias, batch_mean, rstd, training, eps, y = node.saved
    if not is_grad_enabled():
        *grads, dresidual = EXTENSIONS[type(dy._array)].batch_norm_backward(
            op,
            x._array,
            dy._array,
            None if weight is None else weight._array,
            batch_mean,
            rstd,
            training,
            node.needs(0),
            node.needs(1),
            node.needs(2),
            None if y is None else y._array,
            node.needs(3),
        )
        return (*_gradients(grads, (weight, bias)), None if dresidual is None else wrap(dresidual))
    channels = (1, x.shape[1]) + (1,) * (x.ndim - 2)
    view = NormView(x.shape, channels, (0, *range(2, x.ndim)))
    fixed = None
    if not training:
        fixed = (wrap(batch_mean.reshape(channels)), wrap(rstd.reshape(channels)))
    if y is not None:
        dy = where(gt(y, 0), dy, 0)
    return (*composed_gradient(dy, x, weight, bias, view, eps, True, fixed), dy)


def _batch_norm(
    op: str,
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None,
    bias: Tensor | None,
    training: bool,
    momentum: float,
    eps: float,
    relu: bool = False,
    residual: Tensor | None = None,
) -> Tensor:
    input, residual = cast_up(input), cast_up(residual)
    x = array_of(op, input)
    check_number(op, "momentum", momentum)
    check_number(op, "eps", eps)
    y, batch_mean, rstd = EXTENSIONS[type(x)].batch_norm_forward(
        op,
        x,
        _optional_array(op, weight, "weight"),
        _optional_array(op, bias, "bias"),
        None if running_mean is None else constant_array_of(op, running_mean, "running_mean"),
        None if running_var is None else constant_array_of(op, running_var, "running_var"),
        check_flag(op, "training", training),
        momentum,
        eps,
        relu,
        _optional_array(op, residual, "residual"),
    )
    if training and running_mean is not None and running_var is not None:
        running_mean._bump()
        running_var._bump()
    saved = (op, input, weight, bias, batch_mean, rstd, training, eps, OUTPUT if relu else None)
    return record(_batch_norm_backward, y, (input, weight, bias, residual), saved)


@names_errors
def batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Return each channel normalised to mean ``bias`` and standard deviation ``weight``.

    Args:
        input: (N, C, *).
        running_mean: (C); in training it moves towards the batch's mean, else it is used.
        running_var: (C), likewise with the unbiased variance.
        weight: (C) or None (1).
        bias: (C) or None (0).
        training: whether to use the mean and the biased variance of the batch.
        momentum: share of the batch in the new running statistics.
        eps: added to the variance.

    Raises:
        ValueError: a shape does not fit, training has one value per channel, evaluation lacks
            running statistics, or these require a gradient.
        TypeError: a dtype does not fit.
    """
    return _batch_norm(
        "batch_norm", input, running_mean, running_var, weight, bias, training, momentum, eps
    )


def rectified_batch_norm(
    input: Tensor,
    mean: Tensor | None,
    var: Tensor | None,
    weight: Tensor | None,
    bias: Tensor | None,
    training: bool,
    momentum: float,
    eps: float,
) -> Tensor:
    """Return ``relu(batch_norm(input, ...))`` for a batch norm that a ReLU follows."""
    return _batch_norm("batch_norm", input, mean, var, weight, bias, training, momentum, eps, True)


@names_errors
def batch_norm_relu(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
    residual: Tensor | None = None,
) -> Tensor:
    """Return ``relu(batch_norm(input, ...) + residual)`` in one pass over memory each way.

    Args:
        input: (N, C, *).
        running_mean: (C), as in `batch_norm`.
        running_var: (C), as in `batch_norm`.
        weight: (C) or None (1).
        bias: (C) or None (0).
        training: whether to use the mean and the biased variance of the batch.
        momentum: share of the batch in the new running statistics.
        eps: added to the variance.
        residual: of the input's shape and dtype, or None (0).

    Raises:
        ValueError: as `batch_norm`, or the residual has another shape than the input.
        TypeError: a dtype does not fit.
    """
    return _batch_norm(
        "batch_norm_relu",
        input,
        running_mean,
        running_var,
        weight,
        bias,
        training,
        momentum,
        eps,
        relu=True,
        residual=residual,
    )


# ---- norms of rows: layer, RMS, group, instance --------------------------------------------------


def _row_norm_backward(node: Node, dy: Tensor) -> Any:
    op, x, weight, bias, row_mean, rstd, normalized, eps = node.saved
    if not is_grad_enabled():
        grads = EXTENSIONS[type(dy._array)].row_norm_backward(
            op,
            x._array,
            dy._array,
            normalized,
            None if weight is None else weight._array,
            row_mean,
            rstd,
            node.needs(0),
            node.needs(1),
            node.needs(2),
        )
        return _gradients(grads, (weight, bias))
    if isinstance(normalized, tuple):
        lead = x.ndim - len(normalized)
        view = NormView(x.shape, (1,) * lead + normalized, tuple(range(lead, x.ndim)))
    else:
        groups, spatial = (normalized, x.shape[1] // normalized), x.shape[2:]
        parameter = (1, *groups) + (1,) * len(spatial)
        axes = tuple(range(2, x.ndim + 1))
        view = NormView((x.shape[0], *groups, *spatial), parameter, axes)
    return composed_gradient(dy, x, weight, bias, view, eps, row_mean is not None)


def _row_norm(
    op: str,
    input: Tensor,
    normalized: tuple[int, ...] | int,
    weight: Tensor | None,
    bias: Tensor | None,
    eps: float,
    centred: bool = True,
) -> Tensor:
    """Normalise the last dimensions (a tuple of their sizes) or groups of channels (an int)."""
    input = cast_up(input)
    x = array_of(op, input)
    check_number(op, "eps", eps)
    y, row_mean, rstd = EXTENSIONS[type(x)].row_norm_forward(
        op,
        x,
        normalized,
        _optional_array(op, weight, "weight"),
        _optional_array(op, bias, "bias"),
        eps,
        centred,
    )
    saved = (op, input, weight, bias, row_mean, rstd, normalized, eps)
    return record(_row_norm_backward, y, (input, weight, bias), saved)


@names_errors
def layer_norm(
    input: Tensor,
    normalized_shape: int | Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Return the input with mean 0 and variance 1 over its last dimensions, scaled and shifted.

    Args:
        input: (*, normalized_shape).
        normalized_shape: sizes of the last dimensions.
        weight: of ``normalized_shape``, or None (1).
        bias: of ``normalized_shape``, or None (0).
        eps: added to the variance.

    Raises:
        ValueError: the input does not end in ``normalized_shape``, or a parameter has another
            shape.
        TypeError: a dtype does not fit.
    """
    shape = sizes("layer_norm", (normalized_shape,))
    return _row_norm("layer_norm", input, shape, weight, bias, eps)


@names_errors
def rms_norm(
    input: Tensor,
    normalized_shape: int | Sequence[int],
    weight: Tensor | None = None,
    eps: float | None = None,
) -> Tensor:
    """Return the input divided by the root of its mean square over the last dimensions, scaled.

    Args:
        input: (*, normalized_shape).
        normalized_shape: sizes of the last dimensions.
        weight: of ``normalized_shape``, or None (1).
        eps: added to the mean square; None for the machine epsilon of what is computed in,
            float32 or float64.

    Raises:
        ValueError: the input does not end in ``normalized_shape``, or the weight has another
            shape.
        TypeError: a dtype does not fit.
    """
    shape = sizes("rms_norm", (normalized_shape,))
    if eps is None:
        eps = _machine_epsilon(array_of("rms_norm", input).dtype)
    return _row_norm("rms_norm", input, shape, weight, None, eps, centred=False)


def _machine_epsilon(dtype: DType) -> float:
    return float(np.finfo(float64 if dtype == float64 else float32).eps)


@names_errors
def group_norm(
    input: Tensor,
    num_groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Return each sample's groups of channels with mean 0 and variance 1, scaled and shifted.

    Args:
        input: (N, C, *).
        num_groups: groups of adjacent channels; divides C.
        weight: (C) or None (1).
        bias: (C) or None (0).
        eps: added to the variance.

    Raises:
        ValueError: the groups do not divide the channels, a group holds one value, or a parameter
            has another shape.
        TypeError: a dtype does not fit.
    """
    groups = check_int("group_norm", "num_groups", num_groups)
    return _row_norm("group_norm", input, groups, weight, bias, eps)


def _update_running(op: str, input: Tensor, running: Tensor, batch: Tensor, share: float) -> None:
    """Move running statistics (C) towards the mean over the batch of each sample's (N, C)."""
    if constant_array_of(op, running, "running statistics").shape != (input.shape[1],):
        raise ValueError(
            f"{op}: running statistics have shape {running.shape}, expected ({input.shape[1]},)"
        )
    if not input.shape[0]:
        return
    moved = add(mul(running, 1 - share), mul(mean(batch, 0), share))
    EXTENSIONS[type(running._array)].copy(running._array, moved._array)
    running._bump()


@names_errors
def instance_norm(
    input: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Return each channel of each sample with mean 0 and variance 1, scaled and shifted.

    Args:
        input: (N, C, *).
        running_mean: (C) or None; moves towards the mean of the samples' means, or is used.
        running_var: (C) or None; likewise with the unbiased variances.
        weight: (C) or None (1).
        bias: (C) or None (0).
        use_input_stats: whether to normalise by the statistics of the input.
        momentum: share of the batch in the new running statistics.
        eps: added to the variance.

    Raises:
        ValueError: a shape does not fit, a channel holds one value, or the running statistics are
            missing.
        TypeError: a dtype does not fit.
    """
    op = "instance_norm"
    shape = array_of(op, input).shape
    if not use_input_stats:
        return _batch_norm(op, input, running_mean, running_var, weight, bias, False, momentum, eps)
    if len(shape) < 2 or int(np.prod(shape[2:])) == 1:
        raise ValueError(
            f"{op}: input has shape {shape}, expected (N, C, ...) with more than one value per "
            "channel"
        )
    if (running_mean is None) != (running_var is None):
        raise ValueError(
            f"{op}: one of running_mean and running_var is None, expected both or none"
        )
    check_number(op, "momentum", momentum)
    result = _row_norm(op, input, shape[1], weight, bias, eps)
    if running_mean is not None and running_var is not None:
        with no_grad():
            spatial = tuple(range(2, len(shape)))
            _update_running(op, input, running_mean, mean(input, spatial), momentum)
            _update_running(op, input, running_var, var(input, spatial), momentum)
    return result
