# SPDX-License-Identifier: Apache-2.0
"""In-place changes: arithmetic, filling, writing by index, random numbers.

Under `no_grad`, or where nothing involved requires a gradient, they write and count the change.
Otherwise the change is recorded and the tensor moves on to the new node. That is refused for leaves
that require a gradient, whose gradient would be that of another value, and for views, whose base
would not learn of it. A change keeps dtype and shape: results of the same or a lower kind (bool <
integer < floating) are converted.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gradsmith.autograd import casting_off, is_grad_enabled, no_grad
from gradsmith.backend import EXTENSIONS, FLOATING, Array, address_of, may_share_memory
from gradsmith.ops import elementwise, indexing, indexing_mask
from gradsmith.ops.indexing_items import assign
from gradsmith.ops.options import check_number, names_errors
from gradsmith.ops.promotion import can_cast
from gradsmith.ops.shape import expand
from gradsmith.ops.shape_copy import to_device
from gradsmith.random import Generator
from gradsmith.tensor import Tensor, array_of, wrap


def is_recorded(op: str, input: Tensor, *operands: Any) -> bool:
    """Return whether a change of ``input`` by the operands goes on the tape.

    Raises:
        TypeError: the input is no tensor.
        RuntimeError: it should, but the tensor is a leaf that requires a gradient, or a view.
    """
    array = array_of(op, input)
    needs_gradient = input.requires_grad or any(
        isinstance(each, Tensor) and each.requires_grad for each in operands
    )
    if not needs_gradient or not is_grad_enabled() or array.dtype not in FLOATING:
        return False
    if input._view_of is not None:
        raise RuntimeError(
            f"{op}: the tensor is a view, and a recorded in-place change of it would not reach its "
            "base; change the base (x[i] = ...), a clone(), or work under no_grad()"
        )
    if input._node is None and input.requires_grad:
        raise RuntimeError(
            f"{op}: the tensor is a leaf that requires a gradient; change it under no_grad(), or "
            "use the op that returns a new tensor"
        )
    return True


def rebase(input: Tensor, result: Tensor) -> None:
    """Let ``input``, whose memory now holds ``result``, take its place on the tape."""
    input._node = result._node
    input._index = result._index
    input.requires_grad = result.requires_grad
    version = input._version
    if version is not None:
        version.number += 1
        version.rebased += 1


def _snapshot(input: Tensor) -> Tensor:
    """Return the value before the change, at its place on the tape: rules may save it."""
    old = wrap(EXTENSIONS[type(input._array)].copy_of(input._array))
    old.requires_grad = input.requires_grad
    old._node = input._node
    old._index = input._index
    return old


def _store(op: str, input: Tensor, result: Tensor) -> Tensor:
    """Write a result over the memory of ``input``; return it in the tensor's dtype."""
    array, shape = input._array, result.shape
    if shape != array.shape:
        raise ValueError(f"{op}: the result has shape {shape}, the tensor {array.shape}")
    if not can_cast(result.dtype, array.dtype):
        raise TypeError(f"{op}: the result is {result.dtype}, the tensor {array.dtype}")
    fitting = elementwise.to(result, array.dtype)
    EXTENSIONS[type(array)].copy(array, fitting._array)
    return fitting


def change(
    op: str,
    input: Tensor,
    operands: tuple[Any, ...],
    function: Callable[..., Tensor],
    direct: Callable[[Array], None] | None = None,
) -> Tensor:
    """Make ``input`` the result of ``function(input, *operands)``, and return it.

    ``direct`` does the same to an array, without a copy, for changes off the tape.
    """
    if is_recorded(op, input, *operands):
        old = _snapshot(input)
        with casting_off():  # the result has to fit
            result = function(old, *(old if each is input else each for each in operands))
        rebase(input, _store(op, input, result))
        return input
    if direct is not None:
        direct(input._array)
    else:
        with no_grad(), casting_off():
            _store(op, input, function(input, *operands))
    input._bump()
    return input


def _binary(op: str, input: Tensor, other: Any, function: Callable[..., Tensor]) -> Tensor:
    array = array_of(op, input)
    kernel = getattr(EXTENSIONS[type(array)], op.removesuffix("_"))

    def direct(array: Array) -> None:
        kernel(array, _apart(other, array), 0.0, 0.0, array)

    converts = isinstance(other, Tensor) and other.dtype != array.dtype
    return change(op, input, (other,), function, None if converts else direct)


def _apart(other: Any, target: Array) -> Any:
    """Return an operand that shares no element with ``target`` but at the same place."""
    if not isinstance(other, Tensor):
        return other.item() if isinstance(other, np.generic) else other
    array = other._array
    if array is target or not may_share_memory(array, target):
        return array
    same_start = address_of(array) == address_of(target)
    if same_start and array.shape == target.shape and array.strides == target.strides:
        return array
    return EXTENSIONS[type(array)].copy_of(array)


# ---- arithmetic ----------------------------------------------------------------------------------


@names_errors
def add_(input: Tensor, other: Any, *, alpha: float = 1) -> Tensor:
    """Add ``alpha * other`` in place."""
    other = other if alpha == 1 else elementwise.scaled("add_", input, other, alpha)
    return _binary("add_", input, other, elementwise.add)


@names_errors
def sub_(input: Tensor, other: Any, *, alpha: float = 1) -> Tensor:
    """Subtract ``alpha * other`` in place."""
    other = other if alpha == 1 else elementwise.scaled("sub_", input, other, alpha)
    return _binary("sub_", input, other, elementwise.sub)


@names_errors
def mul_(input: Tensor, other: Any) -> Tensor:
    """Multiply by ``other`` in place."""
    return _binary("mul_", input, other, elementwise.mul)


@names_errors
def div_(input: Tensor, other: Any, *, rounding_mode: str | None = None) -> Tensor:
    """Divide by ``other`` in place; ``rounding_mode`` as in `div`."""
    if rounding_mode is None:
        return _binary("div_", input, other, elementwise.div)

    def divide(x: Tensor, y: Any) -> Tensor:
        return elementwise.div(x, y, rounding_mode=rounding_mode)

    return change("div_", input, (other,), divide)


subtract_ = sub_
multiply_ = mul_
divide_ = div_
true_divide_ = div_


@names_errors
def pow_(input: Tensor, exponent: Any) -> Tensor:
    """Raise to a power in place."""
    return _binary("pow_", input, exponent, elementwise.pow)


# ---- filling and writing by index ----------------------------------------------------------------


@names_errors
def copy_(input: Tensor, src: Any, non_blocking: bool = False) -> Tensor:
    """Write ``src``, broadcast and converted, over the tensor; it may be on another device.

    ``non_blocking`` has no effect.

    Raises:
        ValueError: ``src`` does not broadcast to the tensor's shape.
    """
    array = array_of("copy_", input)
    if isinstance(src, Tensor) and type(src._array) is not type(array):
        src = to_device(src, input.device)
    assign("copy_", input, (Ellipsis,), src)
    return input


@names_errors
def fill_(input: Tensor, value: Any) -> Tensor:
    """Write a number, or the one element of a 0-d tensor, everywhere.

    Raises:
        ValueError: the tensor's dtype cannot hold the value.
    """
    array_of("fill_", input)
    if isinstance(value, Tensor):
        if value.ndim:
            shape = value.shape
            raise ValueError(f"fill_: value has shape {shape}, expected a number or 0-d tensor")
        value = to_device(value, input.device)
    assign("fill_", input, (Ellipsis,), value)
    return input


@names_errors
def zero_(input: Tensor) -> Tensor:
    """Write zeros."""
    array_of("zero_", input)
    assign("zero_", input, (Ellipsis,), 0)
    return input


@names_errors
def masked_fill_(input: Tensor, mask: Tensor, value: Any) -> Tensor:
    """Write ``value`` where the bool ``mask``, which broadcasts to the tensor."""

    def fill(x: Tensor, number: Any) -> Tensor:
        return indexing_mask.masked_fill(x, mask, number)

    return change("masked_fill_", input, (value,), fill)


@names_errors
def index_add_(
    input: Tensor, dim: int, index: Tensor, source: Tensor, *, alpha: float = 1
) -> Tensor:
    """Add ``alpha * source`` to the slices at ``index`` in place (see `index_add`)."""

    def add(x: Tensor, rows: Tensor) -> Tensor:
        return indexing.index_add(x, dim, index, rows, alpha=alpha)

    return change("index_add_", input, (source,), add)


@names_errors
def scatter_(
    input: Tensor,
    dim: int,
    index: Tensor,
    src: Any = None,
    *,
    value: Any = None,
    reduce: str | None = None,
) -> Tensor:
    """Write ``src`` or ``value`` at ``index`` in place (see `scatter`)."""

    def write(x: Tensor, values: Any) -> Tensor:
        return indexing.scatter(x, dim, index, values, value=value, reduce=reduce)

    return change("scatter_", input, (src,), write)


@names_errors
def scatter_add_(input: Tensor, dim: int, index: Tensor, src: Tensor) -> Tensor:
    """Add ``src`` at ``index`` in place (see `scatter_add`)."""

    def add(x: Tensor, values: Tensor) -> Tensor:
        return indexing.scatter_add(x, dim, index, values)

    return change("scatter_add_", input, (src,), add)


# ---- random numbers ------------------------------------------------------------------------------


def _draw(op: str, input: Tensor, fill: Callable[[Array], None]) -> Tensor:
    """Fill with random numbers: a constant as far as the tape is concerned."""
    array = array_of(op, input)
    if is_recorded(op, input):
        raise RuntimeError(f"{op}: the tensor is on the tape; draw under no_grad(), or detach() it")
    if array.flags.c_contiguous:
        fill(array)
    else:
        drawn = EXTENSIONS[type(array)].empty(array.shape, array.dtype)
        fill(drawn)
        EXTENSIONS[type(array)].copy(array, drawn)
    input._bump()
    return input


@names_errors
def normal_(
    input: Tensor, mean: float = 0.0, std: float = 1.0, *, generator: Generator | None = None
) -> Tensor:
    """Fill with normal numbers.

    Raises:
        TypeError: the tensor is not floating.
        ValueError: ``std`` is negative.
    """
    from gradsmith.ops.random import fill_normal

    if not check_number("normal_", "std", std) >= 0:
        raise ValueError(f"normal_: std is {std}, expected at least 0")
    return _draw(
        "normal_", input, lambda array: fill_normal("normal_", array, mean, std, generator)
    )


@names_errors
def uniform_(
    input: Tensor, low: float = 0.0, high: float = 1.0, *, generator: Generator | None = None
) -> Tensor:
    """Fill with numbers uniform in [low, high).

    Raises:
        TypeError: the tensor is not floating.
        ValueError: ``low`` lies above ``high``.
    """
    from gradsmith.ops.random import fill_uniform

    if not check_number("uniform_", "low", low) <= check_number("uniform_", "high", high):
        raise ValueError(f"uniform_: low is {low} and high is {high}, expected low <= high")
    return _draw(
        "uniform_", input, lambda array: fill_uniform("uniform_", array, low, high, generator)
    )


@names_errors
def bernoulli_(
    input: Tensor, p: Tensor | float = 0.5, *, generator: Generator | None = None
) -> Tensor:
    """Fill with 1 of probability ``p`` (a number, or a tensor that broadcasts), else 0.

    Raises:
        TypeError: the tensor is not floating.
        ValueError: a probability lies outside [0, 1].
    """
    from gradsmith.ops.random import bernoulli_into

    def fill(array: Array) -> None:
        chance: Array | float
        if isinstance(p, Tensor):
            chance = expand(elementwise.to(p.detach(), array.dtype), array.shape)._array
        else:
            chance = p
        bernoulli_into(array, chance, generator)

    return _draw("bernoulli_", input, fill)
