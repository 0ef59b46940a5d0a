# SPDX-License-Identifier: Apache-2.0
"""Connectionist temporal classification: the sum over all paths that spell the labels, and for
sequences with more paths than can be counted the forward and backward variables of the paper."""

import itertools
import math

import numpy as np

from . import Array, Ids
from .loss import _reduce
from .softmax import log_softmax


def _spellings(x: Array, labels: list[int], blank: int) -> tuple[float, Array]:
    """Return the chance of the labels in log-probabilities (T, C), and how much of it says what."""
    total, shares = 0.0, np.zeros(x.shape)
    for path in itertools.product(range(x.shape[1]), repeat=len(x)):
        if [label for label, _ in itertools.groupby(path) if label != blank] == labels:
            chance = math.exp(sum(x[t, c] for t, c in enumerate(path)))
            total += chance
            shares[np.arange(len(x)), path] += chance
    return total, shares


def ctc(
    log_probs: Array,
    labels: Ids,
    steps: Ids,
    lengths: Ids,
    blank: int = 0,
    reduction: str = "mean",
) -> Array:
    """Return the losses of log-probabilities (T, N, C), tiny ones only."""
    losses = np.zeros(len(labels))
    for n, (length, time) in enumerate(zip(lengths, steps, strict=True)):
        total, _ = _spellings(log_probs[:time, n], list(labels[n, :length]), blank)
        losses[n] = -math.log(total) if total else math.inf
    return _reduce(losses / np.maximum(lengths, 1) if reduction == "mean" else losses, reduction)


def ctc_of_logits_backward(
    dy: Array, logits: Array, labels: Ids, steps: Ids, lengths: Ids, blank: int = 0
) -> tuple[Array]:
    """Return the gradient of unreduced losses of the logarithm of the softmax of logits."""
    log_probs = log_softmax(logits, 2)
    dx = np.zeros(logits.shape)
    for n, (length, time) in enumerate(zip(lengths, steps, strict=True)):
        x = log_probs[:time, n]
        total, shares = _spellings(x, list(labels[n, :length]), blank)
        dx[:time, n] = dy[n] * (np.exp(x) - (shares / total if total else 0))
    return (dx,)


def _passes(x: Array, places: Ids, blank: int) -> Array:
    """Return the logarithms of the chances of all ways to each of the places, step by step."""
    alpha = np.full((len(x) + 1, len(places)), -math.inf)
    alpha[0, 0] = 0.0  # before the first step all is at the first blank
    for t, s in np.ndindex(len(x), len(places)):
        ways = [alpha[t, s], alpha[t, s - 1] if s else -math.inf]
        if s > 1 and places[s] not in (blank, places[s - 2]):
            ways.append(alpha[t, s - 2])
        alpha[t + 1, s] = np.logaddexp.reduce(ways) + x[t, places[s]]
    return alpha[1:]


def ctc_by_places(x: Array, labels: Ids, blank: int = 0) -> tuple[float, Array]:
    """Return the loss of log-probabilities (T, C), and the chance of each class in each step."""
    places = np.full(2 * len(labels) + 1, blank)
    places[1::2] = labels
    alpha = _passes(x, places, blank)
    # A way backwards ends at the first place or the second, as one forwards at the last two; the
    # emission of its step is in both.
    beta = _passes(x[::-1], places[::-1], blank)[::-1, ::-1]
    both = alpha + beta - x[:, places]
    total = np.logaddexp.reduce(both, 1)
    shares = np.zeros(x.shape)
    for s, c in enumerate(places):
        shares[:, c] += np.exp(both[:, s] - total)
    return -float(np.logaddexp.reduce(alpha[-1, -2:])), shares
