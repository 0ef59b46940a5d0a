# SPDX-License-Identifier: Apache-2.0
"""Dropout of elements and of whole channels.

No mask is stored: the backward pass makes the same draws again from seed and position.
``inplace`` is accepted where PyTorch has it and changes nothing: the result is a new tensor.
"""

from __future__ import annotations

import math
from typing import Any

from gradsmith.autograd import Node, record
from gradsmith.backend import EXTENSIONS, FLOATING
from gradsmith.ops.options import check_flag, check_number, names_errors
from gradsmith.random import default_generator
from gradsmith.tensor import Tensor, array_of, wrap

# What SELU tends to for large negative inputs: minus its scale times its alpha.
_SELU_LIMIT = -1.0507009873554805 * 1.6732632423543772


def _check(op: str, input: Tensor, p: float, training: bool) -> None:
    array = array_of(op, input)
    check_flag(op, "training", training)
    if not 0 <= check_number(op, "p", p) <= 1:
        raise ValueError(f"{op}: p is {p}, expected a number in [0, 1]")
    if array.dtype not in FLOATING:
        raise TypeError(f"{op}: input is {array.dtype}, expected a floating dtype")


def _draws_backward(node: Node, dy: Tensor) -> Any:
    return (_dropped(dy, *node.saved),)


def _dropped(x: Tensor, op: str, p: float, group: int, seed: int, offset: int) -> Tensor:
    """Drop with the draws of (seed, offset), ``group`` elements at a time: linear in x."""
    array = EXTENSIONS[type(x._array)].dropout(x._array, float(p), group, seed, offset, op)
    return record(_draws_backward, array, (x,), (op, p, group, seed, offset))


def _drop(op: str, input: Tensor, p: float, group: int) -> Tensor:
    seed, offset = default_generator.take(input.numel() // group)
    return _dropped(input, op, p, group, seed, offset)


@names_errors
def dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """In training, zero each element with probability p and scale the others by 1 / (1 - p).

    Raises:
        TypeError: the input is not floating, or p no number.
        ValueError: p lies outside [0, 1].
    """
    _check("dropout", input, p, training)
    if not training or p == 0:
        return input
    return _drop("dropout", input, p, 1)


def _drop_channels(
    op: str, input: Tensor, p: float, training: bool, positions: int, ranks: tuple[int, ...]
) -> Tensor:
    _check(op, input, p, training)
    if input.ndim not in ranks:
        raise ValueError(
            f"{op}: input has shape {input.shape}, expected {' or '.join(map(str, ranks))} "
            "dimensions"
        )
    if not training or p == 0:
        return input
    return _drop(op, input, p, max(math.prod(input.shape[-positions:]), 1))


@names_errors
def dropout1d(
    input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Tensor:
    """In training, zero whole channels of (N, C, L) or (C, L); see `dropout`."""
    return _drop_channels("dropout1d", input, p, training, 1, (2, 3))


@names_errors
def dropout2d(
    input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Tensor:
    """In training, zero whole channels of (N, C, H, W) or (N, C, L); see `dropout`."""
    positions = 1 if array_of("dropout2d", input).ndim == 3 else 2
    return _drop_channels("dropout2d", input, p, training, positions, (3, 4))


@names_errors
def dropout3d(
    input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Tensor:
    """In training, zero whole channels of (N, C, D, H, W) or (C, D, H, W); see `dropout`."""
    return _drop_channels("dropout3d", input, p, training, 3, (4, 5))


def _alpha_drop(op: str, input: Tensor, p: float, training: bool, shape: tuple[int, ...]) -> Tensor:
    """Set what a draw of ``shape`` stands for to SELU's limit, then restore mean and variance."""
    from gradsmith.ops.elementwise import add, ge, mul, where

    if not training or p == 0:
        return input
    if p == 1:
        return mul(input, 0.0)
    extension = EXTENSIONS[type(input._array)]
    draws = extension.empty(shape, input._array.dtype)
    seed, offset = default_generator.take(draws.size)
    extension.random_uniform(draws, seed, offset, 0.0, 1.0, op)
    scale = ((1 - p) * (1 + p * _SELU_LIMIT**2)) ** -0.5
    chosen = where(ge(wrap(draws), p), input, _SELU_LIMIT)
    return add(mul(chosen, scale), -scale * _SELU_LIMIT * p)


@names_errors
def alpha_dropout(
    input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False
) -> Tensor:
    """In training, set elements to SELU's lower limit with probability p, then restore mean 0 and
    variance 1 by an affine map (Klambauer et al. 2017).

    Raises:
        TypeError: the input is not floating, or p no number.
        ValueError: p lies outside [0, 1].
    """
    _check("alpha_dropout", input, p, training)
    return _alpha_drop("alpha_dropout", input, p, training, input.shape)


@names_errors
def feature_alpha_dropout(
    input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False
) -> Tensor:
    """Do as `alpha_dropout`, to whole channels of (N, C, ...) at a time.

    Raises:
        TypeError: the input is not floating, or p no number.
        ValueError: p lies outside [0, 1], or the input has fewer than two dimensions.
    """
    op = "feature_alpha_dropout"
    _check(op, input, p, training)
    if input.ndim < 2 and training and p > 0:
        raise ValueError(f"{op}: input has shape {input.shape}, expected at least 2 dimensions")
    shape = (*input.shape[:2], *(1,) * (input.ndim - 2))
    return _alpha_drop(op, input, p, training, shape)
