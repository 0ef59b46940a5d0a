# SPDX-License-Identifier: Apache-2.0
"""PixelCNN draws digits pixel by pixel.

``p(x) = prod p(x_i | x_1 .. x_(i-1))``, rows from the top, by convolutions whose kernels are masked
below and to the right of the middle (van den Oord et al., 2016). Scanned digits of 4 grey levels.
"""

from __future__ import annotations

from gradsmith import models
from gradsmith.recipes.autoregressive.pixels import LEVELS, study
from gradsmith.recipes.run import Run


def main(run: Run) -> None:
    """Train and draw."""
    width, layers = run.choose((48, 4), (24, 2))
    model = models.PixelCNN(LEVELS, width, layers, kernel_size=5)
    study(run, model, run.epochs(full=30, quick=4))
