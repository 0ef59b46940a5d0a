# SPDX-License-Identifier: Apache-2.0
"""Views: the same memory in another shape or order, expanded, or in pieces.

Where strides allow no view, `reshape` copies. What always copies is in `shape_copy`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gradsmith import backend
from gradsmith.autograd import Node, record
from gradsmith.backend import EXTENSIONS, is_channels_last
from gradsmith.ops.options import names_errors
from gradsmith.ops.shape_layout import allows_view
from gradsmith.tensor import Tensor, array_of

_INTS = frozenset({int})


def _view(backward: Any, array: Any, base: Tensor, saved: tuple[Any, ...]) -> Tensor:
    """Record a result that shares the base's memory, and its count of in-place changes."""
    out = record(backward, array, (base,), saved)
    out._version = version = base._shared_version()
    out._view_of = version.rebased
    return out


def sizes(name: str, shape: tuple[Any, ...]) -> tuple[int, ...]:
    """Return a shape given as ints or as one sequence of ints.

    Raises:
        TypeError: a size is no integer.
    """
    if len(shape) == 1 and isinstance(shape[0], (tuple, list)):
        shape = tuple(shape[0])
    if _INTS.issuperset(map(type, shape)):
        return shape
    for size in shape:
        if not isinstance(size, (int, np.integer)) or isinstance(size, bool):
            raise TypeError(f"{name}: size {size!r} is a {type(size).__name__}, expected an int")
    return tuple(int(size) for size in shape)


def axis_of(name: str, dim: int, ndim: int) -> int:
    """Return ``dim`` in [0, ndim).

    Raises:
        TypeError: it is no integer.
        IndexError: it is out of range.
    """
    if type(dim) is int and -ndim <= dim < ndim:
        return dim if dim >= 0 else dim + ndim
    limit = max(ndim, 1)
    if isinstance(dim, bool) or not isinstance(dim, (int, np.integer)):
        raise TypeError(f"{name}: dim is a {type(dim).__name__}, expected an int")
    if not -limit <= dim < limit:
        raise IndexError(
            f"{name}: dim {dim} is out of range for a tensor of {ndim} dimensions (expected "
            f"{-limit} to {limit - 1})"
        )
    return int(dim) % limit


def _reshape_backward(node: Node, dy: Tensor) -> Any:
    (shape,) = node.saved
    return (reshape(dy, shape),)


def _channels_last_backward(node: Node, dy: Tensor) -> Any:
    return (dy,)


def _in_channels_last(x: Tensor) -> Tensor:
    """Return a copy of (N, C, *spatial) that lies in the order of (N, *spatial, C)."""
    array = x._array
    extension = EXTENSIONS[type(array)]
    batch, channels, *spatial = array.shape
    lying = extension.empty((batch, *spatial, channels), array.dtype)
    copy = lying.transpose(0, array.ndim - 1, *range(1, array.ndim - 1))
    extension.copy(copy, array)
    return record(_channels_last_backward, copy, (x,))


def _reshape_channels_last_backward(node: Node, dy: Tensor) -> Any:
    # In the order of x: whatever made x takes both, and one copy is cheaper than mixed orders.
    (shape,) = node.saved
    return (_in_channels_last(reshape(dy, shape)),)


def reshape(input: Tensor, *shape: Any) -> Tensor:
    """Return the elements in another shape; one size may be -1. A view where memory allows.

    Raises:
        ValueError: the number of elements differs.
    """
    wanted = sizes("reshape", shape)
    array = array_of("reshape", input)
    if array.shape == wanted:
        return _view(_reshape_backward, array, input, (array.shape,))
    backward = _reshape_backward
    try:
        if wanted and min(wanted) < -1:  # which NumPy takes for -1
            raise ValueError
        if is_channels_last(array):
            array = EXTENSIONS[type(array)].contiguous(array)
            backward = _reshape_channels_last_backward
        elif not array.flags.c_contiguous and not allows_view(array, wanted):
            # NumPy's copy would take its time, and memory of its own.
            array = EXTENSIONS[type(array)].contiguous(array)
        result = array.reshape(wanted)
    except (ValueError, OverflowError):
        raise ValueError(
            f"reshape: a tensor of shape {array.shape} ({array.size} elements) does not fit into "
            f"shape {wanted}"
        ) from None
    base = result.base  # of a view the array itself, or the one that this is a view of
    if array is input._array and base is not None and (base is array or base is array.base):
        return _view(_reshape_backward, result, input, (array.shape,))
    if type(array) is not np.ndarray and not array.flags.c_contiguous:
        # NumPy's copy does not lie in the device's memory.
        result = EXTENSIONS[type(array)].contiguous(array).reshape(wanted)
    return record(backward, result, (input,), (array.shape,))


def view(input: Tensor, *shape: Any) -> Tensor:
    """Return the same memory in another shape.

    A channels-last tensor is copied where its strides allow no view: convolutions choose that
    order by themselves, and a program need not know where they do.

    Raises:
        ValueError: the number of elements differs, or the strides allow no view.
    """
    out = reshape(input, *shape)
    if out._view_of is None and out._array.size and not is_channels_last(input._array):
        raise ValueError(
            f"view: a tensor of shape {input.shape} and strides {input.stride()} cannot be viewed "
            f"as {out.shape} without a copy; use reshape"
        )
    return out


def _permute_backward(node: Node, dy: Tensor) -> Any:
    (dims,) = node.saved
    inverse = tuple(sorted(range(len(dims)), key=dims.__getitem__))
    return (permute(dy, inverse),)


def permute(input: Tensor, *dims: Any) -> Tensor:
    """Return a view with the dimensions in the order given.

    Raises:
        ValueError: ``dims`` is no permutation of the tensor's dimensions.
    """
    given = sizes("permute", dims)
    array = array_of("permute", input)
    ndim = array.ndim
    order = tuple([axis_of("permute", dim, ndim) for dim in given])
    if len(order) != ndim or len(set(order)) != ndim:
        raise ValueError(f"permute: {given} is no permutation of {ndim} dimensions")
    return _view(_permute_backward, array.transpose(order), input, (order,))


def _transpose_backward(node: Node, dy: Tensor) -> Any:
    return (transpose(dy, *node.saved),)


def transpose(input: Tensor, dim0: int, dim1: int) -> Tensor:
    """Return a view with two dimensions exchanged."""
    array = array_of("transpose", input)
    ndim = array.ndim
    dims = axis_of("transpose", dim0, ndim), axis_of("transpose", dim1, ndim)
    return _view(_transpose_backward, array.swapaxes(*dims) if ndim else array, input, dims)


def _expand_backward(node: Node, dy: Tensor) -> Any:
    from gradsmith.ops.reduce import sum_to

    (shape,) = node.saved
    return (sum_to(dy, shape),)


def expand(input: Tensor, *shape: Any) -> Tensor:
    """Return a read-only view with dimensions of size 1 repeated; -1 keeps a size.

    Raises:
        ValueError: the shape cannot be reached by repeating.
    """
    wanted = sizes("expand", shape)
    array = array_of("expand", input)
    old = array.shape
    extra = len(wanted) - len(old)
    full = tuple(
        old[d - extra] if size == -1 and d >= extra else size for d, size in enumerate(wanted)
    )
    try:
        result = backend.broadcast_to(array, full)
    except ValueError:
        raise ValueError(f"expand: shape {old} cannot be expanded to {wanted}") from None
    return _view(_expand_backward, result, input, (old,))


def unsqueeze(input: Tensor, dim: int) -> Tensor:
    """Return a view with a dimension of size 1 inserted at ``dim``."""
    shape = array_of("unsqueeze", input).shape
    axis = axis_of("unsqueeze", dim, len(shape) + 1)
    return reshape(input, (*shape[:axis], 1, *shape[axis:]))


@names_errors
def squeeze(input: Tensor, dim: int | Sequence[int] | None = None) -> Tensor:
    """Return a view without the dimensions of size 1 (those of ``dim``, or all)."""
    shape = array_of("squeeze", input).shape
    if dim is None:
        return reshape(input, tuple(size for size in shape if size != 1))
    dims = (dim,) if isinstance(dim, (int, np.integer)) else tuple(dim)
    axes = {axis_of("squeeze", each, len(shape)) for each in dims}
    return reshape(input, tuple(size for d, size in enumerate(shape) if size != 1 or d not in axes))


def flatten(input: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """Return the tensor with dimensions ``start_dim`` to ``end_dim`` merged into one.

    Raises:
        ValueError: ``start_dim`` lies behind ``end_dim``.
    """
    shape = array_of("flatten", input).shape
    first = axis_of("flatten", start_dim, len(shape))
    last = axis_of("flatten", end_dim, len(shape))
    if first > last:
        raise ValueError(f"flatten: start_dim {start_dim} lies behind end_dim {end_dim}")
    merged = math.prod(shape[first : last + 1])
    return reshape(input, (*shape[:first], merged, *shape[last + 1 :]))


@names_errors
def movedim(input: Tensor, source: int | Sequence[int], destination: int | Sequence[int]) -> Tensor:
    """Return a view with the dimensions ``source`` moved to ``destination``.

    Raises:
        ValueError: the two differ in length or name a dimension twice.
    """
    ndim = array_of("movedim", input).ndim
    moved = [axis_of("movedim", dim, ndim) for dim in sizes("movedim", _as_tuple(source))]
    targets = [axis_of("movedim", dim, ndim) for dim in sizes("movedim", _as_tuple(destination))]
    if len(moved) != len(targets) or len(set(moved)) < len(moved) or len(set(targets)) < len(moved):
        raise ValueError(
            f"movedim: source {source} and destination {destination} are no pairs of distinct "
            "dimensions"
        )
    place = dict(zip(targets, moved, strict=True))
    others = iter(dim for dim in range(ndim) if dim not in moved)
    return permute(input, tuple(place[d] if d in place else next(others) for d in range(ndim)))


def _as_tuple(dims: int | Sequence[int]) -> tuple[int, ...]:
    return (dims,) if isinstance(dims, (int, np.integer)) else tuple(dims)


def t(input: Tensor) -> Tensor:
    """Return the transposed view of a matrix; fewer dimensions stay as they are.

    Raises:
        ValueError: there are more than two dimensions.
    """
    if array_of("t", input).ndim > 2:
        raise ValueError(f"t: got shape {input.shape}, expected at most 2 dimensions")
    return transpose(input, 0, -1)


@names_errors
def unflatten(input: Tensor, dim: int, sizes: Sequence[int]) -> Tensor:
    """Return the tensor with ``dim`` divided into ``sizes``, one of which may be -1.

    Raises:
        ValueError: the sizes do not multiply to that of ``dim``.
    """
    array = array_of("unflatten", input)
    axis = axis_of("unflatten", dim, array.ndim)
    size, wanted = array.shape[axis], tuple(sizes)
    known = math.prod(each for each in wanted if each != -1)
    fits = size == known if -1 not in wanted else known > 0 and size % known == 0
    if not fits or wanted.count(-1) > 1 or not wanted:
        raise ValueError(f"unflatten: dim {dim} of size {size} does not divide into {wanted}")
    full = tuple(size // known if each == -1 else each for each in wanted)
    return reshape(input, (*array.shape[:axis], *full, *array.shape[axis + 1 :]))


@names_errors
def broadcast_to(input: Tensor, size: Sequence[int]) -> Tensor:
    """Return a read-only view with dimensions of size 1 repeated (see `expand`)."""
    return expand(input, tuple(size))


def broadcast_tensors(*tensors: Tensor) -> tuple[Tensor, ...]:
    """Return the tensors expanded to the shape they broadcast to.

    Raises:
        ValueError: they do not broadcast.
    """
    if len(tensors) == 1 and isinstance(tensors[0], (tuple, list)):
        tensors = tuple(tensors[0])
    shapes = [array_of("broadcast_tensors", each).shape for each in tensors]
    try:
        shape = np.broadcast_shapes(*shapes)
    except ValueError:
        text = ", ".join(str(each) for each in shapes)
        raise ValueError(f"broadcast_tensors: shapes {text} do not broadcast") from None
    return tuple(expand(each, shape) for each in tensors)


@names_errors
def expand_as(input: Tensor, other: Tensor) -> Tensor:
    """Return the tensor expanded to the shape of ``other``."""
    return expand(input, array_of("expand_as", other, "other").shape)


@names_errors
def view_as(input: Tensor, other: Tensor) -> Tensor:
    """Return the same memory in the shape of ``other``."""
    return view(input, array_of("view_as", other, "other").shape)


@names_errors
def reshape_as(input: Tensor, other: Tensor) -> Tensor:
    """Return the elements in the shape of ``other``."""
    return reshape(input, array_of("reshape_as", other, "other").shape)


def _each(op: str, tensors: tuple[Any, ...], change: Callable[[Tensor], Tensor]) -> Any:
    """Return the changed tensor, or a tuple of them where there are several or a sequence."""
    if len(tensors) == 1 and not isinstance(tensors[0], (tuple, list)):
        array_of(op, tensors[0])
        return change(tensors[0])
    given = tensors[0] if len(tensors) == 1 else tensors
    for i, each in enumerate(given):
        array_of(op, each, f"tensors[{i}]")
    return tuple(change(each) for each in given)


def atleast_1d(*tensors: Any) -> Any:
    """Return the tensor, or each of several, with at least one dimension."""
    return _each("atleast_1d", tensors, lambda x: x if x.ndim >= 1 else reshape(x, (1,)))


def atleast_2d(*tensors: Any) -> Any:
    """Return the tensor, or each of several, with at least two dimensions; new ones come first."""
    return _each("atleast_2d", tensors, lambda x: x if x.ndim >= 2 else reshape(x, (1, -1)))


def atleast_3d(*tensors: Any) -> Any:
    """Return the tensor, or each of several, with at least three; the third one comes last."""
    return _each("atleast_3d", tensors, lambda x: x if x.ndim >= 3 else unsqueeze(atleast_2d(x), 2))


def broadcast_shapes(*shapes: int | Sequence[int]) -> tuple[int, ...]:
    """Return the shape that shapes broadcast to; an int stands for one dimension.

    Raises:
        ValueError: they do not broadcast.
        TypeError: a size is no integer.
    """
    given = [sizes("broadcast_shapes", _as_tuple(each)) for each in shapes]
    try:
        return np.broadcast_shapes(*given)
    except ValueError:
        text = ", ".join(str(each) for each in given)
        raise ValueError(f"broadcast_shapes: shapes {text} do not broadcast") from None


@names_errors
def adjoint(input: Tensor) -> Tensor:
    """Return the view with the last two dimensions exchanged (numbers here are real).

    Raises:
        ValueError: there are fewer than two dimensions.
    """
    if array_of("adjoint", input).ndim < 2:
        raise ValueError(f"adjoint: got shape {input.shape}, expected 2 dimensions or more")
    return transpose(input, -1, -2)


def ravel(input: Tensor) -> Tensor:
    """Return the elements in one dimension."""
    array_of("ravel", input)
    return reshape(input, -1)


def swapaxes(input: Tensor, axis0: int, axis1: int) -> Tensor:
    """Return a view with two dimensions exchanged (see `transpose`)."""
    return transpose(input, axis0, axis1)


swapdims = transpose
moveaxis = movedim
