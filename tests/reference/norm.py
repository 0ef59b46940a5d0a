# SPDX-License-Identifier: Apache-2.0
"""Normalisation: batch (Ioffe & Szegedy 2015), layer (Ba 2016), group (Wu & He 2018), instance
(Ulyanov 2016), RMS (Zhang & Sennrich 2019) and local response (Krizhevsky 2012).

x (N, C, *spatial) except in layer and RMS norm, which take x (..., *normalized_shape). The
normalising variance is biased. Weight and bias may be None (then 1 and 0); backward functions
return dx, dweight, dbias always.
"""

import math

import numpy as np

from . import Array


def _standardize(x: Array, axes: tuple[int, ...], eps: float) -> tuple[Array, Array]:
    """(x - mean) / sqrt(var + eps) over axes, and 1 / sqrt(var + eps)."""
    rstd = 1 / np.sqrt(np.var(x, axis=axes, keepdims=True) + eps)
    return (x - np.mean(x, axis=axes, keepdims=True)) * rstd, rstd


def _standardize_backward(dz: Array, x: Array, axes: tuple[int, ...], eps: float) -> Array:
    """dx = rstd (dz - mean(dz) - z mean(dz z)), z the standardized x."""
    z, rstd = _standardize(x, axes, eps)
    mean_dz = np.mean(dz, axis=axes, keepdims=True)
    mean_dz_z = np.mean(dz * z, axis=axes, keepdims=True)
    return rstd * (dz - mean_dz - z * mean_dz_z)


def _per_channel(v: Array, x: Array) -> Array:
    """(C) -> (1, C, 1, ...)."""
    return v.reshape(1, -1, *(1 for _ in x.shape[2:]))


def _all_but_channel(x: Array) -> tuple[int, ...]:
    return (0, *range(2, x.ndim))


def _channel_affine(z: Array, weight: Array | None, bias: Array | None) -> Array:
    y = z if weight is None else z * _per_channel(weight, z)
    return y if bias is None else y + _per_channel(bias, z)


def _channel_affine_backward(
    dy: Array, z: Array, weight: Array | None
) -> tuple[Array, Array, Array]:
    """Returns dz, dweight, dbias."""
    dz = dy if weight is None else dy * _per_channel(weight, z)
    axes = _all_but_channel(z)
    return dz, np.sum(dy * z, axis=axes), np.sum(dy, axis=axes)


def batch_norm_train(
    x: Array,
    weight: Array | None,
    bias: Array | None,
    running_mean: Array,
    running_var: Array,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> tuple[Array, Array, Array, Array, Array]:
    """Returns y, batch mean, biased batch variance, new running mean, new running variance.

    running = (1 - momentum) running + momentum batch, with the unbiased batch variance.
    """
    axes = _all_but_channel(x)
    z, _ = _standardize(x, axes, eps)
    mean, var = np.mean(x, axis=axes), np.var(x, axis=axes)
    count = x.size // x.shape[1]
    new_mean = (1 - momentum) * running_mean + momentum * mean
    new_var = (1 - momentum) * running_var + momentum * var * count / (count - 1)
    return _channel_affine(z, weight, bias), mean, var, new_mean, new_var


def batch_norm_train_backward(
    dy: Array, x: Array, weight: Array | None, eps: float = 1e-5
) -> tuple[Array, Array, Array]:
    axes = _all_but_channel(x)
    z, _ = _standardize(x, axes, eps)
    dz, dweight, dbias = _channel_affine_backward(dy, z, weight)
    return _standardize_backward(dz, x, axes, eps), dweight, dbias


def batch_norm_eval(
    x: Array,
    weight: Array | None,
    bias: Array | None,
    running_mean: Array,
    running_var: Array,
    eps: float = 1e-5,
) -> Array:
    rstd = 1 / np.sqrt(running_var + eps)
    z = (x - _per_channel(running_mean, x)) * _per_channel(rstd, x)
    return _channel_affine(z, weight, bias)


def batch_norm_eval_backward(
    dy: Array,
    x: Array,
    weight: Array | None,
    running_mean: Array,
    running_var: Array,
    eps: float = 1e-5,
) -> tuple[Array, Array, Array]:
    """The running statistics are constants."""
    rstd = _per_channel(1 / np.sqrt(running_var + eps), x)
    z = (x - _per_channel(running_mean, x)) * rstd
    dz, dweight, dbias = _channel_affine_backward(dy, z, weight)
    return dz * rstd, dweight, dbias


def batch_norm_relu(x: Array, weight: Array, bias: Array, residual: Array | None) -> Array:
    """max(batch norm + residual, 0) in training."""
    running = np.zeros(x.shape[1])
    y = batch_norm_train(x, weight, bias, running, running)[0]
    return np.maximum(y if residual is None else y + residual, 0)


def batch_norm_relu_backward(
    dy: Array, x: Array, weight: Array, bias: Array, residual: Array | None
) -> tuple[Array, Array, Array, Array]:
    """Returns dx, dweight, dbias, dresidual."""
    g = np.where(batch_norm_relu(x, weight, bias, residual) > 0, dy, 0)
    return (*batch_norm_train_backward(g, x, weight), g)


def _last_axes(x: Array, normalized_shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(range(x.ndim - len(normalized_shape), x.ndim))


def layer_norm(
    x: Array,
    normalized_shape: tuple[int, ...],
    weight: Array | None = None,
    bias: Array | None = None,
    eps: float = 1e-5,
) -> Array:
    z, _ = _standardize(x, _last_axes(x, normalized_shape), eps)
    y = z if weight is None else z * weight
    return y if bias is None else y + bias


def layer_norm_backward(
    dy: Array,
    x: Array,
    normalized_shape: tuple[int, ...],
    weight: Array | None = None,
    eps: float = 1e-5,
) -> tuple[Array, Array, Array]:
    axes = _last_axes(x, normalized_shape)
    lead = tuple(range(x.ndim - len(normalized_shape)))
    z, _ = _standardize(x, axes, eps)
    dz = dy if weight is None else dy * weight
    dx = _standardize_backward(dz, x, axes, eps)
    return dx, np.sum(dy * z, axis=lead), np.sum(dy, axis=lead)


def rms_norm(
    x: Array, normalized_shape: tuple[int, ...], weight: Array | None = None, eps: float = 1e-5
) -> Array:
    """x / sqrt(mean(x^2) + eps) * weight."""
    axes = _last_axes(x, normalized_shape)
    z = x / np.sqrt(np.mean(x**2, axis=axes, keepdims=True) + eps)
    return z if weight is None else z * weight


def rms_norm_backward(
    dy: Array,
    x: Array,
    normalized_shape: tuple[int, ...],
    weight: Array | None = None,
    eps: float = 1e-5,
) -> tuple[Array, Array]:
    """Returns dx, dweight."""
    axes = _last_axes(x, normalized_shape)
    rrms = 1 / np.sqrt(np.mean(x**2, axis=axes, keepdims=True) + eps)
    z = x * rrms
    dz = dy if weight is None else dy * weight
    dx = rrms * (dz - z * np.mean(dz * z, axis=axes, keepdims=True))
    return dx, np.sum(dy * z, axis=tuple(range(x.ndim - len(normalized_shape))))


def _grouped(x: Array, num_groups: int) -> Array:
    """(N, C, *spatial) -> (N, groups, elements of a group)."""
    return x.reshape(x.shape[0], num_groups, math.prod(x.shape[1:]) // num_groups)


def group_norm(
    x: Array,
    num_groups: int,
    weight: Array | None = None,
    bias: Array | None = None,
    eps: float = 1e-5,
) -> Array:
    """Statistics per sample and group of C / num_groups channels; weight and bias per channel."""
    z, _ = _standardize(_grouped(x, num_groups), (2,), eps)
    return _channel_affine(z.reshape(x.shape), weight, bias)


def group_norm_backward(
    dy: Array, x: Array, num_groups: int, weight: Array | None = None, eps: float = 1e-5
) -> tuple[Array, Array, Array]:
    grouped = _grouped(x, num_groups)
    z, _ = _standardize(grouped, (2,), eps)
    dz, dweight, dbias = _channel_affine_backward(dy, z.reshape(x.shape), weight)
    dx = _standardize_backward(dz.reshape(grouped.shape), grouped, (2,), eps)
    return dx.reshape(x.shape), dweight, dbias


def instance_norm(
    x: Array, weight: Array | None = None, bias: Array | None = None, eps: float = 1e-5
) -> Array:
    """Statistics per sample and channel; with running statistics it is batch_norm_eval."""
    return group_norm(x, x.shape[1], weight, bias, eps)


def instance_norm_backward(
    dy: Array, x: Array, weight: Array | None = None, eps: float = 1e-5
) -> tuple[Array, Array, Array]:
    return group_norm_backward(dy, x, x.shape[1], weight, eps)


def instance_norm_running(
    x: Array, running_mean: Array, running_var: Array, momentum: float = 0.1
) -> tuple[Array, Array]:
    """New running mean and variance: means over the batch of each sample's mean, unbiased var."""
    spatial = tuple(range(2, x.ndim))
    mean = np.mean(x, axis=spatial).mean(axis=0)
    var = np.var(x, axis=spatial, ddof=1).mean(axis=0)
    new_mean = (1 - momentum) * running_mean + momentum * mean
    return new_mean, (1 - momentum) * running_var + momentum * var


def _channel_window_sum(v: Array, before: int, after: int) -> Array:
    """out[:, c] = sum of v[:, c - before ... c + after], cut at the edges."""
    out = np.zeros_like(v)
    for c in range(v.shape[1]):
        out[:, c] = np.sum(v[:, max(c - before, 0) : c + after + 1], axis=1)
    return out


def local_response_norm(
    x: Array, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> Array:
    """y_c = x_c / (k + alpha / size * sum of x^2 over `size` channels around c)^beta."""
    squares = _channel_window_sum(x**2, size // 2, (size - 1) // 2)
    return x / (k + alpha / size * squares) ** beta


def local_response_norm_backward(
    dy: Array, x: Array, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> Array:
    """Channel j stands in the windows of c = j - (size - 1) // 2 ... j + size // 2."""
    base = k + alpha / size * _channel_window_sum(x**2, size // 2, (size - 1) // 2)
    slopes = _channel_window_sum(dy * x * base ** (-beta - 1), (size - 1) // 2, size // 2)
    return dy * base**-beta - 2 * alpha * beta / size * x * slopes


def cross_map_lrn2d(x: Array, size: int, alpha: float, beta: float, k: float) -> Array:
    """As `local_response_norm`, with (size - 1) // 2 channels on either side."""
    half = (size - 1) // 2
    return x / (k + alpha / size * _channel_window_sum(x**2, half, half)) ** beta


def normalize(x: Array, p: float, axis: int, eps: float) -> Array:
    """x / max(||x||_p, eps)."""
    length = np.sum(np.abs(x) ** p, axis=axis, keepdims=True) ** (1 / p)
    return x / np.maximum(length, eps)


def adain(content: Array, style: Array, eps: float) -> Array:
    """Per sample and channel, the content standardised with the style's moments (Huang 2017)."""
    z, _ = _standardize(content, tuple(range(2, content.ndim)), eps)
    axes = tuple(range(2, style.ndim))
    shape = (*style.shape[:2], *(1,) * (content.ndim - 2))
    deviation = np.sqrt(style.var(axis=axes) + eps)
    return z * deviation.reshape(shape) + style.mean(axis=axes).reshape(shape)
