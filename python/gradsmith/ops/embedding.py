# SPDX-License-Identifier: Apache-2.0
"""Table lookup and one-hot vectors."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradsmith.autograd import Node, record
from gradsmith.backend import EXTENSIONS, Array, int64, like, on_host
from gradsmith.ops.indexing import index_tensor
from gradsmith.ops.options import check_flag, check_int, names_errors
from gradsmith.tensor import Tensor, array_of, wrap


def _embedding_backward(node: Node, dy: Tensor) -> Any:
    ids, rows, padding_idx, by_frequency = node.saved
    return (embedding_gradient(dy, ids, rows, padding_idx, by_frequency),)


def embedding_gradient(
    dy: Tensor, ids: Tensor, rows: int, padding_idx: int, by_frequency: bool
) -> Tensor:
    """Return dweight of shape (rows, width): per row the sum of dy over the places of its id."""
    kernel = EXTENSIONS[type(dy._array)].embedding_backward
    array = kernel(dy._array, ids._array, rows, padding_idx, by_frequency)
    return record(_gradient_backward, array, (dy,), (ids, rows, padding_idx, by_frequency))


def _gradient_backward(node: Node, ddweight: Tensor) -> Any:
    from gradsmith.ops.elementwise import mul

    ids, _, padding_idx, by_frequency = node.saved
    ddy = _lookup(ids, ddweight, padding_idx, by_frequency)
    if padding_idx >= 0 or by_frequency:
        ddy = mul(ddy, _weights(ddweight, ids, padding_idx, by_frequency))
    return (ddy,)


def _weights(gradient: Tensor, ids: Tensor, padding_idx: int, by_frequency: bool) -> Tensor:
    """Return the factor dy of each id has in the gradient, of shape (*ids.shape, 1)."""
    array = on_host(ids._array)
    factors = np.ones(array.shape)
    if by_frequency:
        _, inverse, counts = np.unique(array, return_inverse=True, return_counts=True)
        factors = 1 / counts[inverse.reshape(array.shape)]
    if padding_idx >= 0:
        factors = np.where(array == padding_idx, 0.0, factors)
    factors = np.ascontiguousarray(factors[..., None]).astype(gradient.dtype)
    return wrap(like(factors, gradient._array))


def _lookup(ids: Tensor, weight: Tensor, padding_idx: int, by_frequency: bool) -> Tensor:
    array = EXTENSIONS[type(weight._array)].embedding_forward(weight._array, ids._array)
    saved = (ids, weight._array.shape[0], padding_idx, by_frequency)
    return record(_embedding_backward, array, (weight,), saved)


def check_dense(op: str, sparse: bool) -> None:
    """Check that no sparse gradient is asked for (ValueError)."""
    if sparse:
        raise ValueError(f"{op}: sparse gradients are not supported (expected sparse=False)")


def scale_down(ids: Tensor, weight: Tensor, max_norm: float | None, norm_type: float) -> None:
    """Scale the rows that ids name down to a norm of at most ``max_norm``, in place."""
    if max_norm is None:
        return
    extension = EXTENSIONS[type(weight._array)]
    extension.embedding_renorm(weight._array, ids._array, float(max_norm), float(norm_type))
    weight._bump()


@names_errors
def embedding(
    input: Tensor,
    weight: Tensor,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Tensor:
    """Return the rows of ``weight`` that the integers of ``input`` name.

    Args:
        input: ids of any shape, each in [0, V).
        weight: table of shape (V, E).
        padding_idx: id whose row receives no gradient; negative counts from the end.
        max_norm: rows looked up are first scaled down to this norm, in place.
        norm_type: order of that norm.
        scale_grad_by_freq: divide the gradient of a row by how often its id occurs.
        sparse: only False is supported.

    Returns:
        Tensor of shape (*input.shape, E).

    Raises:
        IndexError: an id is out of range.
        TypeError: the input holds no integers, or the weight no floating numbers.
        ValueError: the weight is not (V, E), an option is out of range, or ``sparse``.
    """
    table = array_of("embedding", weight, "weight")
    ids = index_tensor("embedding", input, "input")
    check_dense("embedding", sparse)
    if table.ndim != 2:
        raise ValueError(f"embedding: weight has shape {table.shape}, expected (V, E)")
    rows = table.shape[0]
    check_flag("embedding", "scale_grad_by_freq", scale_grad_by_freq)
    padding = -1
    if padding_idx is not None:
        if not -rows <= check_int("embedding", "padding_idx", padding_idx) < rows:
            raise ValueError(
                f"embedding: padding_idx is {padding_idx}, expected {-rows} to {rows - 1}"
            )
        padding = padding_idx % rows
    scale_down(ids, weight, max_norm, norm_type)
    return _lookup(
        ids, weight, padding, check_flag("embedding", "scale_grad_by_freq", scale_grad_by_freq)
    )


@names_errors
def one_hot(tensor: Tensor, num_classes: int = -1) -> Tensor:
    """Return int64 vectors with a 1 at the place each integer names.

    Args:
        tensor: integers of any shape, each in [0, C).
        num_classes: C; -1 takes the largest integer plus 1.

    Returns:
        Tensor of shape (*tensor.shape, C).

    Raises:
        TypeError: the tensor holds no integers.
        ValueError: an integer lies outside [0, C), or C is 0.
    """
    ids = index_tensor("one_hot", tensor, "tensor")._array
    extension = EXTENSIONS[type(ids)]
    low, high = 0, -1
    if ids.size:
        low, high = (int(on_host(find(ids))) for find in (extension.amin, extension.amax))
    if num_classes == -1:
        if ids.size == 0:
            raise ValueError("one_hot: an empty tensor needs num_classes")
        num_classes = max(high + 1, 1)
    if num_classes < 1:
        raise ValueError(f"one_hot: num_classes is {num_classes}, expected at least 1 (or -1)")
    if low < 0 or high >= num_classes:
        wrong = low if low < 0 else high
        raise ValueError(f"one_hot: class {wrong} is out of range for {num_classes} classes")
    out: Array = extension.zeros((*ids.shape, num_classes), int64)
    one = extension.full((), 1, int64)
    extension.scatter(out, ids.ndim, ids[..., None], one)
    return wrap(out)
