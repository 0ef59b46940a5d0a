# SPDX-License-Identifier: Apache-2.0
"""Lengths of the sequences of a padded batch, and the masks they stand for.

There is one type of it: int64 numbers (N,). A mask is True where a step belongs to its sequence.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gradsmith.backend import Array, bool_, like, on_host
from gradsmith.ops.elementwise import ne
from gradsmith.ops.elementwise_compare import lt
from gradsmith.ops.indexing import index_tensor
from gradsmith.ops.options import check_int, names_errors
from gradsmith.ops.reduce import any, sum
from gradsmith.ops.shape import unsqueeze
from gradsmith.tensor import Tensor, array_of, wrap


def host_lengths(op: str, lengths: Any, minimum: int = 0) -> Array:
    """Return lengths, a tensor or ints, as an int64 array of the host.

    Raises:
        TypeError: they are no integers.
        ValueError: they have not one dimension, or one is below the minimum.
    """
    given = lengths if isinstance(lengths, Tensor) else wrap(np.asarray(lengths))
    array: Array = on_host(index_tensor(op, given, "lengths")._array).astype(np.int64)
    if array.ndim != 1:
        raise ValueError(f"{op}: lengths has shape {array.shape}, expected (N,)")
    if array.size and array.min() < minimum:
        raise ValueError(f"{op}: lengths holds {array.min()}, expected at least {minimum}")
    return array


def check_lengths(
    op: str, lengths: Any, count: int, steps: int, minimum: int = 0, input: str = "input"
) -> Array:
    """Return the lengths of ``count`` sequences of at most ``steps`` steps, on the host.

    Raises:
        TypeError: they are no integers.
        ValueError: there are not as many, or one is out of range.
    """
    array = host_lengths(op, lengths, minimum)
    if len(array) != count:
        raise ValueError(
            f"{op}: lengths has shape {array.shape}, expected ({count},), one per sequence of "
            f"{input}"
        )
    if array.size and array.max() > steps:
        raise ValueError(
            f"{op}: lengths holds {array.max()}, expected at most the {steps} steps of {input}"
        )
    return array


@names_errors
def length_mask(lengths: Tensor, max_len: int | None = None) -> Tensor:
    """Return bool (N, max_len), True for the steps that belong to each sequence.

    Its opposite is the ``key_padding_mask`` of `MultiheadAttention` and of the transformers.

    Example:
        >>> import gradsmith as gs
        >>> from gradsmith.nn.utils.rnn import length_mask
        >>> mask = length_mask(gs.tensor([2, 3]))
        >>> mask.tolist()
        [[True, True, False], [True, True, True]]
        >>> attention = gs.nn.MultiheadAttention(8, 2, batch_first=True)
        >>> x = gs.randn(2, 3, 8)
        >>> y, weights = attention(x, x, x, key_padding_mask=~mask)
        >>> weights[0, :, 2].tolist()
        [0.0, 0.0, 0.0]

    Args:
        lengths: integers (N,).
        max_len: steps of the mask, the largest length by default.

    Raises:
        TypeError: ``lengths`` holds no integers.
        ValueError: it has not one dimension, or a length is not in [0, max_len].
    """
    array = array_of("length_mask", lengths, "lengths")
    host = host_lengths("length_mask", lengths)
    largest = int(host.max(initial=0))
    steps = largest if max_len is None else check_int("length_mask", "max_len", max_len)
    if steps < largest:
        raise ValueError(f"length_mask: max_len is {steps}, expected at least {largest}")
    return lt(wrap(like(np.arange(steps), array)), unsqueeze(lengths, 1))


@names_errors
def mask_lengths(mask: Tensor) -> Tensor:
    """Return the int64 lengths (N,) of a mask (N, T), the inverse of `length_mask`.

    Raises:
        TypeError: the mask is not bool.
        ValueError: it has not two dimensions, or in a row a True follows a False.
    """
    array = array_of("mask_lengths", mask, "mask")
    if array.dtype != bool_:
        raise TypeError(f"mask_lengths: mask is {array.dtype}, expected bool")
    if array.ndim != 2:
        raise ValueError(f"mask_lengths: mask has shape {array.shape}, expected (N, T)")
    lengths = sum(mask, 1)
    holes = any(ne(length_mask(lengths, array.shape[1]), mask), 1)._array
    rows = np.flatnonzero(on_host(holes))
    if rows.size:
        raise ValueError(
            f"mask_lengths: row {rows[0]} of mask has a True after a False, expected the steps of "
            "a sequence first"
        )
    return lengths
