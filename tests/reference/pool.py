# SPDX-License-Identifier: Apache-2.0
"""Max and average pooling over the last axes, with fixed or adaptive windows.

x (..., *spatial); kernel, stride, padding, dilation, output_size hold one integer per spatial
axis. A window is described by the coordinates it covers on each axis, in bounds only: padding
never wins a maximum. Max indices are flat within the spatial plane. Output size and windows of
ceil_mode and of adaptive pooling follow PyTorch's documentation.
"""

import math
from typing import Any, TypeAlias

import numpy as np

from . import Array, Ids

Windows: TypeAlias = list[list[Ids]]  # [spatial axis][output position] -> covered coordinates


def _output_size(size: int, span: int, stride: int, padding: int, ceil_mode: bool) -> int:
    """`span` is the extent of the dilated kernel; a last window must start before right padding."""
    steps = (size + 2 * padding - span) / stride
    if not ceil_mode:
        return math.floor(steps) + 1
    out = math.ceil(steps) + 1
    return out - 1 if (out - 1) * stride >= size + padding else out


def _windows(
    spatial: tuple[int, ...],
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    padding: tuple[int, ...],
    dilation: tuple[int, ...],
    ceil_mode: bool,
) -> Windows:
    windows: Windows = []
    for n, k, s, p, d in zip(spatial, kernel, stride, padding, dilation, strict=True):
        out = _output_size(n, d * (k - 1) + 1, s, p, ceil_mode)
        covered = [t * s - p + d * np.arange(k) for t in range(out)]
        windows.append([c[(c >= 0) & (c < n)] for c in covered])
    return windows


def _adaptive_windows(spatial: tuple[int, ...], output_size: tuple[int, ...]) -> Windows:
    """Output t covers floor(t n / out) up to ceil((t + 1) n / out)."""
    return [
        [np.arange(t * n // out, -(-(t + 1) * n // out)) for t in range(out)]
        for n, out in zip(spatial, output_size, strict=True)
    ]


def _at(position: tuple[int, ...]) -> Any:
    return ..., *position


def _positions(windows: Windows) -> list[tuple[int, ...]]:
    return list(np.ndindex(*(len(axis) for axis in windows)))


def _flat(windows: Windows, position: tuple[int, ...], spatial: tuple[int, ...]) -> Ids:
    """Flat coordinates in the plane that the window of one output covers, in C order."""
    covered = [axis[t] for axis, t in zip(windows, position, strict=True)]
    return np.ravel_multi_index(np.ix_(*covered), spatial).ravel()


def _max_over(x: Array, windows: Windows) -> tuple[Array, Ids]:
    lead, spatial = x.shape[: -len(windows)], x.shape[-len(windows) :]
    plane = x.reshape(*lead, math.prod(spatial))
    y = np.zeros((*lead, *(len(axis) for axis in windows)))
    indices = np.zeros(y.shape, np.int64)
    for position in _positions(windows):
        flat = _flat(windows, position, spatial)
        best = np.argmax(plane[..., flat], axis=-1, keepdims=True)
        y[_at(position)] = np.take_along_axis(plane[..., flat], best, axis=-1)[..., 0]
        indices[_at(position)] = flat[best[..., 0]]
    return y, indices


def _average_over(x: Array, windows: Windows, divisors: Array) -> Array:
    lead, spatial = x.shape[: -len(windows)], x.shape[-len(windows) :]
    plane = x.reshape(*lead, math.prod(spatial))
    y = np.zeros((*lead, *divisors.shape))
    for position in _positions(windows):
        flat = _flat(windows, position, spatial)
        y[_at(position)] = plane[..., flat].sum(axis=-1) / divisors[position]
    return y


def _average_over_backward(dy: Array, x: Array, windows: Windows, divisors: Array) -> Array:
    lead, spatial = x.shape[: -len(windows)], x.shape[-len(windows) :]
    dplane = np.zeros((*lead, math.prod(spatial)))
    for position in _positions(windows):
        flat = _flat(windows, position, spatial)
        dplane[..., flat] += (dy[_at(position)] / divisors[position])[..., None]
    return dplane.reshape(x.shape)


def max_pool(
    x: Array,
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    padding: tuple[int, ...],
    dilation: tuple[int, ...],
    ceil_mode: bool = False,
) -> tuple[Array, Ids]:
    """Returns y and the flat index of each maximum (the first of equals)."""
    spatial = x.shape[-len(kernel) :]
    return _max_over(x, _windows(spatial, kernel, stride, padding, dilation, ceil_mode))


def max_pool_backward(dy: Array, x: Array, indices: Ids, dims: int) -> Array:
    """Each dy goes to the element it came from; `dims` counts the spatial axes."""
    planes, outputs = math.prod(x.shape[:-dims]), math.prod(dy.shape[-dims:])
    dplane = np.zeros((planes, math.prod(x.shape[-dims:])))
    dy, indices = dy.reshape(planes, outputs), indices.reshape(planes, outputs)
    for drow, dy_row, index_row in zip(dplane, dy, indices, strict=True):
        np.add.at(drow, index_row, dy_row)
    return dplane.reshape(x.shape)


def adaptive_max_pool(x: Array, output_size: tuple[int, ...]) -> tuple[Array, Ids]:
    """Returns y and flat indices; the backward is max_pool_backward."""
    return _max_over(x, _adaptive_windows(x.shape[-len(output_size) :], output_size))


def _divisors(
    x: Array,
    windows: Windows,
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    padding: tuple[int, ...],
    count_include_pad: bool,
    divisor_override: int | None,
) -> Array:
    """What each window's sum is divided by: its size, cut at the padded edge or at the real one."""
    per_axis = []
    spatial = x.shape[-len(kernel) :]
    for axis, n, k, s, p in zip(windows, spatial, kernel, stride, padding, strict=True):
        padded = [min(t * s - p + k, n + p) - (t * s - p) for t in range(len(axis))]
        per_axis.append(padded if count_include_pad else [len(covered) for covered in axis])
    divisors = np.ones([len(axis) for axis in windows])
    for position in _positions(windows):
        size = math.prod(axis[t] for axis, t in zip(per_axis, position, strict=True))
        divisors[position] = size if divisor_override is None else divisor_override
    return divisors


def avg_pool(
    x: Array,
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    padding: tuple[int, ...],
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Array:
    ones = (1,) * len(kernel)
    windows = _windows(x.shape[-len(kernel) :], kernel, stride, padding, ones, ceil_mode)
    options = (count_include_pad, divisor_override)
    return _average_over(x, windows, _divisors(x, windows, kernel, stride, padding, *options))


def avg_pool_backward(
    dy: Array,
    x: Array,
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    padding: tuple[int, ...],
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Array:
    ones = (1,) * len(kernel)
    windows = _windows(x.shape[-len(kernel) :], kernel, stride, padding, ones, ceil_mode)
    divisors = _divisors(x, windows, kernel, stride, padding, count_include_pad, divisor_override)
    return _average_over_backward(dy, x, windows, divisors)


def _window_sizes(windows: Windows) -> Array:
    sizes = np.ones([len(axis) for axis in windows])
    for position in _positions(windows):
        sizes[position] = math.prod(len(a[t]) for a, t in zip(windows, position, strict=True))
    return sizes


def adaptive_avg_pool(x: Array, output_size: tuple[int, ...]) -> Array:
    windows = _adaptive_windows(x.shape[-len(output_size) :], output_size)
    return _average_over(x, windows, _window_sizes(windows))


def adaptive_avg_pool_backward(dy: Array, x: Array, output_size: tuple[int, ...]) -> Array:
    windows = _adaptive_windows(x.shape[-len(output_size) :], output_size)
    return _average_over_backward(dy, x, windows, _window_sizes(windows))


def masked_pool(x: Array, lengths: Ids, reduce: Any) -> Array:
    """Each sequence's own steps (N, T, *) reduced to (N, *); 0 for one without steps."""
    return np.stack(
        [
            reduce(row[:n], axis=0) if n else np.zeros(x.shape[2:])
            for row, n in zip(x, lengths, strict=True)
        ]
    )
