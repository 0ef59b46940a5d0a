# SPDX-License-Identifier: Apache-2.0
"""Variance and standard deviation, in two passes over the data so that nothing cancels."""

from __future__ import annotations

from typing import Any

from gradsmith.autograd import OUTPUT, Node, record
from gradsmith.ops.elementwise import div, eq, mul, sub, where
from gradsmith.ops.elementwise_math import run_unary, square
from gradsmith.ops.options import check_flag, check_number, names_errors
from gradsmith.ops.reduce import Dim, axes_of, mean, sum
from gradsmith.ops.shape import reshape
from gradsmith.tensor import Tensor


def _arguments(
    op: str, dim: Any, unbiased: bool | None, correction: float | None
) -> tuple[Dim, float]:
    """Return dim and correction; ``var(x, True)`` names ``unbiased`` as in PyTorch."""
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    if unbiased is None:
        return dim, 1 if correction is None else check_number(op, "correction", correction)
    if correction is not None:
        raise ValueError(f"{op}: got both unbiased and correction, expected one of them")
    return dim, int(check_flag(op, "unbiased", unbiased))


@names_errors
def var_mean(
    input: Tensor,
    dim: Any = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: float | None = None,
) -> tuple[Tensor, Tensor]:
    """Return variance and mean over ``dim`` (see `var`)."""
    dim, correction = _arguments("var", dim, unbiased, correction)
    average = mean(input, dim, keepdim=True)
    total = sum(square(sub(input, average)), dim, keepdim)
    count = 1
    for axis in axes_of(dim, input.ndim):
        count *= input.shape[axis] if input.ndim else 1
    degrees = count - correction
    variance = div(total, degrees if degrees > 0 else 0.0)
    return variance, average if keepdim else reshape(average, total.shape)


@names_errors
def var(
    input: Tensor,
    dim: Any = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: float | None = None,
) -> Tensor:
    """Return the variance over ``dim``: squared deviations over (count - correction).

    Args:
        input: floating tensor.
        dim: the dimensions to reduce (all by default).
        unbiased: True for correction 1, False for 0.
        keepdim: keep them with size 1.
        correction: what is taken off the count (default 1).

    Raises:
        TypeError: the dtype is not floating.
        IndexError: there is no such dimension.
    """
    return var_mean(input, dim, unbiased, keepdim, correction=correction)[0]


def _std_backward(node: Node, dy: Tensor) -> Any:
    """Through the square root; 0 where there is no deviation."""
    (y,) = node.saved
    flat = eq(y, 0)
    return (where(flat, 0.0, div(mul(dy, 0.5), where(flat, 1.0, y))),)


@names_errors
def std_mean(
    input: Tensor,
    dim: Any = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: float | None = None,
) -> tuple[Tensor, Tensor]:
    """Return standard deviation and mean over ``dim`` (see `var`)."""
    variance, average = var_mean(input, dim, unbiased, keepdim, correction=correction)
    return record(_std_backward, run_unary("sqrt", variance), (variance,), (OUTPUT,)), average


@names_errors
def std(
    input: Tensor,
    dim: Any = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: float | None = None,
) -> Tensor:
    """Return the standard deviation over ``dim`` (see `var`)."""
    return std_mean(input, dim, unbiased, keepdim, correction=correction)[0]
