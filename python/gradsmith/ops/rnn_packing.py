# SPDX-License-Identifier: Apache-2.0
"""Sequences of different lengths: padded to one tensor, or packed step by step without padding.

Packed rows lie step after step, in each step those sequences that have it, the longest first.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from gradsmith.backend import Array, float32, float64, like, on_host
from gradsmith.ops.creation import full
from gradsmith.ops.indexing import index_select, index_tensor
from gradsmith.ops.joining import cat, stack
from gradsmith.ops.options import check_int, names_errors
from gradsmith.ops.rnn_lengths import check_lengths
from gradsmith.ops.shape import reshape
from gradsmith.ops.shape_copy import pad
from gradsmith.ops.shape_pieces import narrow
from gradsmith.tensor import Tensor, array_of, wrap


class PackedSequence(NamedTuple):
    """Sequences without padding, as recurrent layers take them; `pack_padded_sequence` makes one.

    Attributes:
        data: (total steps, *).
        batch_sizes: int64 on the CPU, how many sequences have each step, falling.
        sorted_indices: places in the batch by falling length, or None where they lay that way.
        unsorted_indices: place of each sequence of the batch among the sorted ones, or None.
    """

    data: Tensor
    batch_sizes: Tensor
    sorted_indices: Tensor | None = None
    unsorted_indices: Tensor | None = None

    def to(self, *args: Any, **kwargs: Any) -> PackedSequence:
        """Return it with the data moved or converted (see `Tensor.to`), and the indices beside."""
        return self.with_data(self.data.to(*args, **kwargs))

    def cpu(self) -> PackedSequence:
        """Return it on the CPU."""
        return self.to("cpu")

    def cuda(self) -> PackedSequence:
        """Return it on the GPU (RuntimeError where there is none)."""
        return self.to("cuda")

    def float(self) -> PackedSequence:
        """Return it with data of float32."""
        return self.to(float32)

    def double(self) -> PackedSequence:
        """Return it with data of float64."""
        return self.to(float64)

    def with_data(self, data: Tensor) -> PackedSequence:
        """Return the same sequences with other values, as a layer computes them of these."""
        indices = (self.sorted_indices, self.unsorted_indices)
        moved = (None if each is None else each.to(data.device) for each in indices)
        return PackedSequence(data, self.batch_sizes, *moved)


def host_batch_sizes(op: str, sequence: PackedSequence) -> Array:
    """Return how many packed sequences have each step, on the host.

    Raises:
        TypeError: the data is no tensor, or the numbers are no integers.
        ValueError: the numbers rise, or do not add up to the rows of the data.
    """
    rows = array_of(op, sequence.data, "data").shape[:1]
    sizes: Array = on_host(index_tensor(op, sequence.batch_sizes, "batch_sizes")._array)
    if sizes.ndim != 1 or not sizes.size or (np.diff(sizes) > 0).any() or sizes[-1] < 1:
        raise ValueError(
            f"{op}: batch_sizes is {sizes.tolist()}, expected falling numbers of at least 1"
        )
    if rows != (sizes.sum(),):
        raise ValueError(
            f"{op}: data has shape {sequence.data.shape} and batch_sizes add up to {sizes.sum()}, "
            "expected a row per step"
        )
    return sizes


def packed_lengths(batch_sizes: Array) -> Array:
    """Return the lengths, falling, of sequences with these numbers of them per step."""
    lengths: Array = (batch_sizes[:, None] > np.arange(batch_sizes[0])).sum(0)
    return lengths


def _placed(lengths: Array) -> tuple[Array, Array]:
    """Return step and sequence of every packed row, for falling lengths."""
    steps, sequences = np.nonzero(np.arange(lengths.max(initial=0))[:, None] < lengths)
    return steps, sequences


def mirrored(batch_sizes: Array) -> Array:
    """Return for every packed row that with the same distance to the sequence's other end."""
    lengths = packed_lengths(batch_sizes)
    steps, sequences = _placed(lengths)
    starts = np.cumsum(batch_sizes) - batch_sizes
    rows: Array = starts[lengths[sequences] - 1 - steps] + sequences
    return rows


@names_errors
def pack_padded_sequence(
    input: Tensor, lengths: Any, batch_first: bool = False, enforce_sorted: bool = True
) -> PackedSequence:
    """Pack a padded batch of sequences.

    Args:
        input: (T, B, *), or (B, T, *) with ``batch_first``.
        lengths: integers (B,) in [1, T], a tensor or a list.
        batch_first: whether the batch is the first dimension of input.
        enforce_sorted: refuse lengths that do not fall; else the sequences are sorted, and results
            come back in the order of input.

    Raises:
        TypeError: ``lengths`` holds no integers.
        ValueError: a shape does not fit, a length is out of range, or they do not fall.
    """
    op = "pack_padded_sequence"
    shape = array_of(op, input).shape
    if len(shape) < 2:
        raise ValueError(f"{op}: input has shape {shape}, expected steps, batch and others")
    count, steps = shape[:2] if batch_first else shape[1::-1]
    if not count:
        raise ValueError(f"{op}: input has shape {shape}, expected at least one sequence")
    given = check_lengths(op, lengths, count, steps, minimum=1)
    order = np.argsort(-given, kind="stable")
    if enforce_sorted and (np.diff(given) > 0).any():
        raise ValueError(
            f"{op}: lengths is {given.tolist()}, expected falling lengths (enforce_sorted=False "
            "sorts the sequences)"
        )
    at, sequences = _placed(given[order])
    columns = order[sequences]
    rows = columns * steps + at if batch_first else at * count + columns
    flat = reshape(input, (count * steps, *shape[2:]))
    data = index_select(flat, 0, wrap(like(rows, input._array)))
    sizes = wrap(np.bincount(at).astype(np.int64))
    if enforce_sorted:
        return PackedSequence(data, sizes)
    inverse = np.empty_like(order)
    inverse[order] = np.arange(count)
    back = (wrap(like(each, input._array)) for each in (order, inverse))
    return PackedSequence(data, sizes, *back)


@names_errors
def pad_packed_sequence(
    sequence: PackedSequence,
    batch_first: bool = False,
    padding_value: float = 0.0,
    total_length: int | None = None,
) -> tuple[Tensor, Tensor]:
    """Return packed sequences as a padded batch, (T, B, *), and their lengths, int64 (B,).

    Args:
        sequence: what `pack_padded_sequence` returns, or a recurrent layer.
        batch_first: return (B, T, *).
        padding_value: what stands past the end of a sequence.
        total_length: T, the largest length by default.

    Raises:
        TypeError: ``sequence`` is no `PackedSequence`.
        ValueError: a sequence is longer than ``total_length``.
    """
    op = "pad_packed_sequence"
    if not isinstance(sequence, PackedSequence):
        kind = type(sequence).__name__
        raise TypeError(f"{op}: sequence is a {kind}, expected a PackedSequence")
    data = sequence.data
    lengths = packed_lengths(host_batch_sizes(op, sequence))
    at, sequences = _placed(lengths)
    longest = int(lengths.max(initial=0))
    steps = longest if total_length is None else check_int(op, "total_length", total_length)
    if steps < longest:
        raise ValueError(f"{op}: total_length is {steps}, expected at least {longest}")
    if sequence.sorted_indices is not None:
        order = on_host(sequence.sorted_indices._array)
        sequences = order[sequences]
        lengths = lengths[np.argsort(order)]
    # Every place past an end reads one row of padding behind the data.
    rows = np.full((len(lengths), steps), len(data))
    rows[sequences, at] = np.arange(len(data))
    rows = rows if batch_first else rows.T
    nothing = full((1, *data.shape[1:]), padding_value, dtype=data.dtype, device=data.device)
    index = wrap(like(np.ascontiguousarray(rows).reshape(-1), data._array))
    padded = index_select(cat([data, nothing], 0), 0, index)
    return reshape(padded, (*rows.shape, *data.shape[1:])), wrap(lengths.astype(np.int64))


def _sequences(op: str, sequences: Iterable[Tensor]) -> list[Tensor]:
    if not isinstance(sequences, Iterable):
        kind = type(sequences).__name__
        raise TypeError(f"{op}: sequences is a {kind}, expected tensors")
    given = list(sequences)
    if not given:
        raise ValueError(f"{op}: there are no sequences")
    for number, each in enumerate(given):
        shape = array_of(op, each, f"sequences[{number}]").shape
        if not shape or shape[1:] != given[0].shape[1:]:
            raise ValueError(
                f"{op}: sequences[{number}] has shape {shape}, expected (steps, "
                f"{', '.join(map(str, given[0].shape[1:]))})"
            )
    return given


@names_errors
def pad_sequence(
    sequences: Iterable[Tensor],
    batch_first: bool = False,
    padding_value: float = 0.0,
    padding_side: str = "right",
) -> Tensor:
    """Return sequences (L, *) of different lengths as one tensor, (T, B, *).

    Example:
        >>> import gradsmith as gs
        >>> gs.nn.utils.rnn.pad_sequence([gs.ones(2), gs.ones(3)], batch_first=True).tolist()
        [[1.0, 1.0, 0.0], [1.0, 1.0, 1.0]]

    Args:
        sequences: tensors that agree in all dimensions but the first.
        batch_first: return (B, T, *).
        padding_value: what stands past the end of a sequence.
        padding_side: ``"right"``, or ``"left"`` for sequences that end together.

    Raises:
        TypeError: a sequence is no tensor.
        ValueError: there is none, their shapes do not fit, or the side is unknown.
    """
    if padding_side not in ("right", "left"):
        raise ValueError(
            f"pad_sequence: padding_side is {padding_side!r}, expected 'right' or 'left'"
        )
    given = _sequences("pad_sequence", sequences)
    longest = max(len(each) for each in given)
    padded = []
    for each in given:
        missing = longest - len(each)
        ends = (0, missing) if padding_side == "right" else (missing, 0)
        padded.append(pad(each, (0, 0) * (each.ndim - 1) + ends, value=padding_value))
    return stack(padded, 0 if batch_first else 1)


@names_errors
def unpad_sequence(
    padded_sequences: Tensor, lengths: Tensor, batch_first: bool = False
) -> list[Tensor]:
    """Return the sequences (L, *) of a padded batch, without what stands past their ends.

    Args:
        padded_sequences: (T, B, *), or (B, T, *) with ``batch_first``.
        lengths: integers (B,) in [0, T].
        batch_first: whether the batch is the first dimension.

    Raises:
        TypeError: ``lengths`` holds no integers.
        ValueError: a shape does not fit, or a length is out of range.
    """
    op = "unpad_sequence"
    shape = array_of(op, padded_sequences, "padded_sequences").shape
    if len(shape) < 2:
        raise ValueError(f"{op}: padded_sequences has shape {shape}, expected steps and batch")
    count, steps = shape[:2] if batch_first else shape[1::-1]
    host = check_lengths(op, lengths, count, steps, input="padded_sequences")
    batch = 0 if batch_first else 1
    return [
        narrow(padded_sequences.select(batch, number), 0, 0, int(length))
        for number, length in enumerate(host)
    ]


@names_errors
def pack_sequence(sequences: Sequence[Tensor], enforce_sorted: bool = True) -> PackedSequence:
    """Pack sequences (L, *) of different lengths (see `pack_padded_sequence`)."""
    given = _sequences("pack_sequence", sequences)
    lengths = [len(each) for each in given]
    return pack_padded_sequence(pad_sequence(given), lengths, enforce_sorted=enforce_sorted)


@names_errors
def unpack_sequence(packed_sequences: PackedSequence) -> list[Tensor]:
    """Return the sequences (L, *) that are packed, in the order they were given."""
    padded, lengths = pad_packed_sequence(packed_sequences, batch_first=True)
    return unpad_sequence(padded, lengths, batch_first=True)
