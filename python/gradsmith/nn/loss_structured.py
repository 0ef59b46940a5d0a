# SPDX-License-Identifier: Apache-2.0
"""Losses of sequences, segmentations, boxes and images, as modules."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gradsmith.autograd import no_grad
from gradsmith.nn import functional as F
from gradsmith.nn.loss import _Loss
from gradsmith.nn.module import Module
from gradsmith.nn.module_tree import check_module
from gradsmith.ops.loss_checks import check_at_least, check_positive
from gradsmith.ops.loss_ctc import Lengths
from gradsmith.tensor import Tensor


class CTCLoss(_Loss):
    """Connectionist temporal classification: labels without an alignment to the input."""

    def __init__(
        self, blank: int = 0, reduction: str = "mean", zero_infinity: bool = False
    ) -> None:
        """Remember the options (see `functional.ctc_loss`)."""
        super().__init__(reduction)
        self.blank = blank
        self.zero_infinity = zero_infinity

    def forward(
        self, log_probs: Tensor, targets: Tensor, input_lengths: Lengths, target_lengths: Lengths
    ) -> Tensor:
        """Return the loss of log-probabilities (T, N, C) for labels (N, S)."""
        return F.ctc_loss(
            log_probs,
            targets,
            input_lengths,
            target_lengths,
            self.blank,
            self.reduction,
            self.zero_infinity,
        )


class FocalLoss(_Loss):
    """Cross-entropy that counts little what is already recognised."""

    alpha: Any

    def __init__(
        self,
        alpha: Tensor | float | None = None,
        gamma: float = 2.0,
        reduction: str = "mean",
    ) -> None:
        """Remember the options (see `functional.focal_loss`); a tensor ``alpha`` is a buffer."""
        super().__init__(reduction)
        if isinstance(alpha, Tensor):
            self.register_buffer("alpha", alpha)
        else:
            self.alpha = alpha
        self.gamma = check_at_least("FocalLoss", "gamma", gamma)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the loss of logits for zeros and ones of that shape, or for class indices."""
        return F.focal_loss(input, target, self.alpha, self.gamma, self.reduction)


class _SmoothLoss(_Loss):
    """Has the options ``smooth`` and ``reduction``."""

    def __init__(self, smooth: float = 1.0, reduction: str = "mean") -> None:
        """Remember the options (ValueError unless ``smooth`` is positive)."""
        super().__init__(reduction)
        self.smooth = check_positive(type(self).__name__, "smooth", smooth)


class DiceLoss(_SmoothLoss):
    """One minus the Dice coefficient of each image and class."""

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the loss of probabilities (N, C, *) for the same or class indices (N, *)."""
        return F.dice_loss(input, target, self.smooth, self.reduction)


class JaccardLoss(_SmoothLoss):
    """One minus the intersection over the union of each image and class."""

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the loss of probabilities (N, C, *) for the same or class indices (N, *)."""
        return F.jaccard_loss(input, target, self.smooth, self.reduction)


class YOLOLoss(Module):
    """The loss of version 2 of YOLO, for one grid with its anchors."""

    def __init__(
        self,
        anchors: Any,
        coordinate_weight: float = 1.0,
        object_weight: float = 5.0,
        no_object_weight: float = 1.0,
        class_weight: float = 1.0,
        ignore_threshold: float = 0.6,
    ) -> None:
        """Remember the options (see `functional.yolo_loss`): anchors (A, 2), shares of an image."""
        super().__init__()
        self.anchors = anchors
        self.coordinate_weight = coordinate_weight
        self.object_weight = object_weight
        self.no_object_weight = no_object_weight
        self.class_weight = class_weight
        self.ignore_threshold = ignore_threshold

    def forward(self, predictions: Tensor, targets: Sequence[Any]) -> Tensor:
        """Return the loss of (N, A (5 + C), S, S) for each image's objects (n, 5)."""
        return F.yolo_loss(
            predictions,
            targets,
            self.anchors,
            self.coordinate_weight,
            self.object_weight,
            self.no_object_weight,
            self.class_weight,
            self.ignore_threshold,
        )


class TotalVariationLoss(_Loss):
    """The sum over pixels of the length of an image's gradient."""

    def __init__(self, isotropic: bool = True, reduction: str = "mean") -> None:
        """Remember the options (see `functional.total_variation_loss`)."""
        super().__init__(reduction)
        self.isotropic = isotropic

    def forward(self, input: Tensor) -> Tensor:
        """Return the loss of images (N, C, H, W) or (C, H, W)."""
        return F.total_variation_loss(input, self.isotropic, self.reduction)


class PerceptualLoss(Module):
    """Squared differences of the features that a trained network sees in two images.

    Features themselves compare contents (Johnson et al. 2016), their Gram matrices styles (Gatys
    et al. 2015). The network keeps its mode and its weights: freeze it with ``requires_grad_``.

    Example::

        loss = PerceptualLoss(vgg.features, layers=["3", "8"], weights=[1.0, 0.5])
        loss(generated, photo)
    """

    def __init__(
        self,
        features: Module,
        layers: Sequence[str],
        weights: Sequence[float] | None = None,
        style: bool = False,
    ) -> None:
        """Choose what is compared.

        Args:
            features: the network.
            layers: paths of modules in it, as `named_modules` gives them.
            weights: weight of each layer's loss, 1 by default.
            style: whether to compare Gram matrices instead of features.

        Raises:
            TypeError: ``features`` is no module.
            ValueError: there is no such module, or the weights are not as many as the layers.
        """
        super().__init__()
        check_module("PerceptualLoss", "features", features)
        known = dict(features.named_modules())
        for path in layers:
            if path not in known:
                raise ValueError(f"PerceptualLoss: features have no module {path!r}")
        self.features = features
        self.layers = tuple(layers)
        self.weights = (1.0,) * len(self.layers) if weights is None else tuple(weights)
        if not self.layers or len(self.weights) != len(self.layers):
            raise ValueError(
                f"PerceptualLoss: got {len(self.layers)} layers and {len(self.weights)} weights, "
                "expected as many and at least one"
            )
        self.style = style

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the loss of two batches of images; the target gets no gradient."""
        with no_grad():
            wanted = self._outputs(target)
        return F.perceptual_loss(self._outputs(input), wanted, self.weights, self.style)

    def _outputs(self, images: Tensor) -> list[Tensor]:
        """Return what the chosen layers give for the images."""
        modules = dict(self.features.named_modules())
        outputs: dict[str, Tensor] = {}
        handles = [
            modules[path].register_forward_hook(
                lambda module, args, output, path=path: outputs.__setitem__(path, output)
            )
            for path in self.layers
        ]
        try:
            self.features(images)
        finally:
            for handle in handles:
                handle.remove()
        return [outputs[path] for path in self.layers]
