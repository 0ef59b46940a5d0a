# SPDX-License-Identifier: Apache-2.0
"""PixelRNN draws digits pixel by pixel, with an LSTM that walks from row to row.

Each state sees its row from the left and three states of the row above, which have seen three each:
a triangle of all rows above, ``h_(r,c) = lstm(h_(r-1), x_(r,<c))`` (row LSTM, van den Oord et al.,
2016). As in ``pixelcnn`` a digit's probability is the product of those of its pixels, and the data
are the same.
"""

from __future__ import annotations

from gradsmith import models
from gradsmith.recipes.autoregressive.pixels import LEVELS, study
from gradsmith.recipes.run import Run


def main(run: Run) -> None:
    """Train and draw."""
    width, layers = run.choose((32, 2), (16, 1))
    model = models.PixelRNN(LEVELS, width, layers, kernel_size=5)
    study(run, model, run.epochs(full=25, quick=4))
