# SPDX-License-Identifier: Apache-2.0
"""Images of a batch mixed with each other, and their targets with them.

Both are functions of (images, targets), so they also stand in `Compose` and `RandomChoice`. In a
`DataLoader` they come after the samples are collated:

    DataLoader(data, 32, collate_fn=MixUp(num_classes=10).collate)

There the randomness depends on (seed, epoch, index of the first sample) alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from gradsmith.backend import FLOATING, uint8
from gradsmith.data.collate import default_collate
from gradsmith.data.keyed_random import sample_generator
from gradsmith.data.transforms.base import Described
from gradsmith.ops.creation import as_tensor
from gradsmith.ops.elementwise import where
from gradsmith.ops.elementwise_round import round as round_
from gradsmith.ops.embedding import one_hot
from gradsmith.ops.options import check_int, check_number
from gradsmith.tensor import Tensor


class _Mix(Described):
    """Draws the shares, and mixes the targets."""

    def __init__(self, alpha: float = 1.0, num_classes: int | None = None) -> None:
        op = type(self).__name__
        if not 0 < check_number(op, "alpha", alpha) < math.inf:
            raise ValueError(f"{op}: alpha is {alpha}, expected a positive number")
        if num_classes is not None and check_int(op, "num_classes", num_classes) < 1:
            raise ValueError(f"{op}: num_classes is {num_classes}, expected at least 1")
        self.alpha = float(alpha)
        self.num_classes = num_classes

    def collate(self, samples: Sequence[Any]) -> tuple[Tensor, Tensor]:
        """Return the mixed batch of a list of samples (image, target)."""
        batch = default_collate(samples)
        if not isinstance(batch, (list, tuple)) or len(batch) != 2:
            raise ValueError(f"{type(self).__name__}: a sample is no pair (image, target)")
        return self(*batch)

    def __call__(self, images: Any, targets: Any) -> tuple[Tensor, Tensor]:
        """Return the mixed images, (N, C, H, W) in their dtype, and targets, (N, classes) floats.

        Args:
            images: (N, C, H, W), uint8 or floats.
            targets: classes, integers (N,), or probabilities, floats (N, classes).

        Raises:
            TypeError: the images are of another dtype.
            ValueError: shapes do not fit, or classes come without ``num_classes``.
        """
        op = type(self).__name__
        pictures = as_tensor(images)
        if pictures.dtype != uint8 and pictures.dtype not in FLOATING:
            raise TypeError(f"{op}: images are {pictures.dtype}, expected uint8 or floats")
        if pictures.ndim != 4:
            raise ValueError(f"{op}: images have shape {pictures.shape}, expected (N, C, H, W)")
        shares = self._probabilities(as_tensor(targets), pictures.shape[0])
        random = sample_generator()
        order = as_tensor(random.permutation(pictures.shape[0]), device=pictures.device)
        own = float(random.beta(self.alpha, self.alpha))
        mixed, own = self._mixed(pictures, pictures[order], own)
        others = shares[order.to(shares.device)]
        return mixed, own * shares + (1 - own) * others

    def _probabilities(self, targets: Tensor, count: int) -> Tensor:
        op = type(self).__name__
        if targets.ndim == 1 and targets.dtype not in FLOATING:
            if self.num_classes is None:
                raise ValueError(f"{op}: the targets are classes, which need num_classes")
            targets = one_hot(targets, self.num_classes).float()
        if targets.ndim != 2 or targets.dtype not in FLOATING or targets.shape[0] != count:
            raise ValueError(
                f"{op}: targets are {targets.dtype} of shape {targets.shape}, expected classes "
                f"({count},) or floats ({count}, classes)"
            )
        return targets

    def _mixed(self, images: Tensor, others: Tensor, own: float) -> tuple[Tensor, float]:
        """Return the mixed images and the share in them that is their own."""
        raise NotImplementedError


class MixUp(_Mix):
    """Weighted means of each image and another one of the batch (Zhang et al., 2018).

    With l from Beta(alpha, alpha): image = l image_i + (1 - l) image_j, and so the targets.

    Args:
        alpha: small values leave most images nearly as they are, 1 draws l uniformly.
        num_classes: C, where targets are classes.

    Raises:
        ValueError: alpha is not positive, or num_classes below 1.

    >>> import gradsmith as gs
    >>> mix = gs.data.transforms.MixUp(alpha=0.2, num_classes=10)
    >>> images, targets = mix(gs.rand(4, 1, 8, 8), gs.tensor([3, 1, 4, 1]))
    >>> targets.shape
    (4, 10)
    """

    def _mixed(self, images: Tensor, others: Tensor, own: float) -> tuple[Tensor, float]:
        mixed = own * images + (1 - own) * others
        if images.dtype == uint8:
            mixed = round_(mixed)
        return mixed.to(images.dtype), own


class CutMix(_Mix):
    """Replaces a rectangle of each image by that of another one of the batch (Yun et al., 2019).

    With l from Beta(alpha, alpha) the rectangle has 1 - l of the area around a random pixel;
    targets are mixed by the share of the image that it covers.

    Args:
        alpha: of the Beta distribution; 1 draws l uniformly.
        num_classes: C, where targets are classes.

    Raises:
        ValueError: alpha is not positive, or num_classes below 1.
    """

    def _mixed(self, images: Tensor, others: Tensor, own: float) -> tuple[Tensor, float]:
        height, width = images.shape[2:]
        middle = sample_generator().integers(0, (height, width))
        half = np.array([height, width]) * math.sqrt(1 - own) / 2
        (top, left) = np.floor(middle - half).clip(0).astype(np.int64)
        (bottom, right) = np.floor(middle + half).clip(0, (height, width)).astype(np.int64)
        foreign = np.zeros((height, width), dtype=np.bool_)
        foreign[top:bottom, left:right] = True
        inside = as_tensor(foreign, device=images.device)
        return where(inside, others, images), 1 - float(foreign.mean())
