# SPDX-License-Identifier: Apache-2.0
"""Losses of distances between embeddings, and to the centres of classes, as modules."""

from __future__ import annotations

from collections.abc import Callable

from gradsmith.nn import functional as F
from gradsmith.nn.loss import _Loss
from gradsmith.ops.loss_checks import check_positive
from gradsmith.tensor import Tensor


class ContrastiveLoss(_Loss):
    """``d**2 / 2`` of similar pairs (target 0), ``max(0, margin - d)**2 / 2`` of others (1)."""

    def __init__(self, margin: float = 1.0, reduction: str = "mean") -> None:
        """Remember the options (ValueError unless the margin is positive)."""
        super().__init__(reduction)
        self.margin = check_positive("ContrastiveLoss", "margin", margin)

    def forward(self, input1: Tensor, input2: Tensor, target: Tensor) -> Tensor:
        """Return the loss of vectors (N, D) with labels (N), or (D) with ()."""
        return F.contrastive_loss(input1, input2, target, self.margin, self.reduction)


class TripletMarginLoss(_Loss):
    """``max(0, d(anchor, positive) - d(anchor, negative) + margin)`` of p-norm distances."""

    def __init__(
        self,
        margin: float = 1.0,
        p: float = 2.0,
        eps: float = 1e-6,
        swap: bool = False,
        reduction: str = "mean",
    ) -> None:
        """Remember the options (see `functional.triplet_margin_loss`).

        Raises:
            ValueError: the margin is not positive, or the reduction is unknown.
        """
        super().__init__(reduction)
        self.margin = check_positive("TripletMarginLoss", "margin", margin)
        self.p = p
        self.eps = eps
        self.swap = swap

    def forward(self, anchor: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
        """Return the loss of vectors (N, D) or (D)."""
        return F.triplet_margin_loss(
            anchor, positive, negative, self.margin, self.p, self.eps, self.swap, self.reduction
        )


class TripletMarginWithDistanceLoss(_Loss):
    """`TripletMarginLoss` with a distance function of your own; Euclidean without one."""

    def __init__(
        self,
        *,
        distance_function: Callable[[Tensor, Tensor], Tensor] | None = None,
        margin: float = 1.0,
        swap: bool = False,
        reduction: str = "mean",
    ) -> None:
        """Remember the options; a distance function that is a module becomes a part of this.

        Raises:
            ValueError: the margin is not positive, or the reduction is unknown.
        """
        super().__init__(reduction)
        self.distance_function = distance_function
        self.margin = check_positive("TripletMarginWithDistanceLoss", "margin", margin)
        self.swap = swap

    def forward(self, anchor: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
        """Return the loss of triplets (N, ...)."""
        return F.triplet_margin_with_distance_loss(
            anchor,
            positive,
            negative,
            distance_function=self.distance_function,
            margin=self.margin,
            swap=self.swap,
            reduction=self.reduction,
        )


class RBFDistanceLoss(_Loss):
    """The loss of LeNet-5 on squared distances to the centres of classes (LeCun et al. 1998)."""

    def __init__(self, offset: float = 0.1, reduction: str = "mean") -> None:
        """Remember the options (ValueError unless the offset is positive)."""
        super().__init__(reduction)
        self.offset = check_positive("RBFDistanceLoss", "offset", offset)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the loss of squared distances (N, C) for classes (N)."""
        return F.rbf_distance_loss(input, target, self.offset, self.reduction)
