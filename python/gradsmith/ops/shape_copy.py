# SPDX-License-Identifier: Apache-2.0
"""Copies and rearrangements into memory of their own: clone, flip, roll, repeat and pad."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from gradsmith.autograd import Node, record
from gradsmith.backend import EXTENSIONS, Array, Device, device_of, like, moved, on_host
from gradsmith.ops.options import check_int, names_errors
from gradsmith.ops.shape import axis_of, expand, flatten, reshape, sizes, transpose, unsqueeze
from gradsmith.ops.shape_border import Borders, bordered
from gradsmith.tensor import Tensor, array_of, wrap


def _clone_backward(node: Node, dy: Tensor) -> Any:
    return (dy,)


def clone(input: Tensor) -> Tensor:
    """Return a copy in memory of its own, on the tape; a channels-last tensor's is that too."""
    array = array_of("clone", input)
    return record(_clone_backward, EXTENSIONS[type(array)].clone(array), (input,))


def contiguous(input: Tensor) -> Tensor:
    """Return the tensor in C order: itself if it is, else a copy."""
    if input.is_contiguous():
        return input
    array = input._array
    return record(_clone_backward, EXTENSIONS[type(array)].contiguous(array), (input,))


def _to_device_backward(node: Node, dy: Tensor) -> Any:
    (source,) = node.saved
    return (to_device(dy, source),)


def to_device(input: Tensor, device: Device) -> Tensor:
    """Return a copy on a device, on the tape; the tensor itself if it is there already."""
    array = array_of("to", input)
    there = moved(array, device)
    if there is array:
        return input
    return record(_to_device_backward, there, (input,), (device_of(array),))


def _flip_backward(node: Node, dy: Tensor) -> Any:
    (dims,) = node.saved
    return (flip(dy, dims),)


@names_errors
def flip(input: Tensor, dims: Sequence[int] | int) -> Tensor:
    """Return a copy with the order along ``dims`` reversed.

    Raises:
        ValueError: a dimension is named twice.
        IndexError: there is no such dimension.
    """
    array = array_of("flip", input)
    given = (dims,) if isinstance(dims, int) else tuple(dims)
    axes = tuple(axis_of("flip", dim, array.ndim) for dim in given)
    if len(set(axes)) != len(axes):
        raise ValueError(f"flip: dims {given} name a dimension twice")
    steps = tuple(slice(None, None, -1 if d in axes else None) for d in range(array.ndim))
    copy = EXTENSIONS[type(array)].copy_of(array[steps] if array.ndim else array)
    return record(_flip_backward, copy, (input,), (axes,))


@names_errors
def fliplr(input: Tensor) -> Tensor:
    """Return a copy with the order along dimension 1 reversed.

    Raises:
        ValueError: there are fewer than two dimensions.
    """
    if array_of("fliplr", input).ndim < 2:
        raise ValueError(f"fliplr: got shape {input.shape}, expected 2 dimensions or more")
    return flip(input, 1)


@names_errors
def flipud(input: Tensor) -> Tensor:
    """Return a copy with the order along dimension 0 reversed.

    Raises:
        ValueError: the tensor has no dimension.
    """
    if array_of("flipud", input).ndim < 1:
        raise ValueError("flipud: the tensor has no dimension")
    return flip(input, 0)


# ---- roll and rotate -----------------------------------------------------------------------------


def _roll_backward(node: Node, dy: Tensor) -> Any:
    shifts, dims = node.saved
    return (roll(dy, tuple(-shift for shift in shifts), dims),)


@names_errors
def roll(
    input: Tensor, shifts: int | Sequence[int], dims: int | Sequence[int] | None = None
) -> Tensor:
    """Return the elements moved by ``shifts`` along ``dims``; those that leave come in again.

    Args:
        input: any tensor.
        shifts: one per dimension of ``dims``.
        dims: None rolls the flattened tensor.

    Raises:
        ValueError: there are not as many shifts as dims.
    """
    array = array_of("roll", input)
    amounts = sizes("roll", (shifts,))
    if dims is None:
        if len(amounts) != 1:
            raise ValueError(f"roll: {len(amounts)} shifts without dims, expected 1")
        return reshape(roll(flatten(input), amounts, 0), array.shape)
    axes = tuple(axis_of("roll", dim, array.ndim) for dim in sizes("roll", (dims,)))
    if len(axes) != len(amounts):
        raise ValueError(f"roll: {len(amounts)} shifts for {len(axes)} dims")
    for shift, axis in zip(amounts, axes, strict=True):
        array = _rolled(array, shift, axis)
    return record(_roll_backward, array, (input,), (amounts, axes))


def _rolled(array: Array, shift: int, axis: int) -> Array:
    extension = EXTENSIONS[type(array)]
    out: Array = extension.empty(array.shape, array.dtype, array)
    length = array.shape[axis] if array.ndim else 0
    if out.size == 0 or length == 0:
        return array
    at = shift % length
    lead = (slice(None),) * axis
    extension.copy(out[(*lead, slice(at, None))], array[(*lead, slice(0, length - at))])
    extension.copy(out[(*lead, slice(0, at))], array[(*lead, slice(length - at, None))])
    return out


@names_errors
def rot90(input: Tensor, k: int = 1, dims: Sequence[int] = (0, 1)) -> Tensor:
    """Return the tensor turned ``k`` times by 90 degrees, from the first of ``dims`` to the second.

    Raises:
        ValueError: ``dims`` is no pair of distinct dimensions.
    """
    ndim = array_of("rot90", input).ndim
    axes = [axis_of("rot90", dim, ndim) for dim in sizes("rot90", (dims,))]
    if len(axes) != 2 or axes[0] == axes[1]:
        raise ValueError(f"rot90: dims is {tuple(dims)}, expected two distinct dimensions")
    turns = check_int("rot90", "k", k) % 4
    if turns == 0:
        return flip(input, ())
    if turns == 2:
        return flip(input, axes)
    if turns == 1:
        return flip(transpose(input, *axes), axes[0])
    return transpose(flip(input, axes[0]), *axes)


# ---- repetition ----------------------------------------------------------------------------------


def _repeat_backward(node: Node, dy: Tensor) -> Any:
    from gradsmith.ops.reduce import sum

    apart, repeated = node.saved
    return (sum(reshape(dy, apart), repeated),)


@names_errors
def repeat(input: Tensor, *repeats: Any) -> Tensor:
    """Return the tensor repeated as a whole, ``repeats[d]`` times along dimension d.

    Raises:
        ValueError: there are fewer numbers than dimensions, or one is negative.
    """
    times = sizes("repeat", repeats)
    shape = array_of("repeat", input).shape
    if len(times) < len(shape) or any(count < 0 for count in times):
        raise ValueError(
            f"repeat: repeats is {times}, expected at least {len(shape)} numbers >= 0 for shape "
            f"{shape}"
        )
    extra = len(times) - len(shape)
    spread, axes = list(times[:extra]), list(range(extra))
    for count, size in zip(times[extra:], shape, strict=True):
        if count != 1:
            axes.append(len(spread))
            spread.append(count)
        spread.append(size)
    if not axes:
        return clone(input)
    array, apart, repeated = input._array, tuple(spread), tuple(axes)
    extension = EXTENSIONS[type(array)]
    merged = (*times[:extra], *map(operator.mul, times[extra:], shape))
    out: Array = extension.empty(merged, array.dtype, array)
    extension.copy(out.reshape(apart), extension.spread(array, apart, repeated))
    return record(_repeat_backward, out, (input,), (apart, repeated))


@names_errors
def tile(input: Tensor, *dims: Any) -> Tensor:
    """Return the tensor repeated as a whole; missing numbers are 1 (see `repeat`)."""
    times = sizes("tile", dims)
    missing = array_of("tile", input).ndim - len(times)
    return repeat(input, (*(1,) * missing, *times))


@names_errors
def repeat_interleave(
    input: Tensor,
    repeats: int | Tensor | Sequence[int],
    dim: int | None = None,
    *,
    output_size: int | None = None,
) -> Tensor:
    """Return the tensor with each element of ``dim`` repeated in place.

    Args:
        input: any tensor.
        repeats: how often, one number for all or one for each element.
        dim: None repeats the elements of the flattened tensor.
        output_size: the size of ``dim`` in the result, which is only checked.

    Raises:
        ValueError: a number is negative, there are not as many as elements, or ``output_size`` is
            not what they add up to.
    """
    array = array_of("repeat_interleave", input)
    if dim is None:
        return repeat_interleave(flatten(input), repeats, 0, output_size=output_size)
    axis = axis_of("repeat_interleave", dim, array.ndim)
    length = array.shape[axis] if array.ndim else 1
    # The counts decide the shape of the result, which the host has to know.
    counts = np.asarray(on_host(repeats._array) if isinstance(repeats, Tensor) else repeats)
    if counts.dtype.kind not in "iu" or counts.ndim > 1 or counts.size not in (1, length):
        raise ValueError(
            f"repeat_interleave: repeats has shape {counts.shape} and dtype {counts.dtype}, "
            f"expected one integer or {length} of them"
        )
    if (counts < 0).any():
        raise ValueError("repeat_interleave: repeats holds a negative number")
    total = int(counts.sum()) * (length if counts.size == 1 else 1)
    if output_size is not None and output_size != total:
        raise ValueError(f"repeat_interleave: output_size is {output_size}, expected {total}")
    if counts.size == 1:
        count = int(counts.reshape(-1)[0])
        shape = (*array.shape[: axis + 1], count, *array.shape[axis + 1 :])
        return flatten(expand(unsqueeze(input, axis + 1), shape), axis, axis + 1)
    from gradsmith.ops.indexing import index_select

    return index_select(input, axis, wrap(like(np.repeat(np.arange(length), counts), array)))


# ---- padding -------------------------------------------------------------------------------------


def _pad_backward(node: Node, dy: Tensor) -> Any:
    (amounts,) = node.saved
    return (_pad_constant(dy, tuple(-amount for amount in amounts), 0.0),)


def _pad_constant(input: Tensor, amounts: tuple[int, ...], value: float) -> Tensor:
    """Pad the last dimensions; negative amounts cut off."""
    array = input._array
    shape, source, target = list(array.shape), [], []
    for d, size in enumerate(array.shape):
        pair = 2 * (array.ndim - 1 - d)
        before, after = amounts[pair : pair + 2] if pair < len(amounts) else (0, 0)
        shape[d] = size + before + after
        if shape[d] < 0:
            raise ValueError(
                f"pad: {before} and {after} leave dim {d} of size {size} with size {shape[d]}"
            )
        source.append(slice(max(-before, 0), max(size - max(-after, 0), 0)))
        target.append(slice(max(before, 0), max(shape[d] - max(after, 0), 0)))
    extension = EXTENSIONS[type(array)]
    result = extension.full(tuple(shape), value, array.dtype, array)
    extension.copy(result[tuple(target)], array[tuple(source)])
    return record(_pad_backward, result, (input,), (amounts,))


def _padded_positions(mode: str, size: int, before: int, after: int) -> Array:
    """Return for each position of a padded dimension the one it takes its element from."""
    positions = np.arange(-before, size + after)
    if mode == "replicate":
        return positions.clip(0, size - 1)
    if mode == "circular":  # what is left after cutting off repeats
        start, left = max(-before, 0), size + min(before, 0) + min(after, 0)
        repeated: Array = start + (positions - start) % left
        return repeated
    period = max(2 * size - 2, 1)
    folded = positions % period
    return np.minimum(folded, period - folded) if size > 1 else folded


def _check_padding(mode: str, dim: int, size: int, before: int, after: int) -> None:
    largest = {"reflect": size - 1, "circular": size, "replicate": math.inf}[mode]
    left = size + before + after
    if mode != "replicate":
        left = size + min(before, 0) + min(after, 0)
    if max(before, after) > largest or size == 0 or left < 1:
        raise ValueError(
            f"pad: {before} and {after} for dim {dim} of size {size}, expected numbers up to "
            f"{largest} for mode {mode!r} that leave something"
        )


@names_errors
def pad(
    input: Tensor, pad: Sequence[int], mode: str = "constant", value: float | None = None
) -> Tensor:
    """Return the tensor padded at the ends of its last dimensions.

    Args:
        input: any tensor.
        pad: two numbers per dimension, before and after, from the last dimension backwards;
            negative numbers cut off.
        mode: ``"constant"``, ``"reflect"`` (the border not repeated), ``"replicate"`` or
            ``"circular"``.
        value: what constant padding holds (default 0).

    Raises:
        ValueError: the mode is unknown, or the numbers do not suit the shape.
    """
    array = array_of("pad", input)
    amounts = sizes("pad", (tuple(pad),))
    if len(amounts) % 2 or len(amounts) > 2 * array.ndim:
        raise ValueError(
            f"pad: pad has {len(amounts)} numbers, expected two for each of at most {array.ndim} "
            "dimensions"
        )
    if mode == "constant":
        return _pad_constant(input, amounts, 0.0 if value is None else value)
    if mode not in ("reflect", "replicate", "circular"):
        raise ValueError(
            f"pad: mode is {mode!r}, expected 'constant', 'reflect', 'replicate' or 'circular'"
        )
    if value is not None:
        raise ValueError(f"pad: value is {value}, which mode {mode!r} does not take")
    return _padded_by_itself(input, mode, amounts)


def _padded_by_itself(input: Tensor, mode: str, amounts: tuple[int, ...]) -> Tensor:
    shape = input.shape
    out, befores, afters = input, [0] * len(shape), [0] * len(shape)
    for pair in range(0, len(amounts), 2):
        dim = len(shape) - 1 - pair // 2
        size = shape[dim]
        before, after = amounts[pair : pair + 2]
        if before == after == 0:
            continue
        _check_padding(mode, dim, size, before, after)
        if min(before, after) >= 0:
            befores[dim], afters[dim] = before, after
        else:
            from gradsmith.ops.indexing import index_select

            positions = _padded_positions(mode, size, before, after)
            out = index_select(out, dim, wrap(like(positions, input._array)))
    if not any(befores) and not any(afters):
        return out
    return bordered(out, Borders(mode, tuple(befores), tuple(afters)))
