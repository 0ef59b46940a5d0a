# SPDX-License-Identifier: Apache-2.0
"""Windows that signals are multiplied by before their frequencies are looked at.

Harris, "On the use of windows for harmonic analysis with the discrete Fourier transform" (1978). A
periodic window is a symmetric one of one more point without its last.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from gradsmith.backend import FLOATING, Array, as_device, as_dtype, get_default_dtype, moved
from gradsmith.ops.creation import Place
from gradsmith.ops.options import check_flag, check_int, check_number, names_errors
from gradsmith.tensor import Tensor, wrap


def _window(
    op: str,
    window_length: int,
    periodic: bool,
    weights: Callable[[Array], Array],
    dtype: Any,
    device: Place,
    requires_grad: bool,
) -> Tensor:
    """Return the weights at points from 0 to 1; a window of one point is 1."""
    length = check_int(op, "window_length", window_length)
    if length < 0:
        raise ValueError(f"{op}: window_length is {length}, expected >= 0")
    wanted = get_default_dtype() if dtype is None else as_dtype(dtype)
    if wanted not in FLOATING:
        raise TypeError(f"{op}: dtype is {wanted}, expected a floating one")
    points = length + 1 if check_flag(op, "periodic", periodic) else length
    values = np.ones(length)
    if length > 1:
        values = weights(np.arange(length) / (points - 1))
    out = wrap(moved(values.astype(wanted), as_device(device)))
    return out.requires_grad_() if requires_grad else out


def _cosines(*factors: float) -> Callable[[Array], Array]:
    """Return the function that adds up factor k times the cosine of k turns."""

    def weights(x: Array) -> Array:
        total = np.zeros(x.shape)
        for k, factor in enumerate(factors):
            total += factor * np.cos(2 * math.pi * k * x)
        return total

    return weights


@names_errors
def bartlett_window(
    window_length: int,
    periodic: bool = True,
    *,
    dtype: Any = None,
    device: Place = None,
    requires_grad: bool = False,
) -> Tensor:
    """Return Bartlett's triangle: ``1 - |2 n / (N - 1) - 1|``.

    Args:
        window_length: number of points.
        periodic: whether it is one period of a function, else symmetric.
        dtype: a floating one.
        device: where to put it.
        requires_grad: whether ops on it are recorded.

    Raises:
        ValueError: the length is negative.
        TypeError: the dtype is not floating.
    """
    return _window(
        *("bartlett_window", window_length, periodic, lambda x: 1 - np.abs(2 * x - 1)),
        *(dtype, device, requires_grad),
    )


@names_errors
def hann_window(
    window_length: int,
    periodic: bool = True,
    *,
    dtype: Any = None,
    device: Place = None,
    requires_grad: bool = False,
) -> Tensor:
    """Return Hann's window: ``(1 - cos(2 pi n / (N - 1))) / 2``; arguments of `bartlett_window`.

    >>> import gradsmith as gs
    >>> gs.hann_window(4)
    tensor([0.0000, 0.5000, 1.0000, 0.5000])
    """
    return _window(
        *("hann_window", window_length, periodic, _cosines(0.5, -0.5)),
        *(dtype, device, requires_grad),
    )


@names_errors
def hamming_window(
    window_length: int,
    periodic: bool = True,
    alpha: float = 0.54,
    beta: float = 0.46,
    *,
    dtype: Any = None,
    device: Place = None,
    requires_grad: bool = False,
) -> Tensor:
    """Return Hamming's window: ``alpha - beta cos(2 pi n / (N - 1))``.

    The other arguments are those of `bartlett_window`.
    """
    factors = [
        check_number("hamming_window", name, each)
        for name, each in (("alpha", alpha), ("beta", beta))
    ]
    return _window(
        *("hamming_window", window_length, periodic, _cosines(factors[0], -factors[1])),
        *(dtype, device, requires_grad),
    )


@names_errors
def blackman_window(
    window_length: int,
    periodic: bool = True,
    *,
    dtype: Any = None,
    device: Place = None,
    requires_grad: bool = False,
) -> Tensor:
    """Return Blackman's window: ``0.42 - 0.5 cos(2 pi n / (N - 1)) + 0.08 cos(4 pi n / (N - 1))``.

    The arguments are those of `bartlett_window`.
    """
    return _window(
        *("blackman_window", window_length, periodic, _cosines(0.42, -0.5, 0.08)),
        *(dtype, device, requires_grad),
    )


@names_errors
def kaiser_window(
    window_length: int,
    periodic: bool = True,
    beta: float = 12.0,
    *,
    dtype: Any = None,
    device: Place = None,
    requires_grad: bool = False,
) -> Tensor:
    """Return Kaiser's window: ``I0(beta sqrt(1 - (2 n / (N - 1) - 1)^2)) / I0(beta)``.

    The other arguments are those of `bartlett_window`.
    """
    slope = check_number("kaiser_window", "beta", beta)

    def weights(x: Array) -> Array:
        roots = np.sqrt(np.maximum(1 - (2 * x - 1) ** 2, 0.0))
        return np.asarray(np.i0(slope * roots) / np.i0(slope))

    return _window(
        *("kaiser_window", window_length, periodic, weights, dtype, device, requires_grad)
    )
