# SPDX-License-Identifier: Apache-2.0
"""A square is cut out of each picture, and the net fills it in from what is around.

The loss is the mean squared error ``|g(x m) - x|^2``, where m is 0 on the square, and the net a
U-Net (after the context encoders of Pathak et al. 2016; their judge of drawn squares is left out).
It has to go on with edges and colours that end at the square. Pictures are synthetic.
"""

from __future__ import annotations

from gradsmith.recipes.few_shot.restoring import restore
from gradsmith.recipes.run import Run
from gradsmith.tensor import Tensor

TOP, SIDE = 5, 6


def cut(images: Tensor) -> Tensor:
    """Return the pictures with a grey square in the middle."""
    rest = images.clone()
    rest[:, :, TOP : TOP + SIDE, TOP : TOP + SIDE] = 0.5
    return rest


def main(run: Run) -> None:
    """Train and fill in."""
    restore(run, cut, "the middle", gain=2, quick=1.5)
