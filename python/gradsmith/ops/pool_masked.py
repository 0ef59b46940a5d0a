# SPDX-License-Identifier: Apache-2.0
"""Pooling over the steps of sequences of different lengths."""

from __future__ import annotations

import math

import numpy as np

from gradsmith.backend import Array, like
from gradsmith.ops.elementwise import mul, where
from gradsmith.ops.options import names_errors
from gradsmith.ops.reduce import max as maximum_along
from gradsmith.ops.reduce import sum
from gradsmith.ops.rnn_lengths import check_lengths
from gradsmith.tensor import Tensor, array_of, wrap


def _within(op: str, input: Tensor, lengths: Tensor) -> tuple[Array, Tensor]:
    """Return the lengths on the host, and a mask (N, T, 1, ...) of the steps within them."""
    array = array_of(op, input)
    if array.ndim < 2:
        raise ValueError(f"{op}: input has shape {array.shape}, expected (N, T, ...)")
    steps = array.shape[1]
    host = check_lengths(op, lengths, array.shape[0], steps)
    mask = np.arange(steps) < host[:, None]
    return host, wrap(like(mask.reshape(*mask.shape, *(1,) * (array.ndim - 2)), array))


def _per_sequence(values: Array, input: Tensor) -> Tensor:
    """Return values of the host (N,) in a shape that broadcasts along (N, ...)."""
    return wrap(like(values.reshape(-1, *(1,) * (input.ndim - 2)), input._array))


@names_errors
def masked_mean(input: Tensor, lengths: Tensor) -> Tensor:
    """Return the mean over each sequence's own steps: (N, T, *) to (N, *).

    Example:
        >>> import gradsmith as gs
        >>> x = gs.tensor([[1.0, 3.0, 99.0], [1.0, 2.0, 6.0]])
        >>> gs.nn.functional.masked_mean(x, gs.tensor([2, 3]))
        tensor([2., 3.])

    Args:
        input: (N, T, *); what lies past a sequence's end is not read.
        lengths: integers (N,) in [0, T]; a sequence without steps gives 0.

    Raises:
        TypeError: the input is not floating, or ``lengths`` holds no integers.
        ValueError: a shape does not fit, or a length is out of range.
    """
    host, within = _within("masked_mean", input, lengths)
    total = sum(where(within, input, 0.0), 1)
    return mul(total, _per_sequence((1 / np.maximum(host, 1)).astype(input.dtype), input))


@names_errors
def masked_max(input: Tensor, lengths: Tensor) -> Tensor:
    """Return the maximum over each sequence's own steps: (N, T, *) to (N, *).

    Args:
        input: (N, T, *); what lies past a sequence's end is not read.
        lengths: integers (N,) in [0, T]; a sequence without steps gives 0.

    Raises:
        TypeError: the input is not floating, or ``lengths`` holds no integers.
        ValueError: a shape does not fit, T is 0, or a length is out of range.
    """
    host, within = _within("masked_max", input, lengths)
    largest = maximum_along(where(within, input, -math.inf), 1).values
    return where(_per_sequence(host > 0, input), largest, 0.0)
