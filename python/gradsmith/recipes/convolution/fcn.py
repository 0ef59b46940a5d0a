# SPDX-License-Identifier: Apache-2.0
"""FCN-8s paints each pixel of synthetic scenes with the class of its shape.

A classifier's body gives scores at 1/32, 1/16 and 1/8 of the size, each enlarged by a trained
transposed convolution and added to the next, ``s_16 + up(s_32)`` and so on (Long, Shelhamer,
Darrell, 2015). Edges come out coarser than U-Net's, which carries over all sizes.
"""

from __future__ import annotations

from gradsmith.models import FCN
from gradsmith.recipes.convolution.segmentation import CLASSES, paint
from gradsmith.recipes.run import Run


def main(run: Run) -> None:
    """Train and measure."""
    model = FCN(CLASSES, 3, width=16).to(run.device)
    paint(run, model, epochs=run.epochs(full=25, quick=4), at_least=0.75, quick=0.3)
