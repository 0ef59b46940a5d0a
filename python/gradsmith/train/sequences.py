# SPDX-License-Identifier: Apache-2.0
"""Training on sequences: truncated backpropagation through time, and teacher forcing."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from gradsmith.ops.elementwise import lt, where
from gradsmith.ops.options import check_int, check_number
from gradsmith.ops.random import rand
from gradsmith.ops.shape import axis_of
from gradsmith.ops.shape_pieces import narrow
from gradsmith.random import Generator
from gradsmith.tensor import Tensor, array_of
from gradsmith.train.steps import detached


class Pieces:
    """The pieces of a long sequence, with the state that is carried from one to the next."""

    def __init__(self, tensors: tuple[Tensor, ...], length: int, dim: int, state: Any) -> None:
        """Stand before the first piece."""
        self._tensors = tensors
        self._length = length
        self._dim = dim
        self.state = state

    def __len__(self) -> int:
        """Return the number of pieces."""
        return -(-self._tensors[0].shape[self._dim] // self._length)

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        """Yield the pieces of each tensor, then the state, off the tape."""
        total = self._tensors[0].shape[self._dim]
        for start in range(0, total, self._length):
            size = min(self._length, total - start)
            pieces = [narrow(each, self._dim, start, size) for each in self._tensors]
            self.state = detached(self.state)
            yield (*pieces, self.state)


def truncated_bptt(*tensors: Tensor, length: int, dim: int = 1, state: Any = None) -> Pieces:
    """Return pieces of long sequences for backpropagation through ``length`` steps at a time.

    Williams and Peng 1990. The state goes on from piece to piece, gradients do not: put the state
    that the model returns into ``.state``, and the next piece comes with it, off the tape::

        pieces = truncated_bptt(x, y, length=35)
        for x_piece, y_piece, state in pieces:
            output, pieces.state = model(x_piece, state)
            ...  # loss, backward, step

    Args:
        *tensors: inputs, targets and whatever else is cut in the same way.
        length: steps of a piece; the last one may be shorter.
        dim: the dimension of time.
        state: what comes with the first piece.

    Raises:
        TypeError: something else than tensors is given.
        ValueError: there are none, they differ in length, or ``length`` is below 1.
        IndexError: there is no such dimension.
    """
    if not tensors:
        raise ValueError("truncated_bptt: got no tensors")
    for each in tensors:
        if not isinstance(each, Tensor):
            raise TypeError(f"truncated_bptt: got a {type(each).__name__}, expected tensors")
    if check_int("truncated_bptt", "length", length) < 1:
        raise ValueError(f"truncated_bptt: length is {length}, expected at least 1")
    sizes = [each.shape[axis_of("truncated_bptt", dim, each.ndim)] for each in tensors]
    if len(set(sizes)) > 1:
        raise ValueError(f"truncated_bptt: the tensors have {sizes} steps, expected equal numbers")
    return Pieces(tensors, length, dim, state)


def teacher_forcing(
    truth: Tensor, prediction: Tensor, probability: float, generator: Generator | None = None
) -> Tensor:
    """Return the next input of a decoder: for each sample the truth, or what the model predicted.

    Scheduled sampling: Bengio, Vinyals, Jaitly, Shazeer, 2015. Each sample of the batch has a coin
    of its own. With 1 it is teacher forcing, with 0 the model runs freely.

    Args:
        truth: (N, ...).
        prediction: the same shape and dtype.
        probability: that the truth is taken, as `teacher_forcing_probability` gives it.
        generator: where the coins come from; None: the library's generator.

    Raises:
        ValueError: the shapes differ, or the probability is not in [0, 1].
        TypeError: one is no tensor, or the dtypes differ.
    """
    array_of("teacher_forcing", truth, "truth")
    array_of("teacher_forcing", prediction, "prediction")
    if truth.shape != prediction.shape or truth.ndim == 0:
        raise ValueError(
            f"teacher_forcing: truth has shape {tuple(truth.shape)}, prediction "
            f"{tuple(prediction.shape)}, expected the same (N, ...)"
        )
    if truth.dtype != prediction.dtype:
        raise TypeError(
            f"teacher_forcing: truth is {truth.dtype}, prediction {prediction.dtype}, expected one "
            "dtype"
        )
    if not 0 <= check_number("teacher_forcing", "probability", probability) <= 1:
        raise ValueError(f"teacher_forcing: probability is {probability}, expected 0 to 1")
    coins = rand(truth.shape[0], *[1] * (truth.ndim - 1), generator=generator, device=truth.device)
    return where(lt(coins, probability), truth, prediction)


def teacher_forcing_probability(
    step: int, schedule: str = "inverse_sigmoid", k: float = 100.0, minimum: float = 0.0
) -> float:
    """Return the probability of teacher forcing at a step, falling from about 1.

    From the paper named at `teacher_forcing`, section 2.4: ``"linear"``: ``1 - step / k``;
    ``"exponential"``: ``k ** step`` with k < 1; ``"inverse_sigmoid"``: ``k / (k + exp(step / k))``
    with k >= 1. Never below ``minimum``.

    Raises:
        ValueError: the schedule is unknown, or k does not fit it.

    Example:
        >>> teacher_forcing_probability(50, "linear", k=200)
        0.75
    """
    check_number("teacher_forcing_probability", "k", k)
    if schedule == "linear" and k > 0:
        value = 1 - step / k
    elif schedule == "exponential" and 0 < k < 1:
        value = k**step
    elif schedule == "inverse_sigmoid" and k >= 1:
        value = k / (k + math.exp(min(step / k, 700.0)))
    else:
        raise ValueError(
            f"teacher_forcing_probability: schedule is {schedule!r} with k={k:g}, expected "
            "'linear' (k > 0), 'exponential' (0 < k < 1) or 'inverse_sigmoid' (k >= 1)"
        )
    return max(value, minimum)
