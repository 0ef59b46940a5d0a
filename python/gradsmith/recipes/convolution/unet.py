# SPDX-License-Identifier: Apache-2.0
"""U-Net paints each pixel of synthetic scenes with the class of its shape.

Maps are halved on the way down, doubled on the way up, and carried across at each size, ``u =
f([up(u'), d])``, so that what is known coarsely finds its exact place (Ronneberger, Fischer, Brox,
2015). The measure is the mean over classes of intersection over union, ``|A and B| / |A or B|``.
"""

from __future__ import annotations

from gradsmith.models import UNet
from gradsmith.recipes.convolution.segmentation import CLASSES, paint
from gradsmith.recipes.run import Run


def main(run: Run) -> None:
    """Train and measure."""
    model = UNet(CLASSES, 3, width=8, depth=2, padding=True, batch_norm=True).to(run.device)
    paint(run, model, epochs=run.epochs(full=16, quick=4), at_least=0.9, quick=0.4)
