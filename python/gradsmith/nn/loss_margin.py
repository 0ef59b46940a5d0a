# SPDX-License-Identifier: Apache-2.0
"""Losses that ask for a margin between scores, as modules."""

from __future__ import annotations

from gradsmith.nn import functional as F
from gradsmith.nn.loss import _Loss, _WeightedLoss
from gradsmith.ops.options import check_number
from gradsmith.tensor import Tensor


class HingeLoss(_Loss):
    """``max(0, 1 - target input)`` of labels -1 and 1."""

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Return a scalar, or the shape of the input for reduction ``"none"``."""
        return F.hinge_loss(input, target, self.reduction)


class SquaredHingeLoss(_Loss):
    """``max(0, 1 - target input)**2`` of labels -1 and 1."""

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Return a scalar, or the shape of the input for reduction ``"none"``."""
        return F.squared_hinge_loss(input, target, self.reduction)


class SoftMarginLoss(_Loss):
    """``log(1 + exp(-target input))`` of labels -1 and 1."""

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Return a scalar, or the shape of the input for reduction ``"none"``."""
        return F.soft_margin_loss(input, target, self.reduction)


class MultiMarginLoss(_WeightedLoss):
    """By how much the target's score fails to exceed the other classes' by a margin."""

    def __init__(
        self,
        p: int = 1,
        margin: float = 1.0,
        weight: Tensor | None = None,
        reduction: str = "mean",
    ) -> None:
        """Remember the options: the power, the margin, weights (C) of the classes.

        Raises:
            ValueError: ``p`` is neither 1 nor 2, or the reduction is unknown.
        """
        super().__init__(weight, reduction)
        if p not in (1, 2):
            raise ValueError(f"MultiMarginLoss: p is {p}, expected 1 or 2")
        self.p = p
        self.margin = check_number("MultiMarginLoss", "margin", margin)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the loss of scores (N, C) for classes (N), or (C) for ()."""
        return F.multi_margin_loss(input, target, self.p, self.margin, self.weight, self.reduction)


class MultiLabelMarginLoss(_Loss):
    """By how much the scores of a sample's classes fail to exceed all others' by 1."""

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the loss of scores (N, C) for class indices (N, C), each row's up to a -1."""
        return F.multilabel_margin_loss(input, target, self.reduction)


class MultiLabelSoftMarginLoss(_WeightedLoss):
    """Binary cross-entropy of logits, averaged over the classes."""

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the loss of logits (N, C) for zeros and ones (N, C)."""
        return F.multilabel_soft_margin_loss(input, target, self.weight, self.reduction)


class _MarginLoss(_Loss):
    """Has the options ``margin`` and ``reduction``."""

    def __init__(self, margin: float = 0.0, reduction: str = "mean") -> None:
        """Remember the options."""
        super().__init__(reduction)
        self.margin = check_number(type(self).__name__, "margin", margin)


class MarginRankingLoss(_MarginLoss):
    """``max(0, margin - target (input1 - input2))``: which of two shall score higher."""

    def forward(self, input1: Tensor, input2: Tensor, target: Tensor) -> Tensor:
        """Return a scalar, or the shape of the inputs for reduction ``"none"``."""
        return F.margin_ranking_loss(input1, input2, target, self.margin, self.reduction)


class HingeEmbeddingLoss(_MarginLoss):
    """The distance of similar pairs (target 1), ``max(0, margin - distance)`` of others (-1)."""

    def __init__(self, margin: float = 1.0, reduction: str = "mean") -> None:
        """Remember the options."""
        super().__init__(margin, reduction)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Return a scalar, or the shape of the input for reduction ``"none"``."""
        return F.hinge_embedding_loss(input, target, self.margin, self.reduction)


class CosineEmbeddingLoss(_MarginLoss):
    """``1 - cos`` of similar pairs (target 1), ``max(0, cos - margin)`` of others (-1)."""

    def forward(self, input1: Tensor, input2: Tensor, target: Tensor) -> Tensor:
        """Return the loss of vectors (N, D) with labels (N), or (D) with ()."""
        return F.cosine_embedding_loss(input1, input2, target, self.margin, self.reduction)
