# SPDX-License-Identifier: Apache-2.0
"""Connectionist temporal classification (Graves et al. 2006): labels without an alignment.

Losses and first derivatives are a kernel each. With ``create_graph`` the loss is composed of
differentiable functions instead, whose gradient, of any order, is the tape's: the forward variables
of all label sequences are one row (N, 2 S + 2) per time step, in logarithms, blanks at even places,
labels at odd ones, and a last place that nothing reaches, which stands for all places before the
first. A step is the log-sum-exp of three shifted rows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from gradsmith.autograd import Node, grad, is_grad_enabled, record
from gradsmith.backend import EXTENSIONS, Array, like, on_host
from gradsmith.ops.elementwise import where
from gradsmith.ops.indexing import gather, index_select
from gradsmith.ops.loss_checks import check_floating, reduced
from gradsmith.ops.options import check_flag, check_int, names_errors
from gradsmith.ops.shape import expand, reshape, unsqueeze
from gradsmith.ops.shape_pieces import unbind
from gradsmith.ops.softmax import logsumexp
from gradsmith.tensor import Tensor, array_of, as_array, wrap

_NAME = "ctc_loss"
Lengths = Tensor | Sequence[int] | int


def _lengths(argument: str, value: Any, batch: int, most: int) -> Array:
    """Return lengths (N) on the host, each from 0 to ``most``."""
    array = on_host(value._array if isinstance(value, Tensor) else as_array(value))
    if array.size and array.dtype.kind not in "iu":
        raise TypeError(f"{_NAME}: {argument} is {array.dtype}, expected integers")
    if array.size != batch or array.ndim > 1:
        raise ValueError(f"{_NAME}: {argument} has shape {array.shape}, expected ({batch},)")
    array = array.reshape(batch).astype(np.int64)
    wrong = np.flatnonzero((array < 0) | (array > most))
    if wrong.size:
        raise ValueError(
            f"{_NAME}: {argument} is {array[wrong[0]]} at position {wrong[0]}, expected 0 to {most}"
        )
    return array


def _padded(targets: Array, lengths: Array, blank: int) -> Array:
    """Return the labels (N, S), S the longest length, with blanks behind them."""
    padded = np.full((len(lengths), int(lengths.max(initial=0))), blank, np.int64)
    here = np.arange(padded.shape[1]) < lengths[:, None]
    if targets.ndim == 2:
        padded[here] = targets[:, : padded.shape[1]][here]
    else:
        padded[here] = targets
    return padded


def _labels(targets: Any, target_lengths: Any, batch: int, classes: int, blank: int) -> Any:
    """Return the labels (N, S) and their lengths (N), on the host."""
    array = on_host(array_of(_NAME, targets, "targets"))
    if array.dtype.kind not in "iu":
        raise TypeError(f"{_NAME}: targets is {array.dtype}, expected integers")
    if array.ndim not in (1, 2) or (array.ndim == 2 and len(array) != batch):
        raise ValueError(
            f"{_NAME}: targets has shape {array.shape}, expected ({batch}, S) or all labels in "
            "one dimension"
        )
    lengths = _lengths("target_lengths", target_lengths, batch, array.shape[-1])
    if array.ndim == 1 and lengths.sum() != len(array):
        raise ValueError(
            f"{_NAME}: targets has {len(array)} labels, but target_lengths add up to "
            f"{lengths.sum()}"
        )
    labels = _padded(array, lengths, blank)
    wrong = labels[(labels < 0) | (labels >= classes)]
    if wrong.size:
        raise IndexError(f"{_NAME}: targets hold the label {wrong[0]}, expected 0 to {classes - 1}")
    return labels, lengths


def _ways(extended: Array, blank: int) -> Array:
    """Return 0 where a place is reached from itself, from one or two before it, else -inf."""
    ways = np.zeros((len(extended), 3, extended.shape[1]))
    label = extended != blank  # two: from one label to the next, past the blank
    ways[:, 2] = np.where(label & (extended != np.roll(extended, 2, 1)), 0.0, -math.inf)
    ways[:, :, -1] = -math.inf
    return ways


def _forward_variables(log_probs: Tensor, labels: Array, steps: Array, blank: int) -> Tensor:
    """Return log-probabilities (N, 2 S + 2) of all ways to each place in the last step."""

    def here(array: Array) -> Tensor:
        return wrap(like(array, log_probs._array))

    batch, width = labels.shape[0], 2 * labels.shape[1] + 2
    extended = np.full((batch, width), blank, np.int64)
    extended[:, 1:-1:2] = labels
    before = np.arange(width) - np.arange(3)[:, None]
    sources = here(np.where(before < 0, width - 1, before).reshape(-1))
    ways = here(_ways(extended, blank)).to(log_probs.dtype)
    runs = here(np.arange(len(log_probs))[:, None, None] < steps[:, None])
    index = expand(unsqueeze(here(extended), 0), (len(log_probs), batch, width))
    emissions = gather(log_probs, 2, index)
    # Before the first step all is at the first blank, from which the first label is one place on.
    start = np.where(np.arange(width) == 0, 0.0, -math.inf)
    alpha = expand(here(start).to(log_probs.dtype), (batch, width))
    for emission, run in zip(unbind(emissions), unbind(runs), strict=True):
        reached = reshape(index_select(alpha, 1, sources), (batch, 3, width)) + ways
        alpha = where(run, logsumexp(reached, 1) + emission, alpha)
    return alpha


def _likelihood(alpha: Tensor, lengths: Array) -> Tensor:
    """Return the log-probability (N) of ending at the last label or the blank behind it."""
    ends = np.stack((2 * lengths, np.maximum(2 * lengths - 1, 0)), 1)
    last = gather(alpha, 1, wrap(like(ends, alpha._array)))
    apart = np.stack((np.ones(len(lengths), bool), lengths > 0), 1)  # one end if without labels
    return logsumexp(where(wrap(like(apart, alpha._array)), last, -math.inf), 1)


def _slope_of_log_softmax(rows: Tensor, lengths: Array) -> Tensor:
    """Return zeros (N) with the gradient ``exp(log_probs)`` of each step that counts.

    After `log_softmax` it changes nothing; PyTorch's gradient contains it.
    """
    counts = np.arange(len(rows))[:, None] < lengths
    total = where(wrap(like(counts, rows._array)), rows.exp().sum(2), 0.0).sum(0)
    return total - total.detach()


def _composed(rows: Tensor, labels: Array, steps: Array, lengths: Array, blank: int) -> Tensor:
    """Return the losses (N) of log-probabilities (T, N, C) in differentiable functions."""
    alpha = _forward_variables(rows, labels, steps, blank)
    return _slope_of_log_softmax(rows, steps) - _likelihood(alpha, lengths)


def _ctc_loss_backward(node: Node, dy: Tensor) -> Any:
    rows, given, blank, alpha = node.saved
    if is_grad_enabled():
        labels, steps, lengths = (on_host(each) for each in given)
        losses = _composed(rows, labels, steps, lengths, blank)
        return grad(losses, rows, dy, create_graph=True)
    extension = EXTENSIONS[type(dy._array)]
    return (wrap(extension.ctc_loss_backward(rows._array, *given, blank, alpha, dy._array)),)


def _losses(rows: Tensor, labels: Array, steps: Array, lengths: Array, blank: int) -> Tensor:
    """Return the losses (N) of log-probabilities (T, N, C)."""
    given = [like(each, rows._array) for each in (labels, steps, lengths)]
    y, alpha = EXTENSIONS[type(rows._array)].ctc_loss_forward(rows._array, *given, blank)
    return record(_ctc_loss_backward, y, (rows,), (rows, given, blank, alpha))


@names_errors
def ctc_loss(
    log_probs: Tensor,
    targets: Tensor,
    input_lengths: Lengths,
    target_lengths: Lengths,
    blank: int = 0,
    reduction: str = "mean",
    zero_infinity: bool = False,
) -> Tensor:
    """Return minus the log-probability of the label sequences, over all their alignments.

    The gradient is PyTorch's: that of log-probabilities which come from `log_softmax`.

    Args:
        log_probs: log-probabilities (T, N, C) or (T, C).
        targets: labels (N, S) padded at their ends, or all of them in one dimension; (S) for a
            single sequence.
        input_lengths: (N) ints up to T.
        target_lengths: (N) ints up to S.
        blank: the class that says nothing.
        reduction: ``"mean"`` (divides each loss by its number of labels, then averages),
            ``"sum"`` or ``"none"``.
        zero_infinity: whether sequences too short for their labels have loss and gradient 0
            instead of infinity.

    Raises:
        ValueError: the shapes or lengths do not fit, or an option is out of range.
        TypeError: the input is not floating, or lengths or labels are no integers.
        IndexError: a label is out of range.

    Example:
        The paths 1 1, 1 - and - 1 of two steps spell the label 1: three of four even chances.

        >>> import gradsmith as gs
        >>> log_probs = gs.full((2, 1, 2), 0.5).log()
        >>> ctc_loss(log_probs, gs.tensor([[1]]), [2], [1]).exp()
        tensor(1.3333)
    """
    if check_floating(_NAME, "log_probs", log_probs).ndim not in (2, 3):
        raise ValueError(f"{_NAME}: log_probs has shape {log_probs.shape}, expected (T, N, C)")
    rows = log_probs if log_probs.ndim == 3 else unsqueeze(log_probs, 1)
    steps, batch, classes = rows.shape
    if not 0 <= check_int(_NAME, "blank", blank) < classes:
        raise ValueError(f"{_NAME}: blank is {blank}, expected 0 to {classes - 1}")
    inputs = _lengths("input_lengths", input_lengths, batch, steps)
    labels, lengths = _labels(targets, target_lengths, batch, classes, blank)
    losses = _losses(rows, labels, inputs, lengths, blank)
    if check_flag(_NAME, "zero_infinity", zero_infinity):
        losses = where(losses.detach().eq(math.inf), 0.0, losses)
    if reduction == "mean":
        losses = losses / wrap(like(np.maximum(lengths, 1), losses._array)).to(losses.dtype)
    return reduced(_NAME, losses if log_probs.ndim == 3 else losses[0], reduction)
