# SPDX-License-Identifier: Apache-2.0
"""What losses have in common: reductions, and checks of shapes, labels and ranges.

The checks of values read the tensor on the host, so on a GPU they wait for it.
"""

from __future__ import annotations

from typing import Any

from gradsmith.backend import FLOATING, int64
from gradsmith.ops.elementwise import to
from gradsmith.ops.options import check_number
from gradsmith.ops.reduce import mean, sum
from gradsmith.tensor import Tensor, array_of


def reduced(op: str, losses: Tensor, reduction: str) -> Tensor:
    """Return the losses, their mean or their sum.

    Raises:
        ValueError: the reduction is neither ``"none"``, ``"mean"`` nor ``"sum"``.
    """
    if reduction == "none":
        return losses
    if reduction == "mean":
        return mean(losses)
    if reduction == "sum":
        return sum(losses)
    raise ValueError(f"{op}: reduction is {reduction!r}, expected 'none', 'mean' or 'sum'")


def check_floating(op: str, argument: str, x: Any) -> Tensor:
    """Return ``x``, a floating tensor (TypeError if it is something else)."""
    if array_of(op, x, argument).dtype not in FLOATING:
        raise TypeError(f"{op}: {argument} is {x.dtype}, expected a floating dtype")
    return x  # type: ignore[no-any-return]


def check_alike(op: str, **tensors: Any) -> None:
    """Check that floating tensors, given by argument name, have one shape and dtype.

    Raises:
        ValueError: the shapes differ; a loss never broadcasts.
        TypeError: one is no floating tensor, or the dtypes differ.
    """
    (first, x), *others = tensors.items()
    check_floating(op, first, x)
    for name, each in others:
        array_of(op, each, name)
        if each.shape != x.shape:
            raise ValueError(
                f"{op}: {first} has shape {x.shape} and {name} {each.shape}, expected equal shapes"
            )
        if each.dtype != x.dtype:
            raise TypeError(f"{op}: {name} is {each.dtype}, expected {x.dtype} as {first} is")


def check_at_least(op: str, argument: str, value: Any, least: float = 0.0) -> float:
    """Return an option, a number no smaller than ``least`` (else TypeError or ValueError)."""
    if not check_number(op, argument, value) >= least:
        raise ValueError(f"{op}: {argument} is {value}, expected at least {least:g}")
    return float(value)


def check_positive(op: str, argument: str, value: Any) -> float:
    """Return an option, a number above 0 (else TypeError or ValueError)."""
    if not check_number(op, argument, value) > 0:
        raise ValueError(f"{op}: {argument} is {value}, expected a positive number")
    return float(value)


def _refuse(
    op: str, argument: str, x: Tensor, wrong: Tensor, expected: str, error: type[Exception]
) -> None:
    """Raise the error for the first element that is wrong, if there is one."""
    if not x.numel() or not wrong.any().item():
        return
    place = int(to(wrong, int64).flatten().argmax().item())
    value = x.detach().flatten()[place].item()
    raise error(f"{op}: {argument} is {value} at element {place}, expected {expected}")


def check_shares(op: str, argument: str, x: Tensor) -> None:
    """Check that a tensor lies in [0, 1] (ValueError); NaN passes, and shows in the loss."""
    wrong = x.detach().lt(0).logical_or(x.detach().gt(1))
    _refuse(op, argument, x, wrong, "probabilities from 0 to 1", ValueError)


def check_classes(op: str, argument: str, x: Any, classes: int) -> Tensor:
    """Return ``x``, a tensor of class indices (TypeError, IndexError if it is something else)."""
    if array_of(op, x, argument).dtype.kind not in "iu":
        raise TypeError(f"{op}: {argument} is {x.dtype}, expected integers")
    _refuse(op, argument, x, x.lt(0).logical_or(x.ge(classes)), f"0 to {classes - 1}", IndexError)
    return to(x, int64)


def labels_of(
    op: str,
    target: Any,
    shape: tuple[int, ...],
    like: Tensor,
    allowed: tuple[int, int],
    argument: str = "target",
) -> Tensor:
    """Return labels of two values, of any dtype, in the dtype of ``like``, after checking them.

    Raises:
        ValueError: the shape is another, or a label is neither of the two.
        TypeError: it is no tensor.
    """
    array_of(op, target, argument)
    if target.shape != shape:
        raise ValueError(f"{op}: {argument} has shape {target.shape}, expected {shape}")
    first, second = allowed
    labels = to(target, like.dtype)
    plain = labels.detach()
    if first == -second:
        wrong = plain.abs().ne(second)
    else:
        wrong = plain.ne(first).logical_and(plain.ne(second))
    _refuse(op, argument, target, wrong, f"{first} or {second}", ValueError)
    return labels


def signs_of(op: str, target: Any, shape: tuple[int, ...], like: Tensor) -> Tensor:
    """Return labels -1 and 1 in the dtype of ``like`` (see `labels_of`)."""
    return labels_of(op, target, shape, like, (-1, 1))
