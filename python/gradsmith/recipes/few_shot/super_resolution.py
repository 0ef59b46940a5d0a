# SPDX-License-Identifier: Apache-2.0
"""Pixels that a small picture does not have, learned from large ones.

As SRCNN (Dong et al. 2014) the net sees the picture enlarged by bicubic interpolation, here from
half the size, and draws what is missing, ``|g(up(x)) - y|^2``. Recipe ``srgan`` enlarges inside the
net and adds a judge. Pictures are synthetic.
"""

from __future__ import annotations

from gradsmith.nn import functional as F
from gradsmith.recipes.few_shot.restoring import restore
from gradsmith.recipes.run import Run
from gradsmith.tensor import Tensor


def halved(images: Tensor) -> Tensor:
    """Return the pictures shrunk to half their size and enlarged again, in [0, 1]."""
    small = F.avg_pool2d(images, 2)
    return F.interpolate(small, images.shape[-2:], mode="bicubic").clamp(0, 1)


def main(run: Run) -> None:
    """Train and enlarge."""
    restore(run, halved, "half its pixels", gain=2, quick=1)
