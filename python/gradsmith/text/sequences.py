# SPDX-License-Identifier: Apache-2.0
"""Sequences of token numbers as tensors."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from gradsmith.backend import Array, as_dtype, check_fits, get_default_dtype, on_host
from gradsmith.ops.embedding import one_hot as one_hot_of_integers
from gradsmith.ops.options import check_flag, check_int
from gradsmith.tensor import Tensor, as_array, wrap
from gradsmith.text.vocabulary import Vocabulary

_ENDS = ("pre", "post")


def _host(sequence: Any) -> Array:
    return on_host(sequence._array) if isinstance(sequence, Tensor) else np.asarray(sequence)


def pad_sequences(
    sequences: Sequence[Any],
    maxlen: int | None = None,
    dtype: Any = "int32",
    padding: str = "pre",
    truncating: str = "pre",
    value: float = 0.0,
) -> Tensor:
    """Return sequences as one tensor: filled up or cut off to the same length, as in Keras.

    >>> pad_sequences([[1], [2, 3, 4]], maxlen=2).tolist()
    [[0, 1], [3, 4]]

    Args:
        sequences: N lists, arrays or tensors of shape (L_i, ...).
        maxlen: the length; None: that of the longest.
        dtype: of the result.
        padding: fill at the beginning (``"pre"``) or end (``"post"``).
        truncating: cut off at the beginning or end.
        value: what fills.

    Returns:
        Tensor of shape (N, maxlen, ...).

    Raises:
        ValueError: an unknown end, a length below 0, shapes behind the first dimension differ, or a
            value does not fit the dtype.
    """
    op = "pad_sequences"
    for name, end in (("padding", padding), ("truncating", truncating)):
        if end not in _ENDS:
            raise ValueError(f"{op}: {name} is {end!r}, expected 'pre' or 'post'")
    arrays = [_host(sequence) for sequence in sequences]
    if any(array.ndim == 0 for array in arrays):
        raise ValueError(f"{op}: a sequence is a single number, expected lists of them")
    rest = next((array.shape[1:] for array in arrays if array.size), ())
    if any(array.size and array.shape[1:] != rest for array in arrays):
        raise ValueError(f"{op}: the elements of sequences differ in shape, the first has {rest}")
    longest = max((len(array) for array in arrays), default=0)
    length = longest if maxlen is None else check_int(op, "maxlen", maxlen)
    if length < 0:
        raise ValueError(f"{op}: maxlen is {maxlen}, expected at least 0")
    kind = as_dtype(dtype)
    if kind.kind in "iu":
        for array in (*arrays, np.asarray(value)):
            check_fits(array, kind)
    result = np.full((len(arrays), length, *rest), value).astype(kind)
    for row, array in zip(result, arrays, strict=True):
        kept = array[max(len(array) - length, 0) :] if truncating == "pre" else array[:length]
        if kept.size:
            start = length - len(kept) if padding == "pre" else 0
            row[start : start + len(kept)] = kept
    return wrap(result)


def one_hot(tokens: Iterable[str], vocabulary: Vocabulary, dtype: Any = None) -> Tensor:
    """Return a row for each token, with a 1 at its number in the vocabulary: (N, V).

    Args:
        tokens: N tokens.
        vocabulary: of V tokens.
        dtype: of the result; None: the default dtype.

    Raises:
        TypeError: ``vocabulary`` is none.
        KeyError: a token is not in the vocabulary, which has no unknown token.
    """
    if not isinstance(vocabulary, Vocabulary):
        kind = type(vocabulary).__name__
        raise TypeError(f"one_hot: vocabulary is a {kind}, expected a Vocabulary")
    numbers = np.array(vocabulary.encode(tokens), dtype=np.int64)
    rows = one_hot_of_integers(wrap(numbers), len(vocabulary))
    return wrap(as_array(rows, get_default_dtype() if dtype is None else as_dtype(dtype)))


def cooccurrence(
    sequences: Iterable[Any],
    size: int,
    window: int = 5,
    *,
    weighting: str = "inverse",
    symmetric: bool = True,
) -> Tensor:
    """Return how often each token has each other one near it, as GloVe counts (2014).

    X_ij is the sum over all places of i of the weights of the j that stand up to ``window`` places
    before it (and behind it, if symmetric).

    Args:
        sequences: lists, arrays or tensors of token numbers; none is counted across their ends.
        size: V, the number of different tokens.
        window: the largest distance.
        weighting: ``"inverse"``, 1 / distance; or ``"flat"``, 1.
        symmetric: count both sides.

    Returns:
        float32 tensor of shape (V, V).

    Raises:
        ValueError: an unknown weighting, or a window or size below 1.
        IndexError: a number is not in [0, V).
    """
    op = "cooccurrence"
    if weighting not in ("inverse", "flat"):
        raise ValueError(f"{op}: weighting is {weighting!r}, expected 'inverse' or 'flat'")
    if min(check_int(op, "window", window), check_int(op, "size", size)) < 1:
        raise ValueError(f"{op}: window is {window} and size {size}, expected at least 1")
    check_flag(op, "symmetric", symmetric)
    counts = np.zeros((size, size))
    for sequence in sequences:
        numbers = _host(sequence)
        if numbers.ndim != 1 or (numbers.size and numbers.dtype.kind not in "iu"):
            raise TypeError(
                f"{op}: a sequence is {numbers.dtype} {numbers.shape}, expected (L,) int"
            )
        if numbers.size and not 0 <= numbers.min() <= numbers.max() < size:
            raise IndexError(
                f"{op}: numbers run from {numbers.min()} to {numbers.max()}, expected 0 to "
                f"{size - 1}"
            )
        for distance in range(1, min(window, len(numbers) - 1) + 1):
            before, behind = numbers[:-distance], numbers[distance:]
            weight = 1 / distance if weighting == "inverse" else 1.0
            np.add.at(counts, (behind, before), weight)
            if symmetric:
                np.add.at(counts, (before, behind), weight)
    return wrap(counts.astype(np.float32))
