# SPDX-License-Identifier: Apache-2.0
"""Losses as modules. Input and target must have equal shapes: a loss never broadcasts.

The size_average and reduce of old PyTorch versions do not exist; ``reduction`` says both.
"""

from __future__ import annotations

from gradsmith.nn import functional as F
from gradsmith.nn.module import Module
from gradsmith.ops.options import check_number
from gradsmith.tensor import Tensor

_REDUCTIONS = ("none", "mean", "sum")


class _Loss(Module):
    """Has the option ``reduction``."""

    def __init__(self, reduction: str = "mean") -> None:
        """Remember how to reduce: ``"mean"``, ``"sum"`` or ``"none"``.

        Raises:
            ValueError: the name is unknown.
        """
        super().__init__()
        allowed = (*_REDUCTIONS, "batchmean") if isinstance(self, KLDivLoss) else _REDUCTIONS
        name = type(self).__name__
        if not isinstance(reduction, str):
            raise TypeError(f"{name}: reduction is a {type(reduction).__name__}, expected a str")
        if reduction not in allowed:
            raise ValueError(f"{name}: reduction is {reduction!r}, expected one of {allowed}")
        self.reduction = reduction


class _WeightedLoss(_Loss):
    """Has the options ``weight``, a buffer that `state_dict` holds, and ``reduction``."""

    weight: Tensor | None

    def __init__(self, weight: Tensor | None = None, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self.register_buffer("weight", weight)


class MSELoss(_Loss):
    """Squared difference."""

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Return a scalar, or the shape of the input for reduction ``"none"``."""
        return F.mse_loss(input, target, reduction=self.reduction)


class L1Loss(_Loss):
    """Absolute difference."""

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Return a scalar, or the shape of the input for reduction ``"none"``."""
        return F.l1_loss(input, target, reduction=self.reduction)


class HuberLoss(_Loss):
    """Half the squared difference up to ``delta``, linear beyond."""

    def __init__(self, reduction: str = "mean", delta: float = 1.0) -> None:
        """Remember the options.

        Raises:
            ValueError: ``delta`` is not positive, or the reduction is unknown.
        """
        super().__init__(reduction)
        if not check_number("HuberLoss", "delta", delta) > 0:
            raise ValueError(f"HuberLoss: delta is {delta}, expected a positive number")
        self.delta = delta

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Return a scalar, or the shape of the input for reduction ``"none"``."""
        return F.huber_loss(input, target, reduction=self.reduction, delta=self.delta)


class SmoothL1Loss(_Loss):
    """Huber loss divided by ``beta``: slope 1 beyond ``beta``."""

    def __init__(self, reduction: str = "mean", beta: float = 1.0) -> None:
        """Remember the options.

        Raises:
            ValueError: ``beta`` is negative, or the reduction is unknown.
        """
        super().__init__(reduction)
        if not check_number("SmoothL1Loss", "beta", beta) >= 0:
            raise ValueError(f"SmoothL1Loss: beta is {beta}, expected a number of at least 0")
        self.beta = beta

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Return a scalar, or the shape of the input for reduction ``"none"``."""
        return F.smooth_l1_loss(input, target, reduction=self.reduction, beta=self.beta)


class BCELoss(_WeightedLoss):
    """Binary cross-entropy of probabilities in [0, 1]."""

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Return a scalar, or the shape of the input for reduction ``"none"``."""
        return F.binary_cross_entropy(input, target, weight=self.weight, reduction=self.reduction)


class BCEWithLogitsLoss(_WeightedLoss):
    """Binary cross-entropy of logits, safe for large ones."""

    pos_weight: Tensor | None

    def __init__(
        self,
        weight: Tensor | None = None,
        reduction: str = "mean",
        pos_weight: Tensor | None = None,
    ) -> None:
        """Remember the options; ``pos_weight`` multiplies the term of positive targets."""
        super().__init__(weight, reduction)
        self.register_buffer("pos_weight", pos_weight)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Return a scalar, or the shape of the input for reduction ``"none"``."""
        return F.binary_cross_entropy_with_logits(
            input,
            target,
            weight=self.weight,
            reduction=self.reduction,
            pos_weight=self.pos_weight,
        )


class KLDivLoss(_Loss):
    """Divergence of the target's distribution from the input's, given as log-probabilities."""

    def __init__(self, reduction: str = "mean", log_target: bool = False) -> None:
        """Remember the options; the reduction ``"batchmean"`` divides by the batch size."""
        super().__init__(reduction)
        self.log_target = log_target

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Return a scalar, or the shape of the input for reduction ``"none"``."""
        return F.kl_div(input, target, reduction=self.reduction, log_target=self.log_target)


class NLLLoss(_WeightedLoss):
    """Negative of the log-probability of the target's class."""

    def __init__(
        self, weight: Tensor | None = None, ignore_index: int = -100, reduction: str = "mean"
    ) -> None:
        """Remember the options: weights (C) of the classes, a class to leave out."""
        super().__init__(weight, reduction)
        self.ignore_index = ignore_index

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the loss of log-probabilities (N, C, *) for classes (N, *)."""
        return F.nll_loss(
            input,
            target,
            weight=self.weight,
            ignore_index=self.ignore_index,
            reduction=self.reduction,
        )


class CrossEntropyLoss(_WeightedLoss):
    """Cross-entropy of logits with classes, or with probabilities of all classes.

    Example::

        CrossEntropyLoss()(logits, labels)  # (N, C) floating and (N) int64
    """

    def __init__(
        self,
        weight: Tensor | None = None,
        ignore_index: int = -100,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ) -> None:
        """Remember the options.

        Args:
            weight: weights (C) of the classes.
            ignore_index: a class whose positions are left out.
            reduction: ``"mean"`` (over the weights of the positions), ``"sum"`` or ``"none"``.
            label_smoothing: share of the target that is spread evenly over all classes.

        Raises:
            ValueError: the reduction is unknown, or the share lies outside [0, 1].
        """
        super().__init__(weight, reduction)
        if not 0 <= label_smoothing <= 1:
            raise ValueError(
                f"CrossEntropyLoss: label_smoothing is {label_smoothing}, expected a number in "
                "[0, 1]"
            )
        self.ignore_index = ignore_index
        self.label_smoothing = label_smoothing

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the loss of logits (N, C, *) for classes (N, *) or probabilities (N, C, *)."""
        return F.cross_entropy(
            input,
            target,
            weight=self.weight,
            ignore_index=self.ignore_index,
            reduction=self.reduction,
            label_smoothing=self.label_smoothing,
        )
