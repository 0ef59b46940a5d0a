# SPDX-License-Identifier: Apache-2.0
"""The second stage of the R-CNN family (Girshick, "Fast R-CNN", 2015): regions of one map of the
image are pooled to one size, classified, and corrected.

R-CNN runs a network per region, Fast R-CNN one per image; Faster R-CNN (Ren et al., 2015) makes the
regions by a network of the form of `MultiScaleHead` with one class; Mask R-CNN (He et al., 2017)
aligns instead of pooling, as here by default.
"""

from __future__ import annotations

from typing import Any

from gradsmith import nn
from gradsmith.models.sizes import check_classes
from gradsmith.nn import functional as F
from gradsmith.tensor import Tensor


class FastRCNN(nn.Module):
    """Images (N, C, H, W) and boxes (K, 5) -> scores (K, 1 + classes) and offsets (K, 4 classes).

    Class 0 is the background. A box is the image and corners x1, y1, x2, y2 in pixels.
    """

    def __init__(
        self,
        body: nn.Module,
        width: int,
        num_classes: int,
        *,
        stride: int,
        size: int = 4,
        hidden: int = 64,
        align: bool = True,
    ) -> None:
        """Make the head.

        Args:
            body: images -> maps (N, width, H / stride, W / stride).
            width: channels of the maps.
            num_classes: without the background.
            stride: pixels of the image per pixel of the maps.
            size: bins per side of a region.
            hidden: width of the layer before the outputs.
            align: RoI align instead of RoI pooling.

        Raises:
            ValueError: a number is below 1.
        """
        super().__init__()
        check_classes("FastRCNN", num_classes)
        if min(width, stride, size, hidden) < 1:
            raise ValueError(
                f"FastRCNN: width, stride, size, hidden are {width}, {stride}, {size}, {hidden}, "
                "expected >= 1"
            )
        self.body = body
        self.hidden = nn.Linear(width * size * size, hidden)
        self.scores = nn.Linear(hidden, 1 + num_classes)
        self.offsets = nn.Linear(hidden, 4 * num_classes)
        self.size, self.scale, self.align = size, 1 / stride, align

    def forward(self, images: Tensor, boxes: Any) -> tuple[Tensor, Tensor]:
        """Return the scores before softmax, and for each class how to correct the boxes."""
        maps = self.body(images)
        if self.align:
            regions = F.roi_align(maps, boxes, self.size, self.scale, 2, aligned=True)
        else:
            regions = F.roi_pool(maps, boxes, self.size, self.scale)
        x = F.relu(self.hidden(regions.flatten(1)))
        return self.scores(x), self.offsets(x)
