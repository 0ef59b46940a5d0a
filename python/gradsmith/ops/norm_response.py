# SPDX-License-Identifier: Apache-2.0
"""Local response normalisation, over neighbour channels."""

from __future__ import annotations

from typing import Any

from gradsmith.autograd import Node, record
from gradsmith.backend import EXTENSIONS
from gradsmith.ops.elementwise import add, div, mul, pow
from gradsmith.ops.elementwise_math import square
from gradsmith.ops.options import check_int, check_number, names_errors
from gradsmith.tensor import Tensor, array_of


def _channel_window_sum_backward(node: Node, dy: Tensor) -> Any:
    before, after = node.saved
    return (_channel_window_sum(dy, after, before),)


def _channel_window_sum(x: Tensor, before: int, after: int) -> Tensor:
    """Return for each channel the sum of it, ``before`` channels before it and ``after`` after."""
    y = EXTENSIONS[type(x._array)].channel_window_sum(x._array, before, after)
    return record(_channel_window_sum_backward, y, (x,), (before, after))


@names_errors
def local_response_norm(
    input: Tensor, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> Tensor:
    """Return the input divided by ``(k + alpha * mean square of size channels around) ** beta``.

    Args:
        input: (N, C, *) of three dimensions or more.
        size: channels in the window; those beyond the edges count as zeros.
        alpha: factor of the mean square.
        beta: exponent.
        k: constant part.

    Raises:
        ValueError: the input has too few dimensions, or ``size`` is not positive.
        TypeError: ``size`` is no int, or the dtype is not floating.
    """
    size = check_int("local_response_norm", "size", size)
    window = (size // 2, (size - 1) // 2)
    return _response_norm("local_response_norm", input, size, window, alpha, beta, k)


@names_errors
def cross_map_lrn2d(
    input: Tensor, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> Tensor:
    """Return `local_response_norm` with ``(size - 1) // 2`` channels on either side.

    The two are the same for odd sizes; for even ones this window has a channel less, and the mean
    square still divides by ``size``.

    Args:
        input: (N, C, H, W).
        size: channels in the window; those beyond the edges count as zeros.
        alpha: factor of the mean square.
        beta: exponent.
        k: constant part.

    Raises:
        ValueError: the input has not 4 dimensions, or ``size`` is not positive.
        TypeError: ``size`` is no int, or the dtype is not floating.
    """
    op = "cross_map_lrn2d"
    if array_of(op, input).ndim != 4:
        raise ValueError(f"{op}: input has shape {input.shape}, expected (N, C, H, W)")
    size = check_int(op, "size", size)
    return _response_norm(op, input, size, ((size - 1) // 2,) * 2, alpha, beta, k)


def _response_norm(
    op: str,
    input: Tensor,
    size: int,
    window: tuple[int, int],
    alpha: float,
    beta: float,
    k: float,
) -> Tensor:
    """Divide by a power of the energy in a window of channels, those before and those after."""
    ndim = array_of(op, input).ndim
    scale = check_number(op, "alpha", alpha) / max(size, 1)
    if size < 1:
        raise ValueError(f"{op}: size is {size}, expected at least 1")
    if ndim < 3:
        raise ValueError(
            f"{op}: input has shape {input.shape}, expected 3 or more dimensions (N, C, ...)"
        )
    squares = _channel_window_sum(square(input), *window)
    base = add(mul(squares, scale), check_number(op, "k", k))
    return div(input, pow(base, check_number(op, "beta", beta)))
