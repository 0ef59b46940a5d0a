# SPDX-License-Identifier: Apache-2.0
"""Losses over sequences of different lengths."""

from __future__ import annotations

import numpy as np

from gradsmith.backend import like
from gradsmith.ops.elementwise import where
from gradsmith.ops.indexing import index_tensor
from gradsmith.ops.loss_class import cross_entropy
from gradsmith.ops.options import names_errors
from gradsmith.ops.rnn_lengths import check_lengths
from gradsmith.ops.shape import reshape
from gradsmith.tensor import Tensor, array_of, wrap


@names_errors
def sequence_cross_entropy(
    input: Tensor,
    target: Tensor,
    lengths: Tensor | None = None,
    weight: Tensor | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """Return the cross-entropy of a class per step, of each sequence's own steps only.

    Args:
        input: logits (N, T, C); what lies past a sequence's end is not read.
        target: class indices (N, T).
        lengths: integers (N,) in [0, T]; all steps count if None.
        weight: (C), factor of each class's loss; a constant.
        ignore_index: a target that counts for nothing.
        reduction: ``"mean"`` over the steps that count (weighted by ``weight``), ``"sum"``, or
            ``"none"``, which gives (N, T) with zeros past the ends.
        label_smoothing: share of the target in [0, 1] that is spread evenly over all classes.

    Raises:
        ValueError: the shapes do not fit, or an option is out of range.
        TypeError: the input is not floating, or target or lengths hold no integers.
        IndexError: a class index is out of range and not ``ignore_index``.
    """
    op = "sequence_cross_entropy"
    shape = array_of(op, input).shape
    labels = index_tensor(op, target, "target")
    if len(shape) != 3 or labels.shape != shape[:2]:
        raise ValueError(
            f"{op}: input has shape {shape} and target {labels.shape}, expected (N, T, C) and "
            "(N, T)"
        )
    if lengths is not None:
        host = check_lengths(op, lengths, *shape[:2])
        within = wrap(like(np.arange(shape[1]) < host[:, None], input._array))
        labels = where(within, labels, ignore_index)
    flat, wanted = reshape(input, (shape[0] * shape[1], shape[2])), reshape(labels, -1)
    loss = cross_entropy(flat, wanted, weight, ignore_index, reduction, label_smoothing)
    return reshape(loss, shape[:2]) if reduction == "none" else loss
