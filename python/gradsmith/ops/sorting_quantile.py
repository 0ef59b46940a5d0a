# SPDX-License-Identifier: Apache-2.0
"""Quantiles: values at a share of the order, or between two of them."""

from __future__ import annotations

from typing import Any

from gradsmith.autograd.mode import in_float32
from gradsmith.backend import float64, int64
from gradsmith.ops.creation import full
from gradsmith.ops.elementwise import as_floating, eq, isnan, mul, sub, to, where
from gradsmith.ops.elementwise_combine import lerp
from gradsmith.ops.elementwise_round import ceil, clamp_min, floor, round
from gradsmith.ops.indexing import gather
from gradsmith.ops.options import check_number, names_errors
from gradsmith.ops.reduce import any, sum
from gradsmith.ops.shape import axis_of, expand, flatten, movedim, reshape
from gradsmith.ops.sorting import sort
from gradsmith.tensor import Tensor, array_of

_INTERPOLATIONS = ("linear", "lower", "higher", "midpoint", "nearest")


def _shares(op: str, q: Any) -> list[float]:
    """Return the shares as numbers, of a tensor with at most one dimension or a single one."""
    if isinstance(q, Tensor):
        if q.ndim > 1 or not q.is_floating_point():
            raise ValueError(
                f"{op}: q is {q.dtype} of shape {q.shape}, expected a number or a floating tensor "
                "with at most one dimension"
            )
        numbers = q.tolist() if q.ndim else [q.item()]
    else:
        numbers = [check_number(op, "q", q)]
    for number in numbers:
        if not 0 <= number <= 1:
            raise ValueError(f"{op}: q is {number}, expected numbers in [0, 1]")
    return numbers


def _between(ordered: Tensor, rank: Tensor, interpolation: str) -> Tensor:
    """Return the value at a rank (float64) of the last dimension, which is in order."""
    if interpolation == "nearest":
        return gather(ordered, -1, to(round(rank), int64))
    below = floor(rank)
    lower = gather(ordered, -1, to(below, int64))
    if interpolation == "lower":
        return lower
    upper = gather(ordered, -1, to(ceil(rank), int64))
    if interpolation == "higher":
        return upper
    weight = 0.5 if interpolation == "midpoint" else to(sub(rank, below), ordered.dtype)
    return lerp(lower, upper, weight)


def _quantile(
    op: str,
    input: Tensor,
    q: Any,
    dim: int | None,
    keepdim: bool,
    interpolation: str,
    ignores_nan: bool,
) -> Tensor:
    array = array_of(op, input)
    shares = _shares(op, q)
    if interpolation not in _INTERPOLATIONS:
        names = ", ".join(repr(name) for name in _INTERPOLATIONS)
        raise ValueError(f"{op}: interpolation is {interpolation!r}, expected one of {names}")
    axis = None if dim is None else axis_of(op, dim, array.ndim)
    x = as_floating(input)
    rows = flatten(x) if axis is None or x.ndim == 0 else movedim(x, axis, -1)
    if rows.shape[-1] == 0:
        raise ValueError(f"{op}: dim {dim} of shape {array.shape} has no element")
    missing = isnan(rows)
    if ignores_nan:
        count = sum(eq(missing, False), -1, keepdim=True)
    else:
        count = full((1,), rows.shape[-1], dtype=int64, device=x.device)
    last_rank = to(clamp_min(sub(count, 1), 0), float64)
    # A tensor takes part in the gradient: it moves the result between two elements.
    share = reshape(to(q, float64), -1) if isinstance(q, Tensor) else shares[0]
    ordered = sort(rows, -1).values
    rank = mul(last_rank, share)
    rank = expand(rank, (*rows.shape[:-1], len(shares)))
    out = _between(ordered, rank, interpolation)
    if not ignores_nan:
        # NaN is last in order; its gradient goes to where it came from.
        last = gather(ordered, -1, to(mul(rank, 0), int64) + (rows.shape[-1] - 1))
        out = where(any(missing, -1, keepdim=True), last, out)
    out = movedim(out, -1, 0)
    if keepdim:
        shape = [1 if axis is None or d == axis else size for d, size in enumerate(array.shape)]
        out = reshape(out, (len(shares), *shape))
    return out if isinstance(q, Tensor) and q.ndim else reshape(out, out.shape[1:])


@in_float32
@names_errors
def quantile(
    input: Tensor,
    q: float | Tensor,
    dim: int | None = None,
    keepdim: bool = False,
    *,
    interpolation: str = "linear",
) -> Tensor:
    """Return the value below which a share ``q`` of the elements lies; NaN where there is one.

    Args:
        input: tensor of numbers.
        q: a share in [0, 1], or a 1-d tensor of them, which becomes the first dimension.
        dim: the dimension (all elements by default).
        keepdim: keep it with size 1.
        interpolation: between two elements: ``"linear"``, ``"lower"``, ``"higher"``,
            ``"midpoint"`` or ``"nearest"``.

    Raises:
        ValueError: ``q`` is not in [0, 1], an option is unknown, or there is no element.
        IndexError: there is no such dimension.

    >>> import gradsmith as gs
    >>> gs.quantile(gs.tensor([1.0, 2.0, 3.0]), gs.tensor([0.5, 1.0]))
    tensor([2., 3.])
    """
    return _quantile("quantile", input, q, dim, keepdim, interpolation, ignores_nan=False)


@in_float32
@names_errors
def nanquantile(
    input: Tensor,
    q: float | Tensor,
    dim: int | None = None,
    keepdim: bool = False,
    *,
    interpolation: str = "linear",
) -> Tensor:
    """Return the quantile of what is no NaN; NaN where nothing is (see `quantile`)."""
    return _quantile("nanquantile", input, q, dim, keepdim, interpolation, ignores_nan=True)
