# SPDX-License-Identifier: Apache-2.0
"""Colour for grey pictures: the net has to know what is what to paint it.

From the grey level, ``(r + g + b) / 3``, a U-Net finds the three channels again (the task of Iizuka
et al., "Let there be color!", 2016). Many colours have one grey, so the shape has to tell which it
was. Pictures are synthetic.
"""

from __future__ import annotations

from gradsmith.recipes.few_shot.restoring import restore
from gradsmith.recipes.run import Run
from gradsmith.tensor import Tensor


def grey(images: Tensor) -> Tensor:
    """Return the mean of the channels in all three."""
    return images.mean(1, keepdim=True).expand(-1, 3, -1, -1)


def main(run: Run) -> None:
    """Train and paint."""
    restore(run, grey, "colour", gain=8, quick=3)
